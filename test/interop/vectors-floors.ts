import { bytesToHex } from '../../packages/protocol/src/bytes.js';
import { EMPTY_CONTEXT } from '../../packages/protocol/src/context.js';
import { type Delta, FLAG, makeUnsignedDelta } from '../../packages/protocol/src/delta.js';
import { bytesToFloor, floorToBytes, isUnderFloor, standingOf } from '../../packages/protocol/src/floor.js';
import type { HeadStatement } from '../../packages/protocol/src/head-statement.js';
import type { Hlc } from '../../packages/protocol/src/hlc.js';
import { deriveFloorKeyId } from '../../packages/protocol/src/ids.js';
import { document, makeDelta, record, replicaOf, room, sha256, signStub } from './fixture.js';
import { codeOf } from './vectors.js';

const HLC = 5_000 as Hlc;

/** A floor, deltas with whether they lie under it, and bodies that are none. */
export function makeFloorVectors(): unknown {
  const deltas = [
    makeDelta({ replica: replicaOf(0), seq: 1, hlc: 1_000, name: document('notes'), text: 'stands' }),
    makeDelta({ replica: replicaOf(0), seq: 2, hlc: 1_001, name: record('a'), text: 'swept' }),
    makeDelta({ replica: replicaOf(0), seq: 3, hlc: 1_002, name: record('a'), text: 'beyond the reach' }),
    makeDelta({ replica: replicaOf(1), seq: 9, hlc: 2_000, name: record('b'), flags: FLAG.tombstone }),
    makeDelta({ replica: replicaOf(2), seq: 1, hlc: 1, name: record('b'), text: 'of a replica without a reach' }),
  ];
  const floor = {
    reach: new Map([
      [replicaOf(0), { seq: 2, hlc: 1_001 as Hlc }],
      [replicaOf(1), { seq: 9, hlc: 2_000 as Hlc }],
    ]),
    standing: standingOf([(deltas[0] as Delta).id]),
    witnesses: [witness(0, 1, 2), witness(1, 2, 2), witness(2, 1, 9)].sort((a, b) => (a.replica < b.replica ? -1 : 1)),
  };
  const body = floorToBytes(floor);
  const keyId = deriveFloorKeyId(sha256, room.roomId);
  const header = { replica: replicaOf(0), seq: 4, keyId, hlc: HLC, writtenAt: HLC, prev: 0 as Hlc };
  const whole = { ...header, context: EMPTY_CONTEXT, flags: FLAG.floor, nonces: [] };
  const delta = signStub(makeUnsignedDelta(sha256, room.roomId, whole, body));
  return {
    roomId: room.roomId,
    keyId,
    floor: bytesToHex(delta.bytes),
    deltas: deltas.map((one) => ({ bytes: bytesToHex(one.bytes), isUnder: isUnderFloor(floor, one) })),
    invalid: Object.entries(spoiltBodies(body)).map(([name, bytes]) => ({
      name,
      bytes: bytesToHex(bytes),
      hlc: HLC,
      code: codeOf(() => bytesToFloor(bytes, HLC)),
    })),
  };
}

function witness(writer: number, seq: number, other: number): HeadStatement {
  const vector = new Map([
    [replicaOf(0), seq],
    [replicaOf(1), other],
  ]);
  const [root, headsRoot] = [new Uint8Array(32).fill(writer + 1), new Uint8Array(32).fill(writer + 100)];
  return {
    replica: replicaOf(writer),
    timeMs: 1_000 * writer,
    root,
    headsRoot,
    vector,
    signature: new Uint8Array(64).fill(7),
  };
}

function spoiltBodies(body: Uint8Array): Readonly<Record<string, Uint8Array>> {
  const places = [
    [replicaOf(0), 1, HLC],
    [replicaOf(0), 1, 0],
    [replicaOf(0), 0, 1],
  ] as const;
  const [atOwnStamp, ofZero, ofSeqZero] = places.map(([replica, seq, hlc]) =>
    floorToBytes({ reach: new Map([[replica, { seq, hlc: hlc as Hlc }]]), standing: new Uint8Array(), witnesses: [] }),
  ) as [Uint8Array, Uint8Array, Uint8Array];
  const standing = Uint8Array.from([2, 0, 2, ...Array(8).fill(2), ...Array(8).fill(1), 0, 0]);
  return {
    'a reach at its own stamp': atOwnStamp,
    'a reach of 0': ofZero,
    'a reach of sequence number 0': ofSeqZero,
    'a standing out of order': standing,
    'a vector that no witness names': Uint8Array.from([2, 0, 0, 1, 0, 0]),
    'another kind': Uint8Array.from([1, ...body.subarray(1)]),
    'a trailing byte': Uint8Array.from([...body, 0]),
    'a missing byte': body.slice(0, -1),
    empty: new Uint8Array(),
  };
}
