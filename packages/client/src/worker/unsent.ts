import type { JournalRow } from '@mangrove/protocol';
import type { SealedRows } from '../tabs/room-channel.js';

const UNSENT_BYTES_MAX = 4 * 1024 * 1024;
const UNSENT_ROWS_MAX = 16_384;

/**
 * What this tab has written and no relay has acknowledged, as far as memory goes: should the store fail, it is written into the next
 * one [JS8]. Of what does not fit the oldest goes first.
 */
export class Unsent {
  readonly #rows = new Map<number, JournalRow>();
  readonly #numbersBySeq = new Map<number, number[]>();
  /** Rows that stand for earlier ones, whose delta was refused. */
  readonly #formerByRow = new Map<number, number[]>();
  /** Written at an earlier visit or by another tab. */
  readonly #loaded = new Set<number>();
  #bytes = 0;

  /** `withLoaded`: also those that every tab has found when it began, of which one is to speak for all. */
  rows(withLoaded: boolean): readonly JournalRow[] {
    return [...this.#rows.values()].filter(({ number }) => withLoaded || !this.#loaded.has(number));
  }

  load(rows: readonly JournalRow[]): void {
    for (const { number } of rows) this.#loaded.add(number);
    this.journaled([...rows].sort((a, b) => a.number - b.number));
  }

  journaled(rows: readonly JournalRow[]): void {
    for (const row of rows) {
      this.#rows.set(row.number, row);
      this.#bytes += row.payload.length;
    }
    for (const oldest of this.#rows.keys()) {
      if (this.#bytes <= UNSENT_BYTES_MAX && this.#rows.size <= UNSENT_ROWS_MAX) break;
      this.#forget(oldest);
    }
  }

  sealed(deltas: readonly SealedRows[]): void {
    for (const { seq, rows } of deltas) {
      const numbers: number[] = [];
      for (const { from, to } of rows) {
        for (let number = from; number <= to; number++) {
          numbers.push(...(this.#formerByRow.get(number) ?? []));
          this.#formerByRow.delete(number);
          if (this.#rows.has(number)) numbers.push(number);
        }
      }
      if (numbers.length > 0) this.#numbersBySeq.set(seq, numbers);
    }
  }

  acknowledged(seqs: readonly number[]): void {
    for (const seq of seqs) {
      for (const number of this.#numbersBySeq.get(seq) ?? []) this.#forget(number);
      this.#numbersBySeq.delete(seq);
    }
  }

  /** `heir`: the row that holds the content of the refused deltas; undefined where a newer write has replaced it. */
  withdrawn(seqs: readonly number[], heir: number | undefined): void {
    for (const seq of seqs) {
      const numbers = this.#numbersBySeq.get(seq) ?? [];
      this.#numbersBySeq.delete(seq);
      if (heir === undefined) for (const number of numbers) this.#forget(number);
      else this.#formerByRow.set(heir, [...(this.#formerByRow.get(heir) ?? []), ...numbers]);
    }
  }

  #forget(number: number): void {
    const row = this.#rows.get(number);
    if (row === undefined) return;
    this.#rows.delete(number);
    this.#loaded.delete(number);
    this.#bytes -= row.payload.length;
  }
}
