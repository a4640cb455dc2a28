import { setImmediate as turn } from 'node:timers/promises';
import {
  appendToJournal,
  bytesToReplicaMessage,
  certificateToBytes,
  commitSeal,
  defaultLimits,
  type Delta,
  draftSeal,
  idToBytes,
  MemoryTables,
  type Message,
  LinkMemory,
  messageToBytes,
  messageToFrames,
  PROTOCOL_VERSION,
  readRoot,
  receiveDeltas,
  type RelayMessage,
  type ReplicaState,
  signDelta,
  FrameJoiner,
} from '@mangrove/protocol';
import type { Environment, Identity } from '../../packages/client/src/environment.js';
import type { TransportEvents } from '../../packages/client/src/transports/transport.js';
import { checkpointFault } from '../../packages/client/src/documents/compare.js';
import { inspectDelta } from '../../packages/client/src/worker/inspect.js';
import type { LinkHost } from '../../packages/client/src/worker/link-host.js';
import { ReplicaLink } from '../../packages/client/src/worker/replica-link.js';
import { bytesToRelayMessage } from '../../packages/protocol/src/wire/codec.js';
import { publicKeyOf, record, replicaOf, room, sha256 } from '../interop/fixture.js';
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
const ALLOWED = { base: 24 * 1024 * 1024, perByte: 2_000 };
const ME = 4;
const AUTHOR = 0;

const honest = makeBase(makeRandom(3)).filter(({ replica }) => replica !== replicaOf(ME));
const base = new MemoryTables();
base.transact(function* (tx) {
  for (let n = 0; n < WRITERS; n++)
    tx.put('certificates', idToBytes(replicaOf(n)), certificateToBytes(certificateOf(n)));
  const arrivals = honest.slice(0, 20).map((delta) => inspectDelta(room, delta));
  const options = { nowMs: NOW_MS, cursor: undefined, replica: replicaOf(ME), compare: checkpointFault };
  yield* receiveDeltas(tx, room, arrivals, [], options);
  yield* appendToJournal(
    tx,
    room,
    [{ name: record('a'), flags: 0, nonces: [], payload: Uint8Array.of(0, 49) }],
    NOW_MS,
  );
});
base.transact(function* (tx) {
  const replica = replicaOf(ME);
  const drafts = yield* draftSeal(tx, room, {
    ...{ replica, nowMs: NOW_MS },
    mergeUpdates: () => new Uint8Array(),
    deflate: (bytes) => bytes,
  });
  const sealed = drafts.map(({ unsigned, rows }) => ({
    delta: signDelta(unsigned, sign(publicKeyOf(ME), unsigned.message)),
    rows,
  }));
  yield* commitSeal(tx, room, sealed, 0, NOW_MS);
});

const sayable = messages.filter((message) => isRead(messageToBytes(message)));

/** One life of a client's link to a relay that says anything. The frames in it. */
export async function fuzzReplicaLink(random: Random, tally: Tally): Promise<number> {
  const store = new CountingStore(base.clone());
  const wire = new Wire();
  const host = new Host();
  const link = new ReplicaLink(wire.environment(), store, identity, config, host);
  link.start(['wss://relay'], 'team', () => {});
  wire.events?.opened();
  const path: Uint8Array[] = [];
  const fail = (reason: string, cause?: unknown): never => {
    throw new Finding('replica link', path, reason, cause);
  };
  const author = new HostileWriter(AUTHOR, { seq: 40, hlc: (honest.at(-1) as Delta).hlc + 10 });
  const opening = random.below(8) === 0 ? 1 : 3;
  for (let i = 0; i < FRAMES; i++) {
    const frame = i < opening ? framed(OPENING[i] as RelayMessage) : drawFrame(random, author, store.tables);
    path.push(frame);
    const [writes, state] = [store.writes, link.state];
    const isWord = wire.read(frame);
    const { fault } = await gaugeAsync(frame.length, ALLOWED, async () => {
      wire.events?.frame(frame);
      await turn();
      await turn();
    });
    if (fault !== undefined) fail(fault);
    if (bugs.length > 0) fail('has a fault of its own', bugs.splice(0)[0]);
    if (wire.fault !== undefined) fail('sends what a relay cannot read', wire.fault);
    tally.add(`replica frame ${isWord ? 'taken' : 'refused'}`);
    if (!isWord && (store.writes !== writes || link.state !== state)) fail('a refused frame has changed something');
  }
  await link.stop();
  if (link.state.kind !== 'offline' && link.state.kind !== 'refused') fail(`stops as ${link.state.kind}`);
  const fault = storeFault(store.tables, (delta) => isSigned(delta, publicKeys.get(delta.replica) ?? new Uint8Array()));
  if (fault !== undefined) fail(fault);
  return FRAMES;
}

