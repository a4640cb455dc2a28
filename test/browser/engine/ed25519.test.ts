import { bytesToHex, hexToBytes, isStrictSignature, utf8ToBytes } from '@mangrove/protocol';
import { ed25519 } from '@noble/curves/ed25519.js';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { generateKeys, webVerifier } from '../../../packages/client/src/worker/web-crypto.js';
import vectors from '../../interop/ed25519.json' with { type: 'json' };

/** As many as it takes to meet what one key in 128 has. */
const PAIRS = 600;

afterEach(() => {
  vi.restoreAllMocks();
});

test('[SG1] scenario 17: this engine judges every signature of the shared vectors as all others do', async () => {
  const judged = await Promise.all(
    vectors.map(async ({ name, publicKey, message, signature }) => {
      const [key, bytes] = [hexToBytes(publicKey), hexToBytes(signature)];
      const isValid = isStrictSignature(key, bytes) && (await webVerifier.verify(key, hexToBytes(message), bytes));
      return { name, isValid };
    }),
  );
  expect(judged).toEqual(vectors.map(({ name, isValid }) => ({ name, isValid })));
});

test('[SG1] a key that is no point is refused before the engine sees it: WebKitGTK 2.50 would end this very page', async () => {
  const importKey = vi.spyOn(crypto.subtle, 'importKey');
  let refused = 0;
  for (let n = 0; n < 64; n++) {
    const key = crypto.getRandomValues(new Uint8Array(32));
    expect(await webVerifier.verify(key, key, new Uint8Array(64).fill(1))).toBe(false);
    if (!importKey.mock.calls.some(([, given]) => given === key)) refused++;
  }
  // Every second number is no y of a point.
  expect(refused).toBeGreaterThan(8);
  expect(refused).toBeLessThan(56);
});

describe('[SG1] keys and signatures with a zero byte at an end, which some libraries take for shorter ones', () => {
  const seedOf = (n: number) => new Uint8Array(new BigUint64Array([BigInt(n), 0n, 0n, 0n]).buffer);

  test.each([0, 31])('of the public key, byte %d', async (at) => {
    const seed = search((n) => ed25519.getPublicKey(seedOf(n))[at] === 0, seedOf);
    const publicKey = ed25519.getPublicKey(seed);
    const message = utf8ToBytes('a delta');
    const signature = ed25519.sign(message, seed);
    expect(await webVerifier.verify(publicKey, message, signature), bytesToHex(publicKey)).toBe(true);
    signature[0] = (signature[0] as number) ^ 1;
    expect(await webVerifier.verify(publicKey, message, signature)).toBe(false);
  });

  test.each([0, 31, 32, 63])('of the signature, byte %d', async (at) => {
    const seed = seedOf(1);
    const publicKey = ed25519.getPublicKey(seed);
    const messageOf = (n: number) => utf8ToBytes(`delta ${n}`);
    const message = search((n) => ed25519.sign(messageOf(n), seed)[at] === 0, messageOf);
    const signature = ed25519.sign(message, seed);
    expect(await webVerifier.verify(publicKey, message, signature), bytesToHex(signature)).toBe(true);
  });
});

describe('a key of one’s own', () => {
  test(`${PAIRS} in a row are made, and each signs`, { timeout: 120_000 }, async () => {
    for (let i = 0; i < PAIRS; i++) {
      const { publicKey, privateKey } = await generateKeys();
      const raw = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
      const message = crypto.getRandomValues(new Uint8Array(32));
      const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, message));
      expect(signature).toHaveLength(64);
      expect(await webVerifier.verify(raw, message, signature), bytesToHex(raw)).toBe(true);
    }
  });

  test('a pair that the engine cannot make is made anew, as WebKitGTK asks of one in a hundred', async () => {
    const failure = new DOMException('The operation failed for an operation-specific reason', 'OperationError');
    const generate = vi
      .spyOn(crypto.subtle, 'generateKey')
      .mockRejectedValueOnce(failure)
      .mockRejectedValueOnce(failure);
    expect((await generateKeys()).privateKey.extractable).toBe(false);
    // Or once more, where the engine fails by itself as well.
    expect(generate.mock.calls.length).toBeGreaterThanOrEqual(3);
  });

  test('an engine that makes none says so, at once where trying again is of no use', async () => {
    const generate = vi.spyOn(crypto.subtle, 'generateKey');
    generate.mockRejectedValue(new DOMException('never', 'OperationError'));
    await expect(generateKeys()).rejects.toThrow('never');
    expect(generate.mock.calls.length).toBeLessThan(20);
    generate.mockClear().mockRejectedValue(new DOMException('no such algorithm', 'NotSupportedError'));
    await expect(generateKeys()).rejects.toThrow('no such algorithm');
    expect(generate).toHaveBeenCalledTimes(1);
  });
});

function search<Found>(isIt: (n: number) => boolean, make: (n: number) => Found): Found {
  for (let n = 1; ; n++) if (isIt(n)) return make(n);
}
