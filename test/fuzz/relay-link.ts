import { setImmediate as turn } from 'node:timers/promises';
import {
  acceptAndLog,
  bytesToRelayMessage,
  certificateToBytes,
  defaultLimits,
  type Delta,
  FrameJoiner,
  headMessage,
  type Hello,
  helloMessage,
  mayDrop,
  idToBytes,
  MemoryTables,
  type Message,
  LinkMemory,
  messageToBytes,
  messageToFrames,
  PROTOCOL_VERSION,
  type RelayMessage,
  type RoomId,
  NO_QUOTA,
} from '@mangrove/protocol';
import { Counters } from '../../packages/relay/src/counters.js';
import type { Link } from '../../packages/relay/src/link.js';
import type { Connection, RelayPorts } from '../../packages/relay/src/ports.js';
import { RelayRoom } from '../../packages/relay/src/room.js';
import { defaultRates } from '../../packages/relay/src/rates.js';
import { SILENT } from '../../packages/relay/src/log.js';
import { Turns } from '../../packages/relay/src/turns.js';
import { bytesToReplicaMessage } from '../../packages/protocol/src/wire/codec.js';
import { publicKeyOf, replicaOf, room, sha256 } from '../interop/fixture.js';
import { makeRandom, type Random } from '../support/random.js';
import { Finding, type Tally } from './case.js';
import {
  certificateOf,
  HostileWriter,
  isSigned,
  makeBase,
  NOW_MS,
  publicKeys,
  RELAY_KEY,
  sign,
  STORE_ID,
  verifier,
  WRITERS,
} from './cast.js';
import { messages } from './corpus.js';
import { gaugeAsync } from './gauge.js';
import { mutateBytes, mutateValue, pick } from './mutate.js';
import { CountingStore, storeFault } from './store-check.js';

const FRAMES = 40;
/** What one frame makes a whole room do, for everybody in it. */
const ALLOWED = { base: 24 * 1024 * 1024, perByte: 2_000 };
const ATTACKER = 0;

const honest = makeBase(makeRandom(2));
const base = new MemoryTables();
base.transact(function* (tx) {
  for (let n = 0; n < WRITERS; n++)
    tx.put('certificates', idToBytes(replicaOf(n)), certificateToBytes(certificateOf(n)));
  yield* acceptAndLog(tx, room, honest, { nowMs: NOW_MS, from: 'others', retain: () => true });
});

const sayable = messages.filter((message) => isRead(messageToBytes(message)));

/** One life of a relay's room: a member who says anything, somebody who listens, and somebody who comes after. The frames in it. */
export async function fuzzRelayLink(random: Random, tally: Tally): Promise<number> {
  const world = new World();
  const relayRoom = await RelayRoom.open('team', world.ports());
  const listener = new Peer(relayRoom, 1);
  await listener.hello();
  let attacker = new Peer(relayRoom, ATTACKER);
  const own = honest.filter(({ replica }) => replica === replicaOf(ATTACKER));
  const writer = new HostileWriter(ATTACKER, { seq: own.length, hlc: (own.at(-1) as Delta).hlc + 10 });
  const path: Uint8Array[] = [];
  const fail = (reason: string, cause?: unknown): never => {
    throw new Finding('relay link', path, reason, cause);
  };
  for (let i = 0; i < FRAMES; i++) {
    if (attacker.closeCode !== undefined) attacker = new Peer(relayRoom, ATTACKER);
    const frame = attacker.isNew && random.below(6) > 0 ? attacker.helloFrame() : drawFrame(random, writer);
    path.push(frame);
    await checkFrame(world, attacker, frame, tally, fail);
    if (listener.fault !== undefined || attacker.fault !== undefined)
      fail('sends what a client cannot read', listener.fault ?? attacker.fault);
    if (listener.closeCode !== undefined) fail(`lets somebody else go, with ${listener.closeCode}`);
  }
  const fault = storeFault(world.store.tables, (delta) => isAllowed(delta));
  if (fault !== undefined) fail(fault);
  await checkNewcomer(relayRoom, world, fail);
  await relayRoom.close();
  return FRAMES;
}

async function checkFrame(
  world: World,
  attacker: Peer,
  frame: Uint8Array,
  tally: Tally,
  fail: (reason: string, cause?: unknown) => never,
): Promise<void> {
  const { store, counters } = world;
  const [writes, malformed] = [store.writes, counters.get('messages_malformed')];
  attacker.isNew = false;
  const { fault } = await gaugeAsync(frame.length, ALLOWED, async () => {
    attacker.link.receive(frame);
    await turn();
    await turn();
  });
  if (fault !== undefined) fail(fault);
  if (world.faults.length > 0) fail('has a fault of its own', world.faults[0]);
  const isRefused = counters.get('messages_malformed') > malformed;
  tally.add(`relay frame ${isRefused ? 'refused' : 'taken'}`);
  if (isRefused && store.writes !== writes) fail('a refused frame was written');
}

/** Whoever comes after has the whole room and the same root, whatever was said before. */
async function checkNewcomer(relayRoom: RelayRoom, world: World, fail: (reason: string) => never): Promise<void> {
  const newcomer = new Peer(relayRoom, 3);
  await newcomer.hello();
  const caughtUp = newcomer.messages.find((message) => message.kind === 'caught-up');
  if (caughtUp === undefined) return fail('does not bring a newcomer up to date');
  const got = new Set(
    newcomer.messages
      .flatMap((message) => (message.kind === 'deltas' ? message.deltas : []))
      .map((bytes) => sha256(bytes).join()),
  );
  const rows = world.store.tables.table('deltas').rows({ from: new Uint8Array() });
  if (!rows.every(([, bytes]) => got.has(sha256(bytes).join()))) fail('keeps something of the room from a newcomer');
}

