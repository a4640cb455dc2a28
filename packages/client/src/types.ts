import type { Value } from '@mangrove/protocol';

/** How far a write has come; higher rungs imply lower ones. */
export type Rung = 'applied' | 'disk' | 'relay' | 'replicas' | 'all';

/** An immutable snapshot of how a room stands. Times are in ms since 1970, by this device's clock. */
export interface RoomStatus {
  /** `none`: no relay given. `refused`: the relay will not have us until the application changes something. */
  readonly connection: 'none' | 'connecting' | 'connected' | 'offline' | 'paused' | 'refused';
  /** `local`: no relay, or never synced. `in-sync`: roots were equal after an exchange and nothing is pending. */
  readonly sync: 'local' | 'syncing' | 'in-sync' | 'behind';
  /** What has not reached rung `relay`. */
  readonly pending: { readonly writes: number; readonly bytes: number; readonly oldestAgeMs: number | null };
  readonly progress?: {
    readonly deltas: number;
    readonly deltasTotal: number;
    readonly bytes: number;
    readonly bytesTotal: number;
  };
  readonly staleness: {
    readonly lastSyncedAtMs: number | null;
    readonly lagVersions: number;
    readonly exceeded: boolean;
  };
  readonly storage: 'opening' | 'indexeddb' | 'memory' | 'full' | 'lost';
  /** What was set aside, as it was forged or cannot be used: it is kept and changes nothing. `room.quarantine` lists it. */
  readonly quarantined: number;
  /** Checkpoints of documents that came without what they were made of: their content is the word of the replica that signed them. */
  readonly vouched: number;
  /** The Merkle root of what this replica holds, 64 lowercase hex digits. */
  readonly root: string;
  /** The latest fault, by its stable code. */
  readonly lastError: {
    readonly code: string;
    readonly message: string;
    readonly remedy: string;
    readonly retryable: boolean;
    readonly atMs: number;
  } | null;
}

/** How a room is, as far as this page can tell at the moment. */
export interface Health {
  /** 1: nothing keeps the room from being safe and the same everywhere. 0: nothing is known of it, or nothing goes on. */
  readonly score: number;
  /** What speaks against 1, the gravest first; the guide has a table. */
  readonly reasons: readonly HealthReason[];
}

export type HealthReason =
  | 'closed'
  | 'opening'
  | 'worker-silent'
  | 'owner-silent'
  | 'storage-lost'
  | 'writes-lost'
  | 'storage-full'
  | 'storage-memory'
  | 'storage-damaged'
  | 'refused'
  | 'clock-ahead'
  | 'not-taken'
  | 'sync-stalled'
  | 'offline'
  | 'paused'
  | 'unsent'
  | 'evictable'
  | 'behind'
  | 'no-relay'
  | 'unguarded'
  | 'quarantined';

/** What a room has counted, and what its page knows of the device. It grows by further groups; no name changes its meaning. */
export interface Metrics extends WorkerMetrics {
  readonly storage: StorageMetrics;
}

export interface StorageMetrics {
  /** `main`: the site's own IndexedDB. `bucket`: a database apart, as the browser cannot open that one. */
  readonly place: 'main' | 'bucket' | 'memory';
  /** Writes of this device that are gone for good, as far as is known: they were on a storage that was lost, and at no relay. */
  readonly lostWrites: number;
  /** False: the browser may delete what the site has stored when the disk runs full. Null: it does not say. */
  readonly persisted: boolean | null;
}

/** Counted since the room was opened, in the tab that owns the replica: the others are told. */
export interface WorkerMetrics {
  /** What was wrong in the own store, or at the relay, and was put right. */
  readonly repairs: RepairMetrics;
  readonly storage: Pick<StorageMetrics, 'place' | 'lostWrites'>;
}

export interface RepairMetrics {
  /** Rows of the own store that were looked at. */
  readonly rowsScrubbed: number;
  /** Deltas that the own store had lost, as far as its index still told. */
  readonly holesFound: number;
  /** Rows that could not be read, or were not what their key says, and were dropped. */
  readonly rowsUnreadable: number;
  /** Rows of indexes that said something wrong and were written anew. */
  readonly rowsMended: number;
  /** Comparisons of Merkle trees, as roots differed. */
  readonly passes: number;
  /** Deltas that came by such a comparison, and that the relay was sent. */
  readonly deltasFetched: number;
  readonly deltasSent: number;
  /** How often the relay was asked for its root though nothing had happened. */
  readonly probes: number;
}

