import { compareBytes } from '@mangrove/protocol';
import type { SqlBounds } from './bounds.js';
import { bytesOfEntry, type Entry, packEntries, placeOf, unpackEntries } from './packed-rows.js';
import { blobOf, type Statements } from './sql-database.js';

const FOLDED = 'folded';

/**
 * What the last commits have written: in memory in the order of keys, and in the table `recent` as one row for each commit. Whoever keeps the
 * pages takes it over when there is much of it, so that a row that is written again and again is paid for once in hundreds of commits.
 */
export class Recent {
  readonly #statements: Statements;
  readonly #bounds: SqlBounds;
  #entries: Entry[] = [];
  #bytes = 0;
  /** The last commit that has a row, and the last one of which all is in the pages. */
  #last = 0;
  #folded = 0;

  constructor(statements: Statements, bounds: SqlBounds) {
    this.#statements = statements;
    this.#bounds = bounds;
  }

  static create(statements: Statements): void {
    statements.run('CREATE TABLE recent (slot INTEGER PRIMARY KEY, number INTEGER NOT NULL, body BLOB NOT NULL)');
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Whether there is so much that it is to be taken over. */
  get isFull(): boolean {
    return this.#bytes > this.#bounds.recentBytesMax || this.#last - this.#folded >= this.#bounds.slots;
  }

  reset(): void {
    this.#entries = [];
    this.#bytes = 0;
    this.#last = 0;
    this.#folded = 0;
  }

  load(): void {
    this.reset();
    const [folded] = this.#statements.run('SELECT value FROM settings WHERE name = ?', FOLDED);
    this.#folded = folded === undefined ? 0 : Number(new DataView(folded.value as ArrayBuffer).getBigUint64(0));
    this.#last = this.#folded;
    const query = 'SELECT number, body FROM recent WHERE number > ? ORDER BY number';
    for (const { number, body } of this.#statements.run(query, this.#folded)) {
      this.#take(unpackEntries(blobOf(body)));
      this.#last = number as number;
    }
  }

  /** Also where it says that the key is gone. */
  find(key: Uint8Array): Entry | undefined {
    const entry = this.#entries[placeOf(this.#entries, key)];
    return entry !== undefined && compareBytes(entry[0], key) === 0 ? entry : undefined;
  }

  /** In a transaction. False where this is too much for a row of its own: then all is to be taken over in the same transaction. */
  add(entries: readonly Entry[]): boolean {
    const bytes = entries.reduce((sum, entry) => sum + bytesOfEntry(entry), 0);
    if (bytes > this.#bounds.commitBytesMax) {
      this.#take(entries);
      return false;
    }
    // Copied by packing, so that it keeps no larger array in memory.
    const body = packEntries(entries);
    this.#take(unpackEntries(body));
    // A row is written over by a later commit, so that nothing is paid for deleting it.
    const number = ++this.#last;
    const slot = number % this.#bounds.slots;
    this.#statements.run('INSERT OR REPLACE INTO recent VALUES (?, ?, ?)', slot, number, body);
    return true;
  }

  /** In a transaction, when all of it is in the pages. */
  clear(): void {
    this.#entries = [];
    this.#bytes = 0;
    if (this.#folded === this.#last) return;
    this.#folded = this.#last;
    const value = new DataView(new ArrayBuffer(8));
    value.setBigUint64(0, BigInt(this.#folded));
    this.#statements.run('INSERT OR REPLACE INTO settings VALUES (?, ?)', FOLDED, value.buffer);
  }

  #take(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const place = placeOf(this.#entries, entry[0]);
      const before = this.#entries[place];
      const isThere = before !== undefined && compareBytes(before[0], entry[0]) === 0;
      this.#entries.splice(place, isThere ? 1 : 0, entry);
      this.#bytes += bytesOfEntry(entry) - (isThere ? bytesOfEntry(before) : 0);
    }
  }
}
