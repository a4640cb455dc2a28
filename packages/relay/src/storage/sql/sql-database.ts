export type SqlValue = string | number | ArrayBuffer | Uint8Array | null;
export type SqlRow = Readonly<Record<string, SqlValue>>;

export interface SqlCursor {
  toArray(): readonly SqlRow[];
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

/** The storage of a Durable Object, as far as it is used here: SQLite that answers at once and is made durable afterwards. */
export interface SqlDatabase {
  readonly sql: { exec(query: string, ...bindings: SqlValue[]): SqlCursor };
  /** All writes of `run` or, where it throws, none. */
  transactionSync<Result>(run: () => Result): Result;
  /** Resolves when a power cut can no longer take what was written. */
  sync(): Promise<void>;
}

/** What is paid for: rows that were read, and rows that were written or deleted. */
export interface RowCount {
  read: number;
  written: number;
  /** Rows that plans have written: what would be paid for if each were a row of the database. */
  planned: number;
}

/** Runs statements and counts their rows. */
export class Statements {
  readonly database: SqlDatabase;
  readonly count: RowCount = { read: 0, written: 0, planned: 0 };

  constructor(database: SqlDatabase) {
    this.database = database;
  }

  run(query: string, ...bindings: SqlValue[]): readonly SqlRow[] {
    const cursor = this.database.sql.exec(query, ...bindings);
    const rows = cursor.toArray();
    this.count.read += cursor.rowsRead;
    this.count.written += cursor.rowsWritten;
    return rows;
  }
}

/** A blob comes back as an `ArrayBuffer`. */
export function blobOf(value: SqlValue | undefined): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array(value as ArrayBuffer);
}
