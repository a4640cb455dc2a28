import { bytesToRoomId, bytesToU64, type Plan, type RoomId, u64ToBytes, utf8ToBytes } from '@mangrove/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { cdp, server } from 'vitest/browser';
import { type IdbDatabase, openIdbDatabase } from '../../../packages/client/src/stores/idb-store.js';
import { generateKeys } from '../../../packages/client/src/worker/web-crypto.js';
import { describeStore, type StoreUnderTest } from '../../contracts/store-contract.js';

// The first sixteen bytes are neighbours in byte order, so a range that runs over its end meets the other room.
const room = roomOf(0x0f, 0xff);
const neighbour = roomOf(0x10, 0x00);

let names = 0;
const opened: IdbDatabase[] = [];
const closings: unknown[] = [];

afterEach(async () => {
  for (const database of opened.splice(0)) await database.deleteAll();
  closings.length = 0;
});

function makeName(): string {
  return `mangrove-test-${++names}-${crypto.randomUUID()}`;
}

async function open(name: string): Promise<IdbDatabase> {
  const database = await openIdbDatabase(name, { onClosed: (reason) => closings.push(reason) });
  opened.push(database);
  return database;
}

async function openUnderTest(): Promise<StoreUnderTest> {
  const name = makeName();
  const database = await open(name);
  const store = database.room(room);
  return {
    store,
    neighbour: database.room(neighbour),
    reopen: async () => {
      await store.close();
      await database.close();
      return (await open(name)).room(room);
    },
    destroy: async () => {},
  };
}

describeStore('indexeddb', openUnderTest);

describe('as in WebKit', () => {
  const withRecords = IDBObjectStore.prototype as { getAllRecords?: unknown };
  const { getAllRecords } = withRecords;
  beforeAll(() => {
    delete withRecords.getAllRecords;
  });
  afterAll(() => {
    if (getAllRecords !== undefined) withRecords.getAllRecords = getAllRecords;
  });
  describeStore('indexeddb without getAllRecords', openUnderTest);
});

describe('identity', () => {
  test('a key that cannot be exported survives opening again and signs', async () => {
    const name = makeName();
    const keys = await generateKeys();
    const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', keys.publicKey));
    const database = await open(name);
    expect(await database.readIdentity(room)).toBeUndefined();
    await database.writeIdentity(room, { publicKey, privateKey: keys.privateKey });
    await database.close();

    const identity = await (await open(name)).readIdentity(room);
    expect(identity?.publicKey).toEqual(publicKey);
    const privateKey = identity?.privateKey as CryptoKey;
    await expect(crypto.subtle.exportKey('pkcs8', privateKey)).rejects.toMatchObject({ name: 'InvalidAccessError' });
    const message = new Uint8Array([1, 2, 3]);
    const signature = await crypto.subtle.sign('Ed25519', privateKey, message);
    expect(await crypto.subtle.verify('Ed25519', keys.publicKey, signature, message)).toBe(true);
  });

  test('identities of two rooms are apart', async () => {
    const database = await open(makeName());
    const { privateKey } = await generateKeys();
    await database.writeIdentity(room, { publicKey: u64ToBytes(1), privateKey });
    expect(await database.readIdentity(neighbour)).toBeUndefined();
    await database.writeIdentity(room, { publicKey: u64ToBytes(2), privateKey });
    expect((await database.readIdentity(room))?.publicKey).toEqual(u64ToBytes(2));
  });
});

