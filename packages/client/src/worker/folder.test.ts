import { bytesToDelta, readJournal, readOutboxEntries } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { type ClientWorld, type Profile, roomRef, setWorld } from '../../../../test/support/client-world.js';
import { mergeUpdates } from '../documents/merge.js';
import type { Room } from '../room.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const deltasOf = (profile: Profile) =>
  profile
    .store('team')
    .tables.table('deltas')
    .rows({ from: new Uint8Array() })
    .map(([, bytes]) => bytesToDelta(roomRef().hash, roomRef().roomId, bytes));
const journalOf = (profile: Profile) => profile.store('team').transact((tx) => readJournal(tx), { mode: 'read' });
const outboxOf = (profile: Profile) => profile.store('team').transact((tx) => readOutboxEntries(tx), { mode: 'read' });

/** Characters at the end, each in a journal row of its own. */
async function type(room: Room, count: number): Promise<void> {
  const note = room.document('note');
  await world.run(note.ready);
  const text = note.ydoc.getText('t');
  for (let i = 0; i < count; i++) {
    text.insert(text.length, String.fromCharCode(97 + (i % 26)));
    await world.run(note.flush());
  }
}

test('[JS2] 1,000 offline edits of a document and 50 writes of a record, with a reload in between, leave as one delta each', async () => {
  const profile = world.profile();
  profile.network.isUp = false;
  for (const half of [1, 2]) {
    const tab = profile.tab();
    const room = tab.room();
    await type(room, 500);
    for (let i = 0; i < 25; i++) await world.run(room.collection('todos').put('a', 100 * half + i));
    expect(room.status.pending.writes).toBe(525 * half);
    if (half === 1) await tab.crash();
    else {
      profile.network.isUp = true;
      await world.run(room.synced());
    }
  }
  const deltas = deltasOf(profile);
  expect(deltas.map(({ seq }) => seq).sort()).toEqual([1, 2]);
  const bob = world.profile().tab().room();
  await world.run(bob.synced());
  const note = bob.document('note');
  await world.run(note.ready);
  expect(note.ydoc.getText('t').toString()).toHaveLength(1_000);
  expect((await world.run(bob.collection('todos').get('a')))?.value).toBe(224);
});

test('[JS6] a long time offline leaves a short journal; every write is counted, awaited, and sealed once', async () => {
  const profile = world.profile();
  profile.network.isUp = false;
  const tab = profile.tab();
  const room = tab.room();
  await world.run(room.ready);
  await type(room, 1);
  await world.run(room.collection('todos').put('a', 0));
  await type(room, 2_500);
  expect(room.status.pending.writes).toBe(2_502);
  await world.until('folded', async () => (await journalOf(profile)).length < 1_000);
  expect(room.status.pending.writes).toBe(2_502);
  const text = room.document('note').ydoc.getText('t').toString();
  await tab.crash();

  const again = profile.tab().room();
  await world.run(again.ready);
  expect(again.status.pending.writes).toBe(2_502);
  const note = again.document('note');
  await world.run(note.ready);
  expect(note.ydoc.getText('t').toString()).toBe(text);
  await type(again, 3);
  profile.network.isUp = true;
  await world.run(again.synced());
  expect(deltasOf(profile)).toHaveLength(2);
  expect(await outboxOf(profile)).toEqual([]);
  expect(again.status.pending).toEqual({ writes: 0, bytes: 0, oldestAgeMs: null });
  const bob = world.profile().tab().room();
  await world.run(bob.synced());
  const other = bob.document('note');
  await world.run(other.ready);
  expect(other.ydoc.getText('t').toString()).toBe(note.ydoc.getText('t').toString());
});

test('[JS6] another tab sees its own writes through, though the owner has folded them', async () => {
  const profile = world.profile();
  profile.network.isUp = false;
  const owner = profile.tab().room();
  await world.run(owner.ready);
  const second = profile.tab().room();
  await world.run(second.ready);
  await type(second, 1_200);
  await world.until('folded', async () => (await journalOf(profile)).length < 300);
  const bothTell = (writes: number) => () => [owner, second].every(({ status }) => status.pending.writes === writes);
  await world.until('both count all', bothTell(1_200));
  let isSynced = false;
  const synced = second.synced().then(() => (isSynced = true));
  await world.quiet(50);
  expect(isSynced).toBe(false);
  profile.network.isUp = true;
  await world.run(synced);
  expect(deltasOf(profile)).toHaveLength(1);
  await world.until('nothing pending in both', bothTell(0));
});

test('[JS2] what 1,000 offline edits send is little more than the edits need', async () => {
  const profile = world.profile();
  profile.network.isUp = false;
  const room = profile.tab().room();
  await type(room, 1_000);
  const rows = await journalOf(profile);
  const needed = mergeUpdates(rows.map(({ payload }) => payload));
  profile.network.isUp = true;
  await world.run(room.synced());
  const [delta] = deltasOf(profile);
  expect(Y.decodeUpdate(needed).structs).toHaveLength(1);
  expect(delta?.bytes.length).toBeLessThan(1.2 * needed.length);
});
