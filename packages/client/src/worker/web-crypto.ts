import {
  deriveReplicaId,
  isOnCurve,
  MangroveError,
  type ReplicaId,
  type RoomId,
  type Signer,
  type Verifier,
} from '@mangrove/protocol';
import { sha256 } from '@noble/hashes/sha2.js';
import type { OpenedIdentity } from '../environment.js';
import type { Database, StoredIdentity } from '../stores/database.js';
import { isDenied } from '../tabs/leadership.js';

const ED25519 = { name: 'Ed25519' };
/** One chance in a hundred, so many times in a row, is none. */
const PAIRS_MAX = 8;

export const webVerifier: Verifier = {
  verify: async (publicKey, message, signature) => {
    try {
      const key = await importPublicKey(publicKey);
      if (key === undefined) return false;
      return await subtle().verify(ED25519, key, toBuffer(signature), toBuffer(message));
    } catch {
      // Some platforms throw on a key that is no point, others answer false; both mean no.
      return false;
    }
  },
};

/** This profile's key in a room, made on first use. The private half cannot be exported, also not by us. */
export async function openWebIdentity(database: Database, roomId: RoomId, spent?: ReplicaId): Promise<OpenedIdentity> {
  const idOf = (identity: StoredIdentity): ReplicaId => deriveReplicaId(sha256, roomId, identity.publicKey);
  const isUsable = (identity: StoredIdentity | undefined): identity is StoredIdentity =>
    identity !== undefined && idOf(identity) !== spent;
  const existing = await database.readIdentity(roomId);
  let isNew = false;
  const made = (): void => {
    isNew = existing === undefined;
  };
  const stored = isUsable(existing) ? existing : await createIdentity(database, roomId, isUsable, made);
  const signer: Signer = {
    publicKey: stored.publicKey,
    sign: async (message) => new Uint8Array(await subtle().sign(ED25519, stored.privateKey, toBuffer(message))),
  };
  return { replica: idOf(stored), signer, isNew };
}

/** Under a lock, as two tabs that open a new room at once must become one replica. */
function createIdentity(
  database: Database,
  roomId: RoomId,
  isUsable: (identity: StoredIdentity | undefined) => identity is StoredIdentity,
  made: () => void,
): Promise<StoredIdentity> {
  const create = async (): Promise<StoredIdentity> => {
    const existing = await database.readIdentity(roomId);
    if (isUsable(existing)) return existing;
    const pair = await generateKeys();
    const publicKey = new Uint8Array(await subtle().exportKey('raw', pair.publicKey));
    const identity: StoredIdentity = { publicKey, privateKey: pair.privateKey };
    await database.writeIdentity(roomId, identity);
    made();
    return identity;
  };
  return navigator.locks.request(`mangrove-identity:${roomId}`, create).catch((error: unknown) => {
    if (isDenied(error)) return create();
    throw error;
  });
}

/**
 * WebKitGTK 2.50 refuses one pair in a hundred of its own making with an OperationError, as it drops zero bytes at the end of a key
 * and then finds it too short. The next pair is another.
 */
export async function generateKeys(): Promise<CryptoKeyPair> {
  for (let pairs = 1; ; pairs++) {
    try {
      return (await subtle().generateKey(ED25519, false, ['sign', 'verify'])) as CryptoKeyPair;
    } catch (error) {
      const isOfThisPair = error instanceof DOMException && error.name === 'OperationError';
      if (!isOfThisPair || pairs === PAIRS_MAX) throw error;
    }
  }
}

const importedKeys = new Map<string, Promise<CryptoKey> | undefined>();

/**
 * Imported once: verifying a batch of one writer would import it a hundred times. Undefined for what is no point, which the
 * platform does not get to see: WebKitGTK ends the page's process over one, and anybody can send one [SG1].
 */
function importPublicKey(publicKey: Uint8Array): Promise<CryptoKey> | undefined {
  const name = publicKey.join();
  if (!importedKeys.has(name)) {
    const isPoint = publicKey.length === 32 && isOnCurve(publicKey);
    const key = isPoint ? subtle().importKey('raw', toBuffer(publicKey), ED25519, false, ['verify']) : undefined;
    importedKeys.set(name, key);
  }
  return importedKeys.get(name);
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
