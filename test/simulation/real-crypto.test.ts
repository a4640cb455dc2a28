import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { bytesToHex, concatBytes, hexToBytes, isStrictSignature } from '@mangrove/protocol';
import { createWorld, mixedOptions, type WorldCrypto } from '@mangrove/protocol/simulation';
import { expect, test } from 'vitest';

const SEEDS = 50;
const SEEDS_PER_TEST = 10;
const STEPS = 700;
// Node takes raw keys in their DER wrapping only (RFC 8410).
const SPKI_PREFIX = hexToBytes('302a300506032b6570032100');
const PKCS8_PREFIX = hexToBytes('302e020100300506032b657004220420');

/** SHA-256 and Ed25519 of Node, under the strict rule [SG1]; keys come from the world's chance, so that its hash repeats. */
function nodeCrypto(): WorldCrypto & { readonly verified: { good: number; bad: number } } {
  const secrets = new Map<string, KeyObject>();
  const keys = new Map<string, KeyObject>();
  const verified = { good: 0, bad: 0 };
  return {
    verified,
    hash: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
    newKey(random) {
      const der = Buffer.from(concatBytes(PKCS8_PREFIX, random.bytes(32)));
      const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      const raw = createPublicKey(secret).export({ format: 'der', type: 'spki' });
      const publicKey = new Uint8Array(raw).slice(SPKI_PREFIX.length);
      secrets.set(bytesToHex(publicKey), secret);
      return publicKey;
    },
    sign: (publicKey, message) => new Uint8Array(sign(null, message, secrets.get(bytesToHex(publicKey)) as KeyObject)),
    verify(publicKey, message, signature) {
      const name = bytesToHex(publicKey);
      let key = keys.get(name);
      if (key === undefined) {
        const der = Buffer.from(concatBytes(SPKI_PREFIX, publicKey));
        keys.set(name, (key = createPublicKey({ key: der, format: 'der', type: 'spki' })));
      }
      const isGood = isStrictSignature(publicKey, signature) && verify(null, message, key, signature);
      verified[isGood ? 'good' : 'bad']++;
      return isGood;
    },
  };
}

const blocks = Array.from({ length: SEEDS / SEEDS_PER_TEST }, (_, i) => 1 + i * SEEDS_PER_TEST);

test.each(blocks)(`[SG1] worlds under SHA-256 and Ed25519 converge: ${SEEDS_PER_TEST} seeds from %i on`, (first) => {
  for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
    const crypto = nodeCrypto();
    const world = createWorld(mixedOptions(seed), crypto);
    world.run({ steps: STEPS });
    world.healAndDrain();
    expect(crypto.verified.good, `seed ${seed}`).toBeGreaterThan(0);
  }
});

test('the same seed gives the same world under real signatures too', () => {
  const [one, other] = [0, 0].map(() => {
    const world = createWorld(mixedOptions(5), nodeCrypto());
    world.run({ steps: STEPS });
    world.healAndDrain();
    return world.trace.hash;
  });
  expect(one).toBe(other);
});
