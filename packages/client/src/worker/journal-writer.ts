import {
  appendToJournal,
  asImport,
  draftUnkept,
  type Edit,
  isMangroveError,
  type JournalRow,
  keepRows,
  MangroveError,
  type ReplicaId,
  type RoomRef,
  readOwnReplica,
  type Steps,
  type Store,
  type Transaction,
  utf8ToBytes,
} from '@mangrove/protocol';
import { Gate, soon } from './gate.js';
import type { Unkept } from './unkept.js';

const STRICT = { mode: 'write', durability: 'strict' } as const;
const BARRIER = utf8ToBytes('barrier');
/** A seal takes some ms. One that hangs must not keep what was typed from the disk. */
const SEAL_MS_MAX = 50;
/** A full disk is tried again after this, then after twice as long; the longest pause leaves time to be on disk within a second. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 800;
/** What one try to keep rows writes at most. */
const KEPT_ROWS_MAX = 256;
/** Of what no disk takes. Beyond it writes are refused: a tab that runs out of memory loses all of it, and each read passes all rows. */
const UNKEPT_BYTES_MAX = 16 * 1024 * 1024;
const UNKEPT_ROWS_MAX = 4_096;

interface Waiting {
  readonly edits: readonly Edit[];
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/** Edits that go into one transaction. */
interface Group {
  readonly waiting: Waiting[];
  /** Each is in the journal, or applied in memory, or has failed. */
  readonly answered: Gate;
  /** Each is on disk or has failed. */
  readonly settled: Gate;
}

export interface Appended {
  /** One for each edit, in their order. */
  readonly rows: readonly JournalRow[];
  /** False: they are in this tab's memory and wait for room on the disk [JS7]. */
  readonly isKept: boolean;
}

/** A strict transaction that comes anyway, and takes along what was committed before it. */
export interface Barrier {
  /** Whether journal rows are sealed as soon as they are there. */
  follows(): boolean;
  /** True when the row was sealed, which is strict; false as soon as that is not under way any more. */
  passed(row: number): Promise<boolean>;
}

export interface JournalWriterHost {
  nowMs(): number;
  /**
   * Called before the writers' promises resolve, so that nobody knows of a row that is not yet counted. `were`: under which numbers
   * rows were told as unkept, in the same order.
   */
  journaled(rows: readonly JournalRow[], were: readonly number[]): void;
  /** The disk is full: these rows are nowhere else. */
  unkept(rows: readonly JournalRow[], error: unknown): void;
}

/**
 * Makes edits durable in groups: what comes while one transaction is under way goes into the next one together, so that a burst
 * costs one barrier and a single keystroke waits for nobody. A resolved edit is on disk [JS1], unless the disk is full: then it is
 * unkept, and tried again until it is [JS7]. Where rows are sealed at once, the seal's barrier serves for them as well: what is
 * committed relaxed before a strict transaction of the same database is behind it too.
 */
export class JournalWriter {
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #replica: ReplicaId;
  readonly #unkept: Unkept;
  readonly #host: JournalWriterHost;
  readonly #barrier: Barrier;
  #next = newGroup();
  #writing: Promise<void> | undefined;
  #answered: Promise<void> = Promise.resolve();
  #settled: Promise<void> = Promise.resolve();
  /** Settled when no row of this tab is unkept any more. */
  #unsettled: Gate[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_MS_MIN;
  #triedAtMs = 0;
  /** It is time to try again. */
  #isDue = false;
  #isStopped = false;

  constructor(
    store: Store,
    room: RoomRef,
    replica: ReplicaId,
    unkept: Unkept,
    host: JournalWriterHost,
    barrier: Barrier,
  ) {
    this.#store = store;
    this.#room = room;
    this.#replica = replica;
    this.#unkept = unkept;
    this.#host = host;
    this.#barrier = barrier;
  }

