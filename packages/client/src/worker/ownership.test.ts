import { readJournal } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { type ClientWorld, type Profile, setWorld, type Tab } from '../../../../test/support/client-world.js';
import type { Room } from '../room.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const put = (room: Room, id: string, value: string | number) => world.run(room.collection('todos').put(id, value));
const journalOf = (profile: Profile) => profile.store('team').transact((tx) => readJournal(tx), { mode: 'read' });
const countOf = (profile: Profile, table: 'dots' | 'deltas') =>
  profile.store('team').tables.table(table).rows({ from: new Uint8Array() }).length;

const metaOf = (profile: Profile) => profile.store('team').tables.table('meta').rows({ from: new Uint8Array() });

async function todosOf(room: Room): Promise<Record<string, unknown>> {
  const entries = await world.run(room.collection('todos').entries());
  return Object.fromEntries(entries.map(([id, { value }]) => [id, value]));
}

/** The first owns the replica. */
async function openTabs(profile: Profile, count = 2): Promise<Tab[]> {
  const tabs = Array.from({ length: count }, () => profile.tab());
  for (const tab of tabs) await world.agree(tab.room());
  return tabs;
}

/** As another tab takes the lock by force: the frozen one hears of it when it thaws. */
async function takeOverFrom(frozen: Tab, other: Tab): Promise<void> {
  frozen.freeze();
  frozen.profile.steal('team');
  await world.until('the other owns', () => other.transports.size === 1);
  await world.agree(other.room());
}

test('[JS9] an owner that was frozen and taken over from steps down when it thaws, and goes on as another tab', async () => {
  const profile = world.profile();
  const [first, second] = (await openTabs(profile)) as [Tab, Tab];
  const bob = world.profile().tab().room();
  await world.agree(bob);
  await takeOverFrom(first, second);
  await put(second.room(), 'a', 1);
  await put(bob, 'b', 2);
  await world.agree(second.room(), bob);
  first.thaw();
  await world.agree(first.room(), second.room(), bob);
  await put(first.room(), 'c', 3);
  await world.agree(first.room(), second.room(), bob);
  for (const room of [first.room(), second.room(), bob]) {
    expect(await todosOf(room)).toEqual({ a: 1, b: 2, c: 3 });
    expect(room.status).toMatchObject({ connection: 'connected', lastError: null });
  }
  expect(countOf(profile, 'dots')).toBe(3);
});

test('[JS9] what comes to a frozen owner over its old connection is not written a second time, nor is its cursor', async () => {
  const profile = world.profile();
  const [first, second] = (await openTabs(profile)) as [Tab, Tab];
  const bob = world.profile().tab().room();
  await world.agree(bob);
  first.freeze();
  await put(bob, 'a', 1);
  await world.agree(bob);
  // It thaws with the deltas in its hand, and nobody tells it of another owner.
  profile.steal('team', { silently: true });
  await world.until('the other owns', () => second.transports.size === 1);
  await world.agree(second.room());
  // Nobody else writes meanwhile.
  second.freeze();
  const before = metaOf(profile);
  first.thaw();
  await world.pass(2_000);
  expect(metaOf(profile)).toEqual(before);
  second.thaw();
  await world.agree(first.room(), second.room(), bob);
});

test('[JS9] [SC21] whatever an owner was about to write when it froze, no seq is used twice and nothing is lost', async () => {
  for (let turns = 0; turns < 30; turns += 2) {
    const profile = world.profile();
    const [first, second] = (await openTabs(profile)) as [Tab, Tab];
    const writes = [first, second].map((tab, i) => tab.room().collection('todos').put(`${turns} ${i}`, turns));
    await world.quiet(turns);
    await takeOverFrom(first, second);
    const between = await put(second.room(), `${turns} between`, turns);
    await world.run(between.reached('relay'));
    first.thaw();
    const receipts = await world.run(Promise.all(writes));
    await world.run(Promise.all(receipts.map((receipt) => receipt.reached('relay'))));
    await world.agree(first.room(), second.room());
    expect(await journalOf(profile)).toHaveLength(0);
    expect(await todosOf(first.room())).toEqual(await todosOf(second.room()));
    for (const key of ['0', '1', 'between'])
      expect((await todosOf(first.room()))[`${turns} ${key}`], `${turns} ${key}`).toBe(turns);
    await world.run(first.close());
    await world.run(second.close());
  }
}, 60_000);

test('[JS9] a tab that has stepped down takes over again when the one that took over from it closes', async () => {
  const profile = world.profile();
  const [first, second] = (await openTabs(profile)) as [Tab, Tab];
  await takeOverFrom(first, second);
  first.thaw();
  await world.agree(first.room());
  await world.pass(2_000);
  await world.run(second.close());
  const receipt = await put(first.room(), 'a', 1);
  await world.run(receipt.reached('relay'));
  await world.agree(first.room());
});