/** One of the concurrent values of a record. */
export interface Sibling<T> {
  /** Undefined for a delete. */
  readonly value: T | undefined;
  /** 16 hex digits. */
  readonly replica: string;
  readonly writtenAtMs: number;
  readonly version: string;
}

/** A record as it reads. */
export interface Entry<T> {
  readonly value: T;
  /** At least one, newest first by (writtenAt, replica). */
  readonly siblings: readonly Sibling<T>[];
  /** Opaque; covers all siblings. */
  readonly version: string;
}

export type ChangeOrigin = 'local' | 'tab' | 'remote';

export interface RecordChange<T> {
  readonly id: string;
  readonly entry: Entry<T> | undefined;
  readonly origin: ChangeOrigin;
}

/** By UTF-8 bytes of the id; `from` is included, `to` is not. */
export interface EntriesOptions {
  readonly prefix?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
}

/**
 * Something that the room collected, or had collected before it came, and that this device still has. It is deleted `limits.trashMs` (30
 * days) after `trashedAtMs`.
 */
export type TrashEntry = TrashFacts &
  (
    | { readonly kind: 'record'; readonly collection: string; readonly record: string; readonly value: Value }
    /** What one writer added to a document. */
    | { readonly kind: 'document'; readonly document: string }
    /** What it says cannot be used; it can only be forgotten. */
    | { readonly kind: 'unreadable' }
  );

export interface TrashFacts {
  /** Opaque: names the entry, on this device only. */
  readonly id: string;
  /** Who wrote it, 16 hex digits, and when. */
  readonly replica: string;
  readonly writtenAtMs: number;
  readonly trashedAtMs: number;
  /** Of the content, as stored. */
  readonly bytes: number;
  /** `swept`: it stood here when the room collected it. `late`: it came when that was done already. */
  readonly why: 'swept' | 'late';
  /** The replica that collected it. */
  readonly collectedBy: string;
}

export interface TrashOptions {
  /** 100 unless told. */
  readonly limit?: number;
  /** The last entry of the page before. */
  readonly after?: Pick<TrashEntry, 'id'>;
}

/** Something that was set aside: it is kept on this device and changes nothing. */
export type QuarantineEntry = QuarantineFacts &
  (
    | { readonly kind: 'document'; readonly document: string }
    | { readonly kind: 'record'; readonly collection: string; readonly record: string }
    /** It does not tell what it is of. */
    | { readonly kind: 'unknown' }
  );

export interface QuarantineFacts {
  /** Opaque: names the entry, on this device only. */
  readonly id: string;
  /** Why, as one of the error codes. */
  readonly code: string;
  /** Whose it says that it is, 16 hex digits, and when it says that it was written; null for what is left of a row on this disk. */
  readonly replica: string | null;
  readonly writtenAtMs: number | null;
  /** When it was set aside, where that was noted. */
  readonly sinceMs: number | null;
  /** Of all of it, as exported. */
  readonly bytes: number;
}

export interface QuarantineOptions {
  /** 100 unless told. */
  readonly limit?: number;
  /** The last entry of the page before. */
  readonly after?: Pick<QuarantineEntry, 'id'>;
}

/** An earlier state of a document or a record. */
export interface Version {
  readonly id: string;
  /** `automatic`: saved before another one was restored. `recent`: told by edits; of a document, and there until these are merged, or of anything, and there for ever where `history` is `full`. */
  readonly kind: 'named' | 'automatic' | 'recent';
  readonly name: string | null;
  readonly atMs: number;
  /** Who saved it, or wrote it last: 16 hex digits. */
  readonly replica: string;
  /** Of the whole state; of a recent one, of what was written then. */
  readonly bytes: number;
}

export interface VersionListOptions {
  /** At most so many, 1 to 1,000; 100 where it is not given. */
  readonly limit?: number;
  /** The id of the last one of the page before. */
  readonly after?: string;
}

/** What came of `client.restore`. */
export interface RestoreResult {
  /** The names of the rooms whose backups were in the stream. */
  readonly rooms: readonly string[];
  /** How many deltas the rooms have now that they had not before. */
  readonly deltas: number;
  /** Deltas that were not taken: their signatures do not verify, nobody has admitted their writers, or they are from the future. */
  readonly refused: number;
  /** For each room the mark that the next backup may begin after: `room.backup({ since })`. */
  readonly marks: Readonly<Record<string, string>>;
}

export type { Value };
