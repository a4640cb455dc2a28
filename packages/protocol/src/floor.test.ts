import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeDelta, record, replicaOf, room, sha256 } from '../../../test/interop/fixture.js';
import { concatBytes, hexToBytes } from './bytes.js';
import { FLAG } from './delta.js';
import { isMangroveError } from './errors.js';
import {
  bytesToFloor,
  type Floor,
  floorToBytes,
  isStanding,
  isUnderFloor,
  STANDING_BYTES,
  standingOf,
} from './floor.js';
import type { HeadStatement } from './head-statement.js';
import type { Hlc } from './hlc.js';
import { type DeltaId, deriveFloorKeyId, idToBytes, type ReplicaId } from './ids.js';

const HLC = (2 ** 40) as Hlc;
const replicas = fc.integer({ min: 0, max: 255 }).map((n) => n.toString(16).padStart(16, '0') as ReplicaId);
const ids = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex') as DeltaId);
const vectors = fc.array(fc.tuple(replicas, fc.nat()), { maxLength: 3 }).map((entries) => new Map(entries));

const floors: fc.Arbitrary<Floor> = fc
  .record({
    places: fc.array(fc.tuple(replicas, fc.record({ seq: fc.integer({ min: 1 }), hlc: fc.integer({ min: 1 }) })), {
      maxLength: 8,
    }),
    ids: fc.array(ids, { maxLength: 8 }),
    witnesses: fc.array(fc.tuple(replicas, fc.nat(), fc.nat(2)), { maxLength: 6 }),
    told: fc.array(vectors, { minLength: 3, maxLength: 3 }),
  })
  .map(({ places, ids, witnesses, told }) => ({
    reach: new Map(places.map(([replica, { seq, hlc }]) => [replica, { seq, hlc: hlc as Hlc }])),
    standing: standingOf(ids),
    witnesses: [...new Map(witnesses.map((witness) => [witness[0], witness])).values()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([replica, timeMs, at]): HeadStatement => ({
          ...{ replica, timeMs, vector: told[at] as HeadStatement['vector'] },
          root: new Uint8Array(32).fill(at),
          headsRoot: new Uint8Array(32),
          signature: new Uint8Array(64).fill(timeMs),
        }),
      ),
  }));

const codeOf = (bytes: Uint8Array): string => {
  try {
    bytesToFloor(bytes, HLC);
    return 'none';
  } catch (error) {
    if (isMangroveError(error)) return error.code;
    throw error;
  }
};

describe('floor', () => {
  test('[FL2] decoding undoes encoding, and no other bytes say the same', () => {
    fc.assert(
      fc.property(floors, fc.nat(), (floor, at) => {
        const bytes = floorToBytes(floor);
        expect(floorToBytes(bytesToFloor(bytes, HLC))).toEqual(bytes);
        expect(bytesToFloor(bytes, HLC).standing).toEqual(floor.standing);
        expect(codeOf(concatBytes(bytes, Uint8Array.of(0)))).toBe('DELTA_MALFORMED');
        const other = bytes.slice();
        other[at % other.length] = (other[at % other.length] as number) ^ 1;
        if (codeOf(other) === 'none') expect(floorToBytes(bytesToFloor(other, HLC))).toEqual(other);
      }),
    );
  });

  test('[FL2] any bytes give a floor or DELTA_MALFORMED, and a huge count fails before anything is allocated', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(['none', 'DELTA_MALFORMED']).toContain(codeOf(concatBytes(Uint8Array.of(2), bytes)));
      }),
    );
    for (const hex of ['02ffffffff0f', '0200ffffffffffff07', '020000ffffffff0f', '02000000ffffffff0f'])
      expect(codeOf(hexToBytes(hex))).toBe('DELTA_MALFORMED');
  });

  test('[FL2] a reach lies below the stamp of its floor, and begins at 1', () => {
    const withHlc = (hlc: number) =>
      floorToBytes({
        reach: new Map([[replicaOf(0), { seq: 1, hlc: hlc as Hlc }]]),
        standing: new Uint8Array(),
        witnesses: [],
      });
    expect([1, HLC - 1].map((hlc) => codeOf(withHlc(hlc)))).toEqual(['none', 'none']);
    expect([0, HLC, HLC + 1].map((hlc) => codeOf(withHlc(hlc)))).toEqual(Array(3).fill('DELTA_MALFORMED'));
  });

  test('[FL3] under a floor is what lies within its reach and is not among what stands', () => {
    fc.assert(
      fc.property(
        fc.array(ids, { maxLength: 40 }),
        fc.array(ids, { minLength: 1, maxLength: 10 }),
        (standing, others) => {
          const reach = new Map([[replicaOf(0), { seq: 5, hlc: 10 as Hlc }]]);
          const floor: Floor = { reach, standing: standingOf(standing), witnesses: [] };
          const isUnder = (id: DeltaId, hlc: number, n = 0) =>
            isUnderFloor(floor, { id, hlc: hlc as Hlc, replica: replicaOf(n) });
          for (const id of standing)
            expect([isStanding(floor.standing, idToBytes(id)), isUnder(id, 1)]).toEqual([true, false]);
          for (const id of others) {
            const stands = standing.some((one) => one.slice(0, 2 * STANDING_BYTES) === id.slice(0, 2 * STANDING_BYTES));
            expect([isUnder(id, 10), isUnder(id, 11), isUnder(id, 1, 1)]).toEqual([!stands, false, false]);
          }
        },
      ),
    );
  });

  test('[FL1] flag 64 stands alone, under the key of floors, without nonces', () => {
    const floorKeyId = deriveFloorKeyId(sha256, room.roomId);
    expect(makeDelta({ replica: replicaOf(0), seq: 1, hlc: 2 }).keyId).not.toBe(floorKeyId);
    const spec = { replica: replicaOf(0), seq: 1, hlc: 2, name: record('a') };
    for (const flags of [FLAG.floor, FLAG.floor | FLAG.encrypted, FLAG.floor | FLAG.tombstone])
      expect(() => makeDelta({ ...spec, flags })).toThrow(expect.objectContaining({ code: 'DELTA_MALFORMED' }));
  });
});
