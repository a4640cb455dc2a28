import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  contextOf,
  headerOf,
  makeDelta,
  record,
  replicaOf,
  room,
  sha256,
  stamp,
} from '../../../test/interop/fixture.js';
import { bytesToHex, concatBytes, hexToBytes, u64ToBytes, utf8ToBytes } from './bytes.js';
import {
  bytesToDelta,
  type Delta,
  type DeltaHeader,
  deltaMessage,
  FLAG,
  hasContext,
  hasFlag,
  makeUnsignedDelta,
  parseTrieKey,
  signDelta,
  trieKeyOf,
} from './delta.js';
import { isMangroveError } from './errors.js';
import { deriveRoomId } from './ids.js';
import { defaultLimits } from './limits.js';

const replicas = [0, 1, 2, 3].map(replicaOf);
const signature = new Uint8Array(64).fill(7);
const decode = (bytes: Uint8Array): Delta => bytesToDelta(sha256, room.roomId, bytes);
const make = (header: DeltaHeader, body: Uint8Array = Uint8Array.of(1, 2, 3)): Delta =>
  signDelta(makeUnsignedDelta(sha256, room.roomId, header, body), signature);

function codeOf(bytes: Uint8Array): string {
  try {
    decode(bytes);
  } catch (error) {
    if (isMangroveError(error)) return error.code;
    throw error;
  }
  return 'none';
}

/** `varUint` as the grammar has it, and with a byte more than it needs. */
function varUint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varUint(Math.floor(value / 128))];
}
const longVarUint = (value: number): number[] => [
  ...varUint(value).slice(0, -1),
  (varUint(value).at(-1) ?? 0) | 128,
  0,
];

interface Raw {
  format?: number;
  roomTag?: string;
  flags?: number;
  replica?: string;
  seq?: number[];
  hlc?: Uint8Array;
  sinceWritten?: number[];
  sincePrev?: number[];
  stamps?: readonly (readonly [string, number[]])[];
  dots?: readonly (readonly [string, number[]])[];
  stampCount?: number[];
  nonces?: readonly number[];
  nonceCount?: number[];
  bodyLength?: number[];
}

const HLC = 1_000;

/** The grammar once more, written by hand, so that anything wrong can be said. */
function raw(parts: Raw = {}): Uint8Array {
  const { stamps = [], dots = [], nonces = [] } = parts;
  const stamped = (list: typeof stamps) =>
    list.map(([id, since]) => concatBytes(hexToBytes(id), Uint8Array.from(since)));
  return concatBytes(
    Uint8Array.of(parts.format ?? 1),
    hexToBytes(parts.roomTag ?? room.roomId.slice(0, 8)),
    Uint8Array.of(parts.flags ?? 0),
    hexToBytes(parts.replica ?? (replicas[0] as string)),
    Uint8Array.from(parts.seq ?? [1]),
    hexToBytes(headerOf({ replica: replicas[0] as never, seq: 1, hlc: HLC }).keyId),
    parts.hlc ?? u64ToBytes(HLC),
    Uint8Array.from(parts.sinceWritten ?? [0]),
    Uint8Array.from(parts.sincePrev ?? [0]),
    Uint8Array.from(parts.stampCount ?? varUint(stamps.length)),
    ...stamped(stamps),
    Uint8Array.from(varUint(dots.length)),
    ...stamped(dots),
    Uint8Array.from(parts.nonceCount ?? varUint(nonces.length)),
    ...nonces.map((nonce) => u64ToBytes(nonce).subarray(4)),
    Uint8Array.from(parts.bodyLength ?? [3]),
    Uint8Array.of(1, 2, 3),
    signature,
  );
}

