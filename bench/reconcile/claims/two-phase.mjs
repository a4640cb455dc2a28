import { defaultLimits } from '@mangrove/protocol';
import { createCountingWorld, settle, totalOf } from '../simulated-traffic.mjs';

const SEED = 64;
/** Writes that are made together: a burst of keystrokes, or a transaction of so many records. */
const BATCHES = [1, 16];
/** A burst of writes, as of somebody who types. */
const BUSY_MS = 200;
/** Long enough for all replicas to state that they have it, and for its author to hear that. */
const APART_MS = 6_000;
/** A relay's rest is so much longer for each that is connected [SY23]. */
const REST_CONNECTED = 10;
const HEADS = new Set(['head', 'heads']);
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
  const restMs = defaultLimits.headRestMs * Math.max(1, replicas / REST_CONNECTED);
  const busy = ours(replicas, { writes, batch, everyMs: BUSY_MS, restMs });
  // As many as lie within one rest, so that what is told at rest is told of them all, as it goes on and on.
  const apartWrites = Math.round(restMs / APART_MS);
  const apart = ours(replicas, { writes: apartWrites, batch, everyMs: APART_MS, restMs });
  const alone = ours(replicas, { writes: 1, batch, everyMs: APART_MS, restMs });
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
    row(
      'Mangrove, heads too',
      `its author knows that everybody has, and at rest everybody else; ${apartWrites} writes, ${APART_MS / 1_000} s apart`,
      apart.known,
    ),
    row('Mangrove, heads too, busy', `the same with ${writes} writes in a row`, busy.known),
    row('Mangrove, heads too, alone', `the same with one write in ${(restMs + APART_MS) / 1_000} s`, alone.known),
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

/** Per batch: what passes until all have it, and with the head statements that tell so to its author and, at rest, to all. */
function ours(replicas, { writes, batch, everyMs, restMs }) {
  const { world, take } = createCountingWorld({ seed: SEED, replicaCount: replicas, keyCount: 8 });
  settle(world);
  // What coming together has brought about is told before anything is counted.
  world.runFor(2 * restMs);
  take();
  for (let write = 0; write < writes; write++) {
    const author = world.replicas[(write * 7) % replicas];
    for (let i = 0; i < batch; i++) author.edit(world.keys[2 * (i % 8)], 'document');
    world.runFor(everyMs);
  }
  settle(world);
  world.runFor(restMs + APART_MS);
  const counts = take();
  // A settled client asks now and then whether its root is still the relay's: a matter of time and not of writes.
  const caused = Object.keys(counts).filter((kind) => kind !== 'probe' && kind !== 'answer to a probe');
  const delivered = totalOf(
    counts,
    caused.filter((kind) => !HEADS.has(kind)),
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
