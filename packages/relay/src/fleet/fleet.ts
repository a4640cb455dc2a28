import {
  byteToRoomConfig,
  bytesToHex,
  equalBytes,
  type Hash,
  isMangroveError,
  MangroveError,
  type RoomConfig,
  roomConfigToByte,
  type RoomRef,
  ROLL_BYTES,
  type Store,
} from '@mangrove/protocol';
import type { RelayLog } from '../log.js';
import type { Random, RelayPorts } from '../ports.js';
import type { Present } from '../present.js';
import type { Environment } from '../storage/environment.js';
import { onceInFleet } from './claims.js';
import type { Engine } from './engine.js';
import { entryToBytes, INSTANCE_BYTES } from './entry.js';
import { appendEntry, readEntry, roomLog } from './envelope.js';
import { AWAY_MS, type FleetListener, type FleetView } from './fleet-view.js';
import { pause, persist } from './pause.js';
import { Peers } from './peers.js';
import { SharedRoom, type SharedHost } from './shared-room.js';

const PROBE_MS = 1_000;
/** A cluster elects a leader of the stream first. */
const JOIN_MS = 30_000;
const CUT_BYTES = 4 * 1024 * 1024;
const IDENTITY_LOG = 'identity';
/** `meta` of the relay's storage: whose rooms these are. */
const FLEET = 'fleet';

export interface FleetPorts {
  readonly environment: Environment;
  readonly hash: Hash;
  readonly random: Random;
  readonly log: RelayLog;
  readonly report: (error: unknown) => void;
  /** What makes an identity, as its bytes. */
  readonly makeIdentity: () => Uint8Array;
}

/** What the relays of a fleet have in common, as one of them sees it. */
export class Fleet implements FleetView {
  readonly engine: Engine;
  readonly identity: Uint8Array;
  readonly cutBytes: number;
  readonly #ports: FleetPorts;
  readonly #listeners = new Set<FleetListener>();
  readonly #stop = new AbortController();
  #heardAtMs = performance.now();
  #isAway = false;
  #probing: Promise<void>;

