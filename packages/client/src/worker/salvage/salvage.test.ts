import { type Plan, TABLES, type TransactOptions } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import {
  type ClientWorld,
  type Profile,
  roomRef,
  setWorld,
  type Tab,
} from '../../../../../test/support/client-world.js';
import { ContradictingStore } from '../../../../../test/support/contradicting-store.js';
import type { Room } from '../../room.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const EVERYTHING = { from: new Uint8Array() };
const drop = (): undefined => undefined;
const list = (room: Room) => room.collection<string>('list');
const put = (room: Room, id: string, value: string) => world.run(list(room).put(id, value));
const textOf = (room: Room): string => room.document('note').ydoc.getText('t').toString();
const UNSENT = { sent: 'changed', sealed: '2', journaled: '3', both: '4' };

async function entriesOf(room: Room): Promise<Record<string, string>> {
  return Object.fromEntries((await world.run(list(room).entries())).map(([id, { value }]) => [id, value]));
}

/** It answers no plan that only reads, as a salvage does and opening does not. */
class HangingStore extends ContradictingStore {
  override transact<Result>(plan: Plan<Result>, options: TransactOptions): Promise<Result> {
    return options.mode === 'read' ? new Promise(() => {}) : super.transact(plan, options);
  }
}

/** Without a network, after a visit whose last writes no relay has: some are sealed, the others are journal rows. */
async function visited(): Promise<{ profile: Profile; store: ContradictingStore }> {
  const profile = world.profile();
  const store = new ContradictingStore();
  profile.stores.set(roomRef('team').roomId, store);
  const tab = profile.tab();
  const room = tab.room();
  const note = room.document('note');
  await world.run(note.ready);
  note.ydoc.getText('t').insert(0, 'sent');
  await put(room, 'sent', '1');
  await world.agree(room);
  profile.network.toRelay = drop;
  await put(room, 'sealed', '2');
  await put(room, 'both', 'first');
  note.ydoc.getText('t').insert(4, ' sealed');
  await world.until('sealed', () => store.tables.table('outbox').size === 3);
  profile.network.isUp = false;
  profile.network.toRelay = (frame) => frame;
  await put(room, 'journaled', '3');
  await put(room, 'sent', 'changed');
  await put(room, 'both', '4');
  note.ydoc.getText('t').insert(11, ' journaled');
  await world.run(note.flush());
  await world.pass(2_000);
  await world.run(tab.close());
  expect(store.tables.table('journal').size).toBe(4);
  return { profile, store };
}

/** So that no room opens over it. */
function ruin(store: ContradictingStore): void {
  const [key] = store.tables.table('nodes').rows(EVERYTHING)[0] as readonly [Uint8Array, Uint8Array];
  store.tables.isMendable = false;
  store.tables.spoil('nodes', key, 'lost');
}

async function open(profile: Profile): Promise<{ tab: Tab; room: Room }> {
  const tab = profile.tab();
  const room = tab.room();
  await world.run(room.document('note').ready);
  expect(room.status.storage).toBe('lost');
  return { tab, room };
}

describe('[JS12] a database that is left while its room opens', () => {
  test('what no relay has is read once more, and goes along: rows of the journal, and deltas that were sealed', async () => {
    const { profile, store } = await visited();
    ruin(store);
    const before = store.tables.dump();
    const { room } = await open(profile);
    const { sent: _, ...others } = UNSENT;
    expect(await entriesOf(room), 'before there is a network').toEqual({ ...others, sent: 'changed' });
    expect(room.status.pending.writes).toBeGreaterThanOrEqual(5);
    profile.network.isUp = true;
    await world.agree(room);
    const far = world.profile().tab().room();
    await world.run(far.document('note').ready);
    await world.agree(room, far);
    for (const one of [room, far]) {
      expect(await entriesOf(one)).toEqual(UNSENT);
      for (const id of Object.keys(UNSENT)) expect((await world.run(list(one).get(id)))?.siblings, id).toHaveLength(1);
      expect(textOf(one)).toBe('sent sealed journaled');
    }
    expect(room.metrics().storage.lostWrites, 'nothing is told to be lost').toBe(0);
    expect(room.status.lastError?.code).toBe('STORAGE_DAMAGED');
    expect(store.tables.dump(), 'it was only read').toEqual(before);
  });

  test('what cannot be read is told, with its number; the rest goes along', async () => {
    const { profile, store } = await visited();
    const journal = store.tables.table('journal');
    const rowOf = (id: string) => journal.rows(EVERYTHING).find(([, row]) => Buffer.from(row).includes(id));
    const [key, row] = rowOf('journaled') as readonly [Uint8Array, Uint8Array];
    journal.put(
      key,
      row.map((byte, i) => (i === row.length - 6 ? byte ^ 1 : byte)),
    );
    const deltas = store.tables.table('deltas');
    for (const [at, delta] of deltas.rows(EVERYTHING))
      if (Buffer.from(delta).includes('sealed') && Buffer.from(delta).includes('list')) deltas.delete(at);
    ruin(store);
    const { room } = await open(profile);
    await world.until('told', () => room.status.lastError?.code === 'STORAGE_LOST');
    expect(room.metrics().storage.lostWrites).toBe(2);
    profile.network.isUp = true;
    await world.agree(room);
    expect(await entriesOf(room)).toEqual({ sent: 'changed', both: '4' });
    expect(textOf(room)).toBe('sent sealed journaled');
  });

  test('nothing goes along twice: not when the room is opened again, nor at a later visit over the same database', async () => {
    const { profile, store } = await visited();
    ruin(store);
    const { tab, room } = await open(profile);
    room.close();
    const again = tab.room();
    await world.run(again.ready);
    expect(again.status.pending.writes, 'in memory').toBe(room.status.pending.writes);
    profile.network.isUp = true;
    await world.agree(again);
    await world.run(list(again).delete('sealed'));
    await put(again, 'journaled', 'later');
    await world.agree(again);
    await world.pass(2_000);
    await world.run(tab.close());
    const { room: next } = await open(profile);
    await world.agree(next);
    const { sealed: _, ...others } = UNSENT;
    expect(await entriesOf(next)).toEqual({ ...others, journaled: 'later' });
    expect((await world.run(list(next).get('journaled')))?.siblings).toHaveLength(1);
    expect(next.metrics().storage.lostWrites).toBe(0);
  });

  test('what was not sent at that visit goes along at the next one', async () => {
    const { profile, store } = await visited();
    ruin(store);
    const { tab } = await open(profile);
    await world.pass(2_000);
    await world.run(tab.close());
    const { room } = await open(profile);
    profile.network.isUp = true;
    await world.agree(room);
    expect(await entriesOf(room)).toEqual(UNSENT);
    expect(textOf(room)).toBe('sent sealed journaled');
  });

  test('a database that does not answer is not waited for, and all that was at stake is told', async () => {
    const { profile, store } = await visited();
    const hanging = new HangingStore();
    for (const table of TABLES)
      for (const [key, row] of store.tables.table(table).rows(EVERYTHING)) hanging.tables.table(table).put(key, row);
    ruin(hanging);
    profile.stores.set(roomRef('team').roomId, hanging);
    const { room } = await open(profile);
    await world.until('told', () => room.status.lastError?.code === 'STORAGE_LOST');
    profile.network.isUp = true;
    await world.agree(room);
    expect(await entriesOf(room)).toEqual({ sent: '1' });
    expect(room.metrics().storage.lostWrites).toBe(7);
  });
});