describe('two tabs', () => {
  test('[ST5] two connections that count at once lose no increment', async () => {
    const name = makeName();
    const tabs = [(await open(name)).room(room), (await open(name)).room(room)];
    const counts = await Promise.all(
      Array.from({ length: 60 }, (_, n) => tabs[n % 2]?.transact(increment, { mode: 'write' })),
    );
    expect([...counts].sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
  });

  test('[ST5] a tab that is closed while another counts takes nothing along', async () => {
    const name = makeName();
    const [first, second] = [await open(name), await open(name)];
    const counting = Array.from({ length: 10 }, () => first.room(room).transact(increment, { mode: 'write' }));
    const others = Array.from({ length: 10 }, () => second.room(room).transact(increment, { mode: 'write' }));
    await first.close();
    await Promise.all([...counting, ...others]);
    expect(await second.room(room).transact(increment, { mode: 'write' })).toBe(21);
  });
});

describe('the end of a database', () => {
  test('an upgrade in another tab closes this one, which says why', async () => {
    const name = makeName();
    const database = await open(name);
    const store = database.room(room);
    await store.transact(increment, { mode: 'write' });
    const newer = await openRaw(name, 99);
    expect(closings).toMatchObject([{ code: 'STORAGE_NEWER' }]);
    await expect(store.transact(increment, { mode: 'write' })).rejects.toMatchObject({ code: 'STORAGE_NEWER' });
    newer.close();
    // A database of the future is not read with the tables of today.
    await expect(openIdbDatabase(name, { onClosed: () => {} })).rejects.toMatchObject({ code: 'STORAGE_NEWER' });
  });

  test('[JS8] what a browser never answers after it took the database away is refused all the same', async () => {
    const name = makeName();
    const store = (await open(name)).room(room);
    await store.transact(increment, { mode: 'write' });
    const hear = deafen(IDBTransaction.prototype);
    const unanswered = store.transact(increment, { mode: 'write' });
    // It is committed by now, and nobody heard of it.
    await new Promise((resolve) => setTimeout(resolve, 100)).finally(hear);
    const newer = await openRaw(name, 99);
    await expect(unanswered).rejects.toMatchObject({ code: 'STORAGE_NEWER' });
    newer.close();
  });

  const isChromium = server.browser === 'chromium';
  const why = isChromium ? '' : ` [not in ${server.browser}: its driver cannot clear them under an open page]`;
  test.runIf(isChromium)(
    `site data that a user clears are noticed at once, and do not pass for a new user’s${why}`,
    async () => {
      const name = makeName();
      const store = (await open(name)).room(room);
      await store.transact(increment, { mode: 'write' });
      await cdp().send('Storage.clearDataForOrigin', { origin: location.origin, storageTypes: 'indexeddb' });
      const reason = { code: 'STORAGE_UNAVAILABLE', message: expect.stringContaining('deleted') };
      await vi.waitFor(() => expect(closings).toMatchObject([reason]));
      await expect(store.transact(increment, { mode: 'write' })).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
      expect(await databaseNames()).not.toContain(name);
    },
  );

  test('deleting the database closes the other tabs, and nothing is left', async () => {
    const name = makeName();
    const [first, second] = [await open(name), await open(name)];
    await first.room(room).transact(increment, { mode: 'write' });
    await first.deleteAll();
    expect(closings).toMatchObject([{ code: 'STORAGE_UNAVAILABLE' }]);
    await expect(first.readIdentity(room)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(second.readIdentity(room)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(await databaseNames()).not.toContain(name);
    expect(await (await open(name)).room(room).transact(increment, { mode: 'write' })).toBe(1);
  });

  test('a request that another tab blocks gives up after some seconds and stands in nobody’s way', async () => {
    const name = makeName();
    const database = await open(name);
    // A tab that does not listen, as pages of an older version or of another library may.
    const deaf = await openRaw(name);
    await expect(database.deleteAll()).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      message: expect.stringContaining('another tab'),
    });
    deaf.close();
    await vi.waitFor(async () => expect(await databaseNames()).not.toContain(name));
  });

  test('a full disk is STORAGE_FULL, takes back the whole plan, and ends when there is room again', async () => {
    const store = (await open(makeName())).room(room);
    await store.transact(increment, { mode: 'write' });
    fillDisk();
    try {
      const refused = store.transact(increment, { mode: 'write' });
      await expect(refused).rejects.toMatchObject({ code: 'STORAGE_FULL', retryable: true });
      expect(await store.transact((tx) => tx.get('meta', COUNTER), { mode: 'read' })).toEqual(u64ToBytes(1));
    } finally {
      IDBTransaction.prototype.commit = commit;
    }
    expect(await store.transact(increment, { mode: 'write' })).toBe(2);
    expect(closings).toEqual([]);
  });
});

describe('a connection that is lost', () => {
  test('is opened again, and what had written nothing runs once more, in order', async () => {
    const database = await open(makeName());
    const store = database.room(room);
    await store.transact(increment, { mode: 'write' });
    breakConnections(1);
    const results = await Promise.all(
      Array.from({ length: 5 }, () => store.transact(increment, { mode: 'write' })),
    ).finally(healConnections);
    expect(results).toEqual([2, 3, 4, 5, 6]);
    expect(closings).toEqual([]);
  });

  test('is given up when the new one is dead as well', async () => {
    const database = await open(makeName());
    const store = database.room(room);
    breakConnections(Number.POSITIVE_INFINITY);
    try {
      const refused = await Promise.allSettled(
        Array.from({ length: 5 }, () => store.transact(increment, { mode: 'write' })),
      );
      expect(refused.map(({ status }) => status)).toEqual(Array(5).fill('rejected'));
      expect(refused[0]).toMatchObject({ reason: { code: 'STORAGE_UNAVAILABLE' } });
      expect(closings).toMatchObject([{ code: 'STORAGE_UNAVAILABLE' }]);
      const asked = transactionsAsked;
      await expect(store.transact(increment, { mode: 'write' })).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
      expect(transactionsAsked, 'no further try on a dead handle').toBe(asked);
    } finally {
      healConnections();
    }
  });

  test('whose data were deleted meanwhile does not come back as an empty database', async () => {
    const name = makeName();
    const database = await open(name);
    const store = database.room(room);
    await store.transact(increment, { mode: 'write' });
    // The handle dies and takes the data along, as when a user clears them.
    breakConnections(Number.POSITIVE_INFINITY, (db) => db.close());
    await deleteRaw(name);
    await expect(store.transact(increment, { mode: 'write' })).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    healConnections();
    expect(await databaseNames()).not.toContain(name);
  });
});

test('[AE2] a row that is no bytes any more reads as one that says nothing', async () => {
  const name = makeName();
  const store = (await open(name)).room(room);
  await store.transact(increment, { mode: 'write' });
  const raw = await openRaw(name);
  const tx = raw.transaction('meta', 'readwrite');
  const [key] = await new Promise<IDBValidKey[]>((resolve) => {
    const request = tx.objectStore('meta').getAllKeys();
    request.onsuccess = () => resolve(request.result);
  });
  tx.objectStore('meta').put(null, key);
  await new Promise((resolve) => {
    tx.oncomplete = resolve;
  });
  raw.close();
  const nothing = new Uint8Array();
  expect(await store.transact((tx) => tx.get('meta', COUNTER), { mode: 'read' })).toEqual(nothing);
  expect(await store.transact((tx) => tx.rows('meta', { from: nothing }), { mode: 'read' })).toEqual([
    [COUNTER, nothing],
  ]);
});

test('[JS8] a database that gives rows out of order is left at once, and asked for nothing more', async () => {
  const database = await open(makeName());
  const store = database.room(room);
  await store.transact(
    function* (tx) {
      for (let i = 0; i < 3; i++) tx.put('names', u64ToBytes(i), new Uint8Array());
      yield* [];
    },
    { mode: 'write' },
  );
  const { getAllKeys } = IDBObjectStore.prototype;
  const result = Object.getOwnPropertyDescriptor(IDBRequest.prototype, 'result')?.get;
  // As an index of SQLite answers in which a bit of a key has flipped.
  IDBObjectStore.prototype.getAllKeys = function (...args: Parameters<typeof getAllKeys>) {
    const request = getAllKeys.apply(this, args);
    Object.defineProperty(request, 'result', { get: () => result?.call(request).toReversed() });
    return request;
  };
  try {
    const read = store.transact((tx) => tx.keys('names', { from: new Uint8Array() }), { mode: 'read' });
    await expect(read).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', facts: { failure: 'broken' } });
    expect(closings).toMatchObject([{ code: 'STORAGE_UNAVAILABLE' }]);
  } finally {
    IDBObjectStore.prototype.getAllKeys = getAllKeys;
  }
  await expect(store.transact(increment, { mode: 'write' })).rejects.toMatchObject({ facts: { failure: 'broken' } });
});

test('[JS8] a database that its platform finds malformed is left at once, though another connection to it would open', async () => {
  const database = await open(makeName());
  const store = database.room(room);
  breakConnections(1, () => {
    throw new DOMException('Connection is closing because of: database disk image is malformed.', 'UnknownError');
  });
  await expect(store.transact(increment, { mode: 'write' }).finally(healConnections)).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
    facts: { failure: 'broken' },
  });
  expect(closings).toMatchObject([{ code: 'STORAGE_UNAVAILABLE' }]);
});

