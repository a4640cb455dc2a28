import { type ErrorFacts, errorFromFacts, type OutboxEntry } from '@mangrove/protocol';
import type { RoomStatus } from '../types.js';
import type { HeadSeq, JournaledRow, SealedRows } from '../tabs/room-channel.js';

const RECEIPTS_MAX = 65_536;

interface PendingRow {
  readonly bytes: number;
  readonly atMs: number;
}

interface PendingDelta extends PendingRow {
  readonly writes: number;
}

interface Waiting {
  /** Rows that are still in the journal; they become seqs when they are sealed. */
  readonly rows: Set<number>;
  /** Own deltas that are not yet acknowledged. */
  readonly seqs: Set<number>;
  /** The highest own seq that the waited-for writes became. */
  highest: number;
  readonly isEnough: (highest: number) => boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Which writes have not reached the relay, and who waits for what. Every tab keeps its own, fed by the same notices, so that
 * all tell the same figures.
 */
export class Pending {
  readonly #rows = new Map<number, PendingRow>();
  readonly #deltas = new Map<number, PendingDelta>();
  #writes = 0;
  #bytes = 0;
  /** For receipts that ask later; only rows that a receipt was given for. */
  readonly #seqByRow = new Map<number, number>();
  readonly #receipted = new Set<number>();
  readonly #headSeqs = new Map<string, HeadSeq>();
  readonly #waiting = new Set<Waiting>();
  #highestSeq = 0;

  load(
    rows: readonly { number: number; bytes: number; atMs: number }[],
    outbox: readonly OutboxEntry[],
    highestSeq: number,
  ): void {
    for (const { number, bytes, atMs } of rows) this.#addRow(number, { bytes, atMs });
    for (const { seq, writes, bytes, oldestAtMs } of outbox) this.#addDelta(seq, { writes, bytes, atMs: oldestAtMs });
    this.#highestSeq = highestSeq;
  }

  journaled(rows: readonly Pick<JournaledRow, 'number' | 'bytes' | 'atMs'>[]): void {
    for (const { number, bytes, atMs } of rows) this.#addRow(number, { bytes, atMs });
  }

  /** A receipt will ask for this row. */
  receipt(row: number): void {
    this.#receipted.add(row);
  }

  sealed(deltas: readonly SealedRows[]): void {
    for (const { seq, rows, bytes, atMs } of deltas) {
      this.#addDelta(seq, { writes: rows.length, bytes, atMs });
      this.#highestSeq = Math.max(this.#highestSeq, seq);
      for (const row of rows) {
        this.#removeRow(row);
        if (this.#receipted.delete(row)) this.#remember(row, seq);
      }
      for (const waiting of this.#waiting) {
        for (const row of rows) {
          if (!waiting.rows.delete(row)) continue;
          waiting.seqs.add(seq);
          waiting.highest = Math.max(waiting.highest, seq);
        }
      }
    }
  }

  acknowledged(seqs: readonly number[]): void {
    for (const seq of seqs) {
      this.#removeDelta(seq);
      for (const waiting of this.#waiting) waiting.seqs.delete(seq);
    }
    this.#settle();
  }

  withdrawn(seqs: readonly number[], error: ErrorFacts): void {
    for (const seq of seqs) {
      this.#removeDelta(seq);
      for (const waiting of [...this.#waiting]) {
        if (!waiting.seqs.has(seq)) continue;
        this.#waiting.delete(waiting);
        waiting.reject(errorFromFacts(error));
      }
    }
  }

  heads(heads: readonly HeadSeq[]): void {
    for (const head of heads) this.#headSeqs.set(head.replica, head);
    this.#settle();
  }

  /** Resolves when the given rows are on a relay's disk and `isEnough` of their highest seq. `all`: everything written so far. */
  wait(
    rows: readonly number[] | 'all',
    isEnough: (highest: number) => boolean = () => true,
  ): { promise: Promise<void>; cancel(error: Error): void } {
    let waiting: Waiting | undefined;
    const promise = new Promise<void>((resolve, reject) => {
      waiting = { ...this.#start(rows), isEnough, resolve, reject };
      this.#waiting.add(waiting);
    });
    this.#settle();
    const cancel = (error: Error): void => {
      if (waiting !== undefined && this.#waiting.delete(waiting)) waiting.reject(error);
    };
    return { promise, cancel };
  }

  /** How many other replicas say that they hold this replica's deltas up to `seq`, and how many are known. */
  holders(seq: number, unseenSinceMs: number): { readonly holding: number; readonly known: number } {
    const known = [...this.#headSeqs.values()].filter((head) => head.timeMs >= unseenSinceMs);
    return { holding: known.filter((head) => head.seq >= seq).length, known: known.length };
  }

  /** Nobody will answer any more. */
  close(error: Error): void {
    for (const waiting of this.#waiting) waiting.reject(error);
    this.#waiting.clear();
  }

  summary(nowMs: number): RoomStatus['pending'] {
    if (this.#writes === 0) return { writes: 0, bytes: 0, oldestAgeMs: null };
    // Both maps are in the order of writing, so the oldest write is the first of one of them.
    const [row] = this.#rows.values();
    const [delta] = this.#deltas.values();
    const oldestAtMs = Math.min(row?.atMs ?? nowMs, delta?.atMs ?? nowMs);
    return { writes: this.#writes, bytes: this.#bytes, oldestAgeMs: Math.max(0, nowMs - oldestAtMs) };
  }

  #addRow(number: number, row: PendingRow): void {
    this.#removeRow(number);
    this.#rows.set(number, row);
    this.#writes++;
    this.#bytes += row.bytes;
  }

  #removeRow(number: number): void {
    const row = this.#rows.get(number);
    if (row === undefined) return;
    this.#rows.delete(number);
    this.#writes--;
    this.#bytes -= row.bytes;
  }

  #addDelta(seq: number, delta: PendingDelta): void {
    this.#removeDelta(seq);
    this.#deltas.set(seq, delta);
    this.#writes += delta.writes;
    this.#bytes += delta.bytes;
  }

  #removeDelta(seq: number): void {
    const delta = this.#deltas.get(seq);
    if (delta === undefined) return;
    this.#deltas.delete(seq);
    this.#writes -= delta.writes;
    this.#bytes -= delta.bytes;
  }

  #start(rows: readonly number[] | 'all'): Pick<Waiting, 'rows' | 'seqs' | 'highest'> {
    if (rows === 'all')
      return { rows: new Set(this.#rows.keys()), seqs: new Set(this.#deltas.keys()), highest: this.#highestSeq };
    const seqs = rows.flatMap((row) => this.#seqByRow.get(row) ?? []);
    return {
      rows: new Set(rows.filter((row) => this.#rows.has(row))),
      seqs: new Set(seqs.filter((seq) => this.#deltas.has(seq))),
      highest: Math.max(0, ...seqs),
    };
  }

  /** Bounded: a receipt that is older than so many writes asks for what has long been acknowledged. */
  #remember(row: number, seq: number): void {
    this.#seqByRow.set(row, seq);
    if (this.#seqByRow.size <= RECEIPTS_MAX) return;
    const [oldest] = this.#seqByRow.keys();
    if (oldest !== undefined) this.#seqByRow.delete(oldest);
  }

  #settle(): void {
    for (const waiting of [...this.#waiting]) {
      if (waiting.rows.size > 0 || waiting.seqs.size > 0 || !waiting.isEnough(waiting.highest)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}
