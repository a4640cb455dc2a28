import { versionOf } from '../support/machine.mjs';

const versions = (...names) => Object.fromEntries(names.map((name) => [name, versionOf(name)]));

/** Who keeps a document, in the order of the tables. The first is what all others are compared with. */
export const documentContestants = [
  {
    id: 'yjs',
    name: 'raw Yjs',
    about: 'a Y.Doc in memory; stored as one blob when asked to, and opened from that',
    durability: 'none while typing',
    storesEdits: false,
    versions: () => versions('yjs'),
  },
  {
    id: 'yjs-worker-log',
    name: 'Yjs + worker log',
    about: 'a worker that writes updates in groups, one row a task, joined at 500 rows after a second of rest',
    durability: 'strict',
    storesEdits: true,
    versions: () => versions('yjs'),
  },
  {
    id: 'y-indexeddb',
    name: 'y-indexeddb',
    about: 'as it comes: one row and transaction an edit on the main thread, joined at 500 rows',
    durability: 'relaxed',
    storesEdits: true,
    versions: () => versions('y-indexeddb', 'yjs'),
  },
  {
    id: 'automerge-repo',
    name: 'automerge-repo',
    about: 'as it comes, IndexedDB adapter: saves on the main thread, at most every 100 ms',
    durability: 'relaxed, up to 100 ms later',
    storesEdits: true,
    versions: () =>
      versions('@automerge/automerge', '@automerge/automerge-repo', '@automerge/automerge-repo-storage-indexeddb'),
  },
  {
    id: 'loro',
    name: 'Loro + log',
    about: 'a row and transaction an edit on the main thread, a snapshot in place of 500 rows after a second of rest',
    durability: 'relaxed',
    storesEdits: true,
    versions: () => versions('loro-crdt'),
  },
  {
    id: 'mangrove',
    name: 'Mangrove',
    about: 'as it comes, without a relay',
    durability: 'strict',
    storesEdits: true,
    versions: () => versions('@mangrove/client', 'yjs'),
  },
];

/** Who keeps records. */
export const recordContestants = [
  {
    id: 'raw-relaxed',
    name: 'raw IndexedDB, relaxed',
    about: 'a put and transaction a record',
    durability: 'relaxed',
    versions: () => ({}),
  },
  {
    id: 'raw-strict',
    name: 'raw IndexedDB, strict',
    about: 'the same with strict durability',
    durability: 'strict',
    versions: () => ({}),
  },
  { id: 'dexie', name: 'Dexie', about: '`put`, `bulkPut`', durability: 'relaxed', versions: () => versions('dexie') },
  {
    id: 'rxdb',
    name: 'RxDB',
    about: 'Dexie storage; `insert`, `bulkInsert`',
    durability: 'relaxed',
    versions: () => versions('rxdb'),
  },
  {
    id: 'pouchdb',
    name: 'PouchDB',
    about: 'pouchdb-browser, its default adapter; `put`, `bulkDocs`',
    durability: 'relaxed',
    versions: () => versions('pouchdb-browser'),
  },
  {
    id: 'tinybase',
    name: 'TinyBase',
    about: 'IndexedDB persister, saved after each record, or once after many; it writes the whole table each time',
    durability: 'relaxed',
    versions: () => versions('tinybase'),
  },
  {
    id: 'mangrove',
    name: 'Mangrove',
    about: 'a collection without a relay; it has no call for many records',
    durability: 'strict',
    versions: () => versions('@mangrove/client'),
  },
];
