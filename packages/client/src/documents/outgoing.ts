import { isMangroveError, type MangroveError } from '@mangrove/protocol';
import type { DocumentEdit } from '../worker/engine-api.js';

/** After this long what could not be kept is tried again: the disk is full beyond what a worker holds, or is opened anew. */
const RETRY_AFTER_MS = 5_000;

export interface OutgoingHost {
  /** Resolves when it is kept, with the reason where something of it was left out. */
  send(edit: DocumentEdit): Promise<MangroveError | undefined>;
  /** The clientID that was granted last, if any. */
  granted(): Pick<DocumentEdit, 'nonce' | 'clientId'> | undefined;
  unjournaled(change: number): void;
}

interface Unkept {
  readonly edit: DocumentEdit;
  readonly done: (isKept: boolean) => void;
}

/**
 * What was typed and the worker has not taken yet. Updates wait for the end of the turn of the event loop, so that a burst is one message to
 * the worker. What could not be kept is tried again: the clocks of a Yjs client have no gaps, so without it nobody else could
 * use what is typed later.
 */
export class Outgoing {
  readonly #host: OutgoingHost;
  #updates: Uint8Array[] = [];
  #imported = false;
  #handedOver: Promise<unknown> = Promise.resolve();
  #unkept: Unkept[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Why some edit can never be kept. */
  #failure: unknown;
  /** Why something was left out last, and how often that has happened. */
  #leftOut: { readonly times: number; readonly error: MangroveError } | undefined;
  /** How many of these times somebody was told of. */
  #toldTimes = 0;

  constructor(host: OutgoingHost) {
    this.#host = host;
  }

  add(update: Uint8Array, imported: boolean): void {
    if (this.#imported !== imported) this.handOver();
    if (this.#updates.length === 0) {
      this.#imported = imported;
      this.#host.unjournaled(1);
      queueMicrotask(() => this.handOver());
    }
    this.#updates.push(update);
  }

  handOver(): void {
    if (this.#updates.length === 0) return;
    const updates = this.#updates;
    this.#updates = [];
    const { nonce, clientId } = this.#host.granted() ?? { nonce: 0, clientId: 0 };
    const kept = this.#keep({ updates, nonce, clientId, imported: this.#imported, isShown: true });
    const done = kept.then((isKept) => {
      // What can never be kept is pending for good: nobody is to take this document for safe.
      if (isKept) this.#host.unjournaled(-1);
    });
    this.#handedOver = Promise.all([this.#handedOver, done]);
  }

  /** Resolves when the worker has taken all. Rejects when some edit will never be kept, as the room's status says as well. */
  async settle(): Promise<void> {
    this.handOver();
    await this.#handedOver;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** As {@link settle}. Rejects as well, once, when something was left out: for all who wait, or else for the next one. */
  async flush(): Promise<void> {
    const toldTimes = this.#toldTimes;
    await this.settle();
    if (this.#leftOut === undefined || this.#leftOut.times === toldTimes) return;
    this.#toldTimes = this.#leftOut.times;
    throw this.#leftOut.error;
  }

  /** False for what no trying helps. */
  async #keep(edit: DocumentEdit): Promise<boolean> {
    try {
      const error = await this.#host.send(edit);
      if (error !== undefined) this.#leftOut = { times: (this.#leftOut?.times ?? 0) + 1, error };
      return true;
    } catch (error) {
      if (!isMangroveError(error) || !error.retryable) {
        this.#failure ??= error;
        return false;
      }
      return new Promise<boolean>((done) => {
        this.#unkept.push({ edit, done });
        this.#retry ??= setTimeout(() => void this.#tryAgain(), RETRY_AFTER_MS);
      });
    }
  }

  /** One after the other, those of one kind together: there may be many. */
  async #tryAgain(): Promise<void> {
    this.#retry = undefined;
    const unkept = this.#unkept;
    this.#unkept = [];
    for (const group of groups(unkept)) {
      const [first] = group as [Unkept, ...Unkept[]];
      const isKept = await this.#keep({ ...first.edit, updates: group.flatMap(({ edit }) => edit.updates) });
      for (const { done } of group) done(isKept);
    }
  }
}

function groups(unkept: readonly Unkept[]): readonly Unkept[][] {
  const byKind = new Map<string, Unkept[]>();
  for (const item of unkept) {
    const kind = `${item.edit.nonce} ${item.edit.imported}`;
    byKind.set(kind, [...(byKind.get(kind) ?? []), item]);
  }
  return [...byKind.values()];
}
