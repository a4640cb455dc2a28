import { type ErrorFacts, errorFromFacts, isUnkept, MangroveError, type OutboxEntry } from '@mangrove/protocol';
import type { RoomStatus } from '../types.js';
import type { HeadSeq, JournaledRow, SealedRows } from '../tabs/room-channel.js';

type RowFacts = Pick<JournaledRow, 'number' | 'bytes' | 'atMs' | 'numbers' | 'was'>;

const RECEIPTS_MAX = 65_536;
const SEALED_MAX = 4_096;
const LOST_MAX = 4_096;

/** What the store says, in one transaction. */
export interface PendingBooks {
  readonly rows: readonly RowFacts[];
  readonly outbox: readonly OutboxEntry[];
  /** The numbers that were given last. */
  readonly row: number;
  readonly seq: number;
}

interface PendingWrites {
  readonly writes: number;
  readonly bytes: number;
  readonly atMs: number;
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
  readonly #rows = new Map<number, PendingWrites>();
  readonly #deltas = new Map<number, PendingWrites>();
  #writes = 0;
  #bytes = 0;
  /** When the oldest write was made; undefined: to be looked for among all, which each keystroke would otherwise do. */
  #oldestAtMs: number | undefined;
  /** For receipts that ask later; only rows that a receipt was given for. */
  readonly #seqByRow = new Map<number, number>();
  readonly #receipted = new Set<number>();
  /** Rows whose delta was refused, or that were folded before the store was read, by the row that they became. */
  readonly #rowByRow = new Map<number, number>();
  readonly #headSeqs = new Map<string, HeadSeq>();
  readonly #waiting = new Set<Waiting>();
  #highestSeq = 0;
  #lastRow = 0;
  /** Writes that went with a store that failed. */
  readonly #lost: ReadonlySet<number>;
  /** Own deltas that are nowhere any more. */
  readonly #lostSeqs = new Map<number, ErrorFacts>();
  /** Up to here the store has told; a notice about less than that is late and says nothing new. */
  #toldRow = 0;
  #toldSeq = 0;
  /** The last rows that were told as sealed, by their seq: notices of two tabs can cross, so they may yet be told as journaled. */
  readonly #sealedRows = new Map<number, number>();

  constructor(lost: readonly number[] = []) {
    this.#lost = new Set(lost);
  }

  /** The highest number of a row that was told. */
  get lastRow(): number {
    return this.#lastRow;
  }

  /** Whether anything is sealed that no relay has acknowledged. */
  get hasSealed(): boolean {
    return this.#deltas.size > 0;
  }

