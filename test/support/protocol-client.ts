import {
  type Admitted,
  bytesToDelta,
  bytesToHex,
  bytesToRelayMessage,
  bytesToStub,
  countParts,
  type Cursor,
  type Delta,
  defaultLimits,
  type DeltaId,
  FrameJoiner,
  type Hello,
  helloMessage,
  isStub,
  joinParts,
  type Message,
  messageToBytes,
  messageToFrames,
  PART_BYTES,
  PROTOCOL_VERSION,
  type RelayMessage,
  roomConfigToByte,
  type Stub,
  toEntry,
  trieKeyOf,
  type Welcome,
  LinkMemory,
  type Position,
} from '@mangrove/protocol';
import { WebSocket } from 'ws';
import { hash } from './keys.js';
import type { TestReplica } from './test-replica.js';

type Of<Kind extends RelayMessage['kind']> = Extract<RelayMessage, { kind: Kind }>;

export interface ConnectOptions {
  readonly token?: string;
  readonly cursor?: Cursor;
  readonly origin?: string;
  /** Anything of the hello that is to be other than honest. */
  readonly hello?: Partial<Hello>;
}

const WAIT_MS_MAX = 10_000;

/** A client that speaks the wire and nothing more: it keeps what it was told and says what a test wants it to say. */
export class ProtocolClient {
  readonly replica: TestReplica;
  readonly closed: Promise<number>;
  /** All messages in the order of their coming. */
  readonly messages: RelayMessage[] = [];
  readonly deltasById = new Map<DeltaId, Delta>();
  welcome!: Welcome;
  closeCode: number | undefined;
  readonly #socket: WebSocket;
  readonly #joiner = new FrameJoiner(defaultLimits);
  readonly #heard = new LinkMemory();
  readonly #told = new LinkMemory();
  /** Up to here `next` has looked, for each kind of message. */
  readonly #seen = new Map<string, number>();
  #changed: (() => void)[] = [];
  /** Parts that were asked for, and how many of them may go. */
  readonly #owed: Message[] = [];
  #partsLeft = Number.POSITIVE_INFINITY;
  /** By trie key: what was pushed, to be served in parts, and what is coming in parts. */
  readonly #pushed = new Map<string, Delta>();
  readonly #incoming = new Map<string, { readonly stub: Stub; readonly parts: Uint8Array[] }>();

