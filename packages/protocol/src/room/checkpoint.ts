import { bodyOfDelta, checkpointPayloadToBytes, packBody, updateOfDelta } from '../body.js';
import { compareBytes, concatBytes, u64ToBytes, utf8ToBytes } from '../bytes.js';
import type { Deflate } from '../compression.js';
import {
  type Context,
  contextOfHeld,
  covers,
  EMPTY_CONTEXT,
  type Ground,
  highestEntry,
  includesContext,
  namesOf,
  narrowContext,
} from '../context.js';
import { type Delta, FLAG, hasContext, hasFlag, makeUnsignedDelta, trieKeyOf, type UnsignedDelta } from '../delta.js';
import { errorCodeFromWire } from '../errors.js';
import { type Hlc, hlcToMs } from '../hlc.js';
import { idToBytes, type KeyId, type KeyName, type ReplicaId } from '../ids.js';
import { defaultLimits, type Limits } from '../limits.js';
import { readRoot } from '../merkle/trie.js';
import type { Steps, Transaction } from '../store/plan.js';
import { type Acceptance, acceptDeltas, isAnyCovered, type RoomRef } from './accept.js';
import { readGrounds } from './ground.js';
import { readSiblings } from './journal.js';
import { readClock, readNumber, writeNumber } from './meta.js';
import { outboxEntryToBytes } from './outbox-entry.js';
import { readRetainedOf, settleRetained } from './retained.js';
import { readPrevious, writePrevious } from './previous.js';
import { alone, type Readable, readFaults, readReadable, readRepaired } from './readable.js';
import { areInPlace, nextStamp } from './seal.js';

const DOMAIN = utf8ToBytes('mangrove:checkpoint:1');

/** What of a document would be merged. Bytes are those of whole deltas, as they are stored. */
export interface Tail {
  /** Deltas that add, covered by nothing. */
  readonly count: number;
  readonly bytes: number;
  readonly checkpoints: number;
  /** Of the largest checkpoint; 0 without one. */
  readonly checkpointBytes: number;
}

export type CheckpointLimits = Pick<
  Limits,
  'checkpointRatio' | 'checkpointTailBytesMin' | 'checkpointTailCountMax' | 'checkpointDotsMax'
>;

/** What a checkpoint is made of. For a record, of which nothing is merged, what answers [CP9]. */
export interface CheckpointSources {
  readonly keyId: KeyId;
  readonly name: KeyName;
  /** What is merged, in trie order. */
  readonly merged: readonly Delta[];
  /** What cannot be used and covers something, and is answered: covered, and not merged [CP6]. */
  readonly answered: readonly Delta[];
  /** Exactly the merged and the answered [CX4]. */
  readonly context: Context;
}

/**
 * Whether a document wants a checkpoint [CP3]: never without new edits, so that checkpoints are not checkpointed; not before the tail
 * has outgrown the last one, so that rewriting costs about as much as was written. Two that stand beside each other are merged
 * with the next worthwhile tail.
 */
export function checkpointDue(tail: Tail, limits: CheckpointLimits): boolean {
  if (tail.count === 0 || tail.count + tail.checkpoints < 2) return false;
  return tail.bytes >= tailBytesWanted(tail, limits) || tail.count >= limits.checkpointTailCountMax;
}

/** How many bytes a tail must weigh before it is worth a checkpoint. */
export function tailBytesWanted({ checkpoints, checkpointBytes }: Tail, limits: CheckpointLimits): number {
  const outgrown = checkpoints > 1 ? 0 : limits.checkpointRatio * checkpointBytes;
  return Math.max(limits.checkpointTailBytesMin, outgrown);
}

/**
 * How long a replica waits with a due checkpoint [CP4]: the lowest id online goes first, and each other one gives it and those before
 * it the time to be heard. `jitter`: from 0 to 1, drawn anew each time.
 */
export function checkpointDelayMs(own: ReplicaId, online: Iterable<ReplicaId>, jitter: number, stepMs: number): number {
  const before = [...new Set(online)].filter((replica) => replica < own).length;
  return (before + jitter / 2) * stepMs;
}

/** [CP1] The hash of exactly what was merged: whoever holds it can recompute it. */
export function coverageOf(room: RoomRef, keyId: KeyId, merged: readonly Delta[]): Uint8Array {
  const places = merged.map((delta) => trieKeyOf(delta).subarray(16)).sort(compareBytes);
  return room.hash(concatBytes(DOMAIN, idToBytes(room.roomId), idToBytes(keyId), ...places));
}

/** [CP5] A checkpoint is nobody's intention: one is not read where a sibling tombstone has seen all that it covers. */
export function readableSiblings(siblings: readonly Delta[]): readonly Delta[] {
  const tombstones = siblings.filter((delta) => hasFlag(delta, FLAG.tombstone));
  if (tombstones.length === 0) return siblings;
  return siblings.filter(
    (delta) =>
      !hasFlag(delta, FLAG.checkpoint) || !tombstones.some(({ context }) => includesContext(context, delta.context)),
  );
}

