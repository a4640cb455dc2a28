import { defaultLimits, LinkMemory, messageToBytes, messageToFrames } from '@mangrove/protocol';
import { createWorld } from '@mangrove/protocol/simulation';
import { fromRoot } from '../../scripts/lib/paths.mjs';

const { Connection } = await import(fromRoot('packages/protocol/dist/simulation/network.js'));

/**
 * A world of the product's simulator whose wires count what passes: the real step function, plans and codec, with a cheap keyed hash in
 * place of SHA-256 and Ed25519 (of the same sizes), in virtual time. Oracles are off: they look at every replica at every turn.
 */
export function createCountingWorld(options) {
  const { headRestMs } = defaultLimits;
  const world = createWorld({ editCount: 0, latencyMsMax: 50, isWatched: false, headRestMs, ...options });
  const counts = new Map();
  /** What each direction of a connection was told before, by which what follows is told [SY21]. */
  const memories = new WeakMap();
  const memoryOf = (connection, to) => {
    let both = memories.get(connection);
    if (both === undefined) memories.set(connection, (both = { replica: new LinkMemory(), relay: new LinkMemory() }));
    return both[to];
  };
  const original = Connection.prototype.send;
  Connection.prototype.send = function send(to, message) {
    const kind = message.kind === 'ack' && message.seqs.length === 0 ? 'answer to a probe' : message.kind;
    const memory = memoryOf(this, to);
    const carries = Array.isArray(message.deltas) && message.deltas.length > 0;
    // A message may pack its deltas: what they take is by how much they make it larger.
    const bare = carries ? framedBytes({ ...message, deltas: [] }, memory) : 0;
    const bytes = framedBytes(message, memory);
    const own = carries ? bytes - bare : 0;
    const count = counts.get(kind) ?? { messages: 0, bytes: 0, deltaBytes: 0 };
    count.messages++;
    count.bytes += bytes;
    count.deltaBytes += own;
    counts.set(kind, count);
    original.call(this, to, message);
  };
  return {
    world,
    /** What has passed since the last call, by kind of message. */
    take() {
      const taken = Object.fromEntries(counts);
      counts.clear();
      return taken;
    },
  };
}

function framedBytes(message, memory) {
  const frames = messageToFrames(messageToBytes(message, memory), defaultLimits);
  return frames.reduce((sum, frame) => sum + frame.length, 0);
}

/** Lets time pass until nobody has anything to say but heads; throws when that takes too long. */
export function settle(world, minutesMax = 20) {
  for (let second = 0; second < minutesMax * 60; second++) {
    world.runFor(1_000);
    const roots = new Set(world.merkleRoots());
    if (roots.size === 1 && world.replicas.every((replica) => replica.isSettled && replica.isSilent)) return;
  }
  throw new Error(`no convergence: ${new Set(world.merkleRoots()).size} roots`);
}

export function totalOf(counts, kinds = Object.keys(counts)) {
  const total = { messages: 0, bytes: 0, deltaBytes: 0 };
  for (const kind of kinds) for (const key of Object.keys(total)) total[key] += counts[kind]?.[key] ?? 0;
  return total;
}
