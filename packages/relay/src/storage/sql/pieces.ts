import { concatBytes, MangroveError } from '@mangrove/protocol';
import type { SqlBounds } from './bounds.js';
import { type Held, isLarge, type Large } from './packed-rows.js';
import { blobOf, type Statements } from './sql-database.js';

/** Values that are too large for a page, in rows of their own. */
export class Pieces {
  readonly #statements: Statements;
  readonly #pieceBytes: number;
  #next: number | undefined;

  constructor(statements: Statements, { pieceBytes }: SqlBounds) {
    this.#statements = statements;
    this.#pieceBytes = pieceBytes;
  }

  static create(statements: Statements): void {
    statements.run('CREATE TABLE pieces (number INTEGER PRIMARY KEY, body BLOB NOT NULL)');
  }

  /** In a transaction, as `drop`. */
  put(value: Uint8Array): Large {
    const firstPiece = (this.#next ??= this.#readNext());
    for (let from = 0; from < value.length; from += this.#pieceBytes) {
      const piece = value.slice(from, from + this.#pieceBytes);
      this.#statements.run('INSERT INTO pieces VALUES (?, ?)', this.#next++, piece);
    }
    return { firstPiece, bytes: value.length };
  }

  get({ firstPiece, bytes }: Large): Uint8Array {
    const query = 'SELECT body FROM pieces WHERE number >= ? AND number < ? ORDER BY number';
    const rows = this.#statements.run(query, firstPiece, firstPiece + this.#countOf(bytes));
    const value = concatBytes(...rows.map(({ body }) => blobOf(body)));
    if (value.length !== bytes)
      throw new MangroveError('INTERNAL', { reason: `${value.length} bytes are left of a value of ${bytes}` });
    return value;
  }

  drop(held: Held | undefined): void {
    if (!isLarge(held)) return;
    const { firstPiece, bytes } = held;
    const query = 'DELETE FROM pieces WHERE number >= ? AND number < ?';
    this.#statements.run(query, firstPiece, firstPiece + this.#countOf(bytes));
  }

  forget(): void {
    this.#next = undefined;
  }

  #readNext(): number {
    const [row] = this.#statements.run('SELECT max(number) AS last FROM pieces');
    return ((row?.last as number | null) ?? 0) + 1;
  }

  #countOf(bytes: number): number {
    return Math.ceil(bytes / this.#pieceBytes);
  }
}
