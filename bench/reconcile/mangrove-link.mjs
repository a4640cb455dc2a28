import { randomBytes } from 'node:crypto';
import {
  acceptAndLog,
  acceptDeltas,
  adoptVector,
  bytesToDelta,
  bytesToRelayMessage,
  bytesToReplicaMessage,
  defaultLimits,
  equalBytes,
  FrameJoiner,
  greeting,
  isCursorValid,
  messageToBytes,
  messageToFrames,
  offline,
  planFor,
  planOpenDiff,
  PROTOCOL_VERSION,
  readAhead,
  readLogPage,
  readPosition,
  readReach,
  readRoot,
  readVectorRows,
  roomConfigToByte,
  stepSync,
  u64ToBytes,
} from '@mangrove/protocol';
import { hash, nowMs, publicKeyOf, replicaOf, room, roomConfig } from './mangrove-room.mjs';

const config = { room, roomConfig, limits: defaultLimits };
const relay = { relayKey: new Uint8Array(32), storeId: new Uint8Array(8).fill(1), challenge: new Uint8Array(32) };
/** A message takes half a round trip, and work no time. */
const HALF = 0.5;
const ANOTHER_STORE = new Uint8Array(8).fill(2);
const ELSEWHERE = 100_000;

/**
 * A replica and a relay with the step function and the plans of the product over memory stores: every frame is encoded, counted and
 * decoded. `outbox`: own deltas of the replica that no relay has acknowledged. Runs until neither has anything to say.
 *
 * Bytes are those of whole frames. The bytes that deltas add to their messages are told apart. CPU of taking deltas in
 * (`accept`, `accept-push`), which no other peer here does, is told apart too.
 */
export class MangroveLink {
  #tables;
  #outbox;
  #after;
  #queue = [];
  #arrived = { replica: 0, relay: 0 };
  #states;
  #joiners = { replica: new FrameJoiner(defaultLimits), relay: new FrameJoiner(defaultLimits) };
  tally = {
    setUpBytes: 0,
    bytes: 0,
    deltaBytes: 0,
    messages: 0,
    knownAt: 0,
    heldAt: 0,
    takenCpuMs: 0,
    byKind: {},
    carried: [],
  };

  constructor({ replica, relay: relayTables, author, outbox, after }) {
    this.#tables = { replica, relay: relayTables };
    this.#outbox = new Map(outbox.map((delta) => [delta.seq, delta.bytes]));
    this.#after = after;
    this.#states = { replica: offline(config, replicaOf(author)), relay: greeting(config, relay) };
    this.author = author;
  }

