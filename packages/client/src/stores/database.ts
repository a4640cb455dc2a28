import type { MangroveError, RoomId, Store } from '@mangrove/protocol';

/** A replica's key in one room. */
export interface StoredIdentity {
  /** The raw 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Not extractable: the platform's key store signs with it and never gives it out. */
  readonly privateKey: CryptoKey;
}

export interface DatabaseHooks {
  /**
   * The database cannot be used any more: another tab upgrades or deletes it, its site data were cleared, or its connection
   * was lost and could not be opened again. Called at most once, and never because of `close` or `deleteAll`. From then on
   * everything rejects with the same reason.
   */
  onClosed(reason: MangroveError): void;
}

/**
 * All rooms of one client on one device. Every implementor owes:
 * - rooms apart: a plan of one room never sees or touches a row of another;
 * - one truth a room: all stores of a room, in this tab or another, are the same rows;
 * - an identity that was written is on disk when the promise resolves.
 */
export interface Database {
  /** False: the rows live as long as this process, and a user should be told so. */
  readonly isPersistent: boolean;
  /** The platform says that it has thrown away what was there, as it could not be read, and that this one is empty. */
  readonly wasDiscarded: boolean;
  /** A handle of its own with every call; closing it closes neither the database nor the room's other handles. */
  room(roomId: RoomId): Store;
  readIdentity(roomId: RoomId): Promise<StoredIdentity | undefined>;
  /** Replaces an earlier identity of the room. */
  writeIdentity(roomId: RoomId, identity: StoredIdentity): Promise<void>;
  /** Closes the database and deletes it with all rooms and identities. */
  deleteAll(): Promise<void>;
  /** Idempotent. What is under way finishes first; later calls reject with `CLOSED`. */
  close(): Promise<void>;
}
