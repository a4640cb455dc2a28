export { assert, unreachable } from './assert.js';
export { BackupReader } from './backup/reader.js';
export { BACKUP_MAGIC, type BackupFrame, FrameChain } from './backup/frame.js';
export { type BackupMark, markToText, textToMark } from './backup/mark.js';
export { RESTORE_BEGINS, type RestoreEffect, type RestoreState, stepRestore } from './backup/restore.js';
export { BACKUP_BEGINS, type BackupSpec, type BackupState, type BackupStep, takeBackup } from './backup/take.js';
export {
  type Body,
  bodyOfDelta,
  bodyToBytes,
  bytesToBody,
  bytesToCheckpointPayload,
  bytesToRecordPayload,
  type CheckpointPayload,
  checkpointPayloadToBytes,
  type RecordPayload,
  recordPayloadToBytes,
  packBody,
  updateOfDelta,
  updateOfPayload,
} from './body.js';
export {
  bytesToHex,
  bytesToU64,
  bytesToUtf8,
  compareBytes,
  concatBytes,
  equalBytes,
  hexToBytes,
  keyAfter,
  prefixEnd,
  successor,
  u64ToBytes,
  utf8ToBytes,
} from './bytes.js';
export {
  bytesToCertificate,
  type Certificate,
  certificateMessage,
  certificateToBytes,
  helloMessage,
} from './certificate.js';
export type { Deflate } from './compression.js';
export {
  type Context,
  contextOfHeld,
  covers,
  EMPTY_CONTEXT,
  type Ground,
  type HeldDelta,
  includesContext,
  joinContexts,
  makeContext,
  type Stamped,
} from './context.js';
export {
  bytesToDelta,
  type Delta,
  type DeltaHeader,
  deltaMessage,
  FLAG,
  hasContext,
  hasFlag,
  makeUnsignedDelta,
  mayDrop,
  parseTrieKey,
  signDelta,
  TRIE_KEY_BYTES,
  trieKeyOf,
  type UnsignedDelta,
} from './delta.js';
export {
  type ErrorCode,
  type ErrorFacts,
  errorFromFacts,
  errorToFacts,
  isMangroveError,
  MangroveError,
} from './errors.js';
export {
  bytesToFloor,
  type Floor,
  floorOf,
  floorToBytes,
  isUnderFloor,
  type Place,
  type Reach,
  STANDING_BYTES,
} from './floor.js';
export type { Hash } from './hash.js';
export {
  bytesToHeadStatement,
  type HeadClaim,
  headMessage,
  type HeadStatement,
  headStatementToBytes,
} from './head-statement.js';
export { assertNotAhead, HLC_ZERO, type Hlc, hlcFromMs, hlcToMs, msAhead, receiveHlc, tickHlc } from './hlc.js';
export {
  assertName,
  bytesToDeltaId,
  bytesToKeyId,
  bytesToReplicaId,
  REPLICA_ID_BYTES,
  bytesToRoomId,
  byteToRoomConfig,
  type DeltaId,
  deriveClientId,
  deriveFloorKeyId,
  deriveKeyId,
  deriveReplicaId,
  deriveRoomId,
  idToBytes,
  shortIdToBytes,
  KEY_ID_BYTES,
  type KeyId,
  type KeyName,
  type ReplicaId,
  type RoomConfig,
  type RoomId,
  roomConfigToByte,
} from './ids.js';
export { defaultLimits, type Limits } from './limits.js';
export { readRoot, rebuildTrie } from './merkle/trie.js';
export { SALT_BYTES } from './merkle/cut.js';
export { EMPTY_ROOT } from './merkle/node.js';
export { rankRelays, spellRelay, type RelayChoice, type WeightedRelay } from './relay-rank.js';
export { builtInResolvers, type BuiltInResolver, compareNewestFirst, type SiblingValue } from './resolve.js';
export {
  type Acceptance,
  type AcceptOptions,
  acceptDeltas,
  removeDelta,
  type RoomRef,
} from './room/accept.js';
export { isNews, type Outcome } from './room/outcome.js';
export { isAhead, siftAhead } from './room/ahead.js';
export { NO_QUOTA, type OverQuota, type Quota, readUsage, siftByQuota, type Usage } from './room/quota.js';
export { dotKey, splitTrieKeys } from './room/set-rows.js';
export {
  checkpointDelayMs,
  checkpointDue,
  type CheckpointLimits,
  type CheckpointSources,
  commitCheckpoint,
  coverageOf,
  draftCheckpoint,
  readableSiblings,
  readCheckpointSources,
  readDocumentDeltas,
  type Tail,
  tailBytesWanted,
  updatesOf,
} from './room/checkpoint.js';
export { readKeysByStamp, readReplacedKeys, readRuns, readUpdatesUpTo } from './room/history.js';
export { commitMerged, type MergeSources, readWholeDocument, readMergeSources } from './room/merge.js';
export type { Arrival } from './room/arrival.js';
export type { CompareUpdates, Judgement } from './room/judge.js';
export { cleanRoom, type CleanLimits, readCleanDueMs } from './room/clean.js';
export { pruneRetained, readRetainedKeys, readRetainedOf, settleRetained } from './room/retained.js';
export { type Folding, type FoldOptions, foldJournal } from './room/fold.js';
export {
  appendToJournal,
  asImport,
  type Edit,
  journalKey,
  type JournalRow,
  type KeyState,
  type NumberRange,
  payloadBytesMaxOf,
  readJournal,
  readJournalOf,
  readKeyState,
  readSiblings,
} from './room/journal.js';
export { readKeyStates } from './room/key-states.js';
export { isAnswer, readableRecords } from './room/readable.js';
export { rowToCertificate } from './room/certificate-row.js';
export { assertNames, collectionPrefix, nameKey, nameOfKey } from './room/name-key.js';
export { compareWritten, draftUnkept, isUnkept, keepRows, unkeptNumber, withUnkept } from './room/unkept.js';
export {
  acceptAndLog,
  isCursorValid,
  type LogPage,
  readAhead,
  type Position,
  readLogPage,
  readPosition,
  ROLL_BYTES,
  STORE_ID_BYTES,
  sweepLog,
} from './room/log.js';
export {
  type Fetch,
  forgetIncoming,
  type Joined,
  keepPart,
  type KeptStub,
  keepStubs,
  readFetches,
  readJoined,
} from './room/incoming.js';
export { readClock, readNumber, readOwnReplica, writeNumber } from './room/meta.js';
export { claimSteal, EpochPassed, fenced, nextEpoch } from './room/fence.js';
export {
  faultOfQuarantine,
  listQuarantine,
  type Quarantined,
  readQuarantine,
  readQuarantined,
  type Rejected,
} from './room/quarantine.js';
export { countPutAside, readPutAside } from './room/aside.js';
export {
  countOutbox,
  readCursor,
  readSyncedAt,
  receiveDeltas,
  type ReceiveOptions,
  type Reception,
  writeCursor,
  writeSyncedAt,
} from './room/receive.js';
export { countWrites, type MergeUpdates, numbersOf, oldestOf } from './room/runs.js';
export {
  acknowledge,
  commitSeal,
  draftSeal,
  readOutbox,
  readOutboxEntries,
  type SealDraft,
  type SealedDraft,
} from './room/seal.js';
export {
  addFindings,
  assertRootSound,
  hasFound,
  NOTHING_FOUND,
  readScrubPlace,
  type ScrubFindings,
  type ScrubPlace,
  scrubStep,
  writeScrubPlace,
} from './room/scrub.js';
export type { Unseen } from './room/unseen.js';
export { isWrittenElsewhere, type LastTaken, readLastTaken } from './room/taken.js';
export { adoptVector, headsRootOf, readReach, readVectorRows } from './room/vector.js';
export { bytesToStub, deltaToStub, isStub, joinParts, type Stub, toEntry } from './stub.js';
export { StubCache } from './stub-cache.js';
export { countParts, PART_BYTES } from './parts.js';
export { isOnCurve, isStrictSignature, type Signer, type Verifier } from './signature.js';
export { HealingStore, isDamage, scrubAll } from './store/healing-store.js';
export { MemoryStore, MemoryTables } from './store/memory-store.js';
export { RoomHandle } from './store/room-handle.js';
export {
  isWithin,
  type Plan,
  type Range,
  type Read,
  type ReadResult,
  type Row,
  runPlan,
  runPlanAsync,
  type Steps,
  Transaction,
  type Write,
  together,
} from './store/plan.js';
export type { Store, TransactOptions } from './store/store.js';
export { type Table, TABLES } from './store/table.js';
export type { PushedDelta, PushedStub, ReadEffect, RelayEffect, ReplicaEffect, SyncEffect } from './sync/effect.js';
export type {
  AuthenticatedReplica,
  BeyondCursor,
  CommittedDelta,
  Refusal,
  RelayEvent,
  ReplicaEvent,
  Standing,
  SyncEvent,
} from './sync/event.js';
export {
  BRIDGE_BEGINS,
  type BridgeEffect,
  type BridgeEvent,
  type BridgeState,
  type Shore,
  stepBridge,
} from './sync/bridge.js';
export { checkDelayMs } from './sync/check-pace.js';
export type { Progress } from './sync/progress.js';
export { countRepairs, NO_REPAIRS, type Repairs } from './sync/repairs.js';
export { progressOf } from './sync/replica-flow.js';
export { type LastRead, planDiffPart, planFor, planOpenDiff, readParts } from './sync/plans.js';
export {
  greeting,
  type LinkConfig,
  offline,
  type RelayState,
  type ReplicaState,
  type SyncState,
} from './sync/state.js';
export { arrivedInParts } from './sync/relay-push.js';
export { stepSync } from './sync/step.js';
export type { Step } from './sync/transition.js';
export { readIntroduction } from './sync/introduction.js';
export { ShownKeys } from './sync/shown-keys.js';
export type { DiffPlace } from './merkle/diff.js';
export { CLOSE } from './sync/step-relay.js';
export { stepReplica } from './sync/step-replica.js';
export { bytesToValue, jsonToValue, taggedToValue, type Value, valueToBytes } from './value.js';
export { isAtLeast, mergeVectors, reaches, type VersionVector } from './version-vector.js';
export { bytesToRelayMessage, bytesToReplicaMessage, CHALLENGE_BYTES, messageToBytes } from './wire/codec.js';
export { FrameJoiner, messageToFrames } from './wire/frames.js';
export { partsOfDelta } from './wire/delta-parts.js';
export { LinkMemory, SLOTS } from './wire/link-memory.js';
export { type PeerWord, peerWordToPresence, presenceToPeerWord } from './wire/peer-word.js';
export { certificateMessages, headMessages } from './sync/chunk.js';
export { HeadPace, type HeadPaceHost } from './sync/head-pace.js';
export { type PaceHost, PositionPace } from './sync/position-pace.js';
export type {
  Ack,
  Admitted,
  Ahead,
  CaughtUp,
  Certificates,
  Credit,
  Cursor,
  DeltaBytes,
  Deltas,
  Diff,
  Fault,
  Head,
  Hello,
  Message,
  Part,
  Peer,
  Presence,
  Probe,
  Pull,
  Push,
  Refused,
  RelayMessage,
  ReplicaMessage,
  Report,
  Right,
  Vector,
  Want,
  Wanted,
  Welcome,
} from './wire/messages.js';
export { PROTOCOL_VERSION } from './wire/version.js';
export type { OutboxEntry } from './room/outbox-entry.js';
export { type OutboxPage, readOutboxPage } from './room/outbox.js';
export {
  keepsTombstones,
  nameToTrashed,
  pruneTombstones,
  pruneTrash,
  readTrash,
  readTrashed,
  type Swept,
  takeFromTrash,
  type Trashed,
  trashedToName,
  type TrashReason,
} from './room/trash.js';
export { dropSettled } from './room/unsent.js';
export { type GivenUp, giveUpLost, readGivenUp } from './room/given-up.js';
export { commitFloor, draftFloor, type FloorDraft, type FloorLimits, mayFloorBeDue } from './room/floor.js';
export { readGrounds } from './room/ground.js';
export { proveByHead } from './room/prove.js';
export { readKnown } from './room/reach.js';
export { resetClock, settleTrash, type Withdrawal, withdrawDelta, withdrawRefused } from './room/withdraw.js';
export { readStamp } from './room/stamp.js';
export { takeIdentity } from './room/identity.js';
export { putWreckage, readWreckage, type Salvaged, takeWreckage, type Wreckage } from './room/salvage.js';
export { FAILED, type TolerantSteps } from './store/tolerant.js';
export {
  makeVersionId,
  packVersion,
  unpackVersion,
  valueToVersionRow,
  VERSION_PARTS,
  versionPartId,
  versionPrefix,
  type VersionRow,
  versionRowToValue,
  VERSIONS,
} from './version.js';
