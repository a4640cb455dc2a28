import {
  deriveClientId,
  deriveKeyId,
  type KeyId,
  type KeyName,
  readWholeDocument,
  readJournalOf,
  type ReplicaId,
  type RoomRef,
  type Steps,
  type Store,
  type Transaction,
} from '@mangrove/protocol';
import { updatesToOpen, updatesToState } from '../documents/merge.js';

/** What a page needs to show a document and to edit it. */
export interface OpenedDocument {
  readonly keyId: KeyId;
  /** The whole state, as few Yjs updates that are to be applied together; none where nothing was written. */
  readonly updates: readonly Uint8Array[];
  /** The nonce of this opening, and the clientID that it allows [ID5]. */
  readonly nonce: number;
  readonly clientId: number;
}

export const documentName = (id: string): KeyName => ({ kind: 'document', collection: '', id });

/** Siblings and journal, merged. A fresh nonce for every opening, as Yjs must never meet its own clientID. */
export async function openDocument(
  read: (keyId: KeyId) => Promise<readonly Uint8Array[]>,
  room: RoomRef,
  replica: ReplicaId,
  id: string,
  nonce: number,
): Promise<OpenedDocument> {
  const keyId = keyIdOf(room, id);
  return {
    keyId,
    updates: updatesToOpen(await read(keyId)),
    nonce,
    clientId: deriveClientId(room.hash, room.roomId, replica, nonce),
  };
}

/** Everything that was written in it and not merged away. */
export function readDocumentUpdates(store: Store, room: RoomRef, id: string): Promise<readonly Uint8Array[]> {
  return store.transact((tx) => readUpdates(tx, room, keyIdOf(room, id)), { mode: 'read' });
}

/** The whole state as one update. */
export async function readDocument(store: Store, room: RoomRef, id: string): Promise<Uint8Array> {
  return updatesToState(await readDocumentUpdates(store, room, id));
}

function keyIdOf(room: RoomRef, id: string): KeyId {
  return deriveKeyId(room.hash, room.roomId, documentName(id));
}

/** What is quarantined is no part of what is shown; one bad delta does not keep the others from opening. */
export function* readUpdates(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<Uint8Array[]> {
  const updates = yield* readWholeDocument(tx, room, keyId);
  const rows = yield* readJournalOf(tx, keyId);
  return [...updates, ...rows.map((row) => row.payload)];
}
