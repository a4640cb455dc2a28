import { compareBytes, bytesToHex } from '../bytes.js';
import type { Table } from './table.js';

/**
 * A plan is a transaction without a database: a generator that asks for rows and, at its end, leaves a result and a set of
 * writes. All decisions about stored state are plans; a store only fetches what a plan asks for and applies what it wrote,
 * atomically. So the same plan runs in IndexedDB, in LMDB, in a Durable Object and in the simulator.
 */
export type Plan<Result> = (tx: Transaction) => Steps<Result>;

/** The reads a plan asks for; a step may ask for several rows at once, and gets as many answers in the same order. */
export type Steps<Result> = Generator<readonly Read[], Result, readonly ReadResult[]>;

export type Read =
  | { readonly kind: 'get'; readonly table: Table; readonly key: Uint8Array }
  | ({ readonly kind: 'rows' | 'keys'; readonly table: Table } & Range);

/** `from` is included, `to` is not; without `to` the range runs to the table's end. `limit` counts rows from where reading begins. */
export interface Range {
  readonly from: Uint8Array;
  readonly to?: Uint8Array | undefined;
  readonly limit?: number | undefined;
  readonly reverse?: boolean | undefined;
}

export type Row = readonly [key: Uint8Array, value: Uint8Array];

/** For `get` the value or undefined, for `rows` the rows, for `keys` the keys, both in the order of reading. */
export type ReadResult = Uint8Array | undefined | readonly Row[] | readonly Uint8Array[];

export type Write =
  | {
      readonly kind: 'put';
      readonly table: Table;
      readonly key: Uint8Array;
      readonly value: Uint8Array;
      /** What is stored under the key is deleted before: a store with indexes of its own is to build them anew [AE8]. */
      readonly isAnew?: true;
    }
  | { readonly kind: 'delete'; readonly table: Table; readonly key: Uint8Array };

/**
 * What a plan reads and writes through. Reads see the plan's own earlier writes. Arrays that come in or go out are owned by
 * the store afterwards: nobody changes them in place.
 */
export class Transaction {
  readonly #writes = new Map<Table, Map<string, Write>>();

  *get(table: Table, key: Uint8Array): Steps<Uint8Array | undefined> {
    const [value] = yield* this.getMany(table, [key]);
    return value;
  }

  /** Values in the order of `keys`, fetched in one step. */
  *getMany(table: Table, keys: readonly Uint8Array[]): Steps<(Uint8Array | undefined)[]> {
    const values: (Uint8Array | undefined)[] = [];
    const reads: Read[] = [];
    const positions: number[] = [];
    for (const [position, key] of keys.entries()) {
      const write = this.#writes.get(table)?.get(bytesToHex(key));
      if (write !== undefined) {
        values[position] = write.kind === 'put' ? write.value : undefined;
      } else {
        reads.push({ kind: 'get', table, key });
        positions.push(position);
      }
    }
    if (reads.length > 0) {
      const results = yield reads;
      for (const [i, position] of positions.entries()) values[position] = results[i] as Uint8Array | undefined;
    }
    return values;
  }

