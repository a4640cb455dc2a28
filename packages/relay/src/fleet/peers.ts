import {
  bytesToHex,
  bytesToRelayMessage,
  bytesToReplicaId,
  idToBytes,
  messageToBytes,
  type RelayEvent,
  type ReplicaId,
} from '@mangrove/protocol';
import type { Later, Random } from '../ports.js';
import type { Engine, Following } from './engine.js';
import { INSTANCE_BYTES } from './entry.js';
import { EntryReader, EntryWriter } from './entry-bytes.js';

type Forwarded = Extract<RelayEvent, { kind: 'forward' }>['message'];
type Presence = Extract<Forwarded, { kind: 'presence' }>;

/** [RF7] */
export const PEERS_MS = 30_000;
const HERE_EVERY_MS = 10_000;
const REPLICA_BYTES = 8;
const KINDS = ['here', 'asked', 'joined', 'left', 'presence'] as const;
type Kind = (typeof KINDS)[number];

export interface PeersHost {
  readonly random: Random;
  readonly later: Later;
  readonly nowMs: () => number;
  /** Who is here. */
  replicas(): Iterable<ReplicaId>;
  has(replica: ReplicaId): boolean;
  /** To everybody who is here. */
  forward(message: Forwarded): void;
}

interface Relay {
  readonly replicas: Set<ReplicaId>;
  heardAtMs: number;
}

/** Who is in a room over the other relays of a fleet: told beside its log, and forgotten with who told it [RF7]. */
export class Peers {
  readonly #engine: Engine;
  readonly #channel: string;
  readonly #host: PeersHost;
  readonly #id: Uint8Array;
  readonly #relays = new Map<string, Relay>();
  readonly #listening: Following;
  #isClosed = false;

  constructor(engine: Engine, channel: string, host: PeersHost) {
    this.#engine = engine;
    this.#channel = channel;
    this.#host = host;
    this.#id = host.random.bytes(INSTANCE_BYTES);
    this.#listening = engine.listen(channel, (bytes) => this.#hear(bytes));
    this.#tell('asked');
    this.#beat();
  }

  replicas(): readonly ReplicaId[] {
    return [...new Set([...this.#relays.values()].flatMap(({ replicas }) => [...replicas]))];
  }

  has(replica: ReplicaId): boolean {
    for (const { replicas } of this.#relays.values()) if (replicas.has(replica)) return true;
    return false;
  }

  joined(replica: ReplicaId): void {
    this.#tell('joined', (writer) => writer.fixed(idToBytes(replica)));
  }

  left(replica: ReplicaId): void {
    this.#tell('left', (writer) => writer.fixed(idToBytes(replica)));
  }

  presence(message: Presence): void {
    this.#tell('presence', (writer) => writer.sized(messageToBytes(message)));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#listening.close();
  }

  #beat(): void {
    this.#host.later(HERE_EVERY_MS, () => {
      if (this.#isClosed) return;
      this.#tellHere();
      const before = this.#host.nowMs() - PEERS_MS;
      for (const [id, relay] of this.#relays) if (relay.heardAtMs < before) this.#forget(id, relay);
      this.#beat();
    });
  }

  #forget(id: string, { replicas }: Relay): void {
    this.#relays.delete(id);
    for (const replica of replicas) this.#gone(replica);
  }

  #tellHere(): void {
    const replicas = [...new Set(this.#host.replicas())];
    this.#tell('here', (writer) => writer.list(replicas.map(idToBytes)));
  }

  #tell(kind: Kind, write: (writer: EntryWriter) => void = () => {}): void {
    const writer = new EntryWriter().fixed(this.#id).u8(KINDS.indexOf(kind));
    write(writer);
    this.#engine.tell(this.#channel, writer.bytes());
  }

  #hear(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    const reader = new EntryReader(bytes);
    const id = bytesToHex(reader.fixed(INSTANCE_BYTES));
    if (id === bytesToHex(this.#id)) return;
    const readReplica = (): ReplicaId => bytesToReplicaId(reader.fixed(REPLICA_BYTES));
    const relay = this.#relayOf(id);
    switch (KINDS[reader.u8()]) {
      case 'asked':
        this.#tellHere();
        break;
      case 'here':
        this.#are(relay, new Set(reader.list(() => bytesToReplicaId(reader.sized()))));
        break;
      case 'joined':
        this.#come(relay, readReplica());
        break;
      case 'left': {
        const replica = readReplica();
        if (relay.replicas.delete(replica)) this.#gone(replica);
        break;
      }
      case 'presence': {
        const message = bytesToRelayMessage(reader.sized());
        if (message.kind === 'presence') this.#host.forward(message);
        break;
      }
    }
  }

  #relayOf(id: string): Relay {
    const heardAtMs = this.#host.nowMs();
    const relay = this.#relays.get(id) ?? { replicas: new Set<ReplicaId>(), heardAtMs };
    relay.heardAtMs = heardAtMs;
    this.#relays.set(id, relay);
    return relay;
  }

  /** All that are there over this relay. */
  #are(relay: Relay, now: ReadonlySet<ReplicaId>): void {
    for (const replica of now) this.#come(relay, replica);
    for (const replica of [...relay.replicas]) {
      if (now.has(replica)) continue;
      relay.replicas.delete(replica);
      this.#gone(replica);
    }
  }

  #come(relay: Relay, replica: ReplicaId): void {
    if (relay.replicas.has(replica)) return;
    const isNew = !this.has(replica) && !this.#host.has(replica);
    relay.replicas.add(replica);
    if (isNew) this.#host.forward({ kind: 'peer', replica, present: true });
  }

  #gone(replica: ReplicaId): void {
    if (!this.has(replica) && !this.#host.has(replica)) this.#host.forward({ kind: 'peer', replica, present: false });
  }
}