/**
 * What a checkpoint of the document would be made of, or undefined where none is due. Left out is what is quarantined, and what is
 * ours and no relay has acknowledged: a checkpoint that is refused must cover nothing that only it brings [CP2]. None in a room of full
 * history [FH3].
 */
export function* readCheckpointSources(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  keyId: KeyId,
  limits: CheckpointLimits,
): Steps<{ readonly sources: CheckpointSources | undefined; readonly tail: Tail }> {
  if (room.history === 'full') return { sources: undefined, tail: tailOf([]) };
  const { usable, wrong, repaired, isWhole } = yield* readAcknowledged(tx, room, replica, keyId);
  const answered = repaired.length === 0 ? [] : wrong;
  const [kept] = repaired;
  const keptName = kept && bodyOfDelta(kept).name;
  if (keptName?.kind === 'record') {
    const context = contextOfHeld(answered.map(alone), yield* readGrounds(tx, room, answered));
    return { sources: { keyId, name: keptName, merged: [], answered, context }, tail: tailOf([]) };
  }
  const held = [...usable, ...repaired];
  const read = yield* readGrounds(tx, room, held);
  // What is left out may have superseded some of what a floor lets stand: then that was not seen by who merges the rest.
  const grounds = isWhole ? read : read.map(({ reach }) => ({ reach, isWhole: false }));
  const { merged, context } = select(held, answered, grounds, limits.checkpointDotsMax);
  const tail = tailOf(merged);
  const [first] = merged;
  const isDue = answered.length > 0 || checkpointDue(tail, limits);
  if (first === undefined || !isDue) return { sources: undefined, tail };
  const { name } = bodyOfDelta(first);
  return { sources: name.kind === 'document' ? { keyId, name, merged, answered, context } : undefined, tail };
}

/** The unsigned checkpoint, or answer of a record [CP9], above everything that it covers; `update` is what merging gives [CP1]. Throws `BODY_TOO_LARGE`, `CLOCK_AHEAD`. */
export function* draftCheckpoint(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  { keyId, name, merged, context }: CheckpointSources,
  update: Uint8Array,
  deflate: Deflate,
  nowMs: number,
): Steps<UnsignedDelta> {
  const prev = yield* readPrevious(tx, keyId);
  const given = (yield* readNumber(tx, 'given')) as Hlc;
  const hlc = nextStamp(yield* readClock(tx), Math.max(prev, highestEntry(context)), given, nowMs);
  const newest = merged.reduce((latest, { writtenAt }) => Math.max(latest, writtenAt), 0);
  const isRecord = name.kind === 'record';
  const payload = isRecord
    ? new Uint8Array()
    : checkpointPayloadToBytes({ coverage: coverageOf(room, keyId, merged), update });
  const body = packBody({ name, payload }, deflate);
  const header = {
    replica,
    seq: (yield* readNumber(tx, 'seq')) + 1,
    keyId,
    hlc,
    writtenAt: Math.min(newest, hlc) as Hlc,
    prev,
    context,
    flags: (isRecord ? FLAG.tombstone : FLAG.checkpoint) | body.flags,
    nonces: [],
  };
  return makeUnsignedDelta(room.hash, room.roomId, header, body.bytes);
}

/**
 * Makes the signed checkpoint part of the set, as `commitSeal` does [JS3]. Undefined, and nothing written, when another tab has
 * taken over, the next `seq` has moved, or something of what it was made of is not there any more: then look again.
 */
export function* commitCheckpoint(
  tx: Transaction,
  room: RoomRef,
  delta: Delta,
  sources: CheckpointSources,
  epoch: number,
  nowMs: number,
): Steps<Acceptance | undefined> {
  if ((yield* readNumber(tx, 'epoch')) !== epoch) return undefined;
  if ((yield* readNumber(tx, 'seq')) !== delta.seq - 1) return undefined;
  if (yield* isAnyCovered(tx, [delta])) return undefined;
  if (!(yield* areInPlace(tx, [delta]))) return undefined;
  if (!(yield* isStillThere(tx, room, sources))) return undefined;

  const clock = yield* readClock(tx);
  const isVouched = (yield* tx.getMany(
    'vouched',
    sources.merged.map(({ id }) => idToBytes(id)),
  )).some((row) => row !== undefined);
  // What it covers is kept until a relay has it: if it is refused, all of that is in the set again [CP8].
  const acceptance = yield* acceptDeltas(tx, room, [delta], { nowMs, from: 'others', retain: () => true });
  for (const { id } of [...sources.merged, ...sources.answered]) tx.delete('vouched', idToBytes(id));
  if (isVouched) tx.put('vouched', idToBytes(delta.id), new Uint8Array());
  writePrevious(tx, delta, sources.name.kind);
  tx.put('outbox', u64ToBytes(delta.seq), outboxEntryToBytes({ writes: 0, oldestAtMs: hlcToMs(delta.hlc) }, delta));
  writeNumber(tx, 'seq', delta.seq);
  writeNumber(tx, 'clock', Math.max(clock, delta.hlc));
  if (sources.answered.length === 0) return acceptance;
  // What the wrong one alone covered stands again.
  yield* settleRetained(tx, room, delta.replica);
  return { ...acceptance, ...(yield* readRoot(tx)) };
}

