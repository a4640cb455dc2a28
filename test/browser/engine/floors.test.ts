import {
  defaultLimits,
  deriveRoomId,
  MemoryStore,
  recordPayloadToBytes,
  type RoomId,
  type TABLES,
  valueToBytes,
} from '@mangrove/protocol';
import { sha256 } from '@noble/hashes/sha2.js';
import { afterEach, expect, test, vi } from 'vitest';
import type { Environment } from '../../../packages/client/src/environment.js';
import type { Database } from '../../../packages/client/src/stores/database.js';
import type { RoomStatus, TrashEntry } from '../../../packages/client/src/types.js';
import type { Transport, TransportEvents } from '../../../packages/client/src/transports/transport.js';
import { createEngine } from '../../../packages/client/src/worker/engine.js';
import type { EngineApi, RoomListener } from '../../../packages/client/src/worker/engine-api.js';
import { webVerifier } from '../../../packages/client/src/worker/web-crypto.js';
import { webEnvironment } from '../../../packages/client/src/worker/web-environment.js';
import { Counters } from '../../../packages/relay/src/counters.js';
import { RelayRoom } from '../../../packages/relay/src/room.js';

const ROOM = 'floors';
const RECORDS = 2_000;
const roomId = deriveRoomId(sha256, ROOM, { history: 'current', encrypted: false });
const profiles: Profile[] = [];
/** Ahead of this page's clock, for everybody. */
let skewMs = 0;
const clock = { nowMs: () => Date.now() + skewMs };

afterEach(async () => {
  for (const profile of profiles.splice(0)) await profile.end();
  skewMs = 0;
});

/** A profile with a real database, a real key and real locks; its network is this page. */
class Profile {
  readonly name = `mangrove-test-${crypto.randomUUID()}`;
  status: RoomStatus | undefined;
  #database: Database | undefined;
  #engine: EngineApi | undefined;
  readonly #relay: Promise<RelayRoom>;

  constructor(relay: Promise<RelayRoom>) {
    this.#relay = relay;
    profiles.push(this);
  }

  async open({ isOffline = false } = {}): Promise<void> {
    const web = webEnvironment();
    const env: Environment = {
      ...web,
      clock,
      openDatabase: async (name, place, onLost) => (this.#database = await web.openDatabase(name, place, onLost)),
      connect: (_, __, events) => connect(this.#relay, events),
    };
    this.#engine = createEngine(env, this.name, defaultLimits);
    const nothing = (): void => {};
    const listener: RoomListener = {
      ...{ updates: nothing, changes: nothing, presenceWanted: nothing, peerPresence: nothing, peersGone: nothing },
      ...{ reopened: nothing, token: async () => undefined },
      status: (status) => {
        this.status = status;
      },
    };
    this.status = await this.#engine.openRoom({ room: ROOM, relays: isOffline ? [] : ['wss://relay.test'] }, listener);
    expect(this.status.storage).toBe('indexeddb');
  }

  get engine(): EngineApi {
    return this.#engine as EngineApi;
  }

  async close(): Promise<void> {
    await this.#engine?.shutDown(false);
    this.#engine = undefined;
  }

  async put(ids: readonly string[]): Promise<void> {
    const payload = (id: string) => recordPayloadToBytes({ value: valueToBytes({ id, by: this.name }) });
    await Promise.all(ids.map((id) => this.engine.put(ROOM, 'notes', id, payload(id))));
  }

  async remove(ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map((id) => this.engine.put(ROOM, 'notes', id, undefined)));
  }

  async read(): Promise<string[]> {
    return (await this.engine.entries(ROOM, 'notes', 'lww', {})).map(([id]) => id);
  }

  /** How many rows of the room are in the database. */
  count(table: (typeof TABLES)[number]): Promise<number> {
    const plan = { mode: 'read' } as const;
    return (this.#database as Database).room(roomId).transact(function* (tx) {
      return (yield* tx.keys(table, { from: new Uint8Array() })).length;
    }, plan);
  }

  async end(): Promise<void> {
    await this.engine?.shutDown(true);
  }
}

async function openRelay(store: MemoryStore): Promise<RelayRoom> {
  const pair = (await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify'])) as CryptoKeyPair;
  const meta = new Map<string, Uint8Array>();
  return RelayRoom.open(ROOM, {
    environment: {
      room: () => ({ transact: store.transact.bind(store), close: async () => {} }),
      rooms: (): RoomId[] => [roomId],
      getMeta: async (name) => meta.get(name),
      putMeta: async (name, value) => void meta.set(name, value),
      close: async () => {},
    },
    identity: {
      relayKey: new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)),
      storeId: crypto.getRandomValues(new Uint8Array(8)),
      sign: async (message) =>
        new Uint8Array(await crypto.subtle.sign({ name: 'Ed25519' }, pair.privateKey, message as BufferSource)),
    },
    hash: sha256,
    verifier: webVerifier,
    clock,
    random: { bytes: (count) => crypto.getRandomValues(new Uint8Array(count)) },
    limits: defaultLimits,
    authenticate: undefined,
    counters: new Counters(),
    report: (error) => reportError(error),
  });
}

