import type { Transport, TransportEvents } from '../../../packages/client/src/transports/transport.js';
import type { Link } from '../../../packages/relay/src/link.js';
import type { Connection } from '../../../packages/relay/src/ports.js';
import type { RelayRoom } from '../../../packages/relay/src/room.js';
import type { Profile } from './profile.js';
import type { WorldRelay } from './relay.js';

const RETRY_MS = 200;

/** How the network between a device and the relay behaves. */
export class Network {
  /** False: connections end, and none begins. */
  #isUp = true;
  /** True: nothing comes through, and nobody is told. */
  isStalled = false;
  latencyMs = 0;
  /** Sees, and may change or drop (undefined), what comes from the relay. */
  fromRelay: (frame: Uint8Array) => Uint8Array | undefined = (frame) => frame;
  /** The same for what goes to it. */
  toRelay: (frame: Uint8Array) => Uint8Array | undefined = (frame) => frame;
  readonly connections = new Set<MemoryConnection>();

  get isUp(): boolean {
    return this.#isUp;
  }

  set isUp(isUp: boolean) {
    this.#isUp = isUp;
    if (!isUp) for (const connection of [...this.connections]) connection.cut();
  }

  resume(): void {
    this.isStalled = false;
    for (const connection of this.connections) connection.deliver();
  }
}

/** A transport to a real room of the relay, through the network of a profile. */
export class MemoryTransport implements Transport {
  readonly #profile: Profile;
  readonly #room: string;
  readonly #events: TransportEvents;
  #connection: MemoryConnection | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  attempts = 0;

  constructor(profile: Profile, room: string, events: TransportEvents) {
    this.#profile = profile;
    this.#room = room;
    this.#events = events;
    this.#connect();
  }

  send(frame: Uint8Array): void {
    this.#connection?.toRelay(frame);
  }

  gained(): void {}

  reconnect(): void {
    this.#isClosed = false;
    clearTimeout(this.#retry);
    const connection = this.#connection;
    if (connection === undefined) this.#connect();
    else connection.cut(0);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.leave();
  }

  /** Ends without a word to its owner; the relay learns of it. */
  vanish(): void {
    this.close();
  }

  #connect(): void {
    this.attempts++;
    this.#events.connecting();
    setImmediate(() => void this.#open());
  }

  async #open(): Promise<void> {
    const { world, network } = this.#profile;
    const room = await world.relay.open(this.#room);
    if (this.#isClosed) return;
    if (!world.relay.isUp || !network.isUp) return this.#ended(1006, '', RETRY_MS);
    const connection = new MemoryConnection(world.relay, network, room, {
      frame: (bytes) => this.#events.frame(bytes),
      closed: (code, reason, retryMs) => {
        if (this.#connection !== connection) return;
        this.#connection = undefined;
        this.#ended(code, reason, retryMs);
      },
    });
    this.#connection = connection;
    this.#events.opened();
    connection.begin();
  }

  #ended(code: number, reason: string, retryMs: number): void {
    const final = code >= 4400 && code <= 4499;
    this.#events.closed({ code, reason, final });
    if (final || this.#isClosed) return;
    this.#retry = setTimeout(() => this.#connect(), retryMs);
  }
}

/** Both ends of one connection. Frames are copied, in order, each in a turn of its own. */
export class MemoryConnection implements Connection {
  readonly origin = undefined;
  readonly #relay: WorldRelay;
  readonly #network: Network;
  readonly #room: RelayRoom;
  readonly #client: {
    frame(bytes: Uint8Array): void;
    closed(code: number, reason: string, retryMs: number): void;
  };
  readonly #waiting: (() => void)[] = [];
  #link: Link | undefined;
  #isOpen = true;

  constructor(
    relay: WorldRelay,
    network: Network,
    room: RelayRoom,
    client: { frame(bytes: Uint8Array): void; closed(code: number, reason: string, retryMs: number): void },
  ) {
    this.#relay = relay;
    this.#network = network;
    this.#room = room;
    this.#client = client;
    relay.connections.add(this);
    network.connections.add(this);
  }

  begin(): void {
    this.#link = this.#room.connect(this);
  }

  // As the relay sees it.

  send(frame: Uint8Array): void {
    this.#pass(() => {
      const seen = this.#network.fromRelay(frame.slice());
      if (seen !== undefined) this.#client.frame(seen);
    });
  }

  close(code: number, reason: string): void {
    this.#pass(() => this.#end(code, reason, RETRY_MS));
  }

  bufferedBytes(): number {
    return 0;
  }

  async drained(): Promise<void> {}

  // As the client sees it.

  toRelay(frame: Uint8Array): void {
    this.#pass(() => {
      const seen = this.#network.toRelay(frame.slice());
      if (seen !== undefined) void this.#link?.receive(seen);
    });
  }

  /** The client closes. */
  leave(): void {
    this.#end(1000, '', RETRY_MS);
  }

  /** The network fails: both ends learn of it. */
  cut(retryMs = RETRY_MS): void {
    this.#end(1006, '', retryMs);
  }

  deliver(): void {
    for (const deliver of this.#waiting.splice(0)) setImmediate(deliver);
  }

  #pass(act: () => void): void {
    const deliver = (): void => {
      if (!this.#isOpen) return;
      if (this.#network.isStalled) this.#waiting.push(deliver);
      else act();
    };
    const { latencyMs } = this.#network;
    if (latencyMs === 0) setImmediate(deliver);
    else setTimeout(deliver, latencyMs);
  }

  #end(code: number, reason: string, retryMs: number): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#relay.connections.delete(this);
    this.#network.connections.delete(this);
    this.#link?.closed();
    this.#client.closed(code, reason, retryMs);
  }
}