  run() {
    this.#step('replica', { kind: 'opened' });
    this.#step('relay', { kind: 'opened' });
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#deliver(next);
    const roots = ['replica', 'relay'].map((side) => this.#read(side, readRoot).root);
    if (Buffer.compare(roots[0], roots[1]) !== 0) throw new Error('the roots differ at the end');
    const { kind, settled } = this.#states.replica;
    if (kind !== 'live' || !settled) throw new Error(`the link ends ${kind} and unsettled`);
    if (!this.#isKnown) throw new Error('the replica never came to know what differs');
    return this.tally;
  }

  #read(side, plan) {
    return this.#tables[side].transact(plan).result;
  }

  /** Where a client left the log of this relay, or that of another one, which tells this relay nothing. */
  #cursor() {
    if (this.#after === undefined) return { storeId: ANOTHER_STORE, offset: ELSEWHERE, roll: new Uint8Array(8) };
    const row = this.#tables.relay.table('log').get(u64ToBytes(this.#after));
    return { storeId: relay.storeId, offset: this.#after, roll: row.slice(0, 8) };
  }

  #step(side, event) {
    const { state, effects } = stepSync(this.#states[side], event);
    this.#states[side] = state;
    for (const effect of effects) {
      const answer = effect.kind === 'send' ? this.#send(side, effect.message) : this.#perform(side, effect);
      if (answer !== undefined) this.#step(side, answer);
    }
  }

  #send(from, message) {
    const { frames, bytes } = framesOf(message);
    const { tally } = this;
    if (SET_UP.has(message.kind)) {
      // A cursor is a question, whatever message it travels in.
      const cursorBytes = message.cursor === undefined ? 0 : bytes - framesOf({ ...message, cursor: undefined }).bytes;
      tally.setUpBytes += bytes - cursorBytes;
      tally.bytes += cursorBytes;
      if (message.kind === 'hello') this.#asksAt = this.#arrived[from] + (this.#after === undefined ? 2 * HALF : 0);
    } else {
      const deltas = deltasOf(message);
      // A message may pack its deltas: what they take is by how much they make it larger.
      const own = deltas.length === 0 ? 0 : bytes - framesOf({ ...message, deltas: [] }).bytes;
      if (own > 0) tally.carried.push({ from, deltas, bytes: own });
      tally.messages++;
      tally.bytes += bytes - own;
      tally.deltaBytes += own;
      tally.byKind[message.kind] = (tally.byKind[message.kind] ?? 0) + bytes - own;
    }
    this.#queue.push({ to: from === 'replica' ? 'relay' : 'replica', frames, at: this.#arrived[from] + HALF });
  }

  #deliver({ to, frames, at }) {
    this.#arrived[to] = Math.max(this.#arrived[to], at);
    for (const frame of frames) {
      const bytes = this.#joiners[to].add(frame);
      if (bytes === undefined) continue;
      const message = to === 'relay' ? bytesToReplicaMessage(bytes) : bytesToRelayMessage(bytes);
      if (deltasOf(message).length > 0) this.tally.heldAt = at - this.#asksAt;
      if (to === 'replica' && TELLS.has(message.kind)) this.tally.toldAt = at - this.#asksAt;
      this.#step(to, { kind: 'message', message, nowMs });
      if (to === 'replica' && this.tally.heldAt > 0 && !this.#isKnown) this.#lookWhetherKnown();
    }
  }

  /** When the replica first asks: with its hello where that has a cursor that counts, else with a pull right after admission. */
  #asksAt = 0;
  #isKnown = false;

  #lookWhetherKnown() {
    this.tally.knownAt = this.tally.toldAt ?? 0;
    const roots = ['replica', 'relay'].map((side) => this.#read(side, readRoot).root);
    this.#isKnown = Buffer.compare(roots[0], roots[1]) === 0;
  }

  #perform(side, effect) {
    const how = side === 'replica' ? this.#asReplica[effect.kind] : this.#asRelay[effect.kind];
    if (how === undefined) throw new Error(`the bench does not know how a ${side} does ${effect.kind}`);
    return how(effect);
  }

  #standing() {
    return { root: this.#read('replica', readRoot).root, outbox: this.#outbox.size };
  }

