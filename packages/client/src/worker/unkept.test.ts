import { MangroveError } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import { type ClientWorld, type Profile, type Tab, setWorld } from '../../../../test/support/client-world.js';
import type { Room } from '../room.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

/** Tabs of one profile, on a disk that a test can fill. */
async function openTabs(count: number): Promise<{ profile: Profile; tabs: Tab[]; disk: { isFull: boolean } }> {
  const profile = world.profile();
  const disk = { isFull: false };
  const tabs = Array.from({ length: count }, () => profile.tab());
  for (const tab of tabs) {
    tab.beforeTransact = ({ mode }) => {
      if (disk.isFull && mode === 'write') throw new MangroveError('STORAGE_FULL');
    };
    await world.agree(tab.room());
  }
  return { profile, tabs, disk };
}

const todos = (room: Room) => room.collection<string>('todos');
const valueAt = async (room: Room, id: string): Promise<string | undefined> =>
  (await world.run(todos(room).get(id)))?.value;

describe('[JS7] a disk that is full', () => {
  test('writes are applied, shown by all tabs, told as such, and nothing of them is sent', async () => {
    const { tabs, disk } = await openTabs(2);
    const [one, two] = tabs.map((tab) => tab.room()) as [Room, Room];
    const far = world.profile().tab().room();
    await world.agree(far);
    const heard: string[] = [];
    todos(two).subscribe((changes) => heard.push(...changes.map(({ id, origin }) => `${id} ${origin}`)));
    await world.run(todos(two).get('none'));
    disk.isFull = true;
    const receipt = await world.run(todos(one).put('a', 'unkept'));
    expect(receipt.rung).toBe('applied');
    await world.run(receipt.reached('applied'));
    for (const room of [one, two]) {
      await world.until('shown', async () => (await valueAt(room, 'a')) === 'unkept');
      expect(room.status).toMatchObject({ storage: 'full', pending: { writes: 1 } });
      expect(room.status.sync).not.toBe('in-sync');
      expect((await world.run(todos(room).entries())).map(([id]) => id)).toEqual(['a']);
    }
    expect(one.status.lastError?.code).toBe('STORAGE_FULL');
    await world.until('told', () => heard.length > 0);
    await world.pass(30_000);
    expect(heard).toEqual(['a tab']);
    expect(await valueAt(far, 'a')).toBeUndefined();
  });

  test('a second after there is room everything is on disk, and sent', async () => {
    const { tabs, disk } = await openTabs(2);
    const [one, two] = tabs.map((tab) => tab.room()) as [Room, Room];
    const note = one.document('note');
    await world.run(note.ready);
    disk.isFull = true;
    const first = await world.run(todos(one).put('a', '1'));
    await world.run(todos(two).put('a', '2'));
    note.ydoc.getText('t').insert(0, 'typed');
    await world.run(note.reached('applied'));
    let isOnDisk = false;
    void first.reached('disk').then(() => (isOnDisk = true));
    await world.pass(20_000);
    expect(isOnDisk).toBe(false);
    disk.isFull = false;
    const before = world.nowMs;
    await world.until('kept', () => [one, two].every(({ status }) => status.storage === 'indexeddb'));
    expect(world.nowMs - before).toBeLessThanOrEqual(1_000);
    await world.run(first.reached('relay'));
    await world.agree(one, two);
    const far = world.profile().tab().room();
    const copy = far.document('note');
    await world.run(copy.ready);
    await world.agree(far);
    expect(copy.ydoc.getText('t').toString()).toBe('typed');
    const entry = await world.run(todos(far).get('a'));
    expect(
      entry?.siblings.map(({ value }) => value),
      'the later write, whichever tab was first',
    ).toEqual(['2']);
  });

  test('what a tab leaves behind that ends or crashes is kept by another one', async () => {
    const { profile, tabs, disk } = await openTabs(3);
    const [owner, second, third] = tabs as [Tab, Tab, Tab];
    disk.isFull = true;
    await world.run(todos(second.room()).put('of a tab that crashes', 'a'));
    await world.run(todos(owner.room()).put('of the owner that closes', 'b'));
    await world.until('shown', async () => (await world.run(todos(third.room()).entries())).length === 2);
    second.crash();
    await world.quiet();
    await world.run(owner.close());
    await world.pass(5_000);
    disk.isFull = false;
    await world.agree(third.room());
    const far = world.profile().tab().room();
    await world.agree(far);
    expect((await world.run(todos(far).entries())).map(([, { value }]) => value).sort()).toEqual(['a', 'b']);
    expect(profile.replica('team')).toBeDefined();
  });

  test('a room can be opened, and a tab that comes meanwhile shows what the others hold', async () => {
    const { profile, tabs, disk } = await openTabs(1);
    const [first] = tabs as [Tab];
    disk.isFull = true;
    await world.run(todos(first.room()).put('a', 'unkept'));
    const late = profile.tab();
    late.beforeTransact = first.beforeTransact;
    await world.until('shown', async () => (await valueAt(late.room(), 'a')) === 'unkept');
    expect(late.room().status.storage).toBe('full');
    disk.isFull = false;
    await world.agree(first.room(), late.room());
  });

  test('a room that opens on a full disk connects when there is room', async () => {
    const { profile, tabs, disk } = await openTabs(1);
    await world.run((tabs[0] as Tab).close());
    disk.isFull = true;
    const again = profile.tab();
    again.beforeTransact = (tabs[0] as Tab).beforeTransact;
    await world.run(again.room().ready);
    await world.pass(5_000);
    expect(again.room().status.lastError?.code).toBe('STORAGE_FULL');
    disk.isFull = false;
    await world.agree(again.room());
  });

  test('a value that is refused for what it is does not wait for room', async () => {
    const { tabs, disk } = await openTabs(1);
    const room = (tabs[0] as Tab).room();
    const note = room.document('note');
    await world.run(note.ready);
    disk.isFull = true;
    note.ydoc.getMap('m').set('k', new Uint8Array(9 * 1024 * 1024));
    await expect(world.run(note.reached('disk'))).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    expect((await world.run(todos(room).put('a', 'small'))).rung).toBe('applied');
    disk.isFull = false;
    await world.until('kept', () => room.status.storage === 'indexeddb');
  });
});
