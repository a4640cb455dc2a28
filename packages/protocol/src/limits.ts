/** Bounds that keep every queue, frame and row finite. Each has its reason beside it. */
export interface Limits {
  /** One WebSocket frame. A Durable Object takes 32 MiB, but a quarter of a MiB keeps other traffic from waiting. */
  readonly frameBytesMax: number;
  /** One message joined from frames: a Merkle diff or the certificates of a large room. Deltas have parts of their own. */
  readonly messageBytesMax: number;
  /** One delta's body. A pasted book fits; a video belongs into a blob. */
  readonly bodyBytesMax: number;
  /** A shorter body is stored as it is: only above this length do typed runs and records of JSON get shorter by an eighth. */
  readonly compressBytesMin: number;
  /** One record's encoded value. Larger values lose their rows in some browsers' storage. */
  readonly valueBytesMax: number;
  /** A name of a room, collection, record or document in UTF-8. */
  readonly nameBytesMax: number;
  /** Deltas in one message, so that one frame is one bounded piece of work. */
  readonly deltasPerMessageMax: number;
  /** Replicas in one context or vector. */
  readonly replicasPerKeyMax: number;
  /** Keys of others that one connection may have shown to a relay, of which nothing signed has come yet: a few megabytes. */
  readonly shownKeysMax: number;
  /** Certificates of a room up to which a relay issues more of them for keys that are shown: as many replicas as a floor can name. */
  readonly certificatesMax: number;
  /** Clientids (nonces) in one delta. */
  readonly noncesPerDeltaMax: number;
  /** Entries in one Merkle diff message. */
  readonly diffEntriesMax: number;
  /** How far ahead of the wall clock a stamp may lie: generous to bad clocks, useless to those who would win for ever. */
  readonly clockAheadMsMax: number;
  /** Superseded bytes stay this long at a relay, which cannot tell whether what superseded them is readable. */
  readonly retainSupersededMs: number;
  /** A replica unseen for this long no longer holds up collection. */
  readonly replicaExpiryMs: number;
  /** A checkpoint is due when the tail weighs this many times the last one: each is then paid for by as many bytes of edits. */
  readonly checkpointRatio: number;
  /** A smaller tail is not worth a checkpoint: opening it costs less than a disk's seek. */
  readonly checkpointTailBytesMin: number;
  /** So many deltas are merged whatever they weigh: opening a document applies each of them. At about 180 bytes apiece the largest body is rewritten for a third of it. */
  readonly checkpointTailCountMax: number;
  /** Dots in a checkpoint's context; what lies above so many gaps stays beside it. Below `replicasPerKeyMax`, with room for siblings. */
  readonly checkpointDotsMax: number;
  /** How much longer each replica waits with a due checkpoint than the one before it in the order of ids: longer than one takes to arrive. */
  readonly checkpointStepMs: number;
  /** What lies under a floor can be had back for this long: a month is longer than a holiday. */
  readonly trashMs: number;
  /** What one floor collects, so that taking one is a bounded transaction. The next one goes on. */
  readonly floorCollectMax: number;
  /** Fewer tombstones are not worth a floor: each of them weighs less than one of the floor's witnesses. */
  readonly floorTombstonesMin: number;
  /** A context with so many entries to drop is worth a floor whatever that weighs: at `replicasPerKeyMax` nobody could write the key any more. */
  readonly floorContextEntriesMin: number;
  /** Replicas in one floor's reach, 20 bytes each: a quarter of the largest body. */
  readonly floorReplicasMax: number;
  /** Bad frames on one connection before it is closed. */
  readonly badFramesMax: number;
  /** Others of whom a newcomer is told that they are there: enough to stand in line, and 3 kB. */
  readonly peersToldMax: number;
  /** Presence of one tab. */
  readonly awarenessBytesMax: number;
  /** Bytes of deltas that one side lets the other send before it has committed them: 20 MB/s where an answer takes 100 ms. */
  readonly windowBytes: number;
  /** Parts that one side has asked the other for and that have not come. */
  readonly wantedPartsMax: number;
  /** Deltas of one sender that are waited for, more than a window of the smallest stubs, and the bytes of their stubs. */
  readonly incomingMax: number;
  readonly incomingBytesMax: number;
  /** Of all senders together: one who takes many identities has no more than a few. */
  readonly incomingAllMax: number;
  readonly incomingAllBytesMax: number;
  /** How many of them may have parts here, of one sender and of all. */
  readonly incomingStartedMax: number;
  readonly incomingStartedAllMax: number;
  /** What nobody has offered again for this long is not waited for any more. */
  readonly incomingExpiryMs: number;
  /** How long a relay goes without telling its position while deltas flow: after each key of somebody who types it says little. */
  readonly positionEveryMs: number;
  /** Nothing was committed for this long: somebody who types pauses, and roots can be compared. */
  readonly positionRestMs: number;
  /** How long a relay gathers head statements for those who wait for them: less than anybody notices, longer than it takes all to make theirs. */
  readonly headSoonMs: number;
  /** And for those who do not, while not many are connected: a floor has time, and telling everybody of everybody is dear. */
  readonly headRestMs: number;
  /** A catch-up or a comparison in which nothing moves for this long is begun anew on another connection. */
  readonly stallMsMax: number;
  /** Roots are compared this soon after a change, and twice as late each time after that while nothing changes. */
  readonly checkMsMin: number;
  /** The longest that a difference nobody tells of stays unseen. */
  readonly checkMsMax: number;
  /** A store that nobody waits for is scrubbed a step at a time, this far apart: a step is a tenth of a second of work. */
  readonly scrubStepMs: number;
  /** A store that was scrubbed to its end rests for this long. */
  readonly scrubPassMs: number;
  /** Bytes that may wait in the send buffer of one connection before the relay lets it go. */
  readonly sendBufferBytesMax: number;
}

