import { createCountingWorld, settle, totalOf } from '../simulated-traffic.mjs';

const SEED = 64;
/** Writes that are made together: a burst of keystrokes, or a transaction of so many records. */
const BATCHES = [1, 16];
/** Long enough for every head statement that a write brings about. */
const APART_MS = 6_000;
const FRAME_BYTES = 1;
const KIND_BYTES = 1;
const TRANSACTION_BYTES = 8;
const DECISION_BYTES = 1;
const SIGNATURE_BYTES = 64;
const REPLICA_BYTES = 8;

/**
 * `replicas` replicas, one relay; somebody writes, and it counts until everybody has it on disk. Ours is simulated and its frames
 * counted. Two-phase commit is counted from its definition (Gray 1978): prepare, vote, commit, acknowledge with each participant, with
 * the same deltas in `prepare`, the same framing, a transaction id of 8 bytes, and no failures, which is its best case.
 */
export const twoPhase = {
  id: 'two-phase',
  sources: ['claims/two-phase.mjs', 'simulated-traffic.mjs', '../../packages/protocol/src'],
  run({ twoPhase: { replicas, writes } }) {
    return { replicas, writes, rows: BATCHES.flatMap((batch) => compare(replicas, writes, batch)) };
  },
};

function compare(replicas, writes, batch) {
  const busy = ours(replicas, writes, batch, 0);
  const apart = ours(replicas, Math.max(2, Math.round(writes / 16)), batch, APART_MS);
  const { deltaBytes } = busy;
  const needed = { messages: replicas - 1, bytes: (replicas - 1) * deltaBytes };
  const row = (system, about, { messages, bytes }) => ({
    batch,
    system,
    about,
    messages,
    bytes,
    overheadMessages: messages - needed.messages,
    overheadBytes: bytes - needed.bytes,
  });
  return [
    row('Mangrove', 'everybody has it, its author knows that the relay has', busy.delivered),
    row('Mangrove, heads too', `its author knows that everybody has; writes ${APART_MS / 1_000} s apart`, apart.known),
    row('Mangrove, heads too, busy', `the same with all ${writes} writes in a row`, busy.known),
    row(
      '2PC, author coordinates',
      'direct links to all, votes unsigned: its best case',
      commit(replicas - 1, deltaBytes, 0, false),
    ),
    row(
      '2PC, author coordinates, signed votes',
      'direct links to all',
      commit(replicas - 1, deltaBytes, SIGNATURE_BYTES, false),
    ),
    row('2PC through the server', 'the star that a relay is, votes unsigned', commit(replicas, deltaBytes, 0, true)),
  ];
}

/** Per batch: what passes until all have it, and with the head statements that tell so. */
function ours(replicas, writes, batch, apartMs) {
  const { world, take } = createCountingWorld({ seed: SEED, replicaCount: replicas, keyCount: 8 });
  settle(world);
  world.runFor(APART_MS);
  take();
  for (let write = 0; write < writes; write++) {
    const author = world.replicas[(write * 7) % replicas];
    for (let i = 0; i < batch; i++) author.edit(world.keys[2 * (i % 8)], 'document');
    if (apartMs > 0) world.runFor(apartMs);
    else world.runFor(200);
  }
  settle(world);
  world.runFor(APART_MS);
  const counts = take();
  // A settled client asks now and then whether its root is still the relay's: a matter of time and not of writes.
  const caused = Object.keys(counts).filter((kind) => kind !== 'probe' && kind !== 'answer to a probe');
  const delivered = totalOf(
    counts,
    caused.filter((kind) => kind !== 'head' && kind !== 'heads'),
  );
  const per = ({ messages, bytes }) => ({ messages: messages / writes, bytes: bytes / writes });
  const pushed = totalOf(counts, ['push']);
  return { delivered: per(delivered), known: per(totalOf(counts, caused)), deltaBytes: pushed.deltaBytes / writes };
}

function commit(participants, deltaBytes, signatureBytes, isThroughServer) {
  const head = FRAME_BYTES + KIND_BYTES + TRANSACTION_BYTES;
  const prepare = head + deltaBytes;
  const vote = head + DECISION_BYTES + (signatureBytes > 0 ? REPLICA_BYTES + signatureBytes : 0);
  const decide = head + DECISION_BYTES + signatureBytes;
  const acknowledge = head;
  // Through a server the author asks for it and is told the outcome, and takes part as the others do.
  const author = isThroughServer ? { messages: 2, bytes: prepare + decide } : { messages: 0, bytes: 0 };
  return {
    messages: 4 * participants + author.messages,
    bytes: participants * (prepare + vote + decide + acknowledge) + author.bytes,
  };
}
