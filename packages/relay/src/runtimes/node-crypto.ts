import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { bytesToHex, concatBytes, type Hash, hexToBytes, STORE_ID_BYTES, type Verifier } from '@mangrove/protocol';
import type { Random, RelayIdentity } from '../ports.js';
import type { Environment } from '../storage/environment.js';

// Node takes Ed25519 keys in their DER wrapping only; before a raw key it is always these bytes (RFC 8410).
const SPKI_PREFIX = hexToBytes('302a300506032b6570032100');
const PKCS8_PREFIX = hexToBytes('302e020100300506032b657004220420');
const IDENTITY = 'identity';
const SEED_BYTES = 32;
const KEYS_MAX = 4_096;

export const nodeHash: Hash = typeof hash === 'function' ? hashAtOnce : hashByObject;

/** Twice as fast as an object for short input; not in every Node that we run on. */
function hashAtOnce(bytes: Uint8Array): Uint8Array {
  return plain(hash('sha256', bytes, 'buffer'));
}

function hashByObject(bytes: Uint8Array): Uint8Array {
  return plain(createHash('sha256').update(bytes).digest());
}

export const nodeRandom: Random = { bytes: (count) => plain(randomBytes(count)) };

/** Verifies in Node's thread pool; key objects are kept, as making one costs a fifth of a verification. */
export function createVerifier(): Verifier {
  const keys = new Map<string, KeyObject>();
  const keyOf = (publicKey: Uint8Array): KeyObject => {
    const name = bytesToHex(publicKey);
    let key = keys.get(name);
    if (key === undefined) {
      if (keys.size >= KEYS_MAX) keys.clear();
      key = createPublicKey({ key: Buffer.from(concatBytes(SPKI_PREFIX, publicKey)), format: 'der', type: 'spki' });
      keys.set(name, key);
    }
    return key;
  };
  return {
    verify(publicKey, message, signature) {
      return new Promise((resolve) => {
        try {
          // An error is a key that is no point of the curve: nothing verifies under it.
          verify(null, message, keyOf(publicKey), signature, (error, isValid) => resolve(error === null && isValid));
        } catch {
          resolve(false);
        }
      });
    },
  };
}

/** The relay's key and store id, made when the disk is new and kept with the rooms, so that they share its fate. */
export async function openIdentity(environment: Environment): Promise<RelayIdentity> {
  let row = await environment.getMeta(IDENTITY);
  if (row === undefined) {
    row = makeIdentity();
    await environment.putMeta(IDENTITY, row);
  }
  return identityOf(row);
}

/** A store id and the seed of a key. */
export function makeIdentity(): Uint8Array {
  return concatBytes(nodeRandom.bytes(STORE_ID_BYTES), generateSeed());
}

/** Of what {@link makeIdentity} made. */
export function identityOf(row: Uint8Array): RelayIdentity {
  const seed = row.subarray(STORE_ID_BYTES);
  const key = createPrivateKey({
    key: Buffer.from(concatBytes(PKCS8_PREFIX, seed)),
    format: 'der',
    type: 'pkcs8',
  });
  return {
    storeId: row.slice(0, STORE_ID_BYTES),
    relayKey: plain(createPublicKey(key).export({ format: 'der', type: 'spki' })).slice(SPKI_PREFIX.length),
    sign: (message) =>
      new Promise((resolve, reject) => {
        sign(null, message, key, (error, signature) => (error === null ? resolve(plain(signature)) : reject(error)));
      }),
  };
}

function generateSeed(): Uint8Array {
  const { privateKey } = generateKeyPairSync('ed25519');
  return plain(privateKey.export({ format: 'der', type: 'pkcs8' })).slice(-SEED_BYTES);
}

/** A Buffer's `slice` shares memory where a Uint8Array's copies, so none gets past this file. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
