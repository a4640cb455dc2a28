import { randomUUID } from 'node:crypto';
import type { Client, createClient, Room } from '@mangrove/client';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type DevApp, openDevApp } from '../support/dev-app.js';
import { needs } from '../support/engines/abilities.js';
import { chromiumPage } from '../support/engines/chromium.js';
import type { Engine, Session, Tab } from '../support/engines/engine.js';
import { openEngine } from '../support/engines/engines.js';
import { RelayProcess } from '../support/relay-process.js';
import { until } from '../support/until.js';

const { isLacking, why } = needs('consumers of packages');
const engine: Engine = openEngine();
let relay: RelayProcess;
let session: Session;
let app: DevApp;
let page: Tab;
let roomName: string;
const troubles: string[] = [];

declare global {
  /** Of the module that runs now. */
  var live: { readonly version: number; readonly client: Client; readonly room: Room };
  var former: Room | undefined;
  var make: typeof createClient;
}

/** A module as somebody writes it who keeps its room when it is replaced, or does not think of it. */
const moduleOf = (version: number, isClosing: boolean): string => `
import { createClient } from '@mangrove/client';
import.meta.hot.accept();
const client = createClient({ name: 'app', relay: ${JSON.stringify(relay.url.replace('http', 'ws'))} });
${isClosing ? 'import.meta.hot.dispose(() => client.close());' : ''}
globalThis.make = createClient;
const room = client.room(${JSON.stringify(roomName)});
await room.document('note').ready;
globalThis.live = { version: ${version}, client, room };
`;

beforeAll(async () => {
  relay = await RelayProcess.start();
});
afterAll(async () => {
  await engine.close();
  await relay?.stop();
});
beforeEach(async () => {
  roomName = `room-${randomUUID()}`;
  app = await openDevApp(moduleOf(1, true));
  session = await engine.open();
  session.onTrouble = (words) => troubles.push(words);
  page = await session.openTab();
  await page.goto(app.url);
  await untilVersion(1);
});
afterEach(async () => {
  await session.close();
  await app.close();
  expect(troubles.splice(0)).toEqual([]);
});

test.skipIf(isLacking)(
  `a module that closes its client is replaced: the room goes on, and no second worker is left${why}`,
  async () => {
    await append('One. ');
    for (const version of [2, 3, 4]) {
      await app.write(moduleOf(version, true));
      await untilVersion(version);
      await append(`Version ${version}. `);
    }
    expect(await text()).toBe('One. Version 2. Version 3. Version 4. ');
    await until('one worker', () => chromiumPage(page).workers().length === 1);
    await page.evaluate(() => globalThis.live.room.synced());
    const [room] = await vectorOf();
    expect(Object.keys(room ?? {})).toHaveLength(1);
  },
);

test.skipIf(isLacking)(
  `a module that is replaced without closing its client leaves it there: the two go on like two tabs${why}`,
  async () => {
    await app.write(moduleOf(2, false));
    await untilVersion(2);
    await page.evaluate(() => {
      globalThis.former = globalThis.live.room;
    });
    await append('Two. ');
    await app.write(moduleOf(3, false));
    await untilVersion(3);
    await until('the new one to have it', async () => (await text()) === 'Two. ');
    await append('Three. ');
    const former = (): Promise<string | undefined> =>
      page.evaluate(() => globalThis.former?.document('note').ydoc.getText('t').toString());
    await until('the former one to have it', async () => (await former()) === 'Two. Three. ');
    expect(chromiumPage(page).workers()).toHaveLength(2);
  },
);

test.skipIf(isLacking)(
  `a component that is mounted, unmounted and mounted at once, as React does it in StrictMode, has its room${why}`,
  async () => {
    const result = await page.evaluate(async () => {
      // Effects of one commit run one after the other, without a turn in between.
      const strictly = <Held>(mount: () => { held: Held; unmount: () => void }): Held => {
        mount().unmount();
        return mount().held;
      };
      const { client } = globalThis.live;
      const inRoom = strictly(() => {
        const room = client.room('strict');
        const note = room.document('note');
        const todos = room.collection('todos');
        const off = todos.subscribe(() => {});
        const offStatus = room.on('status', () => {});
        return {
          held: { room, note, todos },
          unmount: () => {
            off();
            offStatus();
            note.close();
            room.close();
          },
        };
      });
      await inRoom.note.ready;
      inRoom.note.ydoc.getText('t').insert(0, 'mounted');
      await inRoom.todos.put('a', 1);
      await inRoom.room.synced();
      const { sync } = inRoom.room.status;
      // And where the component makes the client itself.
      const inClient = strictly(() => {
        const own = globalThis.make({ name: 'app' });
        const note = own.room('strict').document('note');
        return { held: { own, note }, unmount: () => void own.close() };
      });
      await inClient.note.ready;
      const seen = inClient.note.ydoc.getText('t').toString();
      inClient.note.ydoc.getText('t').insert(7, ' twice');
      await inClient.note.reached('disk');
      await inClient.own.close();
      return { seen, sync };
    });
    expect(result).toEqual({ seen: 'mounted', sync: 'in-sync' });
    await until('what the other client wrote', () =>
      page.evaluate(() => {
        const room = globalThis.live.client.room('strict');
        return room.document('note').ydoc.getText('t').toString() === 'mounted twice';
      }),
    );
    await until('one worker', () => chromiumPage(page).workers().length === 1);
  },
);

function untilVersion(version: number): Promise<void> {
  // Vite loads the page once more where it finds a dependency late.
  const isThere = (): Promise<boolean> =>
    page.evaluate((version) => globalThis.live?.version === version, version).catch(() => false);
  return until(`version ${version}`, isThere);
}

async function append(words: string): Promise<void> {
  await page.evaluate(async (words) => {
    const note = globalThis.live.room.document('note');
    await note.ready;
    const content = note.ydoc.getText('t');
    content.insert(content.length, words);
    await note.reached('disk');
    note.close();
  }, words);
}

function text(): Promise<string> {
  return page.evaluate(async () => {
    const note = globalThis.live.room.document('note');
    await note.ready;
    const shown = note.ydoc.getText('t').toString();
    note.close();
    return shown;
  });
}

async function vectorOf(): Promise<(Record<string, number> | undefined)[]> {
  return [(await relay.version(roomName))?.vector];
}
