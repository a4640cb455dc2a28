import {
  bytesToRelayMessage,
  type Delta,
  defaultLimits,
  deriveKeyId,
  deriveReplicaId,
  deriveRoomId,
  EMPTY_CONTEXT,
  equalBytes,
  FrameJoiner,
  type Hello,
  type Hlc,
  hlcFromMs,
  type Limits,
  LinkMemory,
  makeUnsignedDelta,
  type MangroveError,
  type Message,
  messageToBytes,
  messageToFrames,
  NO_QUOTA,
  PROTOCOL_VERSION,
  type Quota,
  type RelayMessage,
  type ReplicaId,
  signDelta,
  type Store,
  type Table,
} from '@mangrove/protocol';
import { expect } from 'vitest';
import { Counters } from '../../packages/relay/src/counters.js';
import type { Link } from '../../packages/relay/src/link.js';
import type { Authenticate, Connection, RelayPorts } from '../../packages/relay/src/ports.js';
import { type RateOptions, ratesOf } from '../../packages/relay/src/rates.js';
import { onceOnly } from '../../packages/relay/src/once-only.js';
import { RelayRoom } from '../../packages/relay/src/room.js';
import { SILENT } from '../../packages/relay/src/log.js';
import { Turns } from '../../packages/relay/src/turns.js';
import { nodeHash } from '../../packages/relay/src/runtimes/node-crypto.js';
import { type Environment, openMemory } from '../../packages/relay/src/storage/environment.js';

// A room over ports that a test holds in its hand: its clock stands still, its disk fails when told to, every signature counts.

export const NOW_MS = 1_800_000_000_000;
export const roomId = deriveRoomId(nodeHash, 'room', { history: 'current', encrypted: false });

export class RoomWorld {
  nowMs = NOW_MS;
  failure: MangroveError | undefined;
  /** When the next turn of the event loop is. */
  later: (run: () => void) => void = setImmediate;
  poison: Delta | undefined;
  readonly faults: unknown[] = [];
  /** What was asked of the disk, from its last clearing on. */
  readonly durabilities = new Set<string>();
  readonly counters = new Counters();
  readonly environment: Environment;
  readonly ports: RelayPorts;

  /** `authenticate`: what a token gives; without it everybody may read and write. */
  constructor({
    authenticate,
    recheckMs,
    limits,
    rates,
    quota,
  }: {
    authenticate?: Authenticate;
    recheckMs?: number;
    limits?: Partial<Limits>;
    rates?: RateOptions;
    quota?: Partial<Quota>;
  } = {}) {
    const memory = openMemory();
    this.environment = { ...memory, room: (id) => this.#failing(memory.room(id)) };
    this.ports = {
      environment: this.environment,
      identity: {
        relayKey: new Uint8Array(32).fill(9),
        storeId: new Uint8Array(8),
        sign: async () => new Uint8Array(64).fill(1),
      },
      hash: nodeHash,
      verifier: { verify: async () => true },
      clock: { nowMs: () => this.nowMs },
      later: (delayMs, run) => void setTimeout(run, delayMs),
      random: { bytes: (count) => crypto.getRandomValues(new Uint8Array(count)) },
      limits: { ...defaultLimits, ...limits },
      rates: ratesOf(rates),
      quota: { ...NO_QUOTA, ...quota },
      authenticate,
      recheckMs,
      once: onceOnly(this.environment, nodeHash),
      counters: this.counters,
      log: SILENT,
      turns: new Turns((run) => void this.later(run)),
      report: (error) => this.faults.push(error),
    };
  }

  open(): Promise<RelayRoom> {
    return RelayRoom.open('room', this.ports);
  }

  /** Rows of a table of the room. */
  async count(table: Table): Promise<number> {
    const store = this.environment.room(roomId);
    return (await store.transact((tx) => tx.keys(table, { from: new Uint8Array() }), { mode: 'read' })).length;
  }

  #failing(store: Store): Store {
    return {
      close: () => store.close(),
      transact: (plan, options) => {
        if (options.mode === 'read') return store.transact(plan, options);
        if (this.failure !== undefined) return Promise.reject(this.failure);
        this.durabilities.add(options.durability ?? 'strict');
        return store.transact((tx) => {
          const put = tx.put.bind(tx);
          tx.put = (table, key, value) => {
            if (table === 'deltas' && this.poison && equalBytes(value, this.poison.bytes)) throw new Error('a bug');
            put(table, key, value);
          };
          return plan(tx);
        }, options);
      },
    };
  }
}

