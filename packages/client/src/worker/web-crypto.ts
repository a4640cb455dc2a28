import {
  deriveReplicaId,
  MangroveError,
  type ReplicaId,
  type RoomId,
  type Signer,
  type Verifier,
} from '@mangrove/protocol';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Identity } from '../environment.js';
import type { Database, StoredIdentity } from '../stores/database.js';

const ED25519 = { name: 'Ed25519' };

export const webVerifier: Verifier = {
  verify: async (publicKey, message, signature) => {
    try {
      const key = await importPublicKey(publicKey);
      return await subtle().verify(ED25519, key, toBuffer(signature), toBuffer(message));
    } catch {
      // Some platforms throw on a key that is no point, others answer false; both mean no.
      return false;
    }
  },
};

/** This profile's key in a room, made on first use. The private half cannot be exported, also not by us. */
export async function openWebIdentity(database: Database, roomId: RoomId, spent?: ReplicaId): Promise<Identity> {
  const idOf = (identity: StoredIdentity): ReplicaId => deriveReplicaId(sha256, roomId, identity.publicKey);
  const isUsable = (identity: StoredIdentity | undefined): identity is StoredIdentity =>
    identity !== undefined && idOf(identity) !== spent;
  const existing = await database.readIdentity(roomId);
  const stored = isUsable(existing) ? existing : await createIdentity(database, roomId, isUsable);
  const signer: Signer = {
    publicKey: stored.publicKey,
    sign: async (message) => new Uint8Array(await subtle().sign(ED25519, stored.privateKey, toBuffer(message))),
  };
  return { replica: idOf(stored), signer };
}

/** Under a lock, as two tabs that open a new room at once must become one replica. */
function createIdentity(
  database: Database,
  roomId: RoomId,
  isUsable: (identity: StoredIdentity | undefined) => identity is StoredIdentity,
): Promise<StoredIdentity> {
  return navigator.locks.request(`mangrove-identity:${roomId}`, async () => {
    const existing = await database.readIdentity(roomId);
    if (isUsable(existing)) return existing;
    const pair = (await subtle().generateKey(ED25519, false, ['sign', 'verify'])) as CryptoKeyPair;
    const publicKey = new Uint8Array(await subtle().exportKey('raw', pair.publicKey));
    const identity: StoredIdentity = { publicKey, privateKey: pair.privateKey };
    await database.writeIdentity(roomId, identity);
    return identity;
  });
}

const importedKeys = new Map<string, Promise<CryptoKey>>();

/** Imported once: verifying a batch of one writer would import it a hundred times. */
function importPublicKey(publicKey: Uint8Array): Promise<CryptoKey> {
  const name = publicKey.join();
  let key = importedKeys.get(name);
  if (key === undefined) {
    key = subtle().importKey('raw', toBuffer(publicKey), ED25519, false, ['verify']);
    importedKeys.set(name, key);
  }
  return key;
}

function subtle(): SubtleCrypto {
  if (globalThis.crypto?.subtle === undefined) {
    throw new MangroveError('NOT_SUPPORTED', { feature: 'A page without a secure context (https or localhost)' });
  }
  return crypto.subtle;
}

/** WebCrypto's types want bytes that are not shared with other threads; ours never are. */
function toBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