  /** All of these edits or none. */
  append(...edits: readonly [Edit, ...Edit[]]): Promise<Appended> {
    return new Promise((resolve, reject) => {
      const group = this.#next;
      if (group.waiting.length === 0) {
        this.#answered = Promise.all([this.#answered, group.answered.passed]).then(() => {});
        this.#settled = Promise.all([this.#settled, group.settled.passed]).then(() => {});
      }
      group.waiting.push({ edits, resolve, reject });
      this.#begin();
    });
  }

  /** When everything that was appended before is in the journal or shown without it, or has failed. */
  applied(): Promise<void> {
    return this.#answered;
  }

  /** When everything that was appended before is on disk, or has failed. What comes after is not waited for: it may never end. */
  idle(): Promise<void> {
    return this.#settled;
  }

  /** Goes on with rows of a tab that has ended. */
  adopted(): void {
    if (this.#unkept.ownWrites > 0) this.#tryAgainIn(0);
  }

  /** One last try with what is unkept. What no disk takes then is left to whoever closes. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    await this.#answered;
    if (this.#isHolding()) await this.#keep();
  }

  #isHolding(): boolean {
    return this.#unsettled.length > 0 || this.#unkept.ownWrites > 0;
  }

  #begin(): void {
    if (this.#writing !== undefined || (this.#next.waiting.length === 0 && !this.#isDue)) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
      // One may have come between the last look and now.
      this.#begin();
    });
  }

  async #write(): Promise<void> {
    do {
      this.#isDue = false;
      const group = this.#next;
      this.#next = newGroup();
      // In the order of writing: nothing enters the journal before what was written earlier.
      const isFull = this.#isHolding() && !(await this.#keep());
      if (isFull) await this.#hold(group);
      else await this.#commit(group);
      group.answered.pass();
    } while (this.#next.waiting.length > 0);
  }

  async #commit(group: Group): Promise<void> {
    const { waiting } = group;
    if (waiting.length === 0) return group.settled.pass();
    const isSealedNext = this.#barrier.follows();
    let rows: readonly JournalRow[];
    try {
      rows = await this.#store.transact((tx) => this.#append(tx, waiting), {
        mode: 'write',
        durability: isSealedNext ? 'relaxed' : 'strict',
      });
    } catch (error) {
      if (isFull(error)) return this.#hold(group, error);
      // An edit that no delta can carry must not take the others of its group along; a lost database takes them all.
      const isOfOne = !(isMangroveError(error) && error.retryable);
      if (waiting.length > 1 && isOfOne) return this.#commitEach(group);
      for (const { reject } of waiting) reject(error);
      return group.settled.pass();
    }
    this.#host.journaled(rows, []);
    let isKept = true;
    try {
      const last = rows.at(-1)?.number ?? 0;
      if (isSealedNext && !(await soon(this.#barrier.passed(last), SEAL_MS_MAX)))
        await this.#store.transact(setBarrier, STRICT);
    } catch (error) {
      if (!isFull(error)) for (const { reject } of waiting) reject(error);
      else this.#host.unkept([], error);
      isKept = !isFull(error);
    }
    answer(waiting, rows, isKept);
    if (isKept) group.settled.pass();
    else this.#wait(group.settled);
  }

  async #commitEach(group: Group): Promise<void> {
    const each = group.waiting.map((waiting) => ({ ...newGroup(), waiting: [waiting] }));
    for (const one of each) await this.#commit(one);
    void Promise.all(each.map(({ settled }) => settled.passed)).then(() => group.settled.pass());
  }

  /** Applies what the disk does not take. `error`: why, where that is news. */
  async #hold(group: Group, error?: unknown): Promise<void> {
    const { waiting } = group;
    if (waiting.length === 0) return group.settled.pass();
    try {
      const rows = await this.#store.transact((tx) => this.#draft(tx, waiting), { mode: 'read' });
      this.#unkept.add(this.#unkept.tab, rows);
      this.#host.unkept(rows, error);
      answer(waiting, rows, false);
      this.#wait(group.settled);
    } catch (reason) {
      for (const { reject } of waiting) reject(reason);
      group.settled.pass();
    }
  }

