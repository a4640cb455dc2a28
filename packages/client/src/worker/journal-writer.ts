import {
  appendToJournal,
  asImport,
  type Edit,
  hlcToMs,
  isMangroveError,
  type JournalRow,
  type ReplicaId,
  type RoomRef,
  numbersOf,
  oldestOf,
  readOwnReplica,
  type Steps,
  type Store,
  type Transaction,
  utf8ToBytes,
} from '@mangrove/protocol';
import type { JournaledRow, ReceivedKey } from '../tabs/room-channel.js';

const STRICT = { mode: 'write', durability: 'strict' } as const;
const BARRIER = utf8ToBytes('barrier');
/** A seal takes some ms. One that hangs must not keep what was typed from the disk. */
const SEAL_MS_MAX = 50;

interface Waiting {
  readonly edit: Edit;
  readonly resolve: (row: JournalRow) => void;
  readonly reject: (error: unknown) => void;
}

/** A strict transaction that comes anyway, and takes along what was committed before it. */
export interface Barrier {
  /** Whether journal rows are sealed as soon as they are there. */
  follows(): boolean;
  /** True when the row was sealed, which is strict; false as soon as that is not under way any more. */
  passed(row: number): Promise<boolean>;
}

/**
 * Makes edits durable in groups: what comes while one transaction is under way goes into the next one together, so that a burst
 * costs one barrier and a single keystroke waits for nobody. A resolved edit is on disk [JS1]. Where it is sealed at once, the seal's
 * barrier serves for its row as well: what is committed relaxed before a strict transaction of the same database is behind it too.
 */
export class JournalWriter {
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #replica: ReplicaId;
  readonly #nowMs: () => number;
  /** Called before the writers' promises resolve, so that nobody knows of a row that is not yet counted. */
  readonly #journaled: (rows: readonly JournaledRow[]) => void;
  readonly #barrier: Barrier;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** Edits that were ever appended, and those of them that are on disk or have failed. */
  #appended = 0;
  #settled = 0;
  #group: Promise<void> = Promise.resolve();

  constructor(
    store: Store,
    room: RoomRef,
    replica: ReplicaId,
    nowMs: () => number,
    journaled: (rows: readonly JournaledRow[]) => void,
    barrier: Barrier,
  ) {
    this.#store = store;
    this.#room = room;
    this.#replica = replica;
    this.#nowMs = nowMs;
    this.#journaled = journaled;
    this.#barrier = barrier;
  }

  append(edit: Edit): Promise<JournalRow> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ edit, resolve, reject });
      this.#appended++;
      this.#begin();
    });
  }

  /** When everything that was appended before is on disk, or has failed. What comes after is not waited for: it may never end. */
  async idle(): Promise<void> {
    const last = this.#appended;
    while (this.#settled < last) await this.#group;
  }

  #begin(): void {
    if (this.#writing !== undefined || this.#waiting.length === 0) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
      // One may have come between the last look and now.
      this.#begin();
    });
  }

  /** A tab that has not yet heard that this profile took another identity still writes under the old one's clientIDs. */
  *#append(tx: Transaction, edits: readonly Edit[]): Steps<readonly JournalRow[]> {
    const isOwn = (yield* readOwnReplica(tx)) === this.#replica;
    return yield* appendToJournal(tx, this.#room, isOwn ? edits : edits.map(asImport), this.#nowMs());
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      this.#group = this.#commit(group).finally(() => {
        this.#settled += group.length;
      });
      await this.#group;
    }
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    const edits = group.map(({ edit }) => edit);
    const isSealedNext = this.#barrier.follows();
    let rows: readonly JournalRow[];
    try {
      rows = await this.#store.transact((tx) => this.#append(tx, edits), {
        mode: 'write',
        durability: isSealedNext ? 'relaxed' : 'strict',
      });
    } catch (error) {
      // An edit that no delta can carry must not take the others of its group along; a full disk hits them all.
      const isOfOne = !(isMangroveError(error) && error.retryable);
      if (group.length > 1 && isOfOne) for (const waiting of group) await this.#commit([waiting]);
      else for (const { reject } of group) reject(error);
      return;
    }
    this.#journaled(rows.map(toNotice));
    try {
      const last = rows.at(-1)?.number ?? 0;
      if (isSealedNext && !(await soon(this.#barrier.passed(last)))) await this.#store.transact(setBarrier, STRICT);
    } catch (error) {
      for (const { reject } of group) reject(error);
      return;
    }
    for (const [i, { resolve }] of group.entries()) resolve(rows[i] as JournalRow);
  }
}

/** False where it takes too long. */
async function soon(promise: Promise<boolean>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), SEAL_MS_MAX)));
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A strict transaction has to write something to be one. */
export function* setBarrier(tx: Transaction): Steps<void> {
  tx.put('meta', BARRIER, new Uint8Array());
}

/** A row as the tabs tell each other of it. */
export function toNotice(row: JournalRow): JournaledRow {
  const { number, keyId, name, payload } = row;
  const isDocument = name.kind === 'document';
  return {
    number,
    keyId,
    document: isDocument ? name.id : undefined,
    collection: isDocument ? undefined : name.collection,
    id: name.id,
    bytes: payload.length,
    atMs: hlcToMs(oldestOf(row)),
    numbers: numbersOf(row),
    update: isDocument ? payload : undefined,
  };
}

/** What such a notice says of its key, in the words of what came from elsewhere. */
export function toReceivedKey(row: JournaledRow): ReceivedKey {
  return { ...row, updates: row.update === undefined ? [] : [row.update] };
}
