import { randomBytes } from 'node:crypto';
import {
  defaultLimits,
  deriveReplicaId,
  deriveRoomId,
  MemoryStore,
  recordPayloadToBytes,
  type ReplicaId,
  type RoomId,
  type TABLES,
  valueToBytes,
} from '@mangrove/protocol';
import { WebSocket } from 'ws';
import * as Y from 'yjs';
import type { Environment } from '../../packages/client/dist/environment.js';
import { textToEntries } from '../../packages/client/dist/listing.js';
import { connectRelays } from '../../packages/client/dist/transports/several-relays.js';
import type { Transport, TransportEvents } from '../../packages/client/dist/transports/transport.js';
import { leadAlone } from '../../packages/client/dist/tabs/leadership.js';
import type { RoomStatus } from '../../packages/client/dist/types.js';
import { createEngine } from '../../packages/client/dist/worker/engine.js';
import type { EngineApi, RoomListener } from '../../packages/client/dist/worker/engine-api.js';
import { createVerifier } from '../../packages/relay/dist/runtimes/node-crypto.js';
import { hash, type Keys, makeKeys } from './keys.js';

const RETRY_MS = 200;
const COLLECTION = 'notes';

export interface Typist {
  /** Resolves when the key is on disk. */
  type(key: string): Promise<void>;
  moveCursor(state: Uint8Array): Promise<void>;
}

/** The client's engine as it ships, in this process: its rows are in memory, its sockets and its clock are real. */
export class NodeReplica {
  readonly id: ReplicaId;
  readonly roomId: RoomId;
  readonly store = new MemoryStore();
  readonly #engine: EngineApi;
  readonly #room: string;
  #status: RoomStatus | undefined;
  #waits = 0;

  /** With several relays it goes to one of them as a browser would. */
  static async open(relays: string | readonly string[], room: string): Promise<NodeReplica> {
    const replica = new NodeReplica(room);
    const options = { room, relays: [relays].flat(), history: 'current' } as const;
    replica.#status = await replica.#engine.openRoom(options, replica.#listener());
    return replica;
  }

  private constructor(room: string) {
    const keys = makeKeys();
    this.#room = room;
    this.roomId = deriveRoomId(hash, room, { history: 'current', encrypted: false });
    this.id = deriveReplicaId(hash, this.roomId, keys.publicKey);
    this.#engine = createEngine(this.#environment(keys), 'node', defaultLimits);
  }

  get status(): RoomStatus {
    return this.#status as RoomStatus;
  }

  count(table: (typeof TABLES)[number]): number {
    return this.store.tables.table(table).size;
  }

  /** Resolves when the relay has all of them. */
  async put(ids: readonly string[], value: number | undefined): Promise<void> {
    const payload = value === undefined ? undefined : recordPayloadToBytes({ value: valueToBytes(value) });
    const written = await Promise.all(ids.map((id) => this.#engine.put(this.#room, COLLECTION, id, payload)));
    const rows = written.flatMap((one) => one.rows);
    await this.#engine.reached(this.#room, { name: ++this.#waits, rows, rung: 'relay', count: 1 });
  }

  /** Writes, and resolves when the last of it has come so far. */
  async reached(ids: readonly string[], rung: 'relay' | 'replicas'): Promise<void> {
    const payload = recordPayloadToBytes({ value: valueToBytes(1) });
    const written = await Promise.all(ids.map((id) => this.#engine.put(this.#room, COLLECTION, id, payload)));
    const rows = written.flatMap((one) => one.rows);
    await this.#engine.reached(this.#room, { name: ++this.#waits, rows, rung, count: 1 });
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.put(ids, undefined);
  }

  async read(): Promise<string[]> {
    return textToEntries(await this.#engine.entries(this.#room, COLLECTION, 'lww', {})).map(([id]) => id);
  }

  /** Opens a document as a page does; what is typed there goes to the relay, and the cursor to everybody. */
  async typist(document: string): Promise<Typist> {
    const { nonce, clientId } = await this.#engine.openDocument(this.#room, document);
    const ydoc = new Y.Doc();
    ydoc.clientID = clientId;
    const text = ydoc.getText('t');
    const updates: Uint8Array[] = [];
    ydoc.on('update', (update: Uint8Array) => updates.push(update));
    return {
      type: async (key) => {
        text.insert(text.length, key);
        const edit = { updates: updates.splice(0), nonce, clientId, imported: false, isShown: true };
        await this.#engine.edit(this.#room, document, edit);
      },
      moveCursor: (state) => this.#engine.presence(this.#room, document, state),
    };
  }

  async close(): Promise<void> {
    await this.#engine.shutDown(false);
  }

  #listener(): RoomListener {
    const nothing = (): void => {};
    return {
      ...{ updates: nothing, changes: nothing, presenceWanted: nothing, peerPresence: nothing, peersGone: nothing },
      ...{ reopened: nothing, token: async () => undefined },
      status: (status) => {
        this.#status = status;
      },
    };
  }

  #environment({ publicKey, sign }: Keys): Environment {
    const { store, id } = this;
    return {
      hash,
      verifier: createVerifier(),
      clock: { nowMs: () => Date.now() },
      random: { u32: () => randomBytes(4).readUInt32BE() },
      hasBuckets: false,
      startShadow: () => undefined,
      openRescued: async () => undefined,
      deleteElsewhere: async () => {},
      openDatabase: async () => ({
        isPersistent: true,
        wasDiscarded: false,
        room: () => ({ transact: store.transact.bind(store), close: async () => {} }),
        readIdentity: async () => undefined,
        writeIdentity: async () => {},
        deleteAll: async () => {},
        close: async () => {},
      }),
      openIdentity: async () => ({
        replica: id,
        signer: { publicKey, sign: async (message) => sign(message) },
        isNew: false,
      }),
      openChannel: () => ({ post: () => {}, listen: () => {}, close: () => {} }),
      isVisible: () => true,
      lead: leadAlone,
      connect: (relays, room, events) =>
        relays.length > 1 ? connectRelays(relays, room, events) : connect(relays[0] as string, room, events),
    };
  }
}

/** A socket that is opened again whenever it ends. */
function connect(url: string, room: string, events: TransportEvents): Transport {
  const address = `${url.replace(/^http/, 'ws')}/parties/relay/${encodeURIComponent(room)}`;
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;
  const begin = (): void => {
    events.connecting();
    const begun = new WebSocket(address, { perMessageDeflate: false });
    socket = begun;
    begun.on('open', () => events.opened());
    begun.on('message', (data: Buffer, isBinary) => {
      if (isBinary && !isClosed) events.frame(new Uint8Array(data));
    });
    begun.on('error', () => {});
    begun.on('close', (code, reason) => {
      if (isClosed) return;
      events.closed({ code, reason: reason.toString(), final: false });
      timer = setTimeout(begin, RETRY_MS);
    });
  };
  begin();
  return {
    send: (frame) => {
      if (socket?.readyState === WebSocket.OPEN) socket.send(frame);
    },
    gained: () => {},
    reconnect: () => socket?.terminate(),
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      socket?.close();
    },
  };
}
