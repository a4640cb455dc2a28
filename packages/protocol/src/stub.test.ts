import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contextOf, headerOf, replicaOf, room, sha256, signStub } from '../../../test/interop/fixture.js';
import { concatBytes } from './bytes.js';
import { bytesToDelta, type Delta, deltaMessage, makeUnsignedDelta } from './delta.js';
import { isMangroveError } from './errors.js';
import { defaultLimits } from './limits.js';
import { PART_BYTES, partOf } from './parts.js';
import { bytesToStub, deltaToStub, isPartOf, isStub, joinParts, toEntry } from './stub.js';

const { hash, roomId } = room;
const header = headerOf({
  replica: replicaOf(0),
  seq: 3,
  hlc: 9_000,
  context: contextOf([[replicaOf(1), 8]]),
  nonces: [1, 7],
});

function deltaOf(bodyBytes: number, fill = 1): Delta {
  const body = Uint8Array.from({ length: bodyBytes }, (_, i) => (i * fill + (i >>> 8) + (i >>> 16)) & 255);
  return signStub(makeUnsignedDelta(hash, roomId, header, body));
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    return isMangroveError(error) ? error.code : String(error);
  }
}

const partsOf = ({ body }: Delta): Uint8Array[] =>
  Array.from({ length: Math.ceil(body.length / PART_BYTES) }, (_, i) => partOf(body, i));

describe('parts and stubs', () => {
  test.each([0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 2 * PART_BYTES + 1])(
    '[DL2] a body of %i bytes is hashed part by part, with its length',
    (bodyBytes) => {
      const { id, body, bytes } = deltaOf(bodyBytes);
      const count = Math.max(1, Math.ceil(bodyBytes / PART_BYTES));
      const hashes = Array.from({ length: count }, (_, i) => sha256(body.slice(i * PART_BYTES, (i + 1) * PART_BYTES)));
      const headerBytes = bytes.slice(0, bytes.length - 64 - bodyBytes - (bodyBytes < 128 ? 1 : 3));
      const length = bytes.slice(headerBytes.length, bytes.length - 64 - bodyBytes);
      const domain = new TextEncoder().encode('mangrove:delta:1');
      const expected = sha256(concatBytes(domain, Buffer.from(roomId, 'hex'), headerBytes, length, ...hashes));
      expect(id).toBe(Buffer.from(expected).toString('hex'));
    },
  );

  test('[DL2] a body that spells the hashes of another one is another delta', () => {
    const large = deltaOf(3 * PART_BYTES);
    const spelled = concatBytes(...partsOf(large).map((part) => sha256(part)));
    expect(signStub(makeUnsignedDelta(hash, roomId, header, spelled)).id).not.toBe(large.id);
  });

  test('[DL10] a stub says all of a delta but its body, under the same id and signature', () => {
    const delta = deltaOf(2 * PART_BYTES + 5);
    const stub = bytesToStub(hash, roomId, deltaToStub(hash, roomId, delta));
    const { body: _, bytes: __, ...rest } = delta;
    expect(stub).toMatchObject(rest);
    expect(deltaMessage(stub.id)).toEqual(deltaMessage(delta.id));
    expect(stub.bodyBytes).toBe(delta.body.length);
    expect(joinParts(stub, partsOf(delta))).toEqual(delta.bytes);
    expect(bytesToDelta(hash, roomId, joinParts(stub, partsOf(delta)))).toEqual(delta);
  });

  test('[DL10] a delta of one part is sent whole, a larger one as its stub, which fits a frame', () => {
    for (const bodyBytes of [0, 10, PART_BYTES - 200, PART_BYTES]) {
      const { bytes } = deltaOf(bodyBytes);
      expect(toEntry(hash, roomId, bytes)).toBe(bytes);
      expect(isStub(bytes)).toBe(false);
    }
    const one = deltaOf(PART_BYTES + 1);
    // A view into something larger, as a row may be.
    const view = concatBytes(Uint8Array.of(9), one.bytes).subarray(1);
    expect(toEntry(hash, roomId, view)).toEqual(deltaToStub(hash, roomId, one));
    const largest = toEntry(hash, roomId, deltaOf(defaultLimits.bodyBytesMax).bytes);
    expect(isStub(largest)).toBe(true);
    expect(largest.length).toBeLessThan(8_192);
    expect(codeOf(() => bytesToDelta(hash, roomId, largest))).toBe('DELTA_MALFORMED');
  });

  test('[DL10] each part is verified by its place, length and bytes', () => {
    const delta = deltaOf(2 * PART_BYTES + 5);
    const stub = bytesToStub(hash, roomId, deltaToStub(hash, roomId, delta));
    const parts = partsOf(delta);
    for (const [i, part] of parts.entries()) {
      expect(isPartOf(hash, stub, i, part)).toBe(true);
      for (const at of [-1, 0, 1, 2, 3]) if (at !== i) expect(isPartOf(hash, stub, at, part)).toBe(false);
      const spoilt = part.slice();
      spoilt[0] = (spoilt[0] as number) ^ 1;
      for (const wrong of [spoilt, part.slice(1), concatBytes(part, part), new Uint8Array()])
        expect(isPartOf(hash, stub, i, wrong)).toBe(false);
    }
  });

  test('[DL3][DL10] any bytes give a stub of that very form or a typed error', () => {
    const sample = deltaToStub(hash, roomId, deltaOf(PART_BYTES + 1));
    const edits = fc.array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), { maxLength: 4 });
    const cut = fc.nat(sample.length);
    fc.assert(
      fc.property(edits, fc.option(cut), (edited, length) => {
        const bytes = sample.slice(0, length ?? sample.length);
        for (const [at, byte] of edited) if (at < bytes.length) bytes[at] = byte;
        const code = codeOf(() => bytesToStub(hash, roomId, bytes));
        expect(['none', 'DELTA_MALFORMED', 'WRONG_ROOM', 'BODY_TOO_LARGE']).toContain(code);
        if (code === 'none' && (length ?? sample.length) < sample.length) throw new Error('a cut stub was read');
      }),
      { numRuns: 3_000 },
    );
    expect(codeOf(() => bytesToStub(hash, roomId, concatBytes(sample, Uint8Array.of(0))))).toBe('DELTA_MALFORMED');
  });

  test('[DL10] a stub of a body of one part is refused: one content, one form', () => {
    const small = deltaToStub(hash, roomId, deltaOf(PART_BYTES));
    expect(codeOf(() => bytesToStub(hash, roomId, small))).toBe('DELTA_MALFORMED');
  });
});
