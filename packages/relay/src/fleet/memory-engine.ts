import { MangroveError } from '@mangrove/protocol';
import type { Engine, Following, LogEntry } from './engine.js';

/** What goes wrong between a relay and its engine, for tests. Each is asked before it would happen. */
export interface MemoryFaults {
  /** Resolves when an append may reach the log. */
  beforeAppend?(log: string): Promise<void>;
  /** Whether the answer to an append is lost, so that it is sent again. */
  losesAnswer?(): boolean;
  /** Whether an append whose answer was lost is taken twice: the engine has forgotten its id. */
  forgetsId?(): boolean;
  /** Resolves when entries may be told to who follows. */
  beforeTelling?(log: string): Promise<void>;
}

interface Log {
  entries: (LogEntry & { readonly id: string })[];
  position: number;
}

/** The logs, shared by all relays of one process. */
export class MemoryLogs {
  readonly logs = new Map<string, Log>();
  readonly #waiting = new Set<() => void>();
  readonly #listeners = new Set<{ readonly channel: string; readonly hear: (bytes: Uint8Array) => void }>();

  log(name: string): Log {
    let log = this.logs.get(name);
    if (log === undefined) this.logs.set(name, (log = { entries: [], position: 0 }));
    return log;
  }

  append(name: string, id: string, bytes: Uint8Array, isDistinct: boolean): number {
    const log = this.log(name);
    const known = isDistinct ? log.entries.find((entry) => entry.id === id) : undefined;
    if (known !== undefined) return known.position;
    // With gaps, as engines have that number all logs together.
    log.position += 1 + (bytes.length % 3);
    log.entries.push({ position: log.position, bytes: bytes.slice(), id });
    for (const wake of [...this.#waiting]) wake();
    return log.position;
  }

  changed(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
    });
  }

  /** Everybody who waits looks again. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  tell(channel: string, bytes: Uint8Array): void {
    for (const listener of [...this.#listeners]) if (listener.channel === channel) listener.hear(bytes.slice());
  }

  listen(channel: string, hear: (bytes: Uint8Array) => void): () => void {
    const listener = { channel, hear };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** One relay's way to {@link MemoryLogs}: the reference for the contract, and what tests cut, slow down and make lie. */
export class MemoryEngine implements Engine {
  readonly entryBytesMax: number;
  readonly #logs: MemoryLogs;
  readonly #faults: MemoryFaults;
  readonly #reconnected: (() => void)[] = [];
  #isConnected = true;
  #isClosed = false;

  constructor(logs = new MemoryLogs(), faults: MemoryFaults = {}, entryBytesMax = 1_000_000) {
    this.#logs = logs;
    this.#faults = faults;
    this.entryBytesMax = entryBytesMax;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** While it is cut off nothing goes either way. */
  set isConnected(isConnected: boolean) {
    this.#isConnected = isConnected;
    if (isConnected) for (const listener of this.#reconnected) listener();
    this.#logs.wake();
  }

  async append(log: string, id: string, bytes: Uint8Array, signal?: AbortSignal): Promise<number> {
    if (bytes.length > this.entryBytesMax)
      throw new MangroveError('ENGINE_REFUSED', { reason: `an entry of ${bytes.length} bytes` });
    for (let isAgain = false; ; isAgain = true) {
      await this.#untilConnected(signal);
      await this.#faults.beforeAppend?.(log);
      await this.#untilConnected(signal);
      const position = this.#logs.append(log, id, bytes, !(isAgain && this.#faults.forgetsId?.() === true));
      if (!isAgain && this.#faults.losesAnswer?.() === true) continue;
      if (this.#isConnected) return position;
    }
  }

  async read(log: string, after: number, limit: number): Promise<readonly LogEntry[]> {
    this.#assertReachable();
    return this.#after(log, after).slice(0, limit);
  }

  async last(log: string): Promise<LogEntry | undefined> {
    this.#assertReachable();
    return this.#logs.log(log).entries.at(-1);
  }

  follow(log: string, after: number, take: (entries: readonly LogEntry[]) => Promise<void>): Following {
    let isClosed = false;
    const run = async (): Promise<void> => {
      let told = after;
      while (!isClosed && !this.#isClosed) {
        const entries = this.#isConnected ? this.#after(log, told).slice(0, 16) : [];
        const last = entries.at(-1);
        if (last === undefined) {
          await this.#logs.changed();
          continue;
        }
        await this.#faults.beforeTelling?.(log);
        if (isClosed || !this.#isConnected) continue;
        told = last.position;
        await take(entries);
      }
    };
    const done = run();
    return {
      close: () => {
        isClosed = true;
        this.#logs.wake();
        return done;
      },
    };
  }

  async cut(log: string, below: number): Promise<void> {
    this.#assertReachable();
    const cut = this.#logs.log(log);
    cut.entries = cut.entries.filter(({ position }) => position >= below);
  }

  tell(channel: string, bytes: Uint8Array): void {
    if (this.#isConnected) this.#logs.tell(channel, bytes);
  }

  listen(channel: string, hear: (bytes: Uint8Array) => void): Following {
    const stop = this.#logs.listen(channel, (bytes) => {
      if (this.#isConnected) hear(bytes);
    });
    return { close: async () => stop() };
  }

  onReconnect(listener: () => void): void {
    this.#reconnected.push(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#logs.wake();
  }

  #after(log: string, after: number): readonly LogEntry[] {
    return this.#logs.log(log).entries.filter(({ position }) => position > after);
  }

  #assertReachable(): void {
    if (!this.#isConnected) throw new MangroveError('ENGINE_UNAVAILABLE', { reason: 'it is cut off' });
  }

  async #untilConnected(signal: AbortSignal | undefined): Promise<void> {
    const abort = (): void => this.#logs.wake();
    signal?.addEventListener('abort', abort, { once: true });
    while (!this.#isConnected && !this.#isClosed && signal?.aborted !== true) await this.#logs.changed();
    signal?.removeEventListener('abort', abort);
    if (this.#isClosed || signal?.aborted === true) throw new MangroveError('CLOSED', { what: 'engine' });
  }
}
