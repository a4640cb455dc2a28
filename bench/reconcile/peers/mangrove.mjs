import { versionOf } from '../../support/machine.mjs';
import { framedBytes, MangroveLink } from '../mangrove-link.mjs';
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
  const isTail = own.length > 0;
  const inCommon = items.filter(({ side }) => side === 0).length;
  const after = returns ? (isTail ? inCommon : held(RIGHT).length) : undefined;
  const link = new MangroveLink({ replica, relay, author: AUTHORS, outbox: own, after });
  const { result, cpuMs } = timed(() => link.run());
  const { bytes, knownAt, heldAt, takenCpuMs, deltaBytes, setUpBytes, messages, byKind } = result;
  const wanted = items.flatMap(({ side }, i) => (side === 0 ? [] : [framedBytes(deltas[i].bytes)]));
  const wantedBytes = wanted.reduce((sum, length) => sum + length, 0);
  return {
    // What was sent in vain is no payload.
    bytes: bytes + Math.max(0, deltaBytes - wantedBytes),
    roundTrips: Math.ceil(knownAt),
    cpuMs: Math.max(0, cpuMs - takenCpuMs),
    notes: { deltaBytes, wantedBytes, setUpBytes, messages, heldAt, knownAt, takenCpuMs, byKind },
  };
}