const headers: fc.Arbitrary<DeltaHeader> = fc
  .record({
    replica: fc.constantFrom(...replicas),
    seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    hlc: fc.oneof(fc.integer({ min: 20, max: 1_000 }), fc.integer({ min: 2 ** 40, max: Number.MAX_SAFE_INTEGER })),
    sinceWritten: fc.nat(10),
    sincePrev: fc.nat(19),
    stamps: fc.uniqueArray(fc.tuple(fc.constantFrom(...replicas), fc.integer({ min: 1, max: 19 })), {
      selector: ([id]) => id,
    }),
    dots: fc.array(fc.tuple(fc.constantFrom(...replicas), fc.integer({ min: 1, max: 19 })), { maxLength: 4 }),
    flags: fc.nat(31),
    nonces: fc.uniqueArray(fc.nat(0xffffffff), { maxLength: 4 }),
  })
  .map(({ replica, seq, hlc, sinceWritten, sincePrev, stamps, dots, flags, nonces }) => ({
    replica,
    seq,
    keyId: headerOf({ replica, seq, hlc, name: record(`key ${seq % 7}`) }).keyId,
    hlc: stamp(hlc),
    writtenAt: stamp(hlc - sinceWritten),
    prev: stamp(sincePrev === 0 ? 0 : hlc - sincePrev),
    context: contextOf(
      stamps.map(([id, since]) => [id, hlc - since]),
      dots.map(([id, since]) => [id, hlc - since]),
    ),
    flags,
    nonces: [...nonces].sort((x, y) => x - y),
  }));

const allBytes = Array.from({ length: 256 }, (_, byte) => byte);

