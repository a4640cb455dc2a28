/** An entry of a log of the engine. */
export interface LogEntry {
  /** Rising within its log, 1 or more, maybe with gaps. */
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** What follows a log. Closing it resolves when nothing more is told. */
export interface Following {
  close(): Promise<void>;
}

/**
 * What the relays of a fleet share: ordered logs of bytes that survive whoever dies, and a way to tell each other what need not survive. Every implementor owes:
 * - order: all who read a log see one order of its entries, and nothing enters it before what was read already;
 * - durability: an append that has resolved is lost by nothing that the engine was set up to survive;
 * - `append` tries again by itself until its entry is in the log, under the same id; it rejects only with `ENGINE_REFUSED`, of what the engine will never take, or after `close`
 *   or an abort with `CLOSED`: then it is open whether the entry is in the log. An id that was used lately is not taken twice; who needs more than that looks itself;
 * - `read` and `last` tell of all appends that have resolved before, wherever they were made; they reject with `ENGINE_UNAVAILABLE` where nobody answers in time;
 * - `follow` tells every entry after a position once and in order, whatever happens to connections, some at a time, and the next ones when it has heard that these were taken. After a
 *   `cut` it goes on with the first entry that is left, so what follows a log has to notice by itself what it has missed;
 * - nothing else: no compare-and-set, as some servers have one that lets two win. The first entry of a log wins where one has to.
 */
export interface Engine {
  /** Larger entries are refused. */
  readonly entryBytesMax: number;
  /** Whether it could be reached when it was last tried. */
  readonly isConnected: boolean;
  append(log: string, id: string, bytes: Uint8Array, signal?: AbortSignal): Promise<number>;
  /** Entries after a position, at most so many. */
  read(log: string, after: number, limit: number): Promise<readonly LogEntry[]>;
  last(log: string): Promise<LogEntry | undefined>;
  /** `take` never rejects. */
  follow(log: string, after: number, take: (entries: readonly LogEntry[]) => Promise<void>): Following;
  /** Drops the entries below a position. Below `Number.MAX_SAFE_INTEGER` the whole log goes, and may begin anew with position 1. */
  cut(log: string, below: number): Promise<void>;
  /** To everybody who listens now, at most once, the sender included. What is too large or cannot be sent now is dropped. */
  tell(channel: string, bytes: Uint8Array): void;
  listen(channel: string, hear: (bytes: Uint8Array) => void): Following;
  /** Hears of each time that the engine can be reached again. */
  onReconnect(listener: () => void): void;
  close(): Promise<void>;
}

/** Names of logs and channels: parts of lowercase letters and digits, joined by dots. */
export const LOG_NAME = /^[a-z0-9]+(\.[a-z0-9]+)*$/;
