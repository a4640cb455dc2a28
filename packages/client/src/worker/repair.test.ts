import { defaultLimits } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
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

describe('[AE7] own writes that the disk loses before they are acknowledged', () => {
  /** Sealed and on its way, and then gone from the disk. `isTaken`: the relay got it, and its answer was lost. */
  async function loseUnacknowledged(isTaken: boolean) {
    const profile = world.profile();
    const { room } = await inSync(profile);
    const second = profile.tab().room();
    await world.agree(second);
    const note = room.document('note');
    await world.run(note.ready);
    await write(room, 3);
    const deltas = profile.store('team').tables.table('deltas');
    const before = new Set(deltas.rows(EVERYTHING).map(([key]) => String(key)));
    const drop = (): undefined => undefined;
    if (isTaken) profile.network.fromRelay = drop;
    else profile.network.toRelay = drop;
    const receipt = await world.run(room.collection('notes').put('lost', 'x'));
    note.ydoc.getText('t').insert(0, 'shown');
    await world.run(note.reached('disk'));
    await world.until('both sealed', () => deltas.size === before.size + 2);
    await world.quiet();
    profile.network.isUp = false;
    for (const [key] of deltas.rows(EVERYTHING)) if (!before.has(String(key))) deltas.delete(key);
    profile.network.fromRelay = (frame) => frame;
    profile.network.toRelay = (frame) => frame;
    const waiting = receipt.reached('relay').then(
      () => 'arrived',
      (error: { code: string }) => error.code,
    );
    profile.network.isUp = true;
    await world.pass(scrubStepMs + checkMsMin);
    return { profile, room, second, receipt, waiting };
  }

  test('are given up when the relay has nothing that is not here: who waits is told, and who asks later', async () => {
    const { room, second, receipt, waiting } = await loseUnacknowledged(false);
    await world.agree(room, second);
    expect(await world.run(waiting)).toBe('DELTA_LOST');
    await expect(world.run(receipt.reached('relay'))).rejects.toMatchObject({
      code: 'DELTA_LOST',
      facts: { writes: 2 },
    });
    await world.run(room.reached('relay'));
    for (const tab of [room, second]) {
      expect(tab.status.lastError?.code).toBe('DELTA_LOST');
      expect(tab.metrics().storage.lostWrites).toBe(2);
      expect(tab.health().reasons).toEqual(['writes-lost']);
      expect(await world.run(tab.collection('notes').get('lost'))).toBeUndefined();
    }
    const far = world.profile().tab().room();
    await world.run(far.document('note').ready);
    await world.agree(far);
    await world.quiet();
    expect(far.document('note').ydoc.getText('t').toString(), 'written anew by the page that shows it').toBe('shown');
  });

  test('are not given up where the relay has them: they come back, and are acknowledged by that', async () => {
    const { room, second, receipt, waiting } = await loseUnacknowledged(true);
    await world.agree(room, second);
    expect(await world.run(waiting)).toBe('arrived');
    await world.run(receipt.reached('relay'));
    expect(room.metrics().storage.lostWrites).toBe(0);
    expect((await world.run(room.collection('notes').get('lost')))?.value).toBe('x');
    expect(room.status.lastError?.code).not.toBe('DELTA_LOST');
  });
});
