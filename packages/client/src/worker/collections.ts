import {
  type BuiltInResolver,
  readStamp,
  type ReplicaId,
  type RoomRef,
  type Steps,
  type Store,
  type Value,
} from '@mangrove/protocol';
import { listingToText } from '../listing.js';
import type { ChangeOrigin, EntriesOptions, Entry, RecordChange } from '../types.js';
import { type Listing, Listings } from './listings.js';
import { readListing, readRecord, recordName } from './records.js';

interface ChangedKey {
  readonly collection: string | undefined;
  readonly id: string;
}

/** The records of a room as its page reads them: on request, and after each commit what changed of those it watches. */
export class Collections {
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #replica: ReplicaId;
  readonly #tell: (collection: string, changes: readonly RecordChange<Value>[]) => void;
  readonly #resolvers = new Map<string, BuiltInResolver>();
  readonly #listings = new Listings();
  /** Batches are told in the order of their commits. */
  #queue: Promise<void> = Promise.resolve();

  constructor(
    store: Store,
    room: RoomRef,
    replica: ReplicaId,
    tell: (collection: string, changes: readonly RecordChange<Value>[]) => void,
  ) {
    this.#store = store;
    this.#room = room;
    this.#replica = replica;
    this.#tell = tell;
  }

  get(collection: string, id: string, resolver: BuiltInResolver): Promise<Entry<Value> | undefined> {
    const name = recordName(collection, id);
    return this.#store.transact((tx) => readRecord(tx, this.#room, this.#replica, name, resolver), { mode: 'read' });
  }

  /** A text that `textToEntries` reads. */
  async entries(collection: string, resolver: BuiltInResolver, options: EntriesOptions): Promise<string> {
    const isWhole = Object.values(options).every((option) => option === undefined);
    const kept = isWhole ? this.#listings.get(collection, resolver) : undefined;
    const keep = this.#listings.reading(collection, resolver);
    const room = this.#room;
    const replica = this.#replica;
    const listing = await this.#store.transact(
      function* (tx): Steps<Listing> {
        const stamp = isWhole ? yield* readStamp(tx) : undefined;
        if (kept !== undefined && kept.stamp === stamp) return kept;
        const records = yield* readListing(tx, room, replica, collection, resolver, options);
        return { stamp, text: listingToText(records) };
      },
      { mode: 'read' },
    );
    if (isWhole) keep(listing);
    return listing.text;
  }

  /** From now on this collection's changes are told, read with this resolver. */
  watch(collection: string, resolver: BuiltInResolver): void {
    this.#resolvers.set(collection, resolver);
  }

  /** Told in one call a batch. */
  changed(keys: readonly ChangedKey[], origin: ChangeOrigin): void {
    if (keys.some(({ collection }) => collection !== undefined)) this.#listings.changed();
    const idsByCollection = new Map<string, Set<string>>();
    for (const { collection, id } of keys) {
      if (collection === undefined || !this.#resolvers.has(collection)) continue;
      const ids = idsByCollection.get(collection) ?? new Set();
      idsByCollection.set(collection, ids.add(id));
    }
    for (const [collection, ids] of idsByCollection) {
      this.#queue = this.#queue
        .then(() => this.#readAndTell(collection, [...ids], origin))
        .catch((error: unknown) => reportError(error));
    }
  }

  async #readAndTell(collection: string, ids: readonly string[], origin: ChangeOrigin): Promise<void> {
    const resolver = this.#resolvers.get(collection) as BuiltInResolver;
    const room = this.#room;
    const replica = this.#replica;
    const changes = await this.#store.transact(
      function* (tx) {
        const list: RecordChange<Value>[] = [];
        for (const id of ids)
          list.push({ id, entry: yield* readRecord(tx, room, replica, recordName(collection, id), resolver), origin });
        return list;
      },
      { mode: 'read' },
    );
    this.#tell(collection, changes);
  }
}
