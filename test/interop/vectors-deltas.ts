import { bodyToBytes, recordPayloadToBytes } from '../../packages/protocol/src/body.js';
import { bytesToHex, concatBytes, hexToBytes } from '../../packages/protocol/src/bytes.js';
import {
  bytesToDelta,
  type Delta,
  FLAG,
  makeUnsignedDelta,
  signDelta,
  trieKeyOf,
} from '../../packages/protocol/src/delta.js';
import { deriveReplicaId, type KeyName } from '../../packages/protocol/src/ids.js';
import { valueToBytes } from '../../packages/protocol/src/value.js';
import { contextOf, type DeltaSpec, document, headerOf, record, replicaOf, room, sha256 } from './fixture.js';
import { codeOf } from './vectors.js';
import { COMPRESSED_RECORD } from './vectors-compressed.js';
import { keysOf } from './vectors-signed.js';

const writer = keysOf(2);
const replica = deriveReplicaId(sha256, room.roomId, writer.publicKey);
const HLC = 1_700_000_000_000 * 1024;

type Spec = Partial<DeltaSpec> & { readonly name: KeyName; readonly payload?: Uint8Array; readonly body?: Uint8Array };

function signed({ payload = new Uint8Array(), body, ...spec }: Spec): Delta {
  const header = headerOf({ replica, seq: 1, hlc: HLC, ...spec });
  const unsigned = makeUnsignedDelta(sha256, room.roomId, header, body ?? bodyToBytes({ name: spec.name, payload }));
  return signDelta(unsigned, writer.sign(unsigned.message));
}

/** A text "hello" of Yjs in format V1, under clientID 1. */
const UPDATE = hexToBytes('010101000401076b657973746f6b0568656c6c6f00');
const value = (of: unknown) => recordPayloadToBytes({ value: valueToBytes(of) });
const stamps = [0, 1, 2].map((n) => [replicaOf(n), HLC - 10 * n - 1] as const);
const dots = [3, 3, 4].map((n, i) => [replicaOf(n), HLC - i - 1] as const);

const SPECS: Readonly<Record<string, Spec>> = {
  'a document update': { name: document('notes'), payload: UPDATE, nonces: [1, 2 ** 32 - 1] },
  'a record without context': { name: record('a'), payload: value({ title: 'Milk' }) },
  'a record over its base': {
    ...{ name: record('a'), seq: 2, prev: HLC - 5, writtenAt: HLC - 3, context: contextOf([[replica, HLC - 5]]) },
    payload: recordPayloadToBytes({ value: valueToBytes(2), base: valueToBytes(1) }),
  },
  'stamps and dots': { name: record('a'), payload: value(1), context: contextOf(stamps, dots) },
  'dots alone': { name: record('a'), payload: value(1), context: contextOf([], dots) },
  'a tombstone': { name: record('a'), flags: FLAG.tombstone, context: contextOf(stamps) },
  'a checkpoint': { name: document('notes'), payload: UPDATE, flags: FLAG.checkpoint, context: contextOf(stamps) },
  'an import': { name: document('notes'), payload: UPDATE, flags: FLAG.import },
  'a seed': { name: document('notes'), payload: UPDATE, flags: FLAG.seed, nonces: [7] },
  compressed: { name: record('t1'), body: COMPRESSED_RECORD, flags: FLAG.compressed },
  encrypted: { name: document('notes'), payload: UPDATE, flags: FLAG.encrypted },
  'the largest numbers': {
    name: record('a'),
    payload: value(1),
    seq: 2 ** 53 - 1,
    hlc: 2 ** 53 - 1,
    writtenAt: 0,
    prev: 1,
  },
  'the least numbers': { name: record('a'), payload: value(1), hlc: 1 },
  'a body of one whole part': { name: document('n'), payload: new Uint8Array(65_536 - 4).fill(5) },
  'a body of one part and a byte': { name: document('n'), payload: new Uint8Array(65_536 - 3).fill(5) },
};