  private constructor(engine: Engine, identity: Uint8Array, ports: FleetPorts, cutBytes: number) {
    this.engine = engine;
    this.identity = identity;
    this.cutBytes = cutBytes;
    this.#ports = ports;
    this.#probing = this.#probe();
    engine.onReconnect(() => this.#tell('back'));
  }

  /** Joins the fleet of an engine, or begins it. Rejects with `STORAGE_UNAVAILABLE` where what is stored here is of somebody else. */
  static async join(engine: Engine, ports: FleetPorts, { cutBytes = CUT_BYTES } = {}): Promise<Fleet> {
    const identity = await persist(JOIN_MS, () => firstOf(engine, IDENTITY_LOG, ports.makeIdentity, ports.random));
    const name = ports.hash(identity).slice(0, INSTANCE_BYTES);
    const before = await ports.environment.getMeta(FLEET);
    const isOther = before === undefined ? ports.environment.rooms().length > 0 : !equalBytes(before, name);
    if (isOther) {
      const reason = 'its rooms are of another fleet, or of a relay alone; give this relay an empty folder';
      throw new MangroveError('STORAGE_UNAVAILABLE', { reason });
    }
    if (before === undefined) await ports.environment.putMeta(FLEET, name);
    return new Fleet(engine, identity, ports, cutBytes);
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** How long nothing was heard of the engine. */
  get silentMs(): number {
    return performance.now() - this.#heardAtMs;
  }

  listen(listener: FleetListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** As {@link RelayPorts.once}, for all relays together. */
  once(): RelayPorts['once'] {
    return onceInFleet(this.engine, this.#ports.hash, this.#ports.random);
  }

  /** Makes what tells who is in a room over other relays. */
  peersOf(room: string, { random, later, clock }: Pick<RelayPorts, 'random' | 'later' | 'clock'>) {
    return (present: Present): Peers =>
      new Peers(this.engine, `peers.${room}`, {
        random,
        later,
        nowMs: () => clock.nowMs(),
        replicas: () => [...present].map(([, replica]) => replica),
        has: (replica) => present.has(replica),
        forward: (message) => present.forward(message, undefined),
      });
  }

  share(host: SharedHost, store: Store, ref: RoomRef, config: RoomConfig, room: string): SharedRoom {
    return new SharedRoom(this, host, store, ref, config, room);
  }

  /** How a room has begun, as the first entry of its log says; undefined where it has not. Rejects with `ENGINE_UNAVAILABLE`. */
  async configOf(room: string): Promise<RoomConfig | undefined> {
    const [first] = await this.engine.read(roomLog(room), 0, 1);
    if (first === undefined) return undefined;
    const { entry } = await readEntry(this.engine, room, first);
    const operation = entry?.operations.find(({ kind }) => kind === 'begin' || kind === 'cut');
    const config = operation !== undefined && 'config' in operation ? byteToRoomConfig(operation.config) : undefined;
    if (config === undefined)
      throw new MangroveError('INTERNAL', { reason: `the log of room ${room} has no beginning` });
    return config;
  }

  /** [RF2] Begins a room; how it has begun, as somebody else may have been first. */
  async begin(room: string, config: RoomConfig): Promise<RoomConfig> {
    const before = await this.configOf(room);
    if (before !== undefined) return before;
    const instance = this.#ports.random.bytes(INSTANCE_BYTES);
    const bytes = entryToBytes({
      instance,
      number: 1,
      nowMs: 0,
      quota: { bytesMax: Number.POSITIVE_INFINITY, deltasMax: Number.POSITIVE_INFINITY },
      retainSupersededMs: 0,
      trashMs: 0,
      seen: { index: 0, roll: new Uint8Array(ROLL_BYTES) },
      operations: [{ kind: 'begin', config: roomConfigToByte(config) }],
    });
    const within = AbortSignal.timeout(AWAY_MS);
    try {
      await appendEntry(this.engine, room, bytesToHex(instance), bytes, within);
    } catch (error) {
      if (!within.aborted) throw error;
      throw new MangroveError('ENGINE_UNAVAILABLE', { reason: 'a room could not begin' });
    }
    return (await this.configOf(room)) as RoomConfig;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#probing;
    await this.engine.close();
  }

  /** Asks now and then for what has to be there: that a connection stands says nothing of what is behind it. */
  async #probe(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        const [first] = await this.engine.read(IDENTITY_LOG, 0, 1);
        if (first !== undefined && equalBytes(first.bytes, this.identity)) this.#heard();
        else this.#ports.report(new Error('the engine is that of another fleet by now, or was emptied'));
      } catch (error) {
        if (!isMangroveError(error)) this.#ports.report(error);
      }
      if (!this.#isAway && this.silentMs >= AWAY_MS) {
        this.#isAway = true;
        this.#ports.log.warn({ silentMs: Math.round(this.silentMs) }, 'the engine is away');
        this.#tell('away');
      }
      await pause(PROBE_MS, this.#stop.signal);
    }
  }

  #heard(): void {
    this.#heardAtMs = performance.now();
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#ports.log.info({}, 'the engine is back');
    this.#tell('back');
  }

  #tell(what: 'away' | 'back'): void {
    for (const listener of [...this.#listeners]) listener[what]();
  }
}

/** [RF2] The first entry of a log, which is ours where there was none. */
async function firstOf(engine: Engine, log: string, make: () => Uint8Array, random: Random): Promise<Uint8Array> {
  const [before] = await engine.read(log, 0, 1);
  if (before !== undefined) return before.bytes;
  await engine.append(log, bytesToHex(random.bytes(INSTANCE_BYTES)), make());
  const [first] = await engine.read(log, 0, 1);
  if (first === undefined) throw new MangroveError('ENGINE_UNAVAILABLE', { reason: 'it does not have what it took' });
  return first.bytes;
}