  #wait(settled: Gate): void {
    this.#unsettled.push(settled);
    if (this.#retry === undefined) this.#tryAgainIn(this.#retryMs);
  }

  #tryAgainIn(ms: number): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.#isStopped) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#isDue = true;
      this.#begin();
    }, ms);
  }

  /** True when nothing is unkept any more. Each further write tries too, and not more often than the disk can answer. */
  async #keep(): Promise<boolean> {
    const nowMs = this.#host.nowMs();
    const sinceMs = nowMs - this.#triedAtMs;
    if (this.#retry !== undefined && sinceMs >= 0 && sinceMs < RETRY_MS_MIN) return false;
    this.#triedAtMs = nowMs;
    try {
      // Once at least: its barrier serves for what was committed relaxed as well.
      do {
        const unkept = this.#unkept.ownRows().slice(0, KEPT_ROWS_MAX);
        const rows = await this.#store.transact((tx) => this.#keepRows(tx, unkept), STRICT);
        const were = unkept.map(({ number }) => number);
        this.#unkept.kept(were);
        this.#host.journaled(rows, were);
      } while (this.#unkept.ownWrites > 0);
    } catch (error) {
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
      // A database that is gone is asked no more.
      if (isFull(error)) this.#tryAgainIn(this.#retryMs);
      return false;
    }
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#retryMs = RETRY_MS_MIN;
    for (const settled of this.#unsettled.splice(0)) settled.pass();
    return true;
  }

  *#append(tx: Transaction, waiting: readonly Waiting[]): Steps<readonly JournalRow[]> {
    return yield* appendToJournal(tx, this.#room, toEdits(waiting), this.#host.nowMs(), this.#replica);
  }

  *#draft(tx: Transaction, waiting: readonly Waiting[]): Steps<readonly JournalRow[]> {
    const edits = yield* this.#own(tx, toEdits(waiting));
    const unkept = this.#unkept.rows();
    const bytes = [...edits, ...unkept].reduce((sum, { payload }) => sum + payload.length, 0);
    if (bytes > UNKEPT_BYTES_MAX || edits.length + unkept.length > UNKEPT_ROWS_MAX)
      throw new MangroveError('STORAGE_FULL');
    const nextNumber = () => this.#unkept.nextNumber();
    return yield* draftUnkept(tx, this.#room, edits, unkept, this.#host.nowMs(), nextNumber);
  }

  *#keepRows(tx: Transaction, rows: readonly JournalRow[]): Steps<readonly JournalRow[]> {
    return yield* keepRows(tx, yield* this.#own(tx, rows));
  }

  /** A tab that has not yet heard that this profile took another identity still writes under the old one's clientIDs. */
  *#own<E extends Edit | JournalRow>(tx: Transaction, edits: readonly E[]): Steps<readonly E[]> {
    const isOwn = (yield* readOwnReplica(tx)) === this.#replica;
    return isOwn ? edits : edits.map(asImport);
  }
}

function newGroup(): Group {
  return { waiting: [], answered: new Gate(), settled: new Gate() };
}

const toEdits = (waiting: readonly Waiting[]): readonly Edit[] => waiting.flatMap(({ edits }) => edits);

function answer(waiting: readonly Waiting[], rows: readonly JournalRow[], isKept: boolean): void {
  let from = 0;
  for (const { edits, resolve } of waiting) {
    resolve({ rows: rows.slice(from, from + edits.length), isKept });
    from += edits.length;
  }
}

function isFull(error: unknown): boolean {
  return isMangroveError(error) && error.code === 'STORAGE_FULL';
}

/** A strict transaction has to write something to be one. */
export function* setBarrier(tx: Transaction): Steps<void> {
  tx.put('meta', BARRIER, new Uint8Array());
}
