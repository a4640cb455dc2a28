import {
  acknowledge,
  bytesToHeadStatement,
  countOutbox,
  type Cursor,
  dropSettled,
  type HeadStatement,
  headStatementToBytes,
  idToBytes,
  proveByHead,
  readRoot,
  type Refused,
  type ReplicaId,
  type RoomRef,
  type Standing,
  type Steps,
  type Transaction,
  type Withdrawal,
  withdrawRefused,
  writeCursor,
} from '@mangrove/protocol';

/** How the replica stands, for the link to compare. */
export function* standing(tx: Transaction): Steps<Standing> {
  return { root: (yield* readRoot(tx)).root, outbox: yield* countOutbox(tx) };
}

/** `done`: what is no longer waited for, the acknowledged ones among them. */
export function* acknowledgeAndStand(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  seqs: readonly number[],
  cursor: Cursor | undefined,
): Steps<{ done: readonly number[]; standing: Standing }> {
  yield* acknowledge(tx, room, replica, seqs);
  const settled = yield* dropSettled(tx, room, replica);
  if (cursor !== undefined) writeCursor(tx, cursor);
  return { done: [...seqs, ...settled], standing: yield* standing(tx) };
}

/** What a refusal asks for, if it is of an own delta; of others' only the reason is of interest. */
export function* withdrawAndStand(
  tx: Transaction,
  room: RoomRef,
  replica: ReplicaId,
  refused: Refused,
  nowMs: number,
): Steps<Withdrawal & { done: readonly number[]; standing: Standing }> {
  const isOwn = refused.replica === replica;
  const withdrawal = isOwn ? yield* withdrawRefused(tx, room, replica, refused, nowMs) : { rows: undefined, seqs: [] };
  return { ...withdrawal, ...(yield* acknowledgeAndStand(tx, room, replica, [], undefined)) };
}

/** [SY11] The newest of each replica, and what it proves [FL7]; returns those than which no newer one is there. */
export function* keepHeads(
  tx: Transaction,
  room: RoomRef,
  statements: readonly HeadStatement[],
): Steps<readonly HeadStatement[]> {
  const kept: HeadStatement[] = [];
  for (const statement of statements) {
    const key = idToBytes(statement.replica);
    const row = yield* tx.get('heads', key);
    if (row !== undefined && bytesToHeadStatement(row).timeMs >= statement.timeMs) continue;
    tx.put('heads', key, headStatementToBytes(statement));
    yield* proveByHead(tx, room, statement);
    kept.push(statement);
  }
  return kept;
}

/** 8 bytes for a pass of the Merkle diff [MK7]. */
export function drawSalt(random: { u32(): number }): Uint8Array {
  return new Uint8Array(Uint32Array.of(random.u32(), random.u32()).buffer);
}
