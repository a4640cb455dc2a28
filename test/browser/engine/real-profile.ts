import {
  defaultLimits,
  deriveRoomId,
  type MemoryStore,
  type Plan,
  recordPayloadToBytes,
  type RoomId,
  type TABLES,
  valueToBytes,
  NO_QUOTA,
} from '@mangrove/protocol';
import { sha256 } from '@noble/hashes/sha2.js';
import { expect } from 'vitest';
import type { Environment } from '../../../packages/client/src/environment.js';
import { textToEntries } from '../../../packages/client/src/listing.js';
import type { Database } from '../../../packages/client/src/stores/database.js';
import type { Transport, TransportEvents } from '../../../packages/client/src/transports/transport.js';
import type { RoomStatus } from '../../../packages/client/src/types.js';
import { createEngine } from '../../../packages/client/src/worker/engine.js';
import type { EngineApi, RoomListener } from '../../../packages/client/src/worker/engine-api.js';
import { generateKeys, webVerifier } from '../../../packages/client/src/worker/web-crypto.js';
import { webEnvironment } from '../../../packages/client/src/worker/web-environment.js';
import { Counters } from '../../../packages/relay/src/counters.js';
import { RelayRoom } from '../../../packages/relay/src/room.js';
import { defaultRates } from '../../../packages/relay/src/rates.js';
import { SILENT } from '../../../packages/relay/src/log.js';
import { Turns } from '../../../packages/relay/src/turns.js';

/** Soon: a test does not wait for what a disk has spoiled to be come upon. */
const SCRUB_STEP_MS = 200;
const profiles: Profile[] = [];
/** Ahead of this page's clock, for everybody. */
export const skew = { ms: 0 };
const clock = { nowMs: () => Date.now() + skew.ms };

/** For a hook of the test that made them. */
export async function endProfiles(): Promise<void> {
  for (const profile of profiles.splice(0)) await profile.end();
  skew.ms = 0;
}

export const roomIdOf = (room: string): RoomId => deriveRoomId(sha256, room, { history: 'current', encrypted: false });

/** A profile with a real database, a real key and real locks; its network is this page. */
export class Profile {
  readonly name: string;
  status: RoomStatus | undefined;
  #database: Database | undefined;
  #engine: EngineApi | undefined;
  readonly room: string;
  readonly #relay: Promise<RelayRoom>;
  #names = 0;

  constructor(room: string, relay: Promise<RelayRoom>, name = `mangrove-test-${crypto.randomUUID()}`) {
    this.name = name;
    this.room = room;
    this.#relay = relay;
    profiles.push(this);
  }

  /** The same browser's profile, before another relay. */
  again(relay: Promise<RelayRoom>): Profile {
    return new Profile(this.room, relay, this.name);
  }

  async open({ isOffline = false } = {}): Promise<void> {
    const web = webEnvironment();
    const env: Environment = {
      ...web,
      clock,
      openDatabase: async (name, place, onLost) => (this.#database = await web.openDatabase(name, place, onLost)),
      connect: (_, __, events) => connect(this.#relay, events),
    };
    this.#engine = createEngine(env, this.name, { ...defaultLimits, scrubStepMs: SCRUB_STEP_MS });
    const nothing = (): void => {};
    const listener: RoomListener = {
      ...{ updates: nothing, changes: nothing, presenceWanted: nothing, peerPresence: nothing, peersGone: nothing },
      ...{ reopened: nothing, token: async () => undefined },
      status: (status) => {
        this.status = status;
      },
    };
    this.status = await this.#engine.openRoom(
      { room: this.room, relays: isOffline ? [] : ['wss://relay.test'], history: 'current' },
      listener,
    );
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
    await Promise.all(ids.map((id) => this.engine.put(this.room, 'notes', id, payload(id))));
  }

  async remove(ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map((id) => this.engine.put(this.room, 'notes', id, undefined)));
  }

  async read(): Promise<string[]> {
    return textToEntries(await this.engine.entries(this.room, 'notes', 'lww', {})).map(([id]) => id);
  }

  /** How many rows of the room are in the database. */
  count(table: (typeof TABLES)[number]): Promise<number> {
    return this.look(function* (tx) {
      return (yield* tx.keys(table, { from: new Uint8Array() })).length;
    });
  }

  look<Result>(plan: Plan<Result>, mode: 'read' | 'write' = 'read'): Promise<Result> {
    return (this.#database as Database).room(roomIdOf(this.room)).transact(plan, { mode });
  }

  /** To nowhere: what was in the journal is sealed for it. */
  async backUp(): Promise<void> {
    const stream = await this.engine.backup(this.room, undefined);
    while ((await this.engine.readBackup(stream)) !== undefined);
  }

  reached(rung: 'disk' | 'relay' | 'replicas'): Promise<void> {
    return this.engine.reached(this.room, { name: ++this.#names, rows: 'all', rung, count: 1 });
  }

  synced(): Promise<void> {
    return this.engine.synced(this.room, ++this.#names);
  }

  async end(): Promise<void> {
    await this.engine?.shutDown(true);
  }
}

/** A room of a real relay in this page, whose disk is `store`. */
export async function openRelay(room: string, store: MemoryStore): Promise<RelayRoom> {
  const pair = await generateKeys();
  const meta = new Map<string, Uint8Array>();
  return RelayRoom.open(room, {
    environment: {
      room: () => ({ transact: store.transact.bind(store), close: async () => {} }),
      rooms: (): RoomId[] => [roomIdOf(room)],
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
    later: (delayMs, run) => void setTimeout(run, delayMs),
    random: { bytes: (count) => crypto.getRandomValues(new Uint8Array(count)) },
    limits: defaultLimits,
    authenticate: undefined,
    counters: new Counters(),
    rates: defaultRates,
    quota: NO_QUOTA,
    recheckMs: undefined,
    once: async () => true,
    log: SILENT,
    turns: new Turns((run) => void setTimeout(run)),
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
