/** How rows of plans become rows of SQLite. Rows that are written are what a Durable Object costs; bytes cost next to nothing. */
export interface SqlBounds {
  /** Commits that are kept one row each. As many are read again by each new instance of the object. */
  readonly slots: number;
  /** A commit that is larger goes to its pages at once. */
  readonly commitBytesMax: number;
  /** Of all commits that are not in the pages yet: they are in memory as well. */
  readonly recentBytesMax: number;
  /** A row of SQLite may have 2 MiB. Larger pages are fewer rows to write and more work to unpack. */
  readonly pageBytesMax: number;
  /** How full the pages are that one is cut into: what is appended goes on in the last of them. */
  readonly pageBytesCut: number;
  /** Pages in memory, as packed: unpacked they are about three times as much of the 128 MB that an object has. */
  readonly cacheBytesMax: number;
  /** A larger value has rows of its own: a page would be rewritten with it. */
  readonly inlineBytesMax: number;
  readonly pieceBytes: number;
}

export const DEFAULT_BOUNDS: SqlBounds = {
  slots: 512,
  commitBytesMax: 256 * 1024,
  recentBytesMax: 1024 * 1024,
  pageBytesMax: 64 * 1024,
  pageBytesCut: 48 * 1024,
  cacheBytesMax: 8 * 1024 * 1024,
  inlineBytesMax: 16 * 1024,
  pieceBytes: 1024 * 1024,
};
