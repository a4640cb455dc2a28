import { createHash, type webcrypto } from 'node:crypto';
import { bytesToHex, concatBytes, type Hash, STORE_ID_BYTES, type Verifier } from '@mangrove/protocol';
import type { Random, RelayIdentity } from '../ports.js';
import type { Environment } from '../storage/environment.js';

const ED25519 = { name: 'Ed25519' };
const IDENTITY = 'identity';
const KEY_BYTES = 32;
const KEYS_MAX = 4_096;

/** SHA-256 that answers at once, which WebCrypto does not; of a hundred bytes it is as fast as one in JavaScript, of more several times as fast. */
export const workersHash: Hash = (bytes) => plain(createHash('sha256').update(bytes).digest());

export const workersRandom: Random = { bytes: (count) => crypto.getRandomValues(new Uint8Array(count)) };

export function createVerifier(): Verifier {
  const keys = new Map<string, Promise<webcrypto.CryptoKey>>();
  const keyOf = (publicKey: Uint8Array): Promise<webcrypto.CryptoKey> => {
    const name = bytesToHex(publicKey);
    let key = keys.get(name);
    if (key === undefined) {
      if (keys.size >= KEYS_MAX) keys.clear();
      key = crypto.subtle.importKey('raw', toBuffer(publicKey), ED25519, false, ['verify']);
      keys.set(name, key);
    }
    return key;
  };
  return {
    async verify(publicKey, message, signature) {
      try {
        return await crypto.subtle.verify(ED25519, await keyOf(publicKey), toBuffer(signature), toBuffer(message));
      } catch {
        // A key that is no point of the curve: nothing verifies under it.
        return false;
      }
    },
  };
}

export interface ObjectIdentity extends RelayIdentity {
  /** Whether it was on disk already. */
  readonly isKept: boolean;
  keep(): Promise<void>;
}

/** The key and the store id of one object. A new one is kept when its room begins, as anybody can make up the name of a room. */
export async function openIdentity(environment: Environment): Promise<ObjectIdentity> {
  const kept = await environment.getMeta(IDENTITY);
  const row = kept ?? (await makeIdentity());
  const publicEnd = STORE_ID_BYTES + KEY_BYTES;
  const key = await crypto.subtle.importKey('pkcs8', toBuffer(row.slice(publicEnd)), ED25519, false, ['sign']);
  return {
    storeId: row.slice(0, STORE_ID_BYTES),
    relayKey: row.slice(STORE_ID_BYTES, publicEnd),
    sign: async (message) => new Uint8Array(await crypto.subtle.sign(ED25519, key, toBuffer(message))),
    isKept: kept !== undefined,
    keep: () => environment.putMeta(IDENTITY, row),
  };
}

/** `storeId • public key 32 • private key (PKCS #8)` */
async function makeIdentity(): Promise<Uint8Array> {
  const pair = (await crypto.subtle.generateKey(ED25519, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  const privateKey = new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
  return concatBytes(workersRandom.bytes(STORE_ID_BYTES), publicKey, privateKey);
}

function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** WebCrypto's types want bytes that are not shared with other threads; ours never are. */
function toBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
