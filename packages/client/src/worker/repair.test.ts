import { defaultLimits } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { type ClientWorld, setWorld } from '../../../../test/support/client-world.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const EVERYTHING = { from: new Uint8Array() };
const { scrubStepMs, checkMsMin, checkMsMax } = defaultLimits;

async function inSync(profile = world.profile()) {
  const tab = profile.tab();
  const room = tab.room();
  await world.run(room.ready);
  await world.until('in sync', () => room.status.sync === 'in-sync');
  return { profile, tab, room };
}

async function write(room: Awaited<ReturnType<typeof inSync>>['room'], count: number): Promise<void> {
  const notes = room.collection('notes');
  for (let i = 0; i < count; i++) await world.run(notes.put(`n${i}`, i));
  await world.run(room.reached('relay'));
  await world.until('in sync', () => room.status.sync === 'in-sync');
}

test('[AE3] rows that cannot be read keep no room from opening, and are fetched again', async () => {
  const { profile, tab, room } = await inSync();
  await write(room, 20);
  const { root } = room.status;
  await world.run(tab.close());
  const { tables } = profile.store('team');
  for (const table of ['deltas', 'nodes', 'contexts', 'heads', 'certificates'] as const)
    for (const [key] of tables.table(table).rows(EVERYTHING)) tables.table(table).put(key, Uint8Array.of(1, 2, 3));
  const again = await inSync(profile);
  await world.pass(scrubStepMs + checkMsMin);
  await world.until('all to be back', () => again.room.status.root === root && again.room.status.sync === 'in-sync');
  expect(await world.run(again.room.collection('notes').entries())).toHaveLength(20);
  expect(again.room.metrics().repairs).toMatchObject({ deltasFetched: 20, deltasSent: 0 });
  expect(again.room.metrics().repairs.rowsUnreadable).toBeGreaterThanOrEqual(20);
  expect(again.room.status.lastError?.code).toBe('STORAGE_DAMAGED');
});

test('[AE4] a relay that lost rows without a word is asked at a pace that backs off, and filled again', async () => {
  const { room } = await inSync();
  await write(room, 30);
  const before = room.metrics().repairs.probes;
  await world.pass(5 * checkMsMax, checkMsMin / 4);
  const probes = room.metrics().repairs.probes - before;
  expect(probes, 'some until the pace is slowest, then one in ten minutes').toBeLessThan(16);
  expect(probes).toBeGreaterThan(8);
  const deltas = world.relay.store('team').tables.table('deltas');
  const keys = deltas.rows(EVERYTHING).map(([key]) => key);
  for (const key of keys.slice(0, 3)) deltas.delete(key);
  await world.run((await world.run(world.relay.open('team'))).scrub());
  await world.until('the relay to be whole', () => deltas.size === keys.length);
  expect(room.metrics().repairs).toMatchObject({ deltasSent: 3, deltasFetched: 0 });
  expect(world.relay.counters.get('holes_found')).toBe(3);
  expect(world.relay.counters.get('deltas_repaired')).toBe(3);
});