/** The updates of a document that are to be merged for reading: of the readable siblings, and of what a wrong one superseded [CX8]. */
export function* readDocumentDeltas(tx: Transaction, room: RoomRef, keyId: KeyId): Steps<readonly Delta[]> {
  const { usable, repaired } = yield* readReadable(tx, room, keyId, yield* readSiblings(tx, room, keyId));
  return [...readableSiblings(usable), ...repaired];
}

/** Without what is ours and no relay has acknowledged [CP2]. `isWhole`: nothing that is left out has superseded anything. */
function* readAcknowledged(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  keyId: KeyId,
): Steps<Readable & { readonly isWhole: boolean }> {
  const siblings = yield* readSiblings(tx, room, keyId);
  const { usable, wrong } = yield* readReadable(tx, room, keyId, siblings);
  const own = usable.filter((delta) => delta.replica === replica);
  const outbox = yield* tx.getMany(
    'outbox',
    own.map(({ seq }) => u64ToBytes(seq)),
  );
  const unsent = new Set(own.filter((_, i) => outbox[i] !== undefined));
  const sent = usable.filter((delta) => !unsent.has(delta));
  const faults = yield* readFaults(tx, wrong);
  // That this device has no time for one does not make it wrong: others may have, and what it says may be nowhere else [CX9].
  const answerable = wrong.filter((_, i) => errorCodeFromWire(faults[i] as number) !== 'UPDATE_TOO_COSTLY');
  const isWhole = answerable.length === wrong.length && ![...unsent].some(hasContext);
  const repaired = yield* readRepaired(tx, room, keyId, answerable, sent);
  return { usable: sent, wrong: answerable, repaired, isWhole };
}

/** Leaves out what lies above more gaps than a context may name. */
function select(
  held: readonly Delta[],
  answered: readonly Delta[],
  grounds: readonly Ground[],
  dotsMax: number,
): { merged: readonly Delta[]; context: Context } {
  const plain = answered.map(alone);
  const contextOver = (merged: readonly Delta[]) => {
    const whole = contextOfHeld([...merged, ...plain], grounds);
    return narrowContext(whole, defaultLimits.replicasPerKeyMax, namesOf(whole, [...merged, ...plain]));
  };
  const context = contextOver(held);
  const inOrder = held.toSorted((a, b) => compareBytes(trieKeyOf(a), trieKeyOf(b)));
  const left = new Set(context.dots.slice(dotsMax).map(({ replica, hlc }) => `${replica} ${hlc}`));
  const merged = inOrder.filter((delta) => !left.has(`${delta.replica} ${delta.hlc}`) && covers(context, delta));
  if (merged.length === held.length && context.dots.length <= dotsMax) return { merged, context };
  const narrower = contextOver(merged);
  const isWhole = narrower.dots.length <= dotsMax && merged.every((delta) => covers(narrower, delta));
  return isWhole ? { merged, context: narrower } : { merged: [], context: EMPTY_CONTEXT };
}

function tailOf(merged: readonly Delta[]): Tail {
  const checkpoints = merged.filter((delta) => hasFlag(delta, FLAG.checkpoint));
  const added = merged.filter((delta) => !hasFlag(delta, FLAG.checkpoint));
  return {
    count: added.length,
    bytes: added.reduce((sum, { bytes }) => sum + bytes.length, 0),
    checkpoints: checkpoints.length,
    checkpointBytes: Math.max(0, ...checkpoints.map(({ bytes }) => bytes.length)),
  };
}

function* isStillThere(tx: Transaction, room: RoomRef, { keyId, merged, answered }: CheckpointSources): Steps<boolean> {
  const all = [...merged, ...answered];
  const rows = yield* tx.getMany('deltas', all.map(trieKeyOf));
  const missing = all.filter((_, i) => rows[i] === undefined);
  if (missing.length === 0) return true;
  const retained = new Set((yield* readRetainedOf(tx, room, keyId)).map(({ id }) => id));
  return answered.length > 0 && missing.every(({ id }) => retained.has(id));
}

/** The updates that a checkpoint of these sources merges. */
export function updatesOf({ merged }: Pick<CheckpointSources, 'merged'>): readonly Uint8Array[] {
  return merged.map(updateOfDelta);
}
