import { createCountingWorld, settle, totalOf } from '../simulated-traffic.mjs';

const SEED = 128;
/** Replicas of a region that go from relay to relay: relays do not talk to each other yet. */
const BRIDGES_PER_REGION = 2;
const ROAM_MS = 4_000;
const WRITE_EVERY_MS = 100;

/**
 * `replicas` replicas in three regions, each with a relay; two replicas a region roam between the relays and carry what one lacks to the
 * next. In three phases: all is well; the first region's relay is lost and its replicas go to the other two; it is back, with the disk it
 * had, and they return. In each the same number of writes is made, anywhere, and the phase ends when all roots are equal.
 */
export const regions = {
  id: 'regions',
  sources: ['claims/regions.mjs', 'simulated-traffic.mjs', '../../packages/protocol/src'],
  run({ regions: { replicas, regions: count, writes } }) {
    const { world, take } = createCountingWorld({
      seed: SEED,
      replicaCount: replicas,
      relayCount: count,
      keyCount: 32,
      newcomers: 'vector',
    });
    for (const replica of world.replicas) replica.relay = replica.index % count;
    const roaming = { isOn: true };
    for (let i = 0; i < count * BRIDGES_PER_REGION && i < replicas; i++) roam(world, world.replicas[i], roaming);
    settleRoaming(world);
    const phases = [];
    const phase = (name) => {
      write(world, writes);
      settleRoaming(world);
      phases.push(describe(name, take(), world, writes));
    };
    take();
    phase('all is well');
    world.relays[0].stop();
    for (const replica of world.replicas.filter(({ relay }) => relay === 0))
      go(replica, 1 + (replica.index % (count - 1)));
    phase('one region’s relay is lost, its replicas go to the others');
    world.relays[0].start();
    for (const replica of world.replicas.filter(({ index }) => index % count === 0)) go(replica, 0);
    phase('it is back, and they return');
    roaming.isOn = false;
    return { replicas, regions: count, writes, phases, roomBytes: roomBytes(world) };
  },
};

function describe(name, counts, world, writes) {
  const { messages, bytes, deltaBytes } = totalOf(counts);
  const heads = totalOf(counts, ['head', 'heads']);
  const setUp = totalOf(counts, ['welcome', 'hello', 'admitted', 'certificates', 'peer', 'fault']);
  const replicas = world.replicas.length;
  const needed = (deltaBytes / Math.max(1, totalOf(counts, ['push']).deltaBytes)) * 1;
  return {
    name,
    messagesPerReplica: messages / replicas,
    bytesPerReplica: bytes / replicas,
    deltaBytesPerReplica: deltaBytes / replicas,
    headBytesPerReplica: heads.bytes / replicas,
    setUpBytesPerReplica: setUp.bytes / replicas,
    syncBytesPerReplica: (bytes - heads.bytes - setUp.bytes - deltaBytes) / replicas,
    copiesPerPush: needed,
    writes,
    byKind: Object.fromEntries(Object.entries(counts).map(([kind, count]) => [kind, count.bytes])),
  };
}

function write(world, writes) {
  for (let i = 0; i < writes; i++) {
    const author = world.random.pick(world.replicas);
    const key = world.random.pick(world.keys);
    author.edit(key, key.kind === 'document' ? 'document' : 'put');
    world.runFor(WRITE_EVERY_MS);
  }
}

function go(replica, relay) {
  replica.relay = relay;
  replica.disconnect();
}

/** Once in a while at the next relay that is up. */
function roam(world, replica, roaming) {
  world.loop.after(ROAM_MS + replica.index * 500, () => {
    if (!roaming.isOn) return;
    const up = world.relays.filter(({ isUp }) => isUp);
    const next = up[(up.findIndex(({ index }) => index === replica.relay) + 1) % up.length];
    if (next.index !== replica.relay) go(replica, next.index);
    roam(world, replica, roaming);
  });
}

function settleRoaming(world) {
  for (let second = 0; second < 1_200; second++) {
    world.runFor(1_000);
    const relays = world.relays.filter(({ isUp }) => isUp);
    const roots = world.merkleRoots();
    const own = roots.slice(0, world.replicas.length);
    const theirs = relays.map(({ index }) => roots[world.replicas.length + index]);
    if (new Set([...own, ...theirs]).size === 1 && world.replicas.every(({ isSilent }) => isSilent)) return;
  }
  settle(world, 1);
}

function roomBytes(world) {
  const { tables } = world.replicas[0].disk;
  return tables
    .table('deltas')
    .rows({ from: new Uint8Array() })
    .reduce((sum, [, delta]) => sum + delta.length, 0);
}
