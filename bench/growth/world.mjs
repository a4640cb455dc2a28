import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { defaultLimits, deriveReplicaId, deriveRoomId, MemoryStore, TABLES } from '@mangrove/protocol';
import { createEngine } from '../../packages/client/dist/worker/engine.js';
import { Counters } from '../../packages/relay/dist/counters.js';
import { portDefaults } from '../../packages/relay/dist/port-defaults.js';
import { Turns } from '../../packages/relay/dist/turns.js';
import { createVerifier, nodeHash, nodeRandom } from '../../packages/relay/dist/runtimes/node-crypto.js';
import { RelayRoom } from '../../packages/relay/dist/room.js';

/** Virtual time goes on by this much with each edit: somebody edits once a minute, for two years. */
const EDIT_EVERY_MS = 60_000;
const CONFIG = { history: 'current', encrypted: false };
const plain = (buffer) => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);

/** One relay and one replica in one process: the real engine, the real room, rows in memory, frames copied from one to the other. */
export class GrowthWorld {
  #room = 'growth';
  #skewMs = 0;
  #relayStores = new Map();
  #keys = makeKeys();
  #relayRoom;
  roomId = deriveRoomId(nodeHash, this.#room, CONFIG);
  store = new MemoryStore();

  nowMs() {
    return Date.now() + this.#skewMs;
  }

  edited(count) {
    this.#skewMs += count * EDIT_EVERY_MS;
  }

  get relayStore() {
    return this.#relayStores.get(this.roomId);
  }

  /** A tab's engine with the room open; `store`: rows of another, for looking at how long it takes. */
  async open({ store = this.store, isOffline = false } = {}) {
    const engine = createEngine(this.#environment(store), 'growth', defaultLimits);
    const listener = { ...LISTENER };
    await engine.openRoom(
      { room: this.#room, relays: isOffline ? [] : ['wss://growth'], history: CONFIG.history },
      listener,
    );
    return { engine, room: this.#room, close: () => engine.shutDown(false) };
  }

  #environment(store) {
    const { publicKey, privateKey } = this.#keys;
    const replica = deriveReplicaId(nodeHash, this.roomId, publicKey);
    const signer = { publicKey, sign: async (message) => plain(sign(null, message, privateKey)) };
    return {
      hash: nodeHash,
      verifier: createVerifier(),
      clock: { nowMs: () => this.nowMs() },
      random: { u32: () => new DataView(nodeRandom.bytes(4).buffer).getUint32(0) },
      hasBuckets: false,
      startShadow: () => undefined,
      openRescued: async () => undefined,
      deleteElsewhere: async () => {},
      openDatabase: async () => ({
        isPersistent: true,
        room: () => ({ transact: store.transact.bind(store), close: async () => {} }),
        readIdentity: async () => undefined,
        writeIdentity: async () => {},
        deleteAll: async () => {},
        close: async () => {},
      }),
      openIdentity: async () => ({ replica, signer }),
      openChannel: () => ({ post() {}, listen() {}, close() {} }),
      isVisible: () => true,
      lead: () => ({ acquired: Promise.resolve(), lost: new Promise(() => {}), release() {} }),
      connect: (_, room, events) => this.#connect(room, events),
    };
  }

  #connect(room, events) {
    let link;
    let isOpen = true;
    const client = {
      origin: undefined,
      send: (frame) => {
        const copy = frame.slice();
        setImmediate(() => isOpen && events.frame(copy));
      },
      close: () => {},
      bufferedBytes: () => 0,
      drained: async () => {},
    };
    events.connecting();
    this.#relayRoom ??= RelayRoom.open(room, this.#ports());
    void this.#relayRoom.then((relayRoom) => {
      events.opened();
      link = relayRoom.connect(client);
    });
    return {
      send: (frame) => {
        const copy = frame.slice();
        setImmediate(() => isOpen && link?.receive(copy));
      },
      gained() {},
      reconnect() {},
      close() {
        isOpen = false;
        link?.closed();
      },
    };
  }

  #ports() {
    const keys = makeKeys();
    const environment = {
      room: (roomId) => {
        let store = this.#relayStores.get(roomId);
        if (store === undefined) this.#relayStores.set(roomId, (store = new MemoryStore()));
        return { transact: store.transact.bind(store), close: async () => {} };
      },
      rooms: () => [...this.#relayStores.keys()],
      getMeta: async () => undefined,
      putMeta: async () => {},
      close: async () => {},
    };
    return {
      ...portDefaults(environment, nodeHash),
      environment,
      identity: {
        relayKey: keys.publicKey,
        storeId: nodeRandom.bytes(8),
        sign: async (message) => plain(sign(null, message, keys.privateKey)),
      },
      hash: nodeHash,
      verifier: createVerifier(),
      clock: { nowMs: () => this.nowMs() },
      random: nodeRandom,
      limits: defaultLimits,
      authenticate: async () => ({ rights: ['read', 'write'] }),
      counters: new Counters(),
      later: (delayMs, run) => void setTimeout(run, delayMs),
      turns: new Turns((run) => void setImmediate(run)),
      report: (error) => {
        throw error;
      },
    };
  }
}

const LISTENER = {
  status() {},
  updates() {},
  changes() {},
  presenceWanted() {},
  peerPresence() {},
  peersGone() {},
  reopened() {},
  token: async () => undefined,
};

function makeKeys() {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return {
    publicKey: plain(Buffer.from(x, 'base64url')),
    privateKey: createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })),
  };
}

/** Bytes of keys and values, by table. */
export function bytesByTable(store) {
  const bytes = {};
  for (const table of TABLES) {
    bytes[table] = 0;
    for (const [key, value] of store.tables.table(table).rows({ from: new Uint8Array() }))
      bytes[table] += key.length + value.length;
  }
  return bytes;
}

export function copyStore(store) {
  const copy = new MemoryStore();
  for (const table of TABLES)
    for (const [key, value] of store.tables.table(table).rows({ from: new Uint8Array() }))
      copy.tables.table(table).put(key, value);
  return copy;
}
