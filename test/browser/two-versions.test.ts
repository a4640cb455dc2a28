import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildEdition, type DemoSite, openDemoSite } from '../support/demo-site.js';
import { needs } from '../support/engines/abilities.js';
import { chromiumContext } from '../support/engines/chromium.js';
import type { Session } from '../support/engines/engine.js';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';

const stage = setStage();
const { isLacking, why } = needs('devtools');

/** Of a release in which the database has changed. */
const NEXT_DATABASE = 1_000;
let next: Awaited<ReturnType<typeof buildEdition>>;
let site: DemoSite;

beforeAll(async () => {
  next = await buildEdition({ name: 'next', databaseVersion: NEXT_DATABASE });
});
afterAll(() => next.remove());
beforeEach(async () => {
  site = await openDemoSite();
});
afterEach(() => site.close());

test.skipIf(isLacking)(
  `a tab of the next version opens beside an old one: the old one is told to reload, both go on, nothing is lost or twice${why}`,
  async () => {
    const old = await arriveWithoutServiceWorker();
    await old.write('Before. ');
    await old.addRecord('before');
    await old.waitUntilInSync();
    await deploy('next');
    const young = await openBeside(old);
    expect(await editionOf(young)).toBe('next');
    expect(await young.text()).toBe('Before. ');
    const { storage, lastError } = await old.waitForStatus('told', (status) => status.storage === 'lost');
    expect({ storage, code: lastError?.code }).toEqual({ storage: 'lost', code: 'STORAGE_NEWER' });
    expect(lastError?.remedy).toMatch(/^Reload this tab/);

    await old.write('In the old one. ');
    await old.addRecord('old');
    await young.write('In the new one. ');
    await young.addRecord('new');
    const { text } = await waitUntilEqual([old, young]);
    for (const words of ['Before. ', 'In the old one. ', 'In the new one. ']) expect(text.split(words)).toHaveLength(2);

    await old.reload();
    expect(await editionOf(old)).toBe('next');
    expect(await waitUntilEqual([old, young])).toMatchObject({ text });
    await expect.poll(async () => (await old.records()).sort()).toEqual(['before', 'new', 'old']);
    expect(await old.status()).toMatchObject({ storage: 'indexeddb', lastError: null });
  },
);

test.skipIf(isLacking)(`what the old tab had not sent is in the new one at once, and is sent once${why}`, async () => {
  const old = await arriveWithoutServiceWorker();
  const ben = await stage.arrive('Ben');
  await old.waitUntilInSync();
  old.network.cut();
  await old.write('Offline. ');
  await old.addRecord('offline');
  await old.page.evaluate(() => mangrove.room.reached('disk'));
  await deploy('next');
  const young = await openBeside(old);
  await old.waitForStatus('told', (status) => status.storage === 'lost');
  for (const tab of [old, young]) {
    expect(await tab.text()).toBe('Offline. ');
    await expect.poll(() => tab.records()).toEqual(['offline']);
  }
  old.network.heal();
  expect(await waitUntilEqual([old, young, ben])).toMatchObject({ text: 'Offline. ' });
  await expect.poll(() => ben.records()).toEqual(['offline']);
});

test.skipIf(isLacking)(
  `an old tab that comes when the next version is there works in memory and leaves the database alone${why}`,
  async () => {
    await deploy('next');
    const young = await arriveWithoutServiceWorker();
    await young.write('In the new one. ');
    await young.waitUntilInSync();
    await deploy('this');
    const old = await openBeside(young);
    expect(await editionOf(old)).toBe(undefined);
    const { lastError } = await old.waitForStatus('told', (status) => status.storage === 'memory');
    expect(lastError?.code).toBe('STORAGE_NEWER');
    await old.write('In the old one. ');
    const { text } = await waitUntilEqual([old, young]);
    expect((await young.status()).storage).toBe('indexeddb');
    await deploy('next');
    await young.reload();
    expect(await waitUntilEqual([old, young])).toMatchObject({ text });
    expect(await young.status()).toMatchObject({ storage: 'indexeddb', lastError: null });
  },
);

/** One build after another at the same address. */
async function deploy(edition: 'this' | 'next'): Promise<void> {
  const { port } = site;
  await site.close();
  site = await openDemoSite(edition === 'next' ? { port, dist: next.dist } : { port });
}

/** With one, a tab would be given the build that it keeps. */
function arriveWithoutServiceWorker(): Promise<Person> {
  const prepare = async (session: Session): Promise<void> => {
    await chromiumContext(session).addInitScript(() => {
      const { serviceWorker } = navigator as { readonly serviceWorker?: ServiceWorkerContainer };
      if (serviceWorker !== undefined) serviceWorker.register = () => new Promise(() => {});
    });
  };
  return stage.arrive('Anna', { site, prepare });
}

async function openBeside(person: Person): Promise<Person> {
  const before = person.page;
  const beside = person.inTab(await person.openTab());
  person.page = before;
  return beside;
}

function editionOf({ page }: Person): Promise<string | undefined> {
  return page.evaluate(() => globalThis.edition);
}
