import {
  createWorld,
  mixedOptions,
  Random,
  type SimReplica,
  type World,
  type WorldOptions,
} from '@mangrove/protocol/simulation';
import { deriveFloorKeyId, deriveKeyId } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { heldBy, rootsOf } from './fixture.js';
import { HostileMember, isInTrash } from './hostile.js';

/** What takes from honest members by itself what a relay had acknowledged, or what only the oracles of honest worlds can tell apart. */
const LOSSY = [
  'copied-profile',
  'death',
  'relay-hole',
  'relay-repeats',
  'relay-restore',
  'relay-two-histories',
  'relay-wipe',
  'replica-hole',
];
const SEEDS = Number(process.env.MANGROVE_SEEDS ?? 40);
const DAY_MS = 24 * 3_600_000;

test(`[CX6, FL4, FL5, FL13, SY18] ${SEEDS} worlds with a member that floods them: roots end equal, and of honest writes nothing is lost but into the trash`, () => {
  const counts = new Map<string, number>();
  let [trashed, waited] = [0, 0];
  for (let seed = 400_001; seed <= 400_000 + SEEDS; seed++) {
    const { world, member } = runHostile(seed);
    expect(rootsOf(world), `seed ${seed}`).toBe(1);
    for (const replica of world.replicas.slice(0, -1)) assertKept(world, replica, member, seed);
    for (const [what, count] of world.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    for (const { disk } of world.replicas) trashed += disk.tables.table('trash').size;
    for (const { tables } of world.relays) waited += tables.table('incoming').size;
    expect(floorsOf(world), `seed ${seed}: one of each identity at most`).toBeLessThan(10);
  }
  for (const act of ['junk floors', 'floor', 'gaps', 'names', 'stubs'])
    expect(counts.get(`hostile ${act}`), act).toBeGreaterThan(0);
  expect(trashed, 'swept by its floors').toBeGreaterThan(0);
  expect(waited, 'waited for in vain').toBeGreaterThan(0);
});

/** In the set. */
function floorsOf(world: World): number {
  const keyId = deriveFloorKeyId(world.room.hash, world.room.roomId);
  return heldBy(world, world.replicas[0] as SimReplica).filter((delta) => delta.keyId === keyId).length;
}

/** Honest faults, up to six replicas and three relays whose clocks jump, and between the events the member strikes. */
function runHostile(seed: number): { readonly world: World; readonly member: HostileMember } {
  const random = new Random(seed);
  const options = hostileOptions(seed, random);
  const world = createWorld(options);
  const member = new HostileMember(world, world.replicas.at(-1) as SimReplica);
  for (let round = 0; round < 14; round++) {
    world.run({ steps: random.between(20, 80) });
    world.guard(() => {
      member.strike();
      if (random.chance(0.3)) for (const relay of world.relays) relay.skewMs = random.between(-250_000, 250_000);
    });
  }
  world.run({ steps: 300 });
  world.healAndDrain();
  return { world, member };
}

function hostileOptions(seed: number, random: Random): WorldOptions {
  // Where everything is kept a floor says nothing, and stays with all the rest.
  const options: WorldOptions = { ...mixedOptions(seed), history: 'current' };
  const relayCount = random.between(1, 3);
  const faults = options.faults.filter(
    (fault) => !LOSSY.includes(fault) && (fault !== 'switch-relay' || relayCount > 1),
  );
  const keep = { isWatched: false, flipRatio: 0, trashMs: 30 * DAY_MS, frameBytesMax: 262_144, bulkRatio: 0 };
  return { ...options, ...keep, relayCount, replicaCount: random.between(3, 6), documentRatio: 0.5, faults };
}

/** Each write that a relay had acknowledged is read, had been seen by one that replaced it, or is in the trash that the member's floors have filled. */
function assertKept(world: World, replica: SimReplica, member: HostileMember, seed: number): void {
  const { ledger, room } = world;
  for (const key of world.keys) {
    const keyId = deriveKeyId(room.hash, room.roomId, key);
    const read = new Set(replica.desk.read(key));
    for (const id of ledger.standing(keyId)) {
      const write = ledger.get(id);
      // What it writes itself, beside what it forges under the same key, is its own affair.
      const isHonest = write.replica < world.options.replicaCount - 1;
      if (!isHonest || !write.onRelay || write.kind === 'delete' || read.has(id)) continue;
      const holders = [...ledger.deltas.values()].filter(({ writes }) => writes.includes(id)).map(({ delta }) => delta);
      const swept = holders.filter((delta) => member.hasSwept(delta));
      const isKept = swept.some((delta) => world.replicas.some((one) => isInTrash(one, delta)));
      expect(isKept, `seed ${seed}: replica ${replica.index} has lost write ${id} of ${key.kind} ${key.id}`).toBe(true);
    }
  }
}