  *rows(table: Table, range: Range): Steps<readonly Row[]> {
    const [stored] = (yield [{ kind: 'rows', table, ...this.#widen(table, range) }]) as [readonly Row[]];
    return this.#overlay(
      table,
      range,
      stored,
      (row) => row[0],
      (write) => [write.key, write.value] as const,
    );
  }

  *keys(table: Table, range: Range): Steps<readonly Uint8Array[]> {
    const [stored] = (yield [{ kind: 'keys', table, ...this.#widen(table, range) }]) as [readonly Uint8Array[]];
    return this.#overlay(
      table,
      range,
      stored,
      (key) => key,
      (write) => write.key,
    );
  }

  put(table: Table, key: Uint8Array, value: Uint8Array): void {
    this.#write({ kind: 'put', table, key, value });
  }

  /** As `put`, of what contradicts itself. */
  rewrite(table: Table, key: Uint8Array, value: Uint8Array): void {
    this.#write({ kind: 'put', table, key, value, isAnew: true });
  }

  delete(table: Table, key: Uint8Array): void {
    this.#write({ kind: 'delete', table, key });
  }

  /** One write a row, the last one of each. */
  writes(): readonly Write[] {
    return [...this.#writes.values()].flatMap((writes) => [...writes.values()]);
  }

  #write(write: Write): void {
    let writes = this.#writes.get(write.table);
    if (writes === undefined) this.#writes.set(write.table, (writes = new Map()));
    writes.set(bytesToHex(write.key), write);
  }

  /** Own deletes may hide stored rows, so a limited read asks for that many more. */
  #widen(table: Table, range: Range): Range {
    const writes = this.#writes.get(table)?.size ?? 0;
    return range.limit === undefined || writes === 0 ? range : { ...range, limit: range.limit + writes };
  }

  #overlay<Item>(
    table: Table,
    range: Range,
    stored: readonly Item[],
    keyOf: (item: Item) => Uint8Array,
    fromPut: (write: Write & { kind: 'put' }) => Item,
  ): readonly Item[] {
    const writes = this.#writes.get(table);
    if (writes === undefined || writes.size === 0) return stored;
    const items = stored.filter((item) => !writes.has(bytesToHex(keyOf(item))));
    for (const write of writes.values()) {
      if (write.kind === 'put' && isWithin(write.key, range)) items.push(fromPut(write));
    }
    items.sort((a, b) => compareBytes(keyOf(a), keyOf(b)));
    if (range.reverse) items.reverse();
    return range.limit === undefined ? items : items.slice(0, range.limit);
  }
}

export function isWithin(key: Uint8Array, range: Range): boolean {
  return compareBytes(key, range.from) >= 0 && (range.to === undefined || compareBytes(key, range.to) < 0);
}

/**
 * Runs steps side by side, with their results in the order of `steps`: what all of them read next is asked for in one step, as a round trip to a
 * database costs more than what it brings. They share a transaction, so none may read what another one writes.
 */
export function* together<Results extends readonly unknown[]>(
  steps: {
    readonly [i in keyof Results]: Steps<Results[i]>;
  },
): Steps<Results> {
  const results: unknown[] = [];
  let running = steps.map((one, index) => ({ one, index, step: one.next() }));
  for (;;) {
    const reads: Read[] = [];
    const waiting: typeof running = [];
    for (const run of running) {
      if (run.step.done) {
        results[run.index] = run.step.value;
      } else {
        waiting.push(run);
        for (const read of run.step.value) reads.push(read);
      }
    }
    if (waiting.length === 0) return results as unknown as Results;
    const answers = yield reads;
    let offset = 0;
    for (const run of waiting) {
      const end = offset + (run.step.done ? 0 : run.step.value.length);
      run.step = run.one.next(answers.slice(offset, end));
      offset = end;
    }
    running = waiting;
  }
}

/** Runs a plan over a store that answers at once. */
export function runPlan<Result>(
  plan: Plan<Result>,
  read: (read: Read) => ReadResult,
): { readonly result: Result; readonly writes: readonly Write[] } {
  const tx = new Transaction();
  const steps = plan(tx);
  let step = steps.next();
  while (!step.done) step = steps.next(step.value.map(read));
  return { result: step.value, writes: tx.writes() };
}

/** Runs a plan over a store that answers in its own time; all reads of a step are under way at once. */
export async function runPlanAsync<Result>(
  plan: Plan<Result>,
  read: (read: Read) => Promise<ReadResult>,
): Promise<{ readonly result: Result; readonly writes: readonly Write[] }> {
  const tx = new Transaction();
  const steps = plan(tx);
  let step = steps.next();
  while (!step.done) step = steps.next(await Promise.all(step.value.map(read)));
  return { result: step.value, writes: tx.writes() };
}