export function makeDeltaVectors(): unknown {
  const valid = Object.entries(SPECS).map(([name, spec]) => {
    const delta = signed(spec);
    const { id, flags, seq, keyId, hlc, writtenAt, prev, context, nonces, body } = delta;
    return {
      ...{
        name,
        roomId: room.roomId,
        publicKey: bytesToHex(writer.publicKey),
        bytes: bytesToHex(delta.bytes),
        id,
        flags,
      },
      ...{ replica: delta.replica, seq, keyId, hlc, writtenAt, prev, nonces },
      stamps: Object.fromEntries(context.stamps),
      dots: context.dots.map((dot) => [dot.replica, dot.hlc]),
      bodyBytes: body.length,
      keyName: spec.name,
      trieKey: bytesToHex(trieKeyOf(delta)),
    };
  });
  return { valid, invalid: makeInvalid() };
}

/** Offsets in a header: u8 format, u32 tag, u8 flags, replica 8, varUint seq (1 byte), keyId 16, u64 hlc. */
const AT = { format: 0, tag: 1, flags: 5, seq: 14, hlc: 31, writtenAt: 39, prev: 40, stamps: 41 } as const;

function makeInvalid(): readonly unknown[] {
  const { bytes } = signed({ name: record('a'), payload: value(1), nonces: [1, 2] });
  const withBytes = (at: number, ...values: readonly number[]): Uint8Array => {
    const copy = bytes.slice();
    copy.set(values, at);
    return copy;
  };
  const instead = (at: number, drop: number, ...insert: readonly number[]): Uint8Array =>
    concatBytes(bytes.subarray(0, at), Uint8Array.from(insert), bytes.subarray(at + drop));
  const eight = (byte: number): readonly number[] => Array<number>(8).fill(byte);
  const cases: Readonly<Record<string, Uint8Array>> = {
    nothing: new Uint8Array(),
    'another format': withBytes(AT.format, 3),
    'another room': withBytes(AT.tag, 0, 0, 0, 0),
    'an unknown flag': withBytes(AT.flags, 128),
    'a sequence number of 0': withBytes(AT.seq, 0),
    'a sequence number in a longer form': instead(AT.seq, 1, 0x81, 0),
    'a stamp of 0': withBytes(AT.hlc, ...eight(0)),
    'a stamp of 2^53': withBytes(AT.hlc, 0, 0x20, 0, 0, 0, 0, 0, 0),
    'a context whose entry is its own stamp': instead(AT.stamps, 1, 1, ...eight(1), 0),
    'a context whose stamps are out of order': instead(AT.stamps, 1, 2, ...eight(2), 1, ...eight(1), 1),
    'a context with a replica twice': instead(AT.stamps, 1, 2, ...eight(1), 2, ...eight(1), 1),
    'a dot below the stamp of its replica': instead(AT.stamps, 2, 1, ...eight(1), 1, 1, ...eight(1), 2),
    'dots out of order': instead(AT.stamps, 2, 0, 2, ...eight(1), 1, ...eight(1), 2),
    'nonces out of order': instead(AT.stamps + 2, 9, 2, 0, 0, 0, 2, 0, 0, 0, 1),
    'a nonce twice': instead(AT.stamps + 2, 9, 2, 0, 0, 0, 1, 0, 0, 0, 1),
    'a tombstone with nonces': withBytes(AT.flags, FLAG.tombstone),
    'one byte short': bytes.subarray(0, -1),
    'one byte more': concatBytes(bytes, Uint8Array.of(0)),
    'a body of more than 8 MiB': concatBytes(bytes.subarray(0, AT.stamps + 11), Uint8Array.of(0x81, 0x80, 0x80, 4)),
  };
  return Object.entries(cases).map(([name, invalid]) => ({
    ...{ name, roomId: room.roomId, bytes: bytesToHex(invalid) },
    code: codeOf(() => bytesToDelta(sha256, room.roomId, invalid)),
  }));
}