export const defaultLimits: Limits = {
  frameBytesMax: 262_144,
  messageBytesMax: 2 * 1024 * 1024,
  bodyBytesMax: 8 * 1024 * 1024,
  compressBytesMin: 128,
  valueBytesMax: 65_536,
  nameBytesMax: 512,
  deltasPerMessageMax: 1_024,
  replicasPerKeyMax: 4_096,
  shownKeysMax: 16_384,
  certificatesMax: 65_536,
  noncesPerDeltaMax: 4_096,
  diffEntriesMax: 8_192,
  clockAheadMsMax: 300_000,
  retainSupersededMs: 7 * 24 * 3_600_000,
  replicaExpiryMs: 90 * 24 * 3_600_000,
  checkpointRatio: 1,
  checkpointTailBytesMin: 16_384,
  checkpointTailCountMax: 16_384,
  checkpointDotsMax: 1_024,
  checkpointStepMs: 2_000,
  trashMs: 30 * 24 * 3_600_000,
  floorCollectMax: 8_192,
  floorTombstonesMin: 1_024,
  floorContextEntriesMin: 1_024,
  floorReplicasMax: 65_536,
  badFramesMax: 100,
  peersToldMax: 256,
  awarenessBytesMax: 65_536,
  windowBytes: 2 * 1024 * 1024,
  wantedPartsMax: 16,
  incomingMax: 16_384,
  incomingBytesMax: 16 * 1024 * 1024,
  incomingAllMax: 65_536,
  incomingAllBytesMax: 64 * 1024 * 1024,
  incomingStartedMax: 32,
  incomingStartedAllMax: 128,
  incomingExpiryMs: 24 * 3_600_000,
  positionEveryMs: 1_000,
  positionRestMs: 300,
  headSoonMs: 250,
  headRestMs: 60_000,
  stallMsMax: 30_000,
  checkMsMin: 4_000,
  checkMsMax: 600_000,
  scrubStepMs: 5_000,
  scrubPassMs: 3_600_000,
  sendBufferBytesMax: 16 * 1024 * 1024,
};
