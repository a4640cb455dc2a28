import type { RoomStatus, StorageMetrics } from './types.js';

/** What was at stake when a room was last looked at. */
export interface Mark {
  /** Writes that no relay had. */
  readonly writes: number;
  readonly atMs: number;
}

/** As much of `localStorage` as this takes. */
export type MarkStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

/**
 * What a client remembers of its rooms outside of IndexedDB, in the page's `localStorage`: it is in other files, and goes with IndexedDB only
 * where somebody clears all data of the site. By it an emptied database is told from that of a new user.
 */
export class Marks {
  readonly #client: string;
  readonly #storage: () => MarkStorage | undefined;

  constructor(client: string, storage: () => MarkStorage | undefined = siteStorage) {
    this.#client = client;
    this.#storage = storage;
  }

  read(room: string): Mark | undefined {
    const text = this.#try((storage) => storage.getItem(this.#keyOf(room)));
    const [writes, atMs] = text == null ? [] : text.split(' ').map(Number);
    if (!Number.isSafeInteger(writes) || !Number.isSafeInteger(atMs)) return undefined;
    return { writes: writes as number, atMs: atMs as number };
  }

  write(room: string, mark: Mark | undefined): void {
    const key = this.#keyOf(room);
    this.#try((storage) => {
      if (mark === undefined) storage.removeItem(key);
      else storage.setItem(key, `${mark.writes} ${mark.atMs}`);
    });
  }

  /** Nothing is missed that was deleted on purpose. */
  forgetAll(): void {
    this.#try((storage) => {
      const keys = Array.from({ length: storage.length }, (_, i) => storage.key(i));
      for (const key of keys) if (key?.startsWith(this.#prefix)) storage.removeItem(key);
    });
  }

  get #prefix(): string {
    return `mangrove-mark ${JSON.stringify(this.#client)} `;
  }

  #keyOf(room: string): string {
    return `${this.#prefix}${room}`;
  }

  /** Where it is denied, or full, there is no mark: nothing else depends on one. */
  #try<Result>(use: (storage: MarkStorage) => Result): Result | undefined {
    try {
      const storage = this.#storage();
      return storage === undefined ? undefined : use(storage);
    } catch {
      return undefined;
    }
  }
}

/**
 * How many writes to remember; null: none, undefined: leave what is there. What is in a bucket says nothing of the database that it stands in for.
 * Who goes on in memory as the database was lost has been told of it: only what is in memory now can still be lost.
 */
export function markOf(
  { storage, pending }: Pick<RoomStatus, 'storage' | 'pending'>,
  place: StorageMetrics['place'],
): number | null | undefined {
  if (storage === 'lost') return pending.writes > 0 ? pending.writes : null;
  return place === 'main' && storage !== 'opening' ? pending.writes : undefined;
}

const WRITE_MS = 1_000;

/** Writes the mark of one room, once a second at most: typing moves it with every key. */
export class MarkKeeper {
  readonly #write: (writes: number | null) => void;
  #written: number | null | undefined;
  #next: number | null | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(write: (writes: number | null) => void) {
    this.#write = write;
  }

  note(writes: number | null | undefined): void {
    this.#next = writes;
    if (this.#timer === undefined) this.#writeNext();
  }

  /** Nothing is written any more, but for what was noted last. */
  close(): void {
    clearTimeout(this.#timer);
    this.#writeNext();
    clearTimeout(this.#timer);
  }

  #writeNext(): void {
    this.#timer = undefined;
    if (this.#next === undefined || this.#next === this.#written) return;
    this.#written = this.#next;
    this.#write(this.#next);
    this.#timer = setTimeout(() => this.#writeNext(), WRITE_MS);
  }
}

function siteStorage(): MarkStorage | undefined {
  return globalThis.localStorage;
}