/** [SY9] The attacker's own additive deltas are taken on its proven connection; all else has a signature that verifies. */
function isAllowed(delta: Delta): boolean {
  const publicKey = publicKeys.get(delta.replica);
  if (delta.replica === replicaOf(ATTACKER) && !mayDrop(delta)) return true;
  return publicKey !== undefined && isSigned(delta, publicKey);
}

function drawFrame(random: Random, writer: HostileWriter): Uint8Array {
  const draw = random.below(20);
  if (draw < 5) return framed(random, push(random, [writer.next(random)]));
  if (draw < 11) return framed(random, push(random, drawDeltas(random, writer)));
  const message = pick(random, sayable);
  if (draw < 13) return mutateBytes(random, framed(random, message), messageToBytes(pick(random, sayable)));
  if (draw < 14)
    return pick(
      random,
      messageToFrames(messageToBytes(push(random, drawDeltas(random, writer))), { frameBytesMax: 200 }),
    );
  if (draw < 15) return framed(random, headOf(random));
  try {
    return framed(random, mutateValue(random, message, pick(random, sayable)) as Message);
  } catch {
    return framed(random, message);
  }
}

function drawDeltas(random: Random, writer: HostileWriter): readonly Delta[] {
  const like = Array.from({ length: 1 + random.below(4) }, () => pick(random, honest));
  return like.flatMap((delta) => writer.hostile(random, delta) ?? []);
}

function push(random: Random, deltas: readonly Delta[]): Message {
  const bytes = deltas.map((delta) =>
    random.below(6) === 0 ? mutateBytes(random, delta.bytes, pick(random, honest).bytes) : delta.bytes,
  );
  return { kind: 'push', repair: random.below(2) === 0, deltas: bytes };
}

function headOf(random: Random): Message {
  const replica = replicaOf(ATTACKER);
  const claim = { replica, timeMs: NOW_MS + random.below(9), root: new Uint8Array(32), headsRoot: new Uint8Array(32) };
  const whole = { ...claim, vector: new Map([[replica, random.below(90)]]) };
  return {
    kind: 'head',
    statement: { ...whole, signature: sign(publicKeyOf(ATTACKER), headMessage(room.roomId, whole)) },
  };
}

function framed(random: Random, message: Message): Uint8Array {
  const [frame] = messageToFrames(messageToBytes(message), defaultLimits);
  return random.below(40) === 0 ? (frame as Uint8Array).slice(random.below(3)) : (frame as Uint8Array);
}

function isRead(bytes: Uint8Array): boolean {
  try {
    return bytesToReplicaMessage(bytes) !== undefined;
  } catch {
    return false;
  }
}

class World {
  readonly store = new CountingStore(base.clone());
  readonly counters = new Counters();
  readonly faults: unknown[] = [];

  ports(): RelayPorts {
    const { store } = this;
    return {
      environment: {
        room: (_: RoomId) => store,
        rooms: () => [room.roomId],
        getMeta: async () => Uint8Array.of(0),
        putMeta: async () => {},
        close: async () => {},
      },
      identity: { relayKey: RELAY_KEY, storeId: STORE_ID, sign: async (message) => sign(RELAY_KEY, message) },
      hash: sha256,
      verifier,
      clock: { nowMs: () => NOW_MS },
      later: (delayMs, run) => void setTimeout(run, delayMs),
      random: { bytes: (count) => new Uint8Array(count).fill(7) },
      limits: defaultLimits,
      authenticate: undefined,
      counters: this.counters,
      rates: defaultRates,
      quota: NO_QUOTA,
      recheckMs: undefined,
      once: async () => true,
      log: SILENT,
      turns: new Turns((run) => void setImmediate(run)),
      report: (error) => this.faults.push(error),
    };
  }
}

class Peer implements Connection {
  readonly origin = undefined;
  readonly link: Link;
  readonly messages: RelayMessage[] = [];
  /** Why something that the relay sent could not be read. */
  fault: unknown;
  closeCode: number | undefined;
  isNew = true;
  readonly #n: number;
  readonly #joiner = new FrameJoiner(defaultLimits);
  readonly #heard = new LinkMemory();

  constructor(relayRoom: RelayRoom, n: number) {
    this.#n = n;
    this.link = relayRoom.connect(this);
  }

  send(frame: Uint8Array): void {
    try {
      const bytes = this.#joiner.add(frame);
      if (bytes !== undefined) this.messages.push(bytesToRelayMessage(bytes, this.#heard));
    } catch (error) {
      this.fault = error;
    }
  }

  close(code: number): void {
    this.closeCode = code;
  }

  bufferedBytes = (): number => 0;
  drained = async (): Promise<void> => {};

  helloFrame(): Uint8Array {
    const publicKey = publicKeyOf(this.#n);
    const challenge = new Uint8Array(32).fill(7);
    const message: Hello = {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      roomId: room.roomId,
      config: 0,
      publicKey,
      token: undefined,
      cursor: undefined,
      window: defaultLimits.windowBytes,
      proof: sign(publicKey, helloMessage(room.roomId, RELAY_KEY, STORE_ID, challenge)),
    };
    return messageToFrames(messageToBytes(message), defaultLimits)[0] as Uint8Array;
  }

  async hello(): Promise<void> {
    this.link.receive(this.helloFrame());
    for (let i = 0; i < 4; i++) await turn();
  }
}
