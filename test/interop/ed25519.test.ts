import { createPublicKey, verify, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, test } from 'vitest';
import { hexToBytes } from '../../packages/protocol/src/bytes.js';
import { isOnCurve, isStrictSignature } from '../../packages/protocol/src/signature.js';
import { type Ed25519Vector, isStrictlyValid, makeEd25519Vectors } from './ed25519.js';

const vectors = JSON.parse(readFileSync(new URL('./ed25519.json', import.meta.url), 'utf8')) as Ed25519Vector[];

/** The prefix that makes 32 bytes a public key in DER. */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

function verifyByNode(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' });
    return verify(null, message, key, signature);
  } catch {
    return false;
  }
}

async function verifyByWebCrypto(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    const key = await webcrypto.subtle.importKey('raw', publicKey, { name: 'Ed25519' }, false, ['verify']);
    return await webcrypto.subtle.verify({ name: 'Ed25519' }, key, signature, message);
  } catch {
    return false;
  }
}

/** A signature with which the pre-check has no quarrel. */
const ONE = new Uint8Array(64).fill(7, 0, 32);

const bytesOf = ({ publicKey, message, signature }: Ed25519Vector) =>
  [hexToBytes(publicKey), hexToBytes(message), hexToBytes(signature)] as const;

describe('ed25519', () => {
  test('[SG1] the vectors are those that their recipe makes', () => {
    expect(makeEd25519Vectors()).toEqual(vectors);
    expect(new Set(vectors.map(({ name }) => name)).size).toBe(vectors.length);
  });

  describe.each(vectors)('$name', (vector) => {
    const [publicKey, message, signature] = bytesOf(vector);

    test(`[SG1] the strict rule, by hand with noble's points: ${vector.isValid}`, () => {
      expect(isStrictlyValid(publicKey, message, signature)).toBe(vector.isValid);
    });

    test(`[SG1] scenario 17: pre-check and node:crypto: ${vector.isValid}`, () => {
      const isValid = isStrictSignature(publicKey, signature) && verifyByNode(publicKey, message, signature);
      expect(isValid).toBe(vector.isValid);
    });

    test(`[SG1] scenario 17: pre-check and WebCrypto: ${vector.isValid}`, async () => {
      const isValid =
        isStrictSignature(publicKey, signature) && (await verifyByWebCrypto(publicKey, message, signature));
      expect(isValid).toBe(vector.isValid);
    });
  });

  test('[SG1] scenario 17: the pre-check alone refuses S from the order on, and A and R that are not canonical or of small order', () => {
    for (const vector of vectors) {
      const [publicKey, , signature] = bytesOf(vector);
      const mustRefuse =
        /^(S \+|S = L$|S with|A of small order|A is y|A is all|R is the neutral|R of small order)/.test(vector.name);
      expect(isStrictSignature(publicKey, signature), vector.name).toBe(!mustRefuse);
    }
  });

  test('[SG1] the pre-check is no verification: it passes a valid signature over anything', () => {
    const [publicKey, , signature] = bytesOf(vectors[0] as Ed25519Vector);
    expect(isStrictSignature(publicKey, signature)).toBe(true);
    expect(isStrictSignature(publicKey, new Uint8Array(64).fill(3))).toBe(true);
    expect(isStrictSignature(publicKey, new Uint8Array(64))).toBe(false);
  });

  test('[SG1] other lengths are refused', () => {
    const [publicKey, , signature] = bytesOf(vectors[0] as Ed25519Vector);
    for (const length of [0, 31, 33]) expect(isStrictSignature(new Uint8Array(length).fill(3), signature)).toBe(false);
    for (const length of [0, 63, 65]) expect(isStrictSignature(publicKey, new Uint8Array(length))).toBe(false);
  });

  test('[SG1] a cofactored check splits clients on R of mixed order, which is why none is used', () => {
    const mixed = vectors.filter(({ name }) => name.startsWith('R of mixed order'));
    expect(mixed.length).toBeGreaterThan(0);
    for (const vector of mixed) {
      const [publicKey, message, signature] = bytesOf(vector);
      expect([vector.isValid, ed25519.verify(signature, message, publicKey)]).toEqual([false, true]);
    }
  });

  test('[SG1] all fourteen encodings of small order are refused as keys', () => {
    const keys = new Set(vectors.filter(({ name }) => name.startsWith('A of small order')).map((v) => v.publicKey));
    expect(keys.size).toBe(14);
    for (const key of keys) expect(isStrictSignature(hexToBytes(key), new Uint8Array(64).fill(3)), key).toBe(false);
  });

  test('[SG1] what is on the curve, as noble sees it: of the vectors, of keys, and of any numbers', () => {
    const isPoint = (encoding: Uint8Array): boolean => {
      try {
        return ed25519.Point.fromBytes(encoding, true) !== undefined;
      } catch {
        return false;
      }
    };
    const numbers = Array.from({ length: 200 }, (_, n) => ed25519.utils.randomSecretKey().fill(n % 128, 31));
    const keys = numbers.slice(0, 50).map((seed) => ed25519.getPublicKey(seed));
    const ofVectors = vectors
      .map(({ publicKey }) => hexToBytes(publicKey))
      .filter((key) => isStrictSignature(key, ONE));
    for (const encoding of [...numbers, ...keys, ...ofVectors])
      expect(isOnCurve(encoding), Buffer.from(encoding).toString('hex')).toBe(isPoint(encoding));
    expect(keys.every(isOnCurve)).toBe(true);
    expect(numbers.every(isOnCurve)).toBe(false);
  });
});