const { transaction } = IDBDatabase.prototype;
let transactionsAsked = 0;

/** The next connections that are asked for a transaction are dead, as WebKit leaves them. */
function breakConnections(connections: number, alsoDo: (db: IDBDatabase) => void = () => {}): void {
  const dead = new Set<IDBDatabase>();
  IDBDatabase.prototype.transaction = function (...args: Parameters<typeof transaction>) {
    transactionsAsked += 1;
    if (dead.size < connections) dead.add(this);
    if (!dead.has(this)) return transaction.apply(this, args);
    alsoDo(this);
    throw new DOMException('The database connection is closing.', 'InvalidStateError');
  };
}

function healConnections(): void {
  IDBDatabase.prototype.transaction = transaction;
}

const COUNTER = utf8ToBytes('counter');

const increment: Plan<number> = function* (tx) {
  const value = yield* tx.get('meta', COUNTER);
  const next = (value === undefined ? 0 : bytesToU64(value)) + 1;
  tx.put('meta', COUNTER, u64ToBytes(next));
  return next;
};

const { commit } = IDBTransaction.prototype;

/**
 * As Chromium does over the quota: the transaction aborts with the error, and no request of it fails. A real quota cannot
 * be had here, as the browser remembers for long how much room it saw last.
 */
function fillDisk(): void {
  IDBTransaction.prototype.commit = function () {
    Object.defineProperty(this, 'error', { value: new DOMException('Quota exceeded.', 'QuotaExceededError') });
    this.abort();
  };
}

async function databaseNames(): Promise<readonly (string | undefined)[]> {
  return (await indexedDB.databases()).map(({ name }) => name);
}

function openRaw(name: string, version?: number): Promise<IDBDatabase> {
  const request = indexedDB.open(name, version);
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function deleteRaw(name: string): Promise<void> {
  const request = indexedDB.deleteDatabase(name);
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
  });
}

function roomOf(...end: readonly number[]): RoomId {
  const bytes = new Uint8Array(32).fill(0xaa);
  bytes.set(end, 16 - end.length);
  return bytesToRoomId(bytes);
}

/** From now on transactions end and nobody is told, until the function that it returns is called. */
function deafen(prototype: IDBTransaction): () => void {
  const names = ['oncomplete', 'onabort'] as const;
  const descriptors = names.map((name) => Object.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor);
  for (const name of names) Object.defineProperty(prototype, name, { configurable: true, set: () => {} });
  return () => {
    for (const [i, name] of names.entries())
      Object.defineProperty(prototype, name, descriptors[i] as PropertyDescriptor);
  };
}
