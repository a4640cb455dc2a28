export type { BackupStream } from './backup.js';
export { type Client, type ClientOptions, createClient } from './client.js';
export { Collection, type CollectionOptions } from './collection.js';
export { DocumentHandle } from './documents/document-handle.js';
export type { DocumentProvider } from './documents/provider.js';
export type { ReachedOptions, Receipt } from './receipt.js';
export { lww, type Resolver, siblings } from './resolvers/resolver.js';
export { Room, type RoomOptions } from './room.js';
export type {
  ChangeOrigin,
  EntriesOptions,
  Entry,
  Health,
  HealthReason,
  Metrics,
  RecordChange,
  RepairMetrics,
  RestoreResult,
  RoomStatus,
  Rung,
  Sibling,
  StorageMetrics,
  QuarantineEntry,
  QuarantineFacts,
  QuarantineOptions,
  TrashEntry,
  TrashFacts,
  TrashOptions,
  Value,
  Version,
  VersionListOptions,
} from './types.js';
export { Versions } from './versions.js';
export { type ErrorCode, isMangroveError, type Limits, MangroveError } from '@mangrove/protocol';
