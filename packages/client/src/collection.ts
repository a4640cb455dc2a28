import {
  assertName,
  type BuiltInResolver,
  bytesToValue,
  isMangroveError,
  MangroveError,
  recordPayloadToBytes,
  type Value,
  valueToBytes,
} from '@mangrove/protocol';
import { textToEntries } from './listing.js';
import type { Receipt } from './receipt.js';
import type { Resolver } from './resolvers/resolver.js';
import type { EntriesOptions, Entry, RecordChange } from './types.js';
import { Versions } from './versions.js';
import type { EngineApi, WriteResult } from './worker/engine-api.js';

export interface CollectionOptions {
  readonly resolver?: Resolver;
}

/** What a collection needs of its room. */
export interface CollectionHost {
  readonly room: string;
  readonly valueBytesMax: number;
  ready(): Promise<void>;
  engine(): EngineApi;
  receipt(written: WriteResult): Receipt;
  unjournaled(change: number): void;
}

/** Records by id. Values are JSON, Uint8Array, Date, bigint and Map; ids are 1 to 512 UTF-8 bytes. */
export class Collection<T = Value> {
  readonly name: string;
  readonly resolver: BuiltInResolver;
  readonly #host: CollectionHost;
  readonly #subscribers = new Set<(changes: readonly RecordChange<T>[]) => void>();
  /** Handed over and not yet on disk. */
  readonly #writes = new Set<Promise<Receipt>>();
  #watching: Promise<void> | undefined;

  constructor(name: string, resolver: BuiltInResolver, host: CollectionHost) {
    this.name = name;
    this.resolver = resolver;
    this.#host = host;
  }

  /**
   * Resolves when the write is on disk, or applied where the disk is full: the receipt tells which. It replaces what this replica held of the record and stands beside what it did
   * not. Rejects: `NAME_INVALID`, `VALUE_INVALID`, `VALUE_TOO_LARGE`, `STORAGE_FULL`, `STORAGE_UNAVAILABLE`, `CLOSED`.
   */
  async put(id: string, value: T): Promise<Receipt> {
    assertName('record', id);
    return this.#write(id, recordPayloadToBytes({ value: valueToBytes(value, this.#host.valueBytesMax) }));
  }

  /** A delete replaces what this replica held; what others write without having seen it survives it. */
  async delete(id: string): Promise<Receipt> {
    assertName('record', id);
    return this.#write(id, undefined);
  }

  /** Undefined where nothing was written or all is deleted. */
  async get(id: string, options: Readonly<Record<string, unknown>> = {}): Promise<Entry<T> | undefined> {
    assertName('record', id);
    for (const [option, value] of Object.entries(options)) {
      if (value !== undefined) throw new MangroveError('NOT_SUPPORTED', { feature: `The option ${option} of get` });
    }
    await this.#host.ready();
    return this.#host.engine().get(this.#host.room, this.name, id, this.resolver) as Promise<Entry<T> | undefined>;
  }

  /** In the order of the ids' UTF-8 bytes. */
  async entries(options: EntriesOptions = {}): Promise<readonly (readonly [string, Entry<T>])[]> {
    assertEntriesOptions(options);
    await this.#host.ready();
    const text = await this.#host.engine().entries(this.#host.room, this.name, this.resolver, options ?? {});
    return textToEntries(text) as readonly (readonly [string, Entry<T>])[];
  }

  /** Earlier states of a record that somebody saved; `undefined` is one in which it was deleted. */
  versions(id: string): Versions<T | undefined> {
    assertName('record', id);
    return new Versions<T | undefined>({
      room: this.#host.room,
      key: { kind: 'record', collection: this.name, id, resolver: this.resolver },
      engine: () => this.#host.engine(),
      settle: async () => {
        await this.#host.ready();
        await this.flush();
      },
      toState: (version, bytes) => (bytes.length === 0 ? undefined : (toValue(version, bytes) as T)),
      write: (value) => (value === undefined ? this.delete(id) : this.put(id, value)),
      receipt: (written) => this.#host.receipt(written),
    });
  }

  /** Called after each commit with what changed in it, from here, other tabs or other replicas. */
  subscribe(listener: (changes: readonly RecordChange<T>[]) => void): () => void {
    this.#subscribers.add(listener);
    this.#watching ??= this.#host
      .ready()
      .then(() => this.#host.engine().watch(this.#host.room, this.name, this.resolver));
    this.#watching.catch(() => {});
    return () => this.#subscribers.delete(listener);
  }

  /** Called by the room: resolves when what was written so far is on disk, or was refused. */
  async flush(): Promise<void> {
    await Promise.allSettled(this.#writes);
  }

  /** Called by the room when it was opened anew. */
  rewatch(): void {
    if (this.#watching === undefined) return;
    this.#watching = this.#host.engine().watch(this.#host.room, this.name, this.resolver);
    this.#watching.catch(() => {});
  }

  /** Called by the room. */
  receive(changes: readonly RecordChange<T>[]): void {
    for (const subscriber of [...this.#subscribers]) subscriber(changes);
  }

  async #write(id: string, payload: Uint8Array | undefined): Promise<Receipt> {
    const writing = this.#handOver(id, payload);
    this.#writes.add(writing);
    this.#host.unjournaled(1);
    try {
      return await writing;
    } finally {
      this.#writes.delete(writing);
      this.#host.unjournaled(-1);
    }
  }

  async #handOver(id: string, payload: Uint8Array | undefined): Promise<Receipt> {
    await this.#host.ready();
    // Whoever subscribed before this write hears of it.
    await this.#watching;
    return this.#host.receipt(await this.#host.engine().put(this.#host.room, this.name, id, payload));
  }
}

function toValue(id: string, bytes: Uint8Array): Value {
  try {
    return bytesToValue(bytes);
  } catch (error) {
    if (!isMangroveError(error)) throw error;
    throw new MangroveError('VERSION_UNAVAILABLE', { id, reason: error.message });
  }
}

function assertEntriesOptions(options: EntriesOptions): void {
  const { prefix, from, to, limit, reverse: _, ...others } = options ?? {};
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new MangroveError('NOT_SUPPORTED', { feature: `The option ${unknown} of entries` });
  for (const [option, bound] of Object.entries({ prefix, from, to })) {
    if (bound !== undefined && typeof bound !== 'string')
      throw new MangroveError('OPTION_INVALID', { option, reason: 'it is no string' });
  }
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0))
    throw new MangroveError('OPTION_INVALID', { option: 'limit', reason: `${limit} is no whole number from 0 on` });
}
