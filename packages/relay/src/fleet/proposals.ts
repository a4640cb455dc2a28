import { MangroveError } from '@mangrove/protocol';
import type { Push } from '../commit-host.js';
import type { Effect } from './apply.js';
import { bytesOfOperation, type Entry, entryToBytes, type Operation } from './entry.js';

/** So much goes into one entry, unless one operation has more. */
const ENTRY_BYTES = 512 * 1024;
const ENTRY_DELTAS_MAX = 2_048;

/** Something that waits to become part of the log. */
export interface Proposal {
  readonly operation: Operation;
  /** What came over a connection, which is answered. */
  readonly push?: Push | undefined;
  /** Whether it may still be proposed. */
  isWanted?(): boolean;
  /** Its entry is on its way. */
  begun?(): void;
  /** It was met in the log and applied. */
  settled(effect: Effect): void;
  /** It will not be known here what became of it. */
  failed(error: MangroveError): void;
}

export interface ProposalsHost {
  readonly instance: Uint8Array;
  /** All of an entry but its number and what it does. */
  circumstances(): Omit<Entry, 'instance' | 'number' | 'operations'>;
  /** Resolves when the entry is in the log. Rejects with `ENGINE_REFUSED` where it never will be, and with `CLOSED`. */
  append(number: number, bytes: Uint8Array): Promise<void>;
}

/**
 * What this relay has to say in a room's log: all that waits while an entry is on its way goes together into the next one, and one is on its way at a time, so that
 * the log has them in the order of their numbers.
 */
export class Proposals {
  readonly #host: ProposalsHost;
  #waiting: Proposal[] = [];
  /** By number: what was sent and was not met in the log yet. */
  readonly #sent = new Map<number, readonly Proposal[]>();
  #number = 0;
  #isRunning = false;
  #isClosed = false;
  #idle: (() => void)[] = [];

  constructor(host: ProposalsHost) {
    this.#host = host;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#sent.size === 0;
  }

  add(proposal: Proposal): void {
    if (this.#isClosed) {
      proposal.failed(new MangroveError('CLOSED', { what: 'room' }));
      return;
    }
    this.#waiting.push(proposal);
    if (!this.#isRunning) void this.#run();
  }

  peek(number: number): readonly Proposal[] {
    return this.#sent.get(number) ?? [];
  }

  /** The entry of this number was met in the log: what was in it. */
  take(number: number): readonly Proposal[] {
    const proposals = this.#sent.get(number) ?? [];
    this.#sent.delete(number);
    this.#lookIfIdle();
    return proposals;
  }

  /** Nobody waits any more for what has not been met in the log. What is on its way may get there all the same. */
  giveUp(error: MangroveError): void {
    const all = [...[...this.#sent.values()].flat(), ...this.#waiting];
    this.#waiting = [];
    this.#sent.clear();
    for (const proposal of all) proposal.failed(error);
    this.#lookIfIdle();
  }

  close(): void {
    this.#isClosed = true;
    this.giveUp(new MangroveError('CLOSED', { what: 'room' }));
  }

  /** Resolves when nothing waits. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#lookIfIdle();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // What comes in one turn of the event loop goes together.
    await Promise.resolve();
    for (let batch = this.#next(); batch.length > 0; batch = this.#next()) {
      const number = ++this.#number;
      this.#sent.set(number, batch);
      for (const proposal of batch) proposal.begun?.();
      const operations = batch.map(({ operation }) => operation);
      const { instance } = this.#host;
      const bytes = entryToBytes({ ...this.#host.circumstances(), instance, number, operations });
      try {
        await this.#host.append(number, bytes);
      } catch (error) {
        for (const proposal of this.take(number)) proposal.failed(error as MangroveError);
      }
    }
    this.#isRunning = false;
    this.#lookIfIdle();
  }

  #next(): readonly Proposal[] {
    const isWanted = (proposal: Proposal): boolean => proposal.isWanted?.() !== false;
    this.#waiting = this.#waiting.filter(isWanted);
    let bytes = 0;
    let deltas = 0;
    let count = 0;
    for (const { operation } of this.#waiting) {
      bytes += bytesOfOperation(operation);
      deltas += operation.kind === 'push' ? operation.deltas.length : 0;
      if (count > 0 && (bytes > ENTRY_BYTES || deltas > ENTRY_DELTAS_MAX)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  #lookIfIdle(): void {
    if (!this.isIdle) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