/** Frames are copied from one to the other, in order. */
function connect(relay: Promise<RelayRoom>, events: TransportEvents): Transport {
  let link: ReturnType<RelayRoom['connect']> | undefined;
  let isOpen = true;
  events.connecting();
  void relay.then((room) => {
    if (!isOpen) return;
    events.opened();
    link = room.connect({
      origin: undefined,
      send: (frame) => void setTimeout((copy: Uint8Array) => isOpen && events.frame(copy), 0, frame.slice()),
      close: () => {},
      bufferedBytes: () => 0,
      drained: async () => {},
    });
  });
  return {
    send: (frame) => void setTimeout((copy: Uint8Array) => isOpen && link?.receive(copy), 0, frame.slice()),
    gained: () => {},
    reconnect: () => {},
    close: () => {
      isOpen = false;
      link?.closed();
    },
  };
}

test(`[FL5, FL11, FL15] scenarios 10 and 26: ${RECORDS} records made and deleted leave a floor, over a reload and to one who was away`, {
  timeout: 180_000,
}, async () => {
  const relayStore = new MemoryStore();
  const relay = openRelay(relayStore);
  const [ann, bob] = [new Profile(relay), new Profile(relay)];
  await ann.open();
  await bob.open();
  const gone = Array.from({ length: RECORDS }, (_, n) => `gone ${n}`);
  await ann.put([...gone, 'kept']);
  await ann.engine.reached(ROOM, { name: 1, rows: 'all', rung: 'replicas', count: 1 });
  // Bob knows all of it, goes away, and writes there.
  await bob.close();
  await bob.open({ isOffline: true });
  await bob.put(['written away', 'kept', 'gone 7']);
  await bob.close();

  await ann.remove(gone);
  await ann.engine.reached(ROOM, { name: 2, rows: 'all', rung: 'relay', count: 1 });
  expect(await ann.count('tombstones')).toBe(RECORDS);
  skewMs += defaultLimits.replicaExpiryMs;
  await ann.put(['later']);
  await vi.waitUntil(async () => (await ann.count('tombstones')) === 0, { timeout: 120_000, interval: 200 });
  await ann.engine.synced(ROOM, 3);
  expect(await ann.count('deltas')).toBe(3);
  await vi.waitUntil(async () => (await ann.count('names')) === 2, { timeout: 60_000, interval: 200 });
  expect(relayStore.tables.table('deltas').size).toBe(3);

  const root = ann.status?.root;
  await ann.close();
  await ann.open({ isOffline: true });
  expect(ann.status?.root).toBe(root);
  expect(await ann.read()).toEqual(['kept', 'later']);
  await ann.close();
  await ann.open();

  await bob.open();
  await bob.engine.synced(ROOM, 4);
  await ann.engine.synced(ROOM, 5);
  await vi.waitUntil(() => ann.status?.sync === 'in-sync' && ann.status.root === bob.status?.root, { timeout: 30_000 });
  for (const profile of [ann, bob]) expect(await profile.read()).toEqual(['gone 7', 'kept', 'later', 'written away']);
  const kept = await ann.engine.get(ROOM, 'notes', 'kept', 'lww');
  expect(kept?.value).toEqual({ id: 'kept', by: bob.name });
  expect(bob.status?.pending.writes).toBe(0);
  expect(await bob.count('outbox')).toBe(0);
  // What he saw deleted in one stroke had content: it is in his trash, but for the one that he wrote anew.
  expect(await bob.count('trash')).toBe(2 * (RECORDS - 1));

  // He has one of them back, and everybody with him; it is the only one that is written anew, over a reload too.
  const ids = new Set<string>();
  let found: TrashEntry | undefined;
  for (let after: string | undefined, page: readonly TrashEntry[] = []; ; after = page.at(-1)?.id) {
    page = await bob.engine.trash(ROOM, 500, after);
    if (page.length === 0) break;
    for (const entry of page) ids.add(entry.id);
    found ??= page.find((entry) => entry.kind === 'record' && entry.record === 'gone 3');
  }
  expect(ids.size).toBe(RECORDS - 1);
  expect(found).toMatchObject({ collection: 'notes', value: { id: 'gone 3', by: ann.name }, why: 'swept' });
  await bob.engine.recover(ROOM, (found as TrashEntry).id);
  await bob.close();
  await bob.open();
  await bob.engine.synced(ROOM, 6);
  await ann.engine.synced(ROOM, 7);
  await vi.waitUntil(() => ann.status?.sync === 'in-sync' && ann.status.root === bob.status?.root, { timeout: 30_000 });
  for (const profile of [ann, bob])
    expect(await profile.read()).toEqual(['gone 3', 'gone 7', 'kept', 'later', 'written away']);
  expect(await bob.count('trash')).toBe(2 * (RECORDS - 2));
  await expect(bob.engine.recover(ROOM, (found as TrashEntry).id)).rejects.toMatchObject({ code: 'NOT_IN_TRASH' });
  await bob.engine.emptyTrash(ROOM, undefined);
  expect(await bob.count('trash')).toBe(0);
});