test('[JS9] other tabs keep what they show of peers while a former owner steps down', async () => {
  const profile = world.profile();
  const [first, second, third] = (await openTabs(profile, 3)) as [Tab, Tab, Tab];
  const ben = world.profile().tab().room();
  const [note, bens] = [third.room().document('note'), ben.document('note')];
  await world.run(Promise.all([note.ready, bens.ready]));
  bens.awareness.setLocalState({ name: 'Ben' });
  const isShown = (): boolean => [...note.awareness.getStates().values()].some(({ name }) => name === 'Ben');
  await world.until('Ben is shown', isShown);
  first.freeze();
  profile.steal('team');
  await world.until('another owns', () => second.transports.size + third.transports.size === 1);
  await world.agree(second.room(), third.room());
  await world.until('Ben is shown again', isShown);
  first.thaw();
  for (let i = 0; i < 100; i++) {
    await world.pass(20, 20);
    expect(isShown()).toBe(true);
  }
});

test('[JS10] a frozen owner is taken over from within ten seconds, and once it thaws it is a tab like any other', async () => {
  const profile = world.profile();
  const [first, second] = (await openTabs(profile)) as [Tab, Tab];
  first.isVisible = false;
  first.freeze();
  const before = world.nowMs;
  const receipt = await put(second.room(), 'a', 1);
  await world.run(receipt.reached('relay'));
  expect(world.nowMs - before).toBeLessThan(10_000);
  first.thaw();
  await put(first.room(), 'b', 2);
  await world.agree(first.room(), second.room());
  expect(await todosOf(first.room())).toEqual({ a: 1, b: 2 });
  expect([first, second].map((tab) => tab.transports.size)).toEqual([1, 1]);
});

test('[JS10] of all tabs that wait the one that is looked at takes over, though it is last in line', async () => {
  const profile = world.profile();
  const [first, second, third] = (await openTabs(profile, 3)) as [Tab, Tab, Tab];
  first.isVisible = second.isVisible = false;
  // What it has planned while it was visible is over.
  await world.pass(5_000);
  first.freeze();
  const receipt = await put(second.room(), 'a', 1);
  await world.run(receipt.reached('relay'));
  expect([second, third].map((tab) => tab.transports.size)).toEqual([0, 1]);
});

test('[JS10] where nobody looks a tab in the background takes over, half a minute later', async () => {
  const profile = world.profile();
  const [first, second] = (await openTabs(profile)) as [Tab, Tab];
  first.isVisible = second.isVisible = false;
  await world.pass(5_000);
  first.freeze();
  await world.pass(20_000);
  expect(second.transports.size).toBe(0);
  await world.pass(15_000);
  expect(second.transports.size).toBe(1);
});

test('[JS10] an owner that is awake is left alone, however long and however little is written', async () => {
  const profile = world.profile();
  const [first, second, third] = (await openTabs(profile, 3)) as [Tab, Tab, Tab];
  await world.pass(180_000);
  // And where it waits for its disk, as it answers all the same.
  first.beforeTransact = ({ mode }) => (mode === 'write' ? new Promise(() => {}) : undefined);
  void first.room().collection('todos').put('a', 1);
  await world.pass(60_000);
  expect([second, third].map((tab) => tab.transports.size)).toEqual([0, 0]);
  first.crash();
});

test('[JS10] a lock that falls to a frozen tab is taken from it as well', async () => {
  const profile = world.profile();
  const [first, second, third] = (await openTabs(profile, 3)) as [Tab, Tab, Tab];
  second.freeze();
  await world.run(first.close());
  const receipt = await put(third.room(), 'a', 1);
  await world.run(receipt.reached('relay'));
  second.thaw();
  await world.pass(2_000);
  await world.agree(second.room(), third.room());
  const later = await put(second.room(), 'b', 2);
  await world.run(later.reached('relay'));
});

test('[JS10] tabs that take each other for frozen do not take turns: once a minute at most', async () => {
  const profile = world.profile();
  const tabs = (await openTabs(profile)) as [Tab, Tab];
  // Neither hears the other, and both go on.
  for (const tab of tabs) tab.isMute = true;
  const owners = (): number => tabs.reduce((sum, tab) => sum + tab.transports.size, 0);
  await world.pass(55_000);
  expect(owners()).toBe(2);
  await world.pass(60_000);
  expect(owners()).toBeLessThanOrEqual(3);
  for (const tab of tabs) tab.isMute = false;
  await world.agree(...tabs.map((tab) => tab.room()));
});

test('[JS10] a tab that slept counts nothing that it could not hear', async () => {
  const profile = world.profile();
  const [first, second] = (await openTabs(profile)) as [Tab, Tab];
  for (let i = 0; i < 20; i++) {
    first.isMute = true;
    await world.pass(2_000);
    // As the clock of a device goes on while it sleeps.
    world.nowMs += 30_000;
    await world.pass(2_000);
    first.isMute = false;
    await world.pass(2_000);
  }
  expect([first, second].map((tab) => tab.transports.size)).toEqual([1, 0]);
});
