import type { BuiltInResolver, ErrorFacts, KeyName, RelayChoice, RoomConfig } from '@mangrove/protocol';
import type { OperationRange } from '../documents/deletions.js';
import type {
  EntriesOptions,
  Entry,
  WorkerMetrics,
  QuarantineEntry,
  RecordChange,
  RestoreResult,
  RoomStatus,
  Rung,
  TrashEntry,
  Value,
  Version,
} from '../types.js';
import type { OpenedDocument } from './documents.js';

/** What the page asks of the worker. All arguments and results can be cloned; errors cross as facts. */
export interface EngineApi {
  openRoom(options: RoomOptions, listener: RoomListener): Promise<RoomStatus>;
  closeRoom(room: string): Promise<void>;
  pause(room: string, paused: boolean): Promise<void>;
  /** Answered as soon as the worker has time. */
  vitals(room: string): Promise<Vitals>;

  openDocument(room: string, document: string): Promise<OpenedDocument>;
  closeDocument(room: string, document: string): Promise<void>;
  /** Resolves when the updates are on disk, or applied where the disk is full. `imported`: vouched for by this replica, not made under the granted clientID. */
  edit(room: string, document: string, edit: DocumentEdit): Promise<EditResult>;
  presence(room: string, document: string, state: Uint8Array): Promise<void>;

  /** `value` in canonical encoding; undefined deletes. */
  put(room: string, collection: string, id: string, value: Uint8Array | undefined): Promise<WriteResult>;
  get(room: string, collection: string, id: string, resolver: BuiltInResolver): Promise<Entry<Value> | undefined>;
  /** A text that `textToEntries` reads. */
  entries(room: string, collection: string, resolver: BuiltInResolver, options: EntriesOptions): Promise<string>;
  /** From now on the listener hears of this collection's changes, read with this resolver. */
  watch(room: string, collection: string, resolver: BuiltInResolver): Promise<void>;

  /** A page of the trash, the oldest first, behind the entry of this id. */
  trash(room: string, limit: number, after: string | undefined): Promise<readonly TrashEntry[]>;
  /** Writes what the entry holds anew, and takes it out of the trash. */
  recover(room: string, entry: string): Promise<WriteResult>;
  /** Takes these out of the trash, or everything. */
  emptyTrash(room: string, entries: readonly string[] | undefined): Promise<void>;

  /** A page of what is set aside, behind the entry of this id. */
  quarantine(room: string, limit: number, after: string | undefined): Promise<readonly QuarantineEntry[]>;
  exportQuarantined(room: string, entry: string): Promise<Uint8Array | undefined>;

  /** Resolves when the room is in sync with all that was written before this call. Rejects when it is cancelled under its name. */
  synced(room: string, name: number): Promise<void>;
  /** Rejects when the wait is cancelled under its name. */
  reached(room: string, wait: ReachedWait): Promise<void>;
  cancel(room: string, name: number): Promise<void>;

  /** A page of earlier states, newest first. */
  versions(room: string, key: VersionKey, page: VersionsPage): Promise<readonly Version[]>;
  saveVersion(room: string, key: VersionKey, name: string): Promise<Version>;
  nameVersion(room: string, key: VersionKey, id: string, name: string): Promise<Version>;
  /** A document's state as an update; a record's value in canonical encoding, or nothing where it was deleted. */
  readVersion(room: string, key: VersionKey, id: string): Promise<Uint8Array>;
  /** Saves how the key reads now before it is changed by restoring. */
  keepVersion(room: string, key: VersionKey): Promise<void>;
  deleteVersion(room: string, key: VersionKey, id: string): Promise<WriteResult>;

  /** Begins a backup; resolves to the number that it is read by. `since`: a mark. */
  backup(room: string, since: string | undefined): Promise<number>;
  /** The next bytes, as soon as they are asked for; undefined when there are none any more. */
  readBackup(stream: number): Promise<BackupPiece | undefined>;
  /** Begins to restore; resolves to the number that it is written by. */
  restore(): Promise<number>;
  /** Resolves when what these bytes complete is restored. Rejects once, and then for good. */
  writeRestore(stream: number, bytes: Uint8Array): Promise<void>;
  endRestore(stream: number): Promise<RestoreResult>;
  /** Neither is gone on with. */
  dropStream(stream: number): Promise<void>;

  /** Closes everything; with `deleteData` the database is gone afterwards. */
  shutDown(deleteData: boolean): Promise<void>;
}

/** In any order: each room has its own [FD1]. */
export type Relays = readonly RelayChoice[];

export interface RoomOptions {
  readonly room: string;
  readonly relays: Relays;
  readonly history: RoomConfig['history'];
  /** What the page remembers of the room, where it does. */
  readonly mark?: { readonly writes: number; readonly atMs: number } | undefined;
}

/** What a page cannot know without asking. */
export interface Vitals {
  /** How long the tab that owns the replica has not answered; 0 where it is this one. */
  readonly ownerSilentMs: number;
  /** What others send is to be tried, and cannot be; where this tab owns the replica. */
  readonly isUnguarded: boolean;
}

/** `after`: the id of the last one of the page before. */
export interface VersionsPage {
  readonly limit: number;
  readonly after: string | undefined;
}

/** What a version is of. `resolver`: how a record is read. */
export interface VersionKey extends KeyName {
  readonly resolver: BuiltInResolver;
}

export interface BackupPiece {
  readonly bytes: Uint8Array;
  /** With the last piece: where the next backup may begin. */
  readonly mark: string | undefined;
}

export interface DocumentEdit {
  readonly updates: readonly Uint8Array[];
  readonly nonce: number;
  /** The clientID that was granted with the nonce. */
  readonly clientId: number;
  readonly imported: boolean;
  /** Whether the page shows it already: what is too large in it is left out then, and otherwise all of it is refused. */
  readonly isShown: boolean;
}

export interface WriteResult {
  /** The journal rows, by which a receipt asks how far the write has come. */
  readonly rows: readonly number[];
  readonly version: string;
  readonly rung: 'applied' | 'disk';
}

export interface EditResult extends WriteResult {
  readonly leftOut?: LeftOut;
}

/** What is too large for any delta, and everybody has as deleted but for the page that made it. */
export interface LeftOut {
  readonly ranges: readonly OperationRange[];
  /** The values that these have replaced, as an update that brings them back. */
  readonly replaced: Uint8Array | undefined;
  readonly error: ErrorFacts;
}

export interface ReachedWait {
  readonly name: number;
  readonly rows: readonly number[] | 'all';
  readonly rung: Rung;
  readonly count: number;
}

/** What the worker tells the page. */
export interface RoomListener {
  /** `isAnswered`: the engine answers a call at once, and the two may travel together. */
  status(status: RoomStatus, metrics: WorkerMetrics, isAnswered: boolean): void;
  /** Updates made elsewhere, in the order in which they were committed. */
  updates(document: string, updates: readonly Uint8Array[]): void;
  changes(collection: string, changes: readonly RecordChange<Value>[]): void;
  /** Presence of one tab of a peer; undefined when it is over. */
  peerPresence(document: string, peer: string, state: Uint8Array | undefined): void;
  /** A replica or one tab is gone; `all`: the connection is, and with it everybody but the tabs of this profile. */
  peersGone(peer: string): void;
  /** Somebody came: tell our presence again. */
  presenceWanted(): void;
  /**
   * The room was opened anew under another identity: documents need new clientIDs, collections are to be watched again. `hasMoved`: in
   * another database, as the former has failed.
   */
  reopened(hasMoved: boolean): void;
  token(): Promise<string | undefined>;
}
