import { bodyOfDelta, type Delta, deriveClientId, FLAG, packBody } from '@mangrove/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as Y from 'yjs';
import { deflate } from '../../packages/client/src/deflate.js';
import { slowUpdate } from '../support/hostile-update.js';
import { hash } from '../support/keys.js';
import type { Person } from '../support/person.js';
import { RemoteAuthor } from '../support/remote-author.js';
import { setStage } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();
/** Two minutes of computing, in some fifty thousand bytes. */
const PIECES = 16_000;
const JUDGED_MS_MAX = 90_000;
const note = { kind: 'document', collection: '', id: 'note' } as const;
let anna: Person;
let author: RemoteAuthor;
let stranger: RemoteAuthor;

beforeEach(async () => {
  anna = await stage.arrive('Anna', { profile: await stage.newProfile() });
  await anna.waitUntilInSync();
  author = await RemoteAuthor.join(stage.relay.url, stage.room);
  stranger = await RemoteAuthor.join(stage.relay.url, stage.room);
  await author.client.pushed([author.write('Honest. ')]);
  await anna.waitForText('Honest. ');
  await anna.waitUntilInSync();
});

afterEach(async () => {
  await author.close();
  await stranger.close();
});

/** Sent compressed, as a client sends what is worth it. */
function draft(by: RemoteAuthor, payload: Uint8Array): Delta {
  const { bytes, flags } = packBody({ name: note, payload }, deflate);
  expect(flags).toBe(FLAG.compressed);
  return by.draft(new Uint8Array(), { body: bytes, flags });
}

test('[CX9] an update that takes minutes is set aside; documents, records and the page go on, and a reload pays nothing again', async () => {
  const clientId = deriveClientId(hash, stranger.replica.roomId, stranger.replica.id, 1);
  const hostile = draft(stranger, slowUpdate(clientId, PIECES));
  expect(hostile.bytes.length).toBeLessThan(64_000);
  expect(bodyOfDelta(hostile).payload.length).toBeGreaterThan(250_000);
  await stranger.client.pushed([hostile]);

  // All the time that it is tried: how long the page, a document, a record and another writer's edits take.
  await anna.page.evaluate(() => {
    const seen = { gapMs: 0, writes: 0, slowestMs: 0, isOver: false };
    Object.assign(globalThis, { seen });
    let lastMs = performance.now();
    const timer = setInterval(() => {
      seen.gapMs = Math.max(seen.gapMs, performance.now() - lastMs);
      lastMs = performance.now();
    }, 20);
    const other = mangrove.room.document('beside');
    void (async () => {
      await other.ready;
      while (!seen.isOver) {
        const beganMs = performance.now();
        other.ydoc.getText('content').insert(0, 'x');
        await mangrove.records.put('r', seen.writes);
        await other.reached('relay');
        seen.slowestMs = Math.max(seen.slowestMs, performance.now() - beganMs);
        seen.writes++;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      clearInterval(timer);
    })();
  });
  await until('it is looked into', async () => (await anna.status()).quarantined === 1, { withinMs: 30_000 });
  await author.client.pushed([author.write('Meanwhile. ')]);
  await anna.waitForText('Meanwhile. Honest. ');
  await until('the verdict', async () => (await anna.status()).lastError?.code === 'UPDATE_TOO_COSTLY', {
    withinMs: JUDGED_MS_MAX,
  });
  const seen = await anna.page.evaluate(() => {
    const { seen } = globalThis as unknown as {
      seen: { gapMs: number; writes: number; slowestMs: number; isOver: boolean };
    };
    seen.isOver = true;
    return { ...seen };
  });
  console.log(`while it was tried: ${JSON.stringify(seen)}`);
  expect(seen.writes).toBeGreaterThan(20);
  expect(seen.gapMs).toBeLessThan(2_000);
  expect(seen.slowestMs).toBeLessThan(6_000);

  const listed = () =>
    anna.page.evaluate(async () => {
      const entries = await mangrove.room.quarantine.list();
      const [entry] = entries;
      const exported = entry && (await mangrove.room.quarantine.export(entry));
      return { codes: entries.map(({ code }) => code), replica: entry?.replica, exported: [...(exported ?? [])] };
    });
  const asItCame = { codes: ['UPDATE_TOO_COSTLY'], replica: stranger.replica.id, exported: [...hostile.bytes] };
  expect(await listed()).toEqual(asItCame);
  // It was validly signed, so it is part of the set, and roots agree.
  const { root } = await anna.waitUntilInSync();
  expect((await stage.relay.version(stage.room))?.root).toBe(root);

  await anna.reload();
  await anna.waitUntilInSync();
  expect(await anna.text()).toBe('Meanwhile. Honest. ');
  expect(await listed()).toEqual(asItCame);
  await author.client.pushed([author.write('Afterwards. ')]);
  await anna.waitForText('Afterwards. Meanwhile. Honest. ');
  const { quarantined, lastError } = await anna.status();
  expect({ quarantined, lastError }).toEqual({ quarantined: 1, lastError: null });
});

test('[CX9] a large update of the honest sort is tried and shown', async () => {
  const ydoc = new Y.Doc();
  ydoc.clientID = deriveClientId(hash, stranger.replica.roomId, stranger.replica.id, 1);
  ydoc.transact(() => {
    const map = ydoc.getMap('cells');
    for (let i = 0; i < 12_000; i++) map.set(`${i}`, i % 10);
  });
  await stranger.client.pushed([draft(stranger, Y.encodeStateAsUpdate(ydoc))]);
  await until('all of it', () => anna.page.evaluate(() => mangrove.note.ydoc.getMap('cells').size === 12_000), {
    withinMs: 30_000,
  });
  await anna.waitUntilInSync();
  expect(await anna.status()).toMatchObject({ quarantined: 0, lastError: null });
});
