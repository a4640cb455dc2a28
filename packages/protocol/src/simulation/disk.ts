import { isDamage } from '../store/healing-store.js';
import { MemoryTables } from '../store/memory-store.js';
import { type Plan, type Read, type ReadResult, runPlan, type Write } from '../store/plan.js';
import type { Table } from '../store/table.js';

interface Undo {
  readonly table: Table;
  readonly key: Uint8Array;
  readonly before: Uint8Array | undefined;
}

/** One transaction as a store meets it: what was read, what it got, and what was written. */
export interface Transacted {
  readonly reads: readonly (readonly [Read, ReadResult])[];
  readonly writes: readonly Write[];
}

/**
 * A replica's tables with a power switch. Transactions since the last strict one are taken back in a power cut, the youngest
 * first and each as a whole, as browsers were measured to do.
 */
export class Disk {
  readonly tables: MemoryTables;
  /** What to do when a plan stumbles over damage, before it is run again. */
  heal: (() => void) | undefined;
  /** For tests: hears of every transaction, and of a power cut as one that takes its predecessors back. */
  heard: ((transacted: Transacted) => void) | undefined;
  /** One list for each transaction that is not behind a barrier. */
  #unsafe: Undo[][] = [];

  constructor(tables = new MemoryTables()) {
    this.tables = tables;
  }

  get isSafe(): boolean {
    return this.#unsafe.length === 0;
  }

  read<Result>(plan: Plan<Result>): Result {
    const { result, writes } = this.#run(plan);
    if (writes.length > 0) throw new Error('assertion failed: a read plan wrote');
    return result;
  }

  write<Result>(plan: Plan<Result>, durability: 'strict' | 'relaxed'): Result {
    const { result, writes } = this.#run(plan);
    if (durability === 'relaxed') {
      const undo = writes.map(({ table, key }) => ({ table, key, before: this.tables.table(table).get(key) }));
      this.#unsafe.push(undo);
    }
    this.tables.apply(writes);
    if (durability === 'strict') this.barrier();
    return result;
  }

  barrier(): void {
    this.#unsafe = [];
  }

  /** `keep` says how many of the transactions that are not behind a barrier survive, from 0 to 1. */
  cutPower(keep: number): void {
    const kept = Math.floor(this.#unsafe.length * keep);
    for (const undo of this.#unsafe.slice(kept).reverse()) {
      const writes = undo.map(({ table, key, before }): Write => {
        return before === undefined ? { kind: 'delete', table, key } : { kind: 'put', table, key, value: before };
      });
      this.tables.apply(writes);
      this.heard?.({ reads: [], writes });
    }
    this.#unsafe = [];
  }

  #run<Result>(plan: Plan<Result>): { readonly result: Result; readonly writes: readonly Write[] } {
    try {
      return this.#runOnce(plan);
    } catch (error) {
      if (this.heal === undefined || !isDamage(error)) throw error;
    }
    this.heal();
    return this.#runOnce(plan);
  }

  #runOnce<Result>(plan: Plan<Result>): { readonly result: Result; readonly writes: readonly Write[] } {
    const reads: (readonly [Read, ReadResult])[] = [];
    const outcome = runPlan(plan, (read) => {
      const answer = this.tables.read(read);
      if (this.heard !== undefined) reads.push([read, answer]);
      return answer;
    });
    this.heard?.({ reads, writes: outcome.writes });
    return outcome;
  }
}
