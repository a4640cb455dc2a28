import {
  acknowledge,
  bytesToHeadStatement,
  bytesToU64,
  countOutbox,
  type Cursor,
  dotKey,
  type HeadStatement,
  headStatementToBytes,
  idToBytes,
  readRoot,
  type ReplicaId,
  type Standing,
  type Steps,
  type Transaction,
  writeCursor,
} from '@mangrove/protocol';

/** How the replica stands, for the link to compare. */
export function* standing(tx: Transaction): Steps<Standing> {
  return { root: (yield* readRoot(tx)).root, outbox: yield* countOutbox(tx) };
}

/** `done`: what is no longer waited for, the acknowledged ones among them. */
export function* acknowledgeAndStand(
  tx: Transaction,
  replica: ReplicaId,
  seqs: readonly number[],
  cursor: Cursor | undefined,
): Steps<{ done: readonly number[]; standing: Standing }> {
  yield* acknowledge(tx, seqs);
  const settled = yield* dropSettled(tx, replica);
  if (cursor !== undefined) writeCursor(tx, cursor);
  return { done: [...seqs, ...settled], standing: yield* standing(tx) };
}

/**
 * What was superseded before a relay took it is never sent, so nobody will acknowledge it. It goes when nothing younger waits:
 * what superseded it has arrived by then, and a receipt for it may say so.
 */
export function* dropSettled(tx: Transaction, replica: ReplicaId): Steps<readonly number[]> {
  const settled: number[] = [];
  for (;;) {
    const [key] = yield* tx.keys('outbox', { from: new Uint8Array(), limit: 1, reverse: true });
    if (key === undefined) break;
    const seq = bytesToU64(key);
    if ((yield* tx.get('dots', dotKey({ replica, seq }))) !== undefined) break;
    tx.delete('outbox', key);
    settled.push(seq);
  }
  return settled;
}

/** [SY11] The newest of each replica; false when a newer one is there. */
export function* keepHead(tx: Transaction, statement: HeadStatement): Steps<boolean> {
  const key = idToBytes(statement.replica);
  const row = yield* tx.get('heads', key);
  if (row !== undefined && bytesToHeadStatement(row).timeMs >= statement.timeMs) return false;
  tx.put('heads', key, headStatementToBytes(statement));
  return true;
}

/** 8 bytes for a pass of the Merkle diff [MK7]. */
export function drawSalt(random: { u32(): number }): Uint8Array {
  return new Uint8Array(Uint32Array.of(random.u32(), random.u32()).buffer);
}
