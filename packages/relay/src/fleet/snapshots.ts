import {
  bytesToHex,
  bytesToU64,
  concatBytes,
  equalBytes,
  type Hash,
  MangroveError,
  type Row,
  ROLL_BYTES,
  type Store,
  successor,
  type Table,
  TABLES,
  u64ToBytes,
} from '@mangrove/protocol';
import type { Engine } from './engine.js';
import { EntryReader, EntryWriter } from './entry-bytes.js';
import { NOTHING_APPLIED, STATE, writeShared } from './state.js';

const PAGE_ROWS = 512;
const PIECE_BYTES_MAX = 1_000_000;
const WRITE_BYTES = 1_000_000;
const ROOT_BYTES = 32;
const HASH_BYTES = 32;
/** More than are ever there at once: one, and those that are being written. */
const STATES_MAX = 64;
/** Before each piece is which one it is. */
const NUMBER_BYTES = 8;
/** Stubs and parts on their way are of one relay, and decide nothing. */
const SHARED_TABLES: readonly Table[] = TABLES.filter((table) => table !== 'incoming');

/** A state that is in the engine: that of the room when the log's entry at `at`, a cut, had been applied. */
export interface Snapshot {
  readonly at: number;
  readonly index: number;
  readonly roll: Uint8Array;
  readonly root: Uint8Array;
  /** What all bytes of it come to, piece after piece. */
  readonly sum: Uint8Array;
  readonly pieces: number;
}

const statesLog = (room: string): string => `states.${room}`;
const piecesLog = (room: string, at: number): string => `state.${room}.${at}`;

/** The newest state of a room, whenever it was written: two relays may write theirs at once. */
export async function newestSnapshot(engine: Engine, room: string): Promise<Snapshot | undefined> {
  const states = await readStates(engine, room);
  return states.reduce<Snapshot | undefined>(
    (best, state) => (best === undefined || state.at > best.at ? state : best),
    undefined,
  );
}

async function readStates(engine: Engine, room: string): Promise<readonly Snapshot[]> {
  return (await engine.read(statesLog(room), 0, STATES_MAX)).map(({ bytes }) => bytesToSnapshot(bytes));
}

/**
 * Writes all rows of a room into the engine, in which they are when it resolves, and older states are not; false where somebody has written a later one meanwhile. Nobody changes the room meanwhile. It is abandoned, and rejects, where the engine is given up.
 */
export async function writeSnapshot(
  engine: Engine,
  hash: Hash,
  room: string,
  store: Store,
  facts: Pick<Snapshot, 'at' | 'index' | 'roll' | 'root'>,
  signal: AbortSignal,
): Promise<boolean> {
  const pieceBytes = Math.min(engine.entryBytesMax, PIECE_BYTES_MAX) - NUMBER_BYTES;
  let sum: Uint8Array = new Uint8Array(HASH_BYTES);
  let pieces = 0;
  const name = piecesLog(room, facts.at);
  // What somebody has left behind here.
  await engine.cut(name, Number.MAX_SAFE_INTEGER);
  const by = bytesToHex(crypto.getRandomValues(new Uint8Array(8)));
  for await (const piece of piecesOf(store, pieceBytes)) {
    sum = hash(concatBytes(sum, piece));
    await engine.append(name, `${by}-${pieces}`, concatBytes(u64ToBytes(pieces), piece), signal);
    pieces++;
  }
  const snapshot = { ...facts, sum, pieces };
  const position = await engine.append(statesLog(room), by, snapshotToBytes(snapshot), signal);
  const states = await readStates(engine, room);
  // Somebody has written a later one meanwhile, and may have cut the log there: that one is to stay.
  if (states.some(({ at }) => at > facts.at)) return false;
  await engine.cut(statesLog(room), position);
  for (const { at } of states) if (at < facts.at) await engine.cut(piecesLog(room, at), Number.MAX_SAFE_INTEGER);
  return true;
}

