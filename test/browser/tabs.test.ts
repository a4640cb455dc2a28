import { expect, test } from 'vitest';
import type { Tab } from '../support/engines/engine.js';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';
import { missingFrom, Writer } from '../support/writer.js';

const stage = setStage();

test('two tabs of one profile are one replica: each shows the edits of the other, also offline', async () => {
  const { first, second } = await openTwoTabs();
  first.network.cut();
  await first.waitForStatus('offline', ({ connection }) => connection === 'offline');

  await first.write('From the first. ');
  await second.waitForText('From the first. ');
  await second.write('From the second. ');
  await first.waitForText('From the first. From the second. ');
  await second.addRecord('From the second tab');
  await expect.poll(() => first.records()).toEqual(['From the second tab']);
  for (const tab of [first, second])
    await tab.waitForStatus('waiting with all three', ({ pending }) => pending.writes === 3);

  first.network.heal();
  const { root } = await waitUntilEqual([first, second]);
  const version = await stage.relay.version(stage.room);
  expect(version?.root).toBe(root);
  expect(Object.keys(version?.vector ?? {})).toHaveLength(1);
});

test('two tabs write at once and keep one set of books', async () => {
  const { first, second } = await openTwoTabs();
  const ben = await stage.arrive('Ben');
  const writers = await Promise.all([Writer.start(first, 'a'), Writer.start(second, 'b')]);
  await Promise.all(writers.map((writer) => writer.until('relay', 25)));
  await Promise.all(writers.map((writer) => writer.stop()));
  const { text } = await waitUntilEqual([first, second, ben]);
  for (const writer of writers) expect(missingFrom(text, writer.written)).toEqual([]);
  for (const tab of [first, second]) expect((await tab.status()).lastError).toBe(null);
});

test('one connection serves both tabs; when its tab is closed in the middle of typing the other takes over', async () => {
  const { first, second } = await openTwoTabs();
  const ben = await stage.arrive('Ben');
  await ben.waitUntilInSync();
  expect(first.network.connections).toBe(1);

  const writer = await Writer.start(first, 'a', 10);
  await writer.until('relay', 20);
  await first.page.close();
  const promised = new Set([...writer.disk, ...writer.relay]);

  await second.waitUntilInSync();
  expect(missingFrom(await second.text(), promised)).toEqual([]);
  await second.write('Taken over. ');
  await ben.write('Ben is still here. ');
  const { text } = await waitUntilEqual([second, ben]);
  expect(missingFrom(text, promised)).toEqual([]);
  expect(text).toContain('Taken over. ');
  expect(text).toContain('Ben is still here. ');
  expect(first.network.connections).toBe(2);
});

test('the tab that is not connected may close as well, and nothing stops', async () => {
  const { first, second } = await openTwoTabs();
  const ben = await stage.arrive('Ben');
  const writer = await Writer.start(second, 'b', 10);
  await writer.until('disk', 20);
  await second.page.close();
  const promised = new Set([...writer.disk, ...writer.relay]);
  const { text } = await waitUntilEqual([first, ben]);
  expect(missingFrom(text, promised)).toEqual([]);
  expect(first.network.connections).toBe(1);
});

test('a tab that comes later knows how things stand, and one pause is for all tabs', async () => {
  const { first, second } = await openTwoTabs();
  await second.page.evaluate(() => mangrove.room.pause());
  await first.waitForStatus('paused', ({ connection }) => connection === 'paused');
  await first.write('While paused. ');
  const third = first.inTab(await openTab(first));
  await third.waitForStatus('told', ({ connection, pending }) => connection === 'paused' && pending.writes === 1);
  expect(await third.text()).toBe('While paused. ');
  await third.page.evaluate(() => mangrove.room.resume());
  await waitUntilEqual([first, second, third]);
});

test('who is in another tab is somebody else to be seen, for oneself and for others', async () => {
  const { first, second } = await openTwoTabs();
  const ben = await stage.arrive('Ben');
  await Promise.all([first.write('A line to stand in. '), ben.waitUntilInSync()]);
  await waitUntilEqual([first, second, ben]);
  await second.goToEnd();
  for (const person of [first, ben]) {
    await until(
      `${person.name} to see the cursor of the second tab`,
      async () => (await person.cursorsOfOthers()).length === 1,
    );
  }
  await second.page.close();
  for (const person of [first, ben])
    await until(`${person.name} to see it go`, async () => (await person.cursorsOfOthers()).length === 0);
});

/** The first is connected; the second came when it was. */
async function openTwoTabs(): Promise<{ first: Person; second: Person }> {
  const first = await stage.arrive('Anna');
  await first.waitUntilInSync();
  const firstPage = first.page;
  const second = first.inTab(await openTab(first));
  first.page = firstPage;
  await second.waitUntilInSync();
  return { first, second };
}

async function openTab(person: Person): Promise<Tab> {
  const before = person.page;
  const page = await person.openTab();
  person.page = before;
  return page;
}
