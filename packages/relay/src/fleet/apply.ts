import {
  bytesToCertificate,
  bytesToDelta,
  bytesToHeadStatement,
  bytesToReplicaId,
  type Certificate,
  deriveReplicaId,
  equalBytes,
  type HeadStatement,
  idToBytes,
  type Position,
  type PushedDelta,
  readPosition,
  removeDelta,
  type ReplicaId,
  type RoomRef,
  type Steps,
  type Transaction,
  cleanRoom,
} from '@mangrove/protocol';
import { type Committed, commitBatch, type PlannedPush } from '../commit-plan.js';
import type { Entry, Operation } from './entry.js';
import { enterWriter, readShared, readWriter, type SharedState, takeNumber, writeShared } from './state.js';

/** What became of operations, each named by its place in the entry. */
export type Effect =
  | { readonly kind: 'certified'; readonly at: number; readonly certificates: readonly Certificate[] }
  | {
      readonly kind: 'entered';
      readonly at: number;
      readonly replica: ReplicaId;
      readonly token: Uint8Array;
      readonly isIn: boolean;
    }
  /** Pushes that stand side by side are committed together. */
  | {
      readonly kind: 'committed';
      readonly of: readonly number[];
      readonly deltas: readonly PushedDelta[];
      readonly committed: Committed;
    }
  /** What came over a connection that is its replica's newest no more. */
  | { readonly kind: 'dropped'; readonly at: number }
  | { readonly kind: 'heads'; readonly at: number; readonly kept: readonly KeptHead[] }
  | {
      readonly kind: 'evicted';
      readonly at: number;
      readonly replica: ReplicaId | undefined;
      readonly position: Position;
    }
  | { readonly kind: 'done'; readonly at: number };

export interface KeptHead {
  readonly statement: HeadStatement;
  readonly before: HeadStatement | undefined;
}

export interface Applied {
  readonly state: SharedState;
  readonly position: Position;
  readonly effects: readonly Effect[];
}

/** An entry of the log, as it was found there. */
export interface LoggedEntry {
  readonly position: number;
  readonly size: number;
  /** The lowest and the highest position of its parts; 0 where it is whole. */
  readonly parts: { readonly from: number; readonly to: number };
  /** Undefined for what is none. */
  readonly entry: Entry | undefined;
  /** A part is gone, so that nobody here can tell what others have made of it. */
  readonly isTorn: boolean;
}

/**
 * Applies an entry of a room's log [RF3]: what it does depends on the room and the entry alone, and how far the log was applied is written with it. One that was
 * applied already, and one whose parts may be gone for somebody, do nothing. `vias`: the challenges of the connections that its pushes came over, at its proposer.
 */
export function* applyEntry(
  tx: Transaction,
  room: RoomRef,
  { position: at, size, parts, entry }: LoggedEntry,
  vias: readonly (Uint8Array | undefined)[],
): Steps<Applied> {
  const before = yield* readShared(tx);
  const partsSeen = Math.max(before.partsSeen, parts.to);
  const next = {
    ...before,
    applied: at,
    index: before.index + 1,
    bytesSinceCut: before.bytesSinceCut + size,
    partsSeen,
  };
  const isGone = entry === undefined || (parts.from > 0 && parts.from <= before.partsGone);
  const isNew = !isGone && (yield* takeNumber(tx, entry.instance, entry.number, entry.nowMs));
  const effects = isNew ? yield* applyOperations(tx, room, entry, vias) : [];
  const isCut = isNew && entry.operations.some(({ kind }) => kind === 'cut');
  const state = isCut
    ? { ...next, bytesSinceCut: 0, partsGone: before.partsBeforeCut, partsBeforeCut: partsSeen }
    : next;
  writeShared(tx, state);
  return { state, position: yield* readPosition(tx), effects };
}

/** Passes over an entry that a bug keeps from being applied, here as elsewhere. */
export function* passEntry(tx: Transaction, { position: at, size, parts }: LoggedEntry): Steps<Applied> {
  const before = yield* readShared(tx);
  const state = {
    ...before,
    applied: at,
    index: before.index + 1,
    bytesSinceCut: before.bytesSinceCut + size,
    partsSeen: Math.max(before.partsSeen, parts.to),
  };
  writeShared(tx, state);
  return { state, position: yield* readPosition(tx), effects: [] };
}