  #take(work) {
    const before = process.cpuUsage();
    const result = work();
    const { user, system } = process.cpuUsage(before);
    this.tally.takenCpuMs += (user + system) / 1_000;
    return result;
  }

  #asReplica = {
    greet: () => ({ kind: 'greeting-ready', hello: this.#hello() }),
    trust: nothing,
    'check-identity': nothing,
    'renew-identity': nothing,
    'store-heads': nothing,
    show: nothing,
    'read-incoming': () => ({ kind: 'incoming-read', fetches: [] }),
    'read-outbox': () => ({ kind: 'outbox-read', deltas: [...this.#outbox.values()], nextSeq: undefined }),
    'read-certificates': () => ({ kind: 'certificates-read', certificates: [] }),
    'read-vector': () => ({ kind: 'vector-read', vector: this.#read('replica', readReach) }),
    accept: ({ deltas }) => {
      const options = { nowMs, from: 'others', retain: () => false };
      this.#take(() => this.#read('replica', (tx) => acceptDeltas(tx, room, deltas.map(parse), options)));
      return { kind: 'accepted', standing: this.#standing() };
    },
    acknowledge: ({ seqs }) => {
      for (const seq of seqs) this.#outbox.delete(seq);
      return { kind: 'acknowledged', standing: this.#standing() };
    },
    adopt: ({ vector }) => {
      this.#read('replica', (tx) => adoptVector(tx, vector));
    },
    'open-diff': () => this.#read('replica', planOpenDiff(room, new Uint8Array(randomBytes(8)))),
    'read-beyond': (effect) => this.#read('replica', planFor(room, effect)),
    'answer-diff': (effect) => this.#read('replica', planFor(room, effect)),
  };

  #asRelay = {
    authenticate: ({ hello: { cursor } }) => ({
      ...this.#read('relay', function* (tx) {
        const isKnown = equalBytes(cursor.storeId, relay.storeId) && (yield* isCursorValid(tx, cursor));
        const after = isKnown ? cursor.offset : undefined;
        const { offset: end } = yield* readPosition(tx);
        return { end, after, ahead: yield* readAhead(tx, after ?? end) };
      }),
      kind: 'authenticated',
      replica: replicaOf(this.author),
      rights: ['read', 'write'],
      certificate: undefined,
      lastSeq: 0,
      lastId: undefined,
      certificates: [],
      heads: [],
      present: [],
    }),
    joined: nothing,
    'read-introduction': () => ({ kind: 'introduction-read', certificates: [], heads: [], next: undefined }),
    certify: nothing,
    'read-log': ({ after, met }) => ({
      kind: 'log-read',
      ...this.#read('relay', (tx) => readLogPage(tx, room, after, met)),
    }),
    'read-beyond': (effect) => this.#read('relay', planFor(room, effect)),
    'answer-diff': (effect) => this.#read('relay', planFor(room, effect)),
    'finish-beyond': ({ pulled }) =>
      this.#read('relay', function* (tx) {
        return { kind: 'beyond-done', pulled, position: yield* readPosition(tx), vector: yield* readVectorRows(tx) };
      }),
    'accept-push': ({ deltas, bytes }) => {
      const options = { nowMs, from: 'others', retain: () => true };
      const own = replicaOf(this.author);
      const { position, outcomes } = this.#take(() =>
        this.#read('relay', (tx) =>
          acceptAndLog(
            tx,
            room,
            deltas.map(({ delta }) => delta),
            options,
          ),
        ),
      );
      const seqs = deltas.flatMap(({ delta }) => (delta.replica === own ? [delta.seq] : []));
      const logged = outcomes.filter((outcome) => outcome !== 'known' && outcome !== 'trashed').length;
      return { kind: 'pushed', seqs, refusals: [], position, bytes, logged, tells: true };
    },
  };

  #hello() {
    return {
      kind: 'hello',
      version: PROTOCOL_VERSION,
      roomId: room.roomId,
      config: roomConfigToByte(roomConfig),
      publicKey: publicKeyOf(this.author),
      token: undefined,
      cursor: this.#cursor(),
      window: defaultLimits.windowBytes,
      proof: new Uint8Array(64),
    };
  }
}

/** Admission, the same for every peer behind a door of its own; told apart. */
const SET_UP = new Set(['welcome', 'hello', 'admitted', 'certificates', 'heads', 'peer']);
/** From these the replica learns what there is to send and to fetch. */
const TELLS = new Set(['deltas', 'vector', 'diff', 'caught-up']);

function framesOf(message) {
  const frames = messageToFrames(messageToBytes(message), defaultLimits);
  return { frames, bytes: frames.reduce((sum, frame) => sum + frame.length, 0) };
}

/** `ahead` has a number under this name. */
const deltasOf = ({ deltas }) => (Array.isArray(deltas) ? deltas : []);

const parse = (bytes) => bytesToDelta(hash, room.roomId, bytes);

function nothing() {
  return undefined;
}
