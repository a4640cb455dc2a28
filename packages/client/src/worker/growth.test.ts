import { TABLES } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { type ClientWorld, type Profile, setWorld } from '../../../../test/support/client-world.js';

// `bench/growth` does the same a million times and measures; here it is enough that nothing grows with the number of edits.

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const CALM_MS = 10_000;
/** A tail of the least weight that is merged, with its index, and as much again while it waits for its turn; unmerged it were five times as much. */
const STORED_BYTES_MAX = 60_000;

function storedBytes(profile: Profile): number {
  const { tables } = profile.store('team');
  const rows = TABLES.flatMap((table) => tables.table(table).rows({ from: new Uint8Array() }));
  return rows.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
}

test('[CP3] a document of constant size that is edited and edited stays as large as its tail may be', async () => {
  const profile = world.profile();
  const room = profile.tab().room();
  const note = room.document('note');
  await world.run(note.ready);
  const text = note.ydoc.getText('t');
  const sizes: number[] = [];
  for (let edit = 1; edit <= 1_200; edit++) {
    text.insert(text.length, `${edit % 10}`);
    if (text.length > 50) text.delete(0, 1);
    await world.pass(20, 20);
    if (edit % 100 === 0) sizes.push(storedBytes(profile));
  }
  await world.pass(CALM_MS);
  await world.run(room.synced());
  expect(Math.max(...sizes)).toBeLessThan(STORED_BYTES_MAX);
  expect(text.length).toBe(50);
});

test('[CX2] a record that is written and written stays one delta', async () => {
  const profile = world.profile();
  const room = profile.tab().room();
  const clicks = room.collection('clicks');
  for (let edit = 1; edit <= 300; edit++) {
    await world.run(clicks.put('all', edit));
    if (edit % 3 === 0) await world.run(room.synced());
  }
  await world.run(room.synced());
  expect(profile.store('team').tables.table('deltas').size).toBe(1);
  expect(storedBytes(profile)).toBeLessThan(2_000);
  expect((await world.run(clicks.get('all')))?.value).toBe(300);
});