const config = { room, roomConfig: { history: 'current', encrypted: false }, limits: defaultLimits } as const;
const identity: Identity = {
  replica: replicaOf(ME),
  signer: { publicKey: publicKeyOf(ME), sign: async (message) => sign(publicKeyOf(ME), message) },
};
const position = { offset: 40, roll: new Uint8Array(8), root: new Uint8Array(32).fill(5) };
const vector = new Map([[replicaOf(0), 3]]);
const OPENING: readonly RelayMessage[] = [
  { kind: 'welcome', version: PROTOCOL_VERSION, relayKey: RELAY_KEY, storeId: STORE_ID, challenge: new Uint8Array(32) },
  {
    kind: 'admitted',
    rights: ['read', 'write'],
    certificate: certificateOf(ME),
    resumed: false,
    lastSeq: 1,
    lastId: undefined,
    window: 100_000,
  },
  { kind: 'caught-up', position, vector },
];

function drawFrame(random: Random, author: HostileWriter, tables: MemoryTables): Uint8Array {
  const draw = random.below(20);
  if (draw < 4)
    return framed({
      kind: 'deltas',
      position: undefined,
      deltas: [pick(random, honest).bytes, author.next(random).bytes],
    });
  if (draw < 9)
    return framed({
      kind: 'deltas',
      position: random.below(2) === 0 ? position : undefined,
      deltas: drawDeltas(random, author),
    });
  if (draw < 10) return framed({ kind: 'caught-up', position: { ...position, root: rootOf(tables) }, vector });
  if (draw < 11) return framed({ kind: 'ack', seqs: [1], position });
  if (draw < 12)
    return framed({
      kind: 'refused',
      replica: replicaOf(random.below(5)),
      seq: 1,
      code: pick(random, CODES),
      facts: {},
    });
  const message = pick(random, sayable);
  if (draw < 15) return mutateBytes(random, framed(message), messageToBytes(pick(random, sayable)));
  try {
    return framed(mutateValue(random, message, pick(random, sayable)) as Message);
  } catch {
    return framed(message);
  }
}

const CODES = ['CLOCK_AHEAD', 'UNCERTIFIED', 'DOT_REUSED', 'SIGNATURE_INVALID', 'INTERNAL'] as const;

function drawDeltas(random: Random, author: HostileWriter): readonly Uint8Array[] {
  return Array.from({ length: 1 + random.below(4) }, () => {
    const like = pick(random, honest);
    const delta = author.hostile(random, like) ?? like;
    return random.below(5) === 0 ? mutateBytes(random, delta.bytes, like.bytes) : delta.bytes;
  });
}

const rootOf = (tables: MemoryTables): Uint8Array => tables.transact((tx) => readRoot(tx)).result.root;

function framed(message: Message): Uint8Array {
  return messageToFrames(messageToBytes(message), defaultLimits)[0] as Uint8Array;
}

function isRead(bytes: Uint8Array): boolean {
  try {
    return bytesToRelayMessage(bytes) !== undefined;
  } catch {
    return false;
  }
}

/** What a browser would show as an uncaught error. */
const bugs: unknown[] = [];
Object.assign(globalThis, { reportError: (error: unknown) => bugs.push(error) });

/** The relay's end of the connection. */
class Wire {
  events: TransportEvents | undefined;
  /** Why something that the client sent could not be read. */
  fault: unknown;
  readonly #fromClient = new FrameJoiner(defaultLimits);
  readonly #toClient = new FrameJoiner(defaultLimits);
  readonly #fromClientTold = new LinkMemory();
  readonly #toClientTold = new LinkMemory();

  environment(): Environment {
    const parts: Partial<Environment> = {
      hash: sha256,
      verifier,
      clock: { nowMs: () => NOW_MS },
      random: { u32: () => 1 },
      connect: (_, __, events) => {
        this.events = events;
        return { send: (frame) => this.#hear(frame), gained: () => {}, reconnect: () => {}, close: () => {} };
      },
    };
    return parts as Environment;
  }

  /** Whether a frame is, or ends, something that a relay may say; or is a part of something. */
  read(frame: Uint8Array): boolean {
    try {
      const bytes = this.#toClient.add(frame);
      if (bytes !== undefined) bytesToRelayMessage(bytes, this.#toClientTold);
      return true;
    } catch {
      this.#toClientTold.forget();
      return false;
    }
  }

  #hear(frame: Uint8Array): void {
    try {
      const bytes = this.#fromClient.add(frame);
      if (bytes !== undefined) bytesToReplicaMessage(bytes, this.#fromClientTold);
    } catch (error) {
      this.fault = error;
    }
  }
}

class Host implements LinkHost {
  token = async (): Promise<undefined> => undefined;
  received = (): void => {};
  acknowledged = (): void => {};
  withdrawn = (): void => {};
  head = (): void => {};
  show = (): void => {};
  fault = (): void => {};
  repaired = (): void => {};
  identitySpent = (): void => {};
  changed = (_: ReplicaState): void => {};
}
