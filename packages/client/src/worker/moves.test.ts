import { describe, expect, test } from 'vitest';
import { type ClientWorld, setWorld } from '../../../../test/support/client-world.js';
import type { Room } from '../room.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const todos = (room: Room) => room.collection<string>('todos');
const put = (room: Room, id: string, value: string) => world.run(todos(room).put(id, value));
const entriesOf = async (room: Room): Promise<Record<string, string>> =>
  Object.fromEntries((await world.run(todos(room).entries())).map(([id, { value }]) => [id, value]));
const textOf = (room: Room, name: string): string => room.document(name).ydoc.getText('t').toString();

async function far(): Promise<Room> {
  const room = world.profile().tab().room();
  await world.run(room.document('note').ready);
  await world.agree(room);
  return room;
}

describe('[JS8] a database that fails while a room is open', () => {
  test.each(['deleted', 'lost', 'newer'] as const)(
    '%s: the room goes on in memory, says so, and has everything back from the relay',
    async (failure) => {
      const profile = world.profile();
      const tab = profile.tab();
      const room = tab.room();
      const note = room.document('note');
      await world.run(note.ready);
      note.ydoc.getText('t').insert(0, 'sent');
      await put(room, 'a', '1');
      await world.agree(room);
      const before = profile.replica('team');
      tab.loseDatabase(failure);
      await world.until('moved', () => room.status.storage === 'lost');
      const expected =
        failure === 'newer'
          ? { code: 'STORAGE_NEWER', retryable: false }
          : { code: 'STORAGE_UNAVAILABLE', retryable: true };
      expect(room.status.lastError).toMatchObject(expected);
      await world.agree(room);
      expect(await entriesOf(room)).toEqual({ a: '1' });
      note.ydoc.getText('t').insert(4, ' and on');
      const receipt = await put(room, 'b', '2');
      expect(receipt.rung).toBe('applied');
      await world.run(receipt.reached('disk'));
      await world.agree(room);
      const other = await far();
      expect(await entriesOf(other)).toEqual({ a: '1', b: '2' });
      expect(textOf(other, 'note')).toBe('sent and on');
      const entry = await world.run(todos(other).get('b'));
      expect(entry?.siblings[0]?.replica).not.toBe(before);
    },
  );

  test('what no relay has survives: documents from the page, records from the worker, receipts with them', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    const room = tab.room();
    const note = room.document('note');
    await world.run(note.ready);
    note.ydoc.getText('t').insert(0, 'sent');
    await put(room, 'a', 'sent');
    await world.agree(room);
    profile.network.isUp = false;
    note.ydoc.getText('t').insert(4, ' unsent');
    const closed = room.document('closed');
    await world.run(closed.ready);
    closed.ydoc.getText('t').insert(0, 'closed before');
    await world.run(closed.flush());
    closed.close();
    const receipts = [await put(room, 'a', 'unsent'), await put(room, 'b', 'new')];
    let isThere = false;
    void Promise.all(receipts.map((receipt) => receipt.reached('relay'))).then(() => (isThere = true));
    tab.loseDatabase('deleted');
    await world.until('moved', () => room.status.storage === 'lost');
    note.ydoc.getText('t').insert(0, 'later ');
    expect(await entriesOf(room)).toEqual({ a: 'unsent', b: 'new' });
    expect(room.status.pending.writes).toBeGreaterThan(3);
    await world.pass(5_000);
    expect(isThere).toBe(false);
    profile.network.isUp = true;
    await world.until('all at the relay', () => isThere);
    await world.agree(room);
    await world.run(receipts[0]?.reached('relay') ?? Promise.reject());
    const other = await far();
    expect(await entriesOf(other)).toEqual({ a: 'unsent', b: 'new' });
    const entry = await world.run(todos(other).get('a'));
    expect(
      entry?.siblings.map(({ value }) => value),
      'it had seen what it replaced',
    ).toEqual(['unsent']);
    expect(textOf(other, 'note')).toBe('later sent unsent');
    const opened = other.document('closed');
    await world.run(opened.ready);
    expect(textOf(other, 'closed')).toBe('closed before');
  });

  test('a write that is under way when the database goes is written into the next one', async () => {
    const tab = world.profile().tab();
    const room = tab.room();
    await world.agree(room);
    let isLost = false;
    tab.beforeTransact = ({ mode }) => {
      if (mode !== 'write' || isLost) return;
      isLost = true;
      tab.loseDatabase('lost');
    };
    const receipt = await put(room, 'a', '1');
    expect(receipt.rung).toBe('applied');
    await world.agree(room);
    expect(await entriesOf(await far())).toEqual({ a: '1' });
  });

  test('without a relay everything of this tab is still there, and nothing claims to be on disk', async () => {
    const tab = world.profile().tab({ relays: [] });
    const room = tab.room();
    const note = room.document('note');
    await world.run(note.ready);
    note.ydoc.getText('t').insert(0, 'text');
    const receipt = await put(room, 'a', '1');
    await world.run(receipt.reached('disk'));
    tab.loseDatabase('deleted');
    await world.until('moved', () => room.status.storage === 'lost');
    await world.quiet();
    expect(await entriesOf(room)).toEqual({ a: '1' });
    await expect(world.run(room.reached('disk'))).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    const late = room.document('note');
    expect(late.ydoc.getText('t').toString()).toBe('text');
    expect(room.status.connection).toBe('none');
  });

  test('two tabs each go on by themselves, and meet again at the relay', async () => {
    const profile = world.profile();
    const [one, two] = [profile.tab(), profile.tab()];
    await world.agree(one.room());
    await world.agree(two.room());
    profile.network.isUp = false;
    await put(one.room(), 'one', '1');
    await put(two.room(), 'two', '2');
    for (const tab of [one, two]) tab.loseDatabase('deleted');
    await world.until('moved', () => [one, two].every((tab) => tab.room().status.storage === 'lost'));
    profile.network.isUp = true;
    await world.agree(one.room(), two.room());
    const other = await far();
    expect(await entriesOf(other)).toEqual({ one: '1', two: '2' });
    expect((await world.run(todos(other).get('one')))?.siblings).toHaveLength(1);
  });

  test('a network that was paused stays so', async () => {
    const tab = world.profile().tab();
    const room = tab.room();
    await world.agree(room);
    room.pause();
    await world.until('paused', () => room.status.connection === 'paused');
    tab.loseDatabase('deleted');
    await world.until('moved', () => room.status.storage === 'lost');
    await world.pass(5_000);
    expect(room.status.connection).toBe('paused');
    room.resume();
    await world.agree(room);
  });
});

test('[JS8] where storage is denied from the start the room is in memory, and says why', async () => {
  const room = world.profile().tab({ memory: true }).room();
  await world.agree(room);
  expect(room.status).toMatchObject({ storage: 'memory', lastError: { code: 'STORAGE_UNAVAILABLE' } });
  const receipt = await put(room, 'a', '1');
  expect(receipt.rung).toBe('applied');
  await world.run(receipt.reached('disk'));
  expect(await entriesOf(await far())).toEqual({ a: '1' });
});