export class RoomPeer implements Connection {
  readonly origin = undefined;
  readonly messages: RelayMessage[] = [];
  link: Link;
  readonly replica: ReplicaId;
  closeCode: number | undefined;
  /** What it was sent lies in its buffer until somebody waits for it to be read. */
  isSlow = false;
  readonly publicKey: Uint8Array;
  readonly #joiner = new FrameJoiner(defaultLimits);
  readonly #heard = new LinkMemory();
  readonly #told = new LinkMemory();
  #seq = 0;
  #bufferedBytes = 0;
  #stopped: Promise<void> | undefined;
  #goOn = (): void => {};

  constructor(room: RelayRoom, seed = 0) {
    // Any y below the field's prime that is of no small order passes for a key where every signature counts.
    this.publicKey = new Uint8Array(32).fill(17 + seed);
    this.replica = deriveReplicaId(nodeHash, roomId, this.publicKey);
    this.link = room.connect(this);
  }

  /** Goes on with another instance of the room, which is told what can be cloned and nothing else. */
  async moveTo(room: RelayRoom): Promise<void> {
    await this.link.settled();
    const remembered = this.link.remember();
    if (remembered === undefined) throw new Error('in the middle of something');
    this.link = room.resume(this, structuredClone(remembered));
  }

  send(frame: Uint8Array): void {
    if (this.isSlow) this.#bufferedBytes += frame.length;
    const bytes = this.#joiner.add(frame);
    if (bytes !== undefined) this.messages.push(bytesToRelayMessage(bytes, this.#heard));
  }

  close(code: number): void {
    this.closeCode = code;
  }

  /** From now on it reads nothing: who waits until it has does so until it goes on. */
  stop(): void {
    this.#stopped ??= new Promise((resolve) => {
      this.#goOn = resolve;
    });
  }

  goOn(): void {
    this.#goOn();
    this.#stopped = undefined;
  }

  bufferedBytes = (): number => this.#bufferedBytes;

  async drained(): Promise<void> {
    await this.#stopped;
    if (!this.isSlow) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.#bufferedBytes = 0;
  }

  get deltas(): readonly Uint8Array[] {
    return this.messages.flatMap((message) => (message.kind === 'deltas' ? message.deltas : []));
  }

  say(message: Message): void {
    for (const frame of messageToFrames(messageToBytes(message, this.#told), defaultLimits)) this.link.receive(frame);
  }

  get admitted(): RelayMessage & { kind: 'admitted' } {
    const admitted = this.messages.find((message) => message.kind === 'admitted');
    if (admitted === undefined) throw new Error('not admitted yet');
    return admitted;
  }

  async hello(hello: Partial<Hello> = {}): Promise<void> {
    this.greet(hello);
    await expect.poll(() => this.messages.some(({ kind }) => kind === 'caught-up')).toBe(true);
  }

  greet(hello: Partial<Hello> = {}): void {
    this.say({
      kind: 'hello',
      version: PROTOCOL_VERSION,
      roomId,
      config: 0,
      publicKey: this.publicKey,
      token: undefined,
      cursor: undefined,
      window: defaultLimits.windowBytes,
      proof: new Uint8Array(64).fill(1),
      ...hello,
    });
  }

  draft(header: { context?: Delta['context']; prev?: Hlc } = {}, body: Uint8Array = Uint8Array.of(1, 2, 3)): Delta {
    const seq = ++this.#seq;
    const hlc = (hlcFromMs(NOW_MS) + seq) as Hlc;
    const unsigned = makeUnsignedDelta(
      nodeHash,
      roomId,
      {
        replica: this.replica,
        seq,
        keyId: deriveKeyId(nodeHash, roomId, { kind: 'document', collection: '', id: 'notes' }),
        hlc,
        writtenAt: hlc,
        prev: 0 as Hlc,
        context: EMPTY_CONTEXT,
        flags: 0,
        nonces: [],
        ...header,
      },
      body,
    );
    return signDelta(unsigned, new Uint8Array(64).fill(1));
  }

  push(delta: Delta, repair = false): void {
    this.say({ kind: 'push', repair, deltas: [delta.bytes] });
  }

  /** All that it has said was answered. */
  async answered(): Promise<void> {
    const before = this.messages.length;
    this.say({ kind: 'probe' });
    const isProbed = () =>
      this.messages.slice(before).some((told) => told.kind === 'ack' && told.position !== undefined);
    await expect.poll(isProbed).toBe(true);
  }

  async acknowledged(seq: number): Promise<void> {
    const isIn = () => this.messages.some((message) => message.kind === 'ack' && message.seqs.includes(seq));
    await expect.poll(isIn).toBe(true);
  }
}