function* applyOperations(
  tx: Transaction,
  room: RoomRef,
  entry: Entry,
  vias: readonly (Uint8Array | undefined)[],
): Steps<readonly Effect[]> {
  const effects: Effect[] = [];
  const pushes: (PlannedPush & { readonly at: number })[] = [];
  for (const [at, operation] of entry.operations.entries()) {
    if (operation.kind !== 'push') {
      effects.push(...(yield* commitPushes(tx, room, entry, pushes.splice(0))));
      effects.push(yield* applyOperation(tx, room, entry, operation, at));
      continue;
    }
    const writer = yield* readWriter(tx, operation.replica);
    if (writer === undefined || !equalBytes(writer, operation.token)) effects.push({ kind: 'dropped', at });
    else {
      const deltas = operation.deltas.map(({ bytes, from }) => ({
        delta: bytesToDelta(room.hash, room.roomId, bytes),
        from,
      }));
      pushes.push({ at, deltas, via: vias[at] });
    }
  }
  effects.push(...(yield* commitPushes(tx, room, entry, pushes)));
  return effects;
}

function* commitPushes(
  tx: Transaction,
  room: RoomRef,
  { nowMs, quota, retainSupersededMs, trashMs }: Entry,
  pushes: readonly (PlannedPush & { readonly at: number })[],
): Steps<readonly Effect[]> {
  if (pushes.length === 0) return [];
  const committed = yield* commitBatch(tx, room, pushes, { nowMs, quota, limits: { retainSupersededMs, trashMs } });
  const deltas = pushes.flatMap((push) => push.deltas.map((each) => ({ ...each, verify: false })));
  return [{ kind: 'committed', of: pushes.map(({ at }) => at), deltas, committed }];
}

function* applyOperation(
  tx: Transaction,
  room: RoomRef,
  { nowMs, retainSupersededMs, trashMs }: Entry,
  operation: Exclude<Operation, { kind: 'push' }>,
  at: number,
): Steps<Effect> {
  switch (operation.kind) {
    case 'certify':
      return { kind: 'certified', at, certificates: yield* certify(tx, room, operation.certificates) };
    case 'enter': {
      const { replica, token, before } = operation;
      const isIn = yield* enterWriter(tx, replica, token, before);
      return { kind: 'entered', at, replica: bytesToReplicaId(replica), token, isIn };
    }
    case 'heads':
      return { kind: 'heads', at, kept: yield* keepHeads(tx, operation.statements) };
    case 'evict': {
      const bytes = yield* tx.get('deltas', operation.trieKey);
      // Somebody else may have reported it too, or the same delta has come with a signature that is right.
      const isHeld = bytes !== undefined && equalBytes(room.hash(bytes), operation.bytesHash);
      const delta = isHeld ? bytesToDelta(room.hash, room.roomId, bytes) : undefined;
      if (delta !== undefined) yield* removeDelta(tx, room, delta);
      return { kind: 'evicted', at, replica: delta?.replica, position: yield* readPosition(tx) };
    }
    case 'clean':
      yield* cleanRoom(tx, nowMs, { retainSupersededMs, trashMs }, operation.rowsMax);
      return { kind: 'done', at };
    case 'begin':
    case 'cut':
      return { kind: 'done', at };
  }
}

/** The first certificate of each issuer counts; those that were written. */
function* certify(tx: Transaction, room: RoomRef, all: readonly Uint8Array[]): Steps<readonly Certificate[]> {
  const written: Certificate[] = [];
  for (const bytes of all) {
    const certificate = bytesToCertificate(bytes);
    const key = idToBytes(deriveReplicaId(room.hash, room.roomId, certificate.publicKey));
    const held = yield* tx.get('certificates', key);
    if (held !== undefined && equalBytes(bytesToCertificate(held).issuer, certificate.issuer)) continue;
    tx.put('certificates', key, bytes);
    written.push(certificate);
  }
  return written;
}

function* keepHeads(tx: Transaction, statements: readonly Uint8Array[]): Steps<readonly KeptHead[]> {
  const kept: KeptHead[] = [];
  for (const bytes of statements) {
    const statement = bytesToHeadStatement(bytes);
    const key = idToBytes(statement.replica);
    const row = yield* tx.get('heads', key);
    const before = row && bytesToHeadStatement(row);
    if (before !== undefined && before.timeMs >= statement.timeMs) continue;
    tx.put('heads', key, bytes);
    kept.push({ statement, before });
  }
  return kept;
}