  /** Writes that a receipt was given for, and that no relay has. */
  receiptsWaiting(): readonly number[] {
    const sealed = [...this.#seqByRow].filter(([, seq]) => this.#deltas.has(seq)).map(([row]) => row);
    return [...this.#receipted, ...sealed];
  }

  /** A row is in this store under another number than the one that its receipt names. */
  renumbered(was: number, number: number): void {
    this.receipt(number);
    this.#renumber(was, number);
  }

  /** Begins with what the store says, or begins again: a tab that crashed has not told all that it did. */
  load({ rows, outbox, row, seq }: PendingBooks): void {
    for (const known of [...this.#rows.keys()]) if (!isUnkept(known)) this.#removeRow(known);
    for (const known of [...this.#deltas.keys()]) this.#removeDelta(known);
    for (const row of rows) this.#addRow(row);
    for (const entry of outbox) this.#addDelta(entry.seq, { ...entry, atMs: entry.oldestAtMs });
    this.#highestSeq = Math.max(this.#highestSeq, seq);
    this.#toldRow = row;
    this.#lastRow = Math.max(this.#lastRow, row);
    this.#toldSeq = seq;
    // A row that has left the journal unheard is in one of the deltas, nobody can say in which: in the last one at the latest.
    const last = outbox.at(-1)?.seq ?? seq;
    const folded = rows.flatMap(({ number, numbers }) => numbers.map((range) => ({ ...range, number })));
    const heirOf = (row: number) => folded.find(({ from, to }) => from <= row && row <= to)?.number;
    for (const gone of [...this.#receipted].filter((number) => !this.#rows.has(number))) {
      this.#receipted.delete(gone);
      // Written in this tab, so that there are no more of them than it has counted anyway: none is forgotten before it is sent.
      const heir = heirOf(gone);
      if (heir !== undefined) {
        this.#rowByRow.set(gone, heir);
        this.#receipted.add(heir);
        continue;
      }
      this.#remember(gone, last);
    }
    for (const waiting of this.#waiting) {
      for (const number of [...waiting.rows].filter((row) => !this.#rows.has(row))) {
        const heir = heirOf(number);
        if (heir === undefined) {
          this.#becomes(waiting, number, last);
          continue;
        }
        waiting.rows.delete(number);
        waiting.rows.add(heir);
      }
      for (const sent of [...waiting.seqs]) if (!this.#deltas.has(sent)) waiting.seqs.delete(sent);
    }
    this.#settle();
  }

  journaled(rows: readonly RowFacts[]): void {
    for (const row of rows) {
      const { number, was } = row;
      if (!isUnkept(number)) this.#lastRow = Math.max(this.#lastRow, number);
      const isLate = this.#sealedRows.has(number) || (number <= this.#toldRow && !this.#rows.has(number));
      if (!isLate) this.#addRow(row);
      if (was !== undefined) this.#renumber(was, number);
    }
  }

  /** False for a row that nobody has told of: the tab that wrote it has ended before it could. */
  isKnown(row: number): boolean {
    return row <= this.#toldRow || this.#rows.has(row) || this.#sealedRows.has(row);
  }

  /** A receipt will ask for this row. */
  receipt(row: number): void {
    if (this.#rows.has(row)) this.#receipted.add(row);
    else this.#remember(row, this.#sealedRows.get(row) ?? this.#highestSeq);
  }

  sealed(deltas: readonly SealedRows[]): void {
    for (const { seq, rows: ranges, bytes, atMs } of deltas) {
      const rows = ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
      if (seq > this.#toldSeq || this.#deltas.has(seq)) this.#addDelta(seq, { writes: rows.length, bytes, atMs });
      this.#highestSeq = Math.max(this.#highestSeq, seq);
      for (const row of rows) {
        if (row > this.#toldRow) keep(this.#sealedRows, row, seq, SEALED_MAX);
        this.#removeRow(row);
        if (this.#receipted.delete(row)) this.#remember(row, seq);
      }
      for (const waiting of this.#waiting) for (const row of rows) this.#becomes(waiting, row, seq);
    }
    this.#settle();
  }

  acknowledged(seqs: readonly number[]): void {
    for (const seq of seqs) {
      this.#removeDelta(seq);
      for (const waiting of this.#waiting) waiting.seqs.delete(seq);
    }
    this.#settle();
  }

  /** `rows`: what these deltas stood for, in the journal again. Who waits is told of the error; without one, as who asks later, it waits for those. */
  withdrawn(seqs: readonly number[], error: ErrorFacts | undefined, rows: readonly RowFacts[]): void {
    // Without rows a newer write of this replica has replaced it: that is among what waits, at the latest the last of it.
    const heir = rows[0]?.number ?? Math.max(0, ...this.#rows.keys());
    for (const seq of seqs) {
      this.#removeDelta(seq);
      for (const waiting of [...this.#waiting]) {
        if (!waiting.seqs.has(seq)) continue;
        if (error === undefined) {
          waiting.seqs.delete(seq);
          if (heir > 0) waiting.rows.add(heir);
          continue;
        }
        this.#waiting.delete(waiting);
        waiting.reject(errorFromFacts(error));
      }
      for (const [row, itsSeq] of this.#seqByRow) {
        if (itsSeq !== seq) continue;
        if (heir > 0) keep(this.#rowByRow, row, heir, RECEIPTS_MAX);
        else this.#seqByRow.set(row, Math.max(...this.#deltas.keys(), seq));
      }
    }
    this.journaled(rows);
    if (heir > 0) this.receipt(heir);
    this.#settle();
  }

  /** [AE7] They are nowhere. Who waits for them is told, and who asks later. */
  lost(seqs: readonly number[], error: ErrorFacts): void {
    for (const seq of seqs) {
      this.#removeDelta(seq);
      keep(this.#lostSeqs, seq, error, LOST_MAX);
      for (const waiting of [...this.#waiting]) {
        if (!waiting.seqs.has(seq)) continue;
        this.#waiting.delete(waiting);
        waiting.reject(errorFromFacts(error));
      }
    }
    this.#settle();
  }

  heads(heads: readonly HeadSeq[]): void {
    for (const head of heads) {
      if ((this.#headSeqs.get(head.replica)?.timeMs ?? 0) <= head.timeMs) this.#headSeqs.set(head.replica, head);
    }
    this.#settle();
  }

  /** Resolves when the given rows are on a relay's disk and `isEnough` of their highest seq. `all`: everything written so far. */
  wait(
    rows: readonly number[] | 'all',
    isEnough: (highest: number) => boolean = () => true,
  ): { promise: Promise<void>; cancel(error: Error): void } {
    const gone = rows === 'all' ? [] : rows.filter((row) => this.#lost.has(row));
    if (gone.length > 0) throw new MangroveError('STORAGE_LOST', { writes: gone.length });
    const lost = rows === 'all' ? undefined : this.#lostAmong(rows);
    if (lost !== undefined) throw errorFromFacts(lost);
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
    this.#oldestAtMs ??= this.#findOldest();
    return { writes: this.#writes, bytes: this.#bytes, oldestAgeMs: Math.max(0, nowMs - this.#oldestAtMs) };
  }

  /** Keys are sealed in the order of their ids and what was refused comes in again, so neither map is in the order of writing. */
  #findOldest(): number {
    let oldestAtMs = Number.POSITIVE_INFINITY;
    for (const { atMs } of this.#rows.values()) oldestAtMs = Math.min(oldestAtMs, atMs);
    for (const { atMs } of this.#deltas.values()) oldestAtMs = Math.min(oldestAtMs, atMs);
    return oldestAtMs;
  }

  #add({ writes, bytes, atMs }: PendingWrites): void {
    this.#writes += writes;
    this.#bytes += bytes;
    if (this.#oldestAtMs !== undefined) this.#oldestAtMs = Math.min(this.#oldestAtMs, atMs);
  }

  #subtract({ writes, bytes, atMs }: PendingWrites): void {
    this.#writes -= writes;
    this.#bytes -= bytes;
    if (atMs === this.#oldestAtMs) this.#oldestAtMs = undefined;
  }

  #addRow({ number, numbers, bytes, atMs }: RowFacts): void {
    this.#removeRow(number);
    const writes = numbers.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    const row = { writes, bytes, atMs };
    this.#rows.set(number, row);
    this.#add(row);
  }

  #removeRow(number: number): void {
    const row = this.#rows.get(number);
    if (row === undefined) return;
    this.#rows.delete(number);
    this.#subtract(row);
  }

  #addDelta(seq: number, delta: PendingWrites): void {
    this.#removeDelta(seq);
    this.#deltas.set(seq, delta);
    this.#add(delta);
  }

  #removeDelta(seq: number): void {
    const delta = this.#deltas.get(seq);
    if (delta === undefined) return;
    this.#deltas.delete(seq);
    this.#subtract(delta);
  }

  #start(rows: readonly number[] | 'all'): Pick<Waiting, 'rows' | 'seqs' | 'highest'> {
    if (rows === 'all')
      return { rows: new Set(this.#rows.keys()), seqs: new Set(this.#deltas.keys()), highest: this.#highestSeq };
    const now = rows.map((row) => this.#rowNow(row));
    const seqs = now.flatMap((row) => this.#seqByRow.get(row) ?? []);
    return {
      rows: new Set(now.filter((row) => this.#rows.has(row))),
      seqs: new Set(seqs.filter((seq) => this.#deltas.has(seq))),
      highest: Math.max(0, ...seqs),
    };
  }

  /** Whoever knows a row by the number that it had while it was unkept. */
  #renumber(was: number, number: number): void {
    this.#removeRow(was);
    keep(this.#rowByRow, was, number, RECEIPTS_MAX);
    if (this.#receipted.delete(was)) this.receipt(number);
    for (const waiting of this.#waiting) {
      if (!waiting.rows.delete(was)) continue;
      waiting.rows.add(number);
      if (!this.#rows.has(number)) this.#becomes(waiting, number, this.#sealedRows.get(number) ?? this.#highestSeq);
    }
  }

  #lostAmong(rows: readonly number[]): ErrorFacts | undefined {
    const seqs = rows.map((row) => this.#seqByRow.get(this.#rowNow(row)) ?? 0);
    return seqs.map((seq) => this.#lostSeqs.get(seq)).find((error) => error !== undefined);
  }

  #rowNow(row: number): number {
    const again = this.#rowByRow.get(row);
    return again === undefined ? row : this.#rowNow(again);
  }

  #becomes(waiting: Waiting, row: number, seq: number): void {
    if (!waiting.rows.delete(row)) return;
    if (this.#deltas.has(seq)) waiting.seqs.add(seq);
    waiting.highest = Math.max(waiting.highest, seq);
  }

  /** A receipt that is older than so many writes asks for what has long been acknowledged. */
  #remember(row: number, seq: number): void {
    keep(this.#seqByRow, row, seq, RECEIPTS_MAX);
  }

  #settle(): void {
    for (const waiting of [...this.#waiting]) {
      if (waiting.rows.size > 0 || waiting.seqs.size > 0 || !waiting.isEnough(waiting.highest)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}

/** The oldest entries make room. */
function keep<Value>(map: Map<number, Value>, key: number, value: Value, sizeMax: number): void {
  map.set(key, value);
  if (map.size <= sizeMax) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
