import { versionOf } from '../../support/machine.mjs';
import { MangroveLink } from '../mangrove-link.mjs';
import { fillTables, makeDeltas } from '../mangrove-room.mjs';
import { AUTHORS, heldBy, LEFT, RIGHT, timed } from '../workload.mjs';

const shared = {
  sources: ['peers/mangrove.mjs', 'mangrove-link.mjs', 'mangrove-room.mjs', '../../packages/protocol/src'],
  carries: 'items, whose own bytes are told apart',
  versions: () => ({ '@mangrove/protocol': versionOf('@mangrove/protocol') }),
};

export const mangroveVector = {
  ...shared,
  id: 'mangrove',
  name: 'Mangrove',
  about:
    'stepSync at both ends over memory stores; the cursor is another relay’s and counts for nothing, so version vectors, then a Merkle diff where roots differ',
  cannot: () => undefined,
  run: (workload) => run(workload, false),
};

export const mangroveCursor = {
  ...shared,
  id: 'mangrove-cursor',
  name: 'Mangrove, returning',
  about:
    'the same for a client that this relay knows: its cursor names the place in the log; scattered: rows were lost at both ends since',
  cannot: () => undefined,
  run: (workload) => run(workload, true),
};

function run(workload, returns) {
  const { items } = workload;
  const deltas = makeDeltas(workload);
  const held = (side) => heldBy(side, items).map((index) => deltas[index]);
  const replica = fillTables(held(LEFT));
  const relay = fillTables(held(RIGHT), { logged: true });
  const own = items.flatMap(({ author, side }, i) => (author === AUTHORS && side === LEFT ? [deltas[i]] : []));
  const only = (wanted) => items.flatMap(({ side }, i) => (side === wanted ? [deltas[i]] : []));
  const isTail = own.length > 0;
  const inCommon = items.filter(({ side }) => side === 0).length;
  const after = returns ? (isTail ? inCommon : held(RIGHT).length) : undefined;
  const link = new MangroveLink({ replica, relay, author: AUTHORS, outbox: own, after });
  const { result, cpuMs } = timed(() => link.run());
  const { bytes, knownAt, heldAt, takenCpuMs, deltaBytes, setUpBytes, messages, byKind, carried } = result;
  const vainBytes = inVain(carried, { replica: only(LEFT), relay: only(RIGHT) });
  return {
    // What was sent in vain is no payload.
    bytes: bytes + vainBytes,
    roundTrips: Math.ceil(knownAt),
    cpuMs: Math.max(0, cpuMs - takenCpuMs),
    notes: { deltaBytes, vainBytes, setUpBytes, messages, heldAt, knownAt, takenCpuMs, byKind },
  };
}

/** The share of deltas that the other side had, or was sent already. `owed`: what each side alone holds at first. */
function inVain(carried, owed) {
  const left = new Map(Object.entries(owed).map(([side, deltas]) => [side, new Set(deltas.map(nameOf))]));
  let vain = 0;
  for (const { from, deltas, bytes } of carried) {
    const unwanted = deltas.filter((delta) => !left.get(from).delete(signatureOf(delta))).length;
    vain += (bytes * unwanted) / deltas.length;
  }
  for (const [side, rest] of left)
    if (rest.size > 0) throw new Error(`${rest.size} deltas of the ${side} were never sent`);
  return Math.round(vain);
}

const nameOf = ({ bytes }) => signatureOf(bytes);
/** Differs from delta to delta here, and stands at the end of each. */
const signatureOf = (bytes) => Buffer.from(bytes.subarray(-64)).toString('base64');
