import { MemoryTables } from '../store/memory-store.js';
import { type Plan, runPlan } from '../store/plan.js';
import type { Table } from '../store/table.js';

interface Undo {
  readonly table: Table;
  readonly key: Uint8Array;
  readonly before: Uint8Array | undefined;
}

/**
 * A replica's tables with a power switch. Transactions since the last strict one are taken back in a power cut, the youngest
 * first and each as a whole, as browsers were measured to do.
 */
export class Disk {
  readonly tables: MemoryTables;
  /** One list for each transaction that is not behind a barrier. */
  #unsafe: Undo[][] = [];

  constructor(tables = new MemoryTables()) {
    this.tables = tables;
  }

  get isSafe(): boolean {
    return this.#unsafe.length === 0;
  }

  read<Result>(plan: Plan<Result>): Result {
    const { result, writes } = runPlan(plan, (read) => this.tables.read(read));
    if (writes.length > 0) throw new Error('assertion failed: a read plan wrote');
    return result;
  }

  write<Result>(plan: Plan<Result>, durability: 'strict' | 'relaxed'): Result {
    const { result, writes } = runPlan(plan, (read) => this.tables.read(read));
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
      for (const { table, key, before } of undo) {
        if (before === undefined) this.tables.table(table).delete(key);
        else this.tables.table(table).put(key, before);
      }
    }
    this.#unsafe = [];
  }
}