/** Puts the rows of a state in the place of all that is there; where it was cut off, the room says so. Rejects with `ENGINE_UNAVAILABLE` where a piece is gone: a newer state is in its place. */
export async function readSnapshot(
  engine: Engine,
  hash: Hash,
  room: string,
  store: Store,
  { at, pieces, sum }: Snapshot,
): Promise<void> {
  await wipe(store);
  let before: Uint8Array = new Uint8Array(HASH_BYTES);
  let position = 0;
  let left: Uint8Array = new Uint8Array();
  let rows: StoredRow[] = [];
  let last: StoredRow | undefined;
  let size = 0;
  for (let i = 0; i < pieces; ) {
    const [next] = await engine.read(piecesLog(room, at), position, 1);
    if (next === undefined) throw gone('a piece of a state is gone');
    position = next.position;
    // One that the engine has taken twice.
    if (bytesToU64(next.bytes) !== i) continue;
    i++;
    const piece = next.bytes.subarray(NUMBER_BYTES);
    before = hash(concatBytes(before, piece));
    const { found, rest } = rowsIn(concatBytes(left, piece));
    left = rest;
    rows.push(...found);
    size += piece.length;
    if (size < WRITE_BYTES && i < pieces) continue;
    await put(
      store,
      rows.filter((row) => !isState(row)),
      'relaxed',
    );
    last ??= rows.find(isState);
    rows = [];
    size = 0;
  }
  if (!equalBytes(before, sum) || left.length > 0 || last === undefined) throw gone('a state is not as it was written');
  // How far it has come is there when all of it is.
  await put(store, [last], 'strict');
}

const isState = ([table, [key]]: StoredRow): boolean => table === 'meta' && equalBytes(key, STATE);

/** Deletes what relays of a fleet have in common of a room, and says that it did. */
export async function wipe(store: Store): Promise<void> {
  await store.transact(
    function* (tx) {
      writeShared(tx, { ...NOTHING_APPLIED, isLoading: true });
    },
    { mode: 'write', durability: 'strict' },
  );
  for (const table of SHARED_TABLES) {
    for (let isMore = true; isMore; ) {
      isMore = await store.transact(
        function* (tx) {
          const keys = yield* tx.keys(table, { from: new Uint8Array(), limit: PAGE_ROWS });
          const gone = keys.filter((key) => !isState([table, [key, key]]));
          for (const key of gone) tx.delete(table, key);
          return keys.length === PAGE_ROWS;
        },
        { mode: 'write', durability: 'relaxed' },
      );
    }
  }
}

type StoredRow = readonly [table: Table, row: Row];

async function put(store: Store, rows: readonly StoredRow[], durability: 'strict' | 'relaxed'): Promise<void> {
  await store.transact(
    function* (tx) {
      for (const [table, [key, value]] of rows) tx.put(table, key, value);
    },
    { mode: 'write', durability },
  );
}

async function* piecesOf(store: Store, pieceBytes: number): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let size = 0;
  for (const table of SHARED_TABLES) {
    for (let from: Uint8Array | undefined = new Uint8Array(); from !== undefined; ) {
      const range = { from, limit: PAGE_ROWS };
      const rows: readonly Row[] = await store.transact((tx) => tx.rows(table, range), { mode: 'read' });
      for (const [key, value] of rows) {
        const bytes = new EntryWriter().u8(TABLES.indexOf(table)).sized(key).sized(value).bytes();
        waiting.push(bytes);
        size += bytes.length;
      }
      while (size >= pieceBytes) {
        const all = concatBytes(...waiting);
        yield all.subarray(0, pieceBytes);
        waiting = [all.subarray(pieceBytes)];
        size -= pieceBytes;
      }
      const last: Uint8Array | undefined = rows.at(-1)?.[0];
      from = rows.length < PAGE_ROWS || last === undefined ? undefined : successor(last);
    }
  }
  if (size > 0) yield concatBytes(...waiting);
}

/** The rows that are whole, and what is left. */
function rowsIn(bytes: Uint8Array): { readonly found: readonly StoredRow[]; readonly rest: Uint8Array } {
  const found: StoredRow[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (;;) {
    if (at + 5 > bytes.length) break;
    const keyEnd = at + 5 + view.getUint32(at + 1);
    if (keyEnd + 4 > bytes.length) break;
    const end = keyEnd + 4 + view.getUint32(keyEnd);
    if (end > bytes.length) break;
    const table = TABLES[bytes[at] as number];
    if (table === undefined) throw gone('a state has a row of no table');
    found.push([table, [bytes.slice(at + 5, keyEnd), bytes.slice(keyEnd + 4, end)]]);
    at = end;
  }
  return { found, rest: bytes.subarray(at) };
}

function snapshotToBytes({ at, index, roll, root, sum, pieces }: Snapshot): Uint8Array {
  return new EntryWriter().number(at).number(index).fixed(roll).fixed(root).fixed(sum).number(pieces).bytes();
}

function bytesToSnapshot(bytes: Uint8Array): Snapshot {
  const reader = new EntryReader(bytes);
  return {
    at: reader.number(),
    index: reader.number(),
    roll: reader.fixed(ROLL_BYTES),
    root: reader.fixed(ROOT_BYTES),
    sum: reader.fixed(HASH_BYTES),
    pieces: reader.number(),
  };
}

function gone(reason: string): MangroveError {
  return new MangroveError('ENGINE_UNAVAILABLE', { reason });
}