  private constructor(replica: TestReplica, socket: WebSocket) {
    this.replica = replica;
    this.#socket = socket;
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#receive(new Uint8Array(data));
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', (code) => {
        this.closeCode = code;
        resolve(code);
        this.#wake();
      });
    });
  }

  /** Connects and reads the welcome, no more. */
  static async open(url: string, replica: TestReplica, options: ConnectOptions = {}): Promise<ProtocolClient> {
    const address = `${url.replace(/^http/, 'ws')}/parties/relay/${encodeURIComponent(replica.name)}`;
    const origin = options.origin === undefined ? {} : { origin: options.origin };
    const socket = new WebSocket(address, { perMessageDeflate: false, ...origin });
    const client = new ProtocolClient(replica, socket);
    client.welcome = await client.next('welcome');
    return client;
  }

  /** Connects and is admitted; without a cursor the whole log follows. */
  static async connect(url: string, replica: TestReplica, options: ConnectOptions = {}): Promise<ProtocolClient> {
    const client = await ProtocolClient.open(url, replica, options);
    await client.hello(options);
    return client;
  }

  async hello(options: ConnectOptions = {}): Promise<Admitted> {
    this.sendHello(options);
    return await this.next('admitted');
  }

  sendHello({ token, cursor, hello }: ConnectOptions = {}): void {
    const { roomId, config, keys } = this.replica;
    const { relayKey, storeId, challenge } = this.welcome;
    this.send({
      kind: 'hello',
      version: PROTOCOL_VERSION,
      roomId,
      config: roomConfigToByte(config),
      publicKey: keys.publicKey,
      token,
      cursor,
      window: defaultLimits.windowBytes,
      proof: keys.sign(helloMessage(roomId, relayKey, storeId, challenge)),
      ...hello,
    });
  }

  send(message: Message): void {
    for (const frame of messageToFrames(messageToBytes(message, this.#told), defaultLimits)) this.sendFrame(frame);
  }

  sendFrame(frame: Uint8Array | string): void {
    this.#socket.send(frame);
  }

  sendText(text: string): Promise<string> {
    const answer = new Promise<string>((resolve) => {
      this.#socket.on('message', (data: Buffer, isBinary) => {
        if (!isBinary) resolve(data.toString());
      });
    });
    this.#socket.send(text);
    return answer;
  }

  push(deltas: readonly Delta[], repair = false): void {
    for (const delta of deltas) this.#pushed.set(bytesToHex(trieKeyOf(delta)), delta);
    this.send({ kind: 'push', repair, deltas: deltas.map(({ bytes }) => toEntry(hash, this.replica.roomId, bytes)) });
  }

  /** Sends so many of the parts that are asked for, now and later, and keeps back what follows them. */
  serveParts(count: number): void {
    this.#partsLeft = count;
    while (this.#partsLeft > 0) {
      const part = this.#owed.shift();
      if (part === undefined) return;
      this.#partsLeft--;
      this.send(part);
    }
  }

  /** Pushes own deltas and waits until all of them are acknowledged. */
  async pushed(deltas: readonly Delta[], repair = false): Promise<Of<'ack'>> {
    this.push(deltas, repair);
    const waiting = new Set(deltas.map(({ seq }) => seq));
    for (;;) {
      const ack = await this.next('ack');
      for (const seq of ack.seqs) waiting.delete(seq);
      if (waiting.size === 0) return ack;
    }
  }

  /** The next message of a kind that no earlier call has given. Rejects when the connection closes or nothing comes. */
  async next<Kind extends RelayMessage['kind']>(
    kind: Kind,
    isWanted: (message: Of<Kind>) => boolean = () => true,
  ): Promise<Of<Kind>> {
    return await this.until(`a message "${kind}"`, () => {
      for (let i = this.#seen.get(kind) ?? 0; i < this.messages.length; i++) {
        const message = this.messages[i] as RelayMessage;
        if (message.kind !== kind || !isWanted(message as Of<Kind>)) continue;
        this.#seen.set(kind, i + 1);
        return message as Of<Kind>;
      }
      return undefined;
    });
  }

  /** Waits until something holds, looking after each message. */
  async until<Found>(what: string, find: () => Found | undefined | false): Promise<Found> {
    const deadline = Date.now() + WAIT_MS_MAX;
    for (;;) {
      const found = find();
      if (found !== undefined && found !== false) return found;
      const left = deadline - Date.now();
      if (this.closeCode !== undefined) throw new Error(`closed with ${this.closeCode} while waiting for ${what}`);
      if (left <= 0) throw new Error(`${what} did not come; got ${this.messages.map(({ kind }) => kind).join(' ')}`);
      await this.#change(left);
    }
  }

  /** Waits until these deltas have come, in any messages. */
  async has(deltas: readonly Delta[]): Promise<void> {
    await this.until(`${deltas.length} deltas`, () => deltas.every(({ id }) => this.deltasById.has(id)));
  }

  /** Where the client would go on: the last position it was told. */
  cursor(): Cursor {
    const position = this.messages
      .map((message) => ('position' in message ? message.position : undefined))
      .findLast((found) => typeof found === 'object');
    if (position === undefined) throw new Error('no position has come');
    return { storeId: this.welcome.storeId, offset: position.offset, roll: position.roll };
  }

  /** Where the relay stands after what came last: it is told at once or a little later [SY22]. */
  position(): Promise<Position> {
    return this.until('a position', () => {
      const last = this.messages.findLast(({ kind }) => kind === 'ack' || kind === 'deltas' || kind === 'caught-up');
      const position = last !== undefined && 'position' in last ? last.position : undefined;
      if (typeof position !== 'object' || position.root === undefined) return undefined;
      return { ...position, root: position.root };
    });
  }

  /** Everything that was sent before this has been processed when it resolves. */
  async settled(): Promise<void> {
    this.send({ kind: 'pull', vector: new Map() });
    await this.next('vector');
    await this.next('caught-up');
  }

  close(): Promise<number> {
    this.#socket.close();
    return this.closed;
  }

  /** Reads nothing more until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Goes without a word, as a lost network does. */
  terminate(): void {
    this.#socket.terminate();
  }

  #receive(frame: Uint8Array): void {
    const bytes = this.#joiner.add(frame);
    if (bytes === undefined) return;
    const message = bytesToRelayMessage(bytes, this.#heard);
    this.messages.push(message);
    if (message.kind === 'deltas') {
      for (const entry of message.deltas) this.#take(entry);
      this.send({ kind: 'credit', bytes: bytes.length });
    } else if (message.kind === 'part') {
      this.#takePart(message);
      this.send({ kind: 'credit', bytes: bytes.length });
    } else if (message.kind === 'want') {
      for (const wanted of message.wanted) this.#serve(wanted);
    }
    this.#wake();
  }

  /** A delta, or the stub of one, whose parts are asked for then. */
  #take(entry: Uint8Array): void {
    if (isStub(entry)) {
      const stub = bytesToStub(hash, this.replica.roomId, entry);
      const trieKey = trieKeyOf(stub);
      if (!this.deltasById.has(stub.id)) this.#incoming.set(bytesToHex(trieKey), { stub, parts: [] });
      this.#want(stub, 0);
      return;
    }
    const delta = bytesToDelta(hash, this.replica.roomId, entry);
    this.deltasById.set(delta.id, delta);
  }

  #takePart({ trieKey, index, bytes }: Of<'part'>): void {
    const incoming = this.#incoming.get(bytesToHex(trieKey));
    if (incoming === undefined) return;
    const { stub, parts } = incoming;
    parts[index] = bytes;
    if ((index + 1) % defaultLimits.wantedPartsMax === 0) this.#want(stub, index + 1);
    if (parts.filter((part) => part !== undefined).length === stub.partHashes.length)
      this.#take(joinParts(stub, parts));
  }

  #want(stub: Stub, from: number): void {
    const count = Math.min(stub.partHashes.length - from, defaultLimits.wantedPartsMax);
    if (count > 0) this.send({ kind: 'want', wanted: [{ trieKey: trieKeyOf(stub), from, count }] });
  }

  #serve({ trieKey, from, count }: Of<'want'>['wanted'][number]): void {
    const delta = this.#pushed.get(bytesToHex(trieKey));
    if (delta === undefined) return;
    for (let index = from; index < Math.min(from + count, countParts(delta.body.length)); index++) {
      const bytes = delta.body.subarray(index * PART_BYTES, (index + 1) * PART_BYTES);
      this.#owed.push({ kind: 'part', trieKey, index, bytes });
    }
    this.serveParts(this.#partsLeft);
  }

  #change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#changed.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wake(): void {
    const changed = this.#changed;
    this.#changed = [];
    for (const wake of changed) wake();
  }
}

export const rootOf = (message: { position: { root: Uint8Array } }): string => bytesToHex(message.position.root);