describe('delta', () => {
  test('[DL1] decoding undoes encoding', () => {
    fc.assert(
      fc.property(headers, fc.uint8Array({ maxLength: 300 }), (header, body) => {
        const delta = make(header, body);
        const decoded = decode(delta.bytes);
        expect(decoded).toEqual(delta);
        expect(decoded).toMatchObject({ ...header, body, signature });
        const { id, body: _, signature: __, bytes: ___, ...rest } = decoded;
        expect(make(rest, body)).toEqual({ ...decoded, id });
      }),
      { numRuns: 300 },
    );
  });

  test('[DL1] the grammar, byte for byte', () => {
    const [a, b] = [...replicas].sort() as [never, never];
    const delta = make({
      ...headerOf({ replica: replicas[0] as never, seq: 300, hlc: HLC, writtenAt: HLC - 5, prev: HLC - 130 }),
      context: contextOf([[b, HLC - 1]], [[a, HLC - 200]]),
      flags: FLAG.compressed | FLAG.import,
      nonces: [1, 0xfffffffe],
    });
    const expected = raw({
      seq: varUint(300),
      sinceWritten: [5],
      sincePrev: varUint(130),
      stamps: [[b, [1]]],
      dots: [[a, varUint(200)]],
      flags: 9,
      nonces: [1, 0xfffffffe],
    });
    expect(bytesToHex(delta.bytes)).toBe(bytesToHex(expected));
  });

  test('[DL1] a delta of another room is WRONG_ROOM, whatever else it holds', () => {
    const other = deriveRoomId(sha256, 'other', { history: 'current', encrypted: false });
    const { bytes } = makeDelta({ replica: replicas[0] as never, seq: 1, hlc: 5 });
    expect(() => bytesToDelta(sha256, other, bytes)).toThrow(expect.objectContaining({ code: 'WRONG_ROOM' }));
    expect(codeOf(raw({ roomTag: '00000000' }))).toBe('WRONG_ROOM');
    expect(codeOf(raw({ format: 2 }))).toBe('DELTA_MALFORMED');
  });

  test('[DL2] the id is a hash over room, header, the length of the body and the hashes of its parts; the signature is over the id', () => {
    const { id, bytes } = decode(raw());
    const headerBytes = bytes.subarray(0, bytes.length - 64 - 4);
    const preimage = concatBytes(
      utf8ToBytes('mangrove:delta:1'),
      hexToBytes(room.roomId),
      headerBytes,
      Uint8Array.of(3),
      sha256(Uint8Array.of(1, 2, 3)),
    );
    expect(id).toBe(bytesToHex(sha256(preimage)));
    expect(deltaMessage(id)).toEqual(concatBytes(utf8ToBytes('mangrove:delta:1'), hexToBytes(id)));
    const unsigned = makeUnsignedDelta(
      sha256,
      room.roomId,
      headerOf({ replica: replicas[0] as never, seq: 1, hlc: 5 }),
      bytes,
    );
    expect(unsigned.message).toEqual(deltaMessage(unsigned.id));
  });

  test('[DL3] every changed byte outside the signature fails or gives another id', () => {
    const [a, b] = [...replicas].sort() as [never, never];
    const samples = [
      raw(),
      raw({
        seq: varUint(300),
        sinceWritten: varUint(5),
        sincePrev: varUint(130),
        stamps: [
          [a, varUint(7)],
          [b, varUint(200)],
        ],
        dots: [[b, varUint(3)]],
        nonces: [1, 2],
      }),
    ];
    for (const bytes of samples) {
      const { id } = decode(bytes);
      const survivors: string[] = [];
      for (let i = 0; i < bytes.length - 64; i++) {
        // All values in the small sample; in the large one every bit, and the ends of what a byte can be.
        const own = bytes[i] as number;
        const values =
          bytes === samples[0] ? allBytes : [0, 127, 128, 255, ...allBytes.slice(0, 8).map((bit) => own ^ (1 << bit))];
        for (const byte of values) {
          if (byte === own) continue;
          const changed = bytes.slice();
          changed[i] = byte;
          const code = codeOf(changed);
          if (code === 'none' && decode(changed).id === id) survivors.push(`byte ${i} as ${byte}`);
        }
      }
      expect(survivors).toEqual([]);
    }
  });

  test('[DL3] every truncation and every byte more is DELTA_MALFORMED', () => {
    const { bytes } = makeDelta({ replica: replicas[0] as never, seq: 1, hlc: 5, nonces: [1], text: 'text' });
    for (let length = 0; length < bytes.length; length++)
      expect(codeOf(bytes.slice(0, length)), `${length} bytes`).toBe('DELTA_MALFORMED');
    // Also where the rest lies in the same buffer, as it does in a frame.
    for (let length = 0; length < bytes.length; length++)
      expect(codeOf(bytes.subarray(0, length)), `${length} bytes`).toBe('DELTA_MALFORMED');
    expect(codeOf(concatBytes(bytes, Uint8Array.of(0)))).toBe('DELTA_MALFORMED');
  });

  test('[DL3] a number that is not in its shortest form is DELTA_MALFORMED, the length of the body included', () => {
    const [a] = replicas as [never];
    expect(codeOf(raw())).toBe('none');
    const longer: Raw[] = [
      { seq: longVarUint(1) },
      { sinceWritten: longVarUint(3) },
      { sincePrev: longVarUint(3) },
      { stampCount: longVarUint(0) },
      { stamps: [[a, longVarUint(3)]] },
      { dots: [[a, longVarUint(3)]] },
      { nonceCount: longVarUint(0) },
      { bodyLength: longVarUint(3) },
      { bodyLength: [...Array.from({ length: 200 }, () => 128), 0] },
    ];
    for (const parts of longer) expect(codeOf(raw(parts)), JSON.stringify(parts)).toBe('DELTA_MALFORMED');
  });

  test('[DL3] a context has one order and says nothing twice', () => {
    const [a, b] = [...replicas].sort() as [never, never];
    expect(
      codeOf(
        raw({
          stamps: [
            [a, [5]],
            [b, [5]],
          ],
          dots: [
            [a, [3]],
            [a, [2]],
            [b, [4]],
          ],
        }),
      ),
    ).toBe('none');
    const wrong: Raw[] = [
      {
        stamps: [
          [b, [5]],
          [a, [5]],
        ],
      },
      {
        stamps: [
          [a, [5]],
          [a, [5]],
        ],
      },
      {
        stamps: [
          [a, [5]],
          [a, [4]],
        ],
      },
      {
        dots: [
          [b, [5]],
          [a, [5]],
        ],
      },
      {
        dots: [
          [a, [2]],
          [a, [3]],
        ],
      },
      {
        dots: [
          [a, [2]],
          [a, [2]],
        ],
      },
      { stamps: [[a, [5]]], dots: [[a, [5]]] },
      { stamps: [[a, [5]]], dots: [[a, [6]]] },
    ];
    for (const parts of wrong) expect(codeOf(raw(parts)), JSON.stringify(parts)).toBe('DELTA_MALFORMED');
  });

  test('[DL3] nonces ascend and are distinct', () => {
    expect(codeOf(raw({ nonces: [0, 1, 0xffffffff] }))).toBe('none');
    for (const nonces of [
      [1, 1],
      [2, 1],
    ])
      expect(codeOf(raw({ nonces }))).toBe('DELTA_MALFORMED');
  });

  test('[DL4] the seven flags are known, others are DELTA_MALFORMED', () => {
    expect(FLAG).toEqual({ compressed: 1, encrypted: 2, seed: 4, import: 8, checkpoint: 16, tombstone: 32, floor: 64 });
    for (const flag of Object.values(FLAG).filter((known) => known !== FLAG.floor)) {
      const delta = decode(raw({ flags: flag }));
      expect(Object.values(FLAG).filter((other) => hasFlag(delta, other))).toEqual([flag]);
    }
    for (const flags of [128, 129, 192]) expect(codeOf(raw({ flags }))).toBe('DELTA_MALFORMED');
  });

  test('[DL5] a tombstone carries no nonces', () => {
    expect(codeOf(raw({ flags: FLAG.tombstone }))).toBe('none');
    expect(codeOf(raw({ flags: FLAG.tombstone, nonces: [1] }))).toBe('DELTA_MALFORMED');
  });

  test('[DL6] a sequence number begins at 1 and stays a safe integer', () => {
    expect(codeOf(raw({ seq: [0] }))).toBe('DELTA_MALFORMED');
    expect(decode(raw({ seq: varUint(Number.MAX_SAFE_INTEGER) })).seq).toBe(Number.MAX_SAFE_INTEGER);
    for (const seq of [
      varUint(2 ** 53),
      varUint(2 ** 54),
      varUint(2 ** 55),
      [...Array(160).fill(128), 0],
      Array(9).fill(255),
    ])
      expect(codeOf(raw({ seq }))).toBe('DELTA_MALFORMED');
  });

  test('[DL7] writtenAt is at most the stamp, prev lies below it, and neither below zero', () => {
    expect(decode(raw({ sinceWritten: varUint(HLC), sincePrev: varUint(HLC - 1) }))).toMatchObject({
      writtenAt: 0,
      prev: 1,
    });
    expect(codeOf(raw({ sinceWritten: varUint(HLC + 1) }))).toBe('DELTA_MALFORMED');
    expect(codeOf(raw({ sincePrev: varUint(HLC + 1) }))).toBe('DELTA_MALFORMED');
    // A second spelling of "no previous one".
    expect(codeOf(raw({ sincePrev: varUint(HLC) }))).toBe('DELTA_MALFORMED');
    expect(codeOf(raw({ hlc: u64ToBytes(0) }))).toBe('DELTA_MALFORMED');
    for (const hlc of ['0020000000000000', 'ffffffffffffffff'])
      expect(codeOf(raw({ hlc: hexToBytes(hlc) }))).toBe('DELTA_MALFORMED');
  });

  test('[DL7] scenario 1: a context that reaches its own stamp is DELTA_MALFORMED, for stamps and dots', () => {
    const [a] = replicas as [never];
    expect(codeOf(raw({ stamps: [[a, [1]]] }))).toBe('none');
    expect(codeOf(raw({ dots: [[a, [1]]] }))).toBe('none');
    expect(codeOf(raw({ stamps: [[a, [0]]] }))).toBe('DELTA_MALFORMED');
    expect(codeOf(raw({ dots: [[a, [0]]] }))).toBe('DELTA_MALFORMED');
    // Nobody can be made to sign one either: a distance below zero would be written as some other number.
    const header = headerOf({ replica: a, seq: 1, hlc: HLC });
    const wrong: Partial<DeltaHeader>[] = [
      { context: contextOf([[a, HLC]]) },
      { context: contextOf([], [[a, HLC + 5]]) },
      { prev: stamp(HLC) },
      { writtenAt: stamp(HLC + 1) },
    ];
    for (const parts of wrong)
      expect(() => make({ ...header, ...parts })).toThrow(expect.objectContaining({ code: 'DELTA_MALFORMED' }));
    expect(codeOf(raw({ stamps: [[a, varUint(HLC)]] }))).toBe('DELTA_MALFORMED');
  });

  test('[DL8] a body over the limit is BODY_TOO_LARGE, on both sides', () => {
    const { bodyBytesMax } = defaultLimits;
    const header = headerOf({ replica: replicas[0] as never, seq: 1, hlc: HLC });
    const largest = make(header, new Uint8Array(bodyBytesMax));
    expect(codeOf(largest.bytes)).toBe('none');
    expect(() => make(header, new Uint8Array(bodyBytesMax + 1))).toThrow(
      expect.objectContaining({ code: 'BODY_TOO_LARGE', facts: { bodyBytes: bodyBytesMax + 1, bodyBytesMax } }),
    );
    expect(codeOf(raw({ bodyLength: varUint(bodyBytesMax + 1) }))).toBe('BODY_TOO_LARGE');
    expect(codeOf(raw({ bodyLength: varUint(bodyBytesMax) }))).toBe('DELTA_MALFORMED');
  });

  test('[DL3] a huge count fails before anything is allocated', () => {
    for (const count of [5, 4_097, 2 ** 31, 2 ** 52]) {
      expect(codeOf(raw({ stampCount: varUint(count) }))).toBe('DELTA_MALFORMED');
      expect(codeOf(raw({ nonceCount: varUint(20 + count) }))).toBe('DELTA_MALFORMED');
    }
  });

  test('[DL3] any bytes give a delta or a typed error', () => {
    const sample = raw({ nonces: [1], stamps: [[replicas[1] as string, [9]]] });
    const edits = fc.array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), edits), (input) => {
        const bytes = input instanceof Uint8Array ? input : sample.slice();
        if (!(input instanceof Uint8Array)) for (const [at, byte] of input) bytes[at] = byte;
        expect(['none', 'DELTA_MALFORMED', 'WRONG_ROOM', 'BODY_TOO_LARGE']).toContain(codeOf(bytes));
      }),
      { numRuns: 5_000 },
    );
  });

  test('[MK1] a trie key says keyId, replica, stamp and id, and sorts by them', () => {
    fc.assert(
      fc.property(headers, (header) => {
        const delta = make(header);
        const key = trieKeyOf(delta);
        expect(key).toHaveLength(64);
        const { keyId, replica, hlc, id } = delta;
        expect(parseTrieKey(key)).toEqual({ keyId, replica, hlc, id });
        expect(bytesToHex(key)).toBe(`${keyId}${replica}${bytesToHex(u64ToBytes(hlc))}${id}`);
      }),
    );
  });

  test('[SY9] a delta has a context when it has a stamp or a dot', () => {
    const header = headerOf({ replica: replicas[0] as never, seq: 1, hlc: 9 });
    expect(hasContext(header)).toBe(false);
    expect(hasContext({ ...header, context: contextOf([[replicas[1] as never, 1]]) })).toBe(true);
    expect(hasContext({ ...header, context: contextOf([], [[replicas[1] as never, 1]]) })).toBe(true);
  });
});
