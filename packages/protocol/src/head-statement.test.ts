import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { replicaOf, room } from '../../../test/interop/fixture.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from './bytes.js';
import { encode } from './codec.js';
import {
  bytesToHeadStatement,
  headMessage,
  type HeadStatement,
  headStatementToBytes,
  writeVector,
} from './head-statement.js';

const fixed = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const replica = fc.nat(50).map(replicaOf);
const statements: fc.Arbitrary<HeadStatement> = fc.record({
  replica,
  timeMs: fc.maxSafeNat(),
  root: fixed(32),
  headsRoot: fixed(32),
  vector: fc
    .uniqueArray(fc.tuple(replica, fc.maxSafeNat()), { selector: ([id]) => id })
    .map((entries) => new Map(entries)),
  signature: fixed(64),
});

describe('head statement', () => {
  test('[SY11] decoding undoes encoding', () => {
    fc.assert(
      fc.property(statements, (statement) => {
        expect(bytesToHeadStatement(headStatementToBytes(statement))).toEqual(statement);
      }),
    );
  });

  test('[SY11] one vector has one encoding, whatever the order of its making', () => {
    fc.assert(
      fc.property(statements, ({ vector }) => {
        const write = (entries: typeof vector) => encode((encoder) => writeVector(encoder, entries));
        expect(write(new Map([...vector].reverse()))).toEqual(write(vector));
      }),
    );
  });

  test('[SG2][SY11] it is signed over domain, room and everything it says', () => {
    const [a, b] = [replicaOf(0), replicaOf(1)].sort() as [never, never];
    const claim = {
      replica: a,
      timeMs: 300,
      root: new Uint8Array(32).fill(1),
      headsRoot: new Uint8Array(32).fill(2),
      vector: new Map([
        [b, 5],
        [a, 128],
      ]),
    };
    const message = concatBytes(
      utf8ToBytes('mangrove:head:1'),
      hexToBytes(room.roomId),
      hexToBytes(a),
      Uint8Array.of(0xac, 0x02),
      claim.root,
      claim.headsRoot,
      Uint8Array.of(2),
      hexToBytes(a),
      Uint8Array.of(128, 1),
      hexToBytes(b),
      Uint8Array.of(5),
    );
    expect(bytesToHex(headMessage(room.roomId, claim))).toBe(bytesToHex(message));
    const bytes = headStatementToBytes({ ...claim, signature: new Uint8Array(64).fill(9) });
    expect(bytesToHex(bytes)).toBe(bytesToHex(message.subarray(15 + 32)) + '09'.repeat(64));
  });

  test('[SY14] a vector out of order, or with a replica twice, is FRAME_MALFORMED', () => {
    const write = (...ids: number[]): Uint8Array =>
      concatBytes(
        new Uint8Array(8 + 1 + 32 + 32),
        Uint8Array.of(ids.length),
        ...ids.map((id) => Uint8Array.of(id, 0, 0, 0, 0, 0, 0, 0, 5)),
        new Uint8Array(64),
      );
    expect(bytesToHeadStatement(write(1, 2, 3)).vector.size).toBe(3);
    for (const ids of [
      [2, 1],
      [1, 1],
      [1, 3, 2],
    ])
      expect(() => bytesToHeadStatement(write(...ids))).toThrow(expect.objectContaining({ code: 'FRAME_MALFORMED' }));
  });

  test('[SY14] a vector that cannot be as long as it says is FRAME_MALFORMED', () => {
    const head = new Uint8Array(8 + 1 + 32 + 32);
    for (const count of [[1], [0xff, 0xff, 0xff, 0xff, 0x0f], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]])
      expect(() => bytesToHeadStatement(concatBytes(head, Uint8Array.from(count), new Uint8Array(64)))).toThrow(
        expect.objectContaining({ code: 'FRAME_MALFORMED' }),
      );
  });
});
