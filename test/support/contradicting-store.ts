import {
  bytesToHex,
  equalBytes,
  MemoryStore,
  MemoryTables,
  type Read,
  type ReadResult,
  type Row,
  type Table,
  type Write,
} from '@mangrove/protocol';

/**
 * How a database with a spoiled index contradicts itself about a row. `unfound`: ranges give it, and its key does not. `unlisted`: its key gives it,
 * and no range does. `cut`: ranges read forwards end before it. `lost`: nothing gives it, whatever is written.
 */
export type Contradiction = 'unfound' | 'unlisted' | 'cut' | 'lost';

/** Rows in memory, some of which are read as those of a database whose index is spoiled. */
class ContradictingTables extends MemoryTables {
  readonly #spoiled = new Map<string, Contradiction>();
  /** Whether a row that is deleted and written anew is like any other again, as where only its own entry was spoiled. */
  isMendable = true;

  get spoiled(): number {
    return this.#spoiled.size;
  }

  spoil(table: Table, key: Uint8Array, how: Contradiction): void {
    this.#spoiled.set(placeOf(table, key), how);
  }

  override read(read: Read): ReadResult {
    const answer = super.read(read);
    if (this.#spoiled.size === 0) return answer;
    const how = (key: Uint8Array): Contradiction | undefined => this.#spoiled.get(placeOf(read.table, key));
    if (read.kind === 'get') return ['unfound', 'lost'].includes(how(read.key) ?? '') ? undefined : answer;
    // All of the range, as what is not given makes room for others.
    const rows = super.read({ ...read, kind: 'rows', limit: undefined }) as readonly Row[];
    const end = read.reverse ? -1 : rows.findIndex(([key]) => how(key) === 'cut');
    const isOnlyOne = rows.length === 1 || (end >= 0 && equalBytes((rows[end] as Row)[0], read.from));
    const given = (end < 0 || isOnlyOne ? rows : rows.slice(0, end))
      .filter(([key]) => !['unlisted', 'lost'].includes(how(key) ?? ''))
      .slice(0, read.limit);
    return read.kind === 'rows' ? given : given.map(([key]) => key);
  }

  override apply(writes: readonly Write[]): void {
    super.apply(writes);
    for (const write of writes)
      if (this.isMendable && write.kind === 'put' && write.isAnew)
        this.#spoiled.delete(placeOf(write.table, write.key));
  }
}

export class ContradictingStore extends MemoryStore {
  override readonly tables = new ContradictingTables();
}

const placeOf = (table: Table, key: Uint8Array): string => `${table} ${bytesToHex(key)}`;
