import {
  adoptVector,
  type Cursor,
  type DeltaBytes,
  dropSettled,
  errorToFacts,
  type HeadStatement,
  isWrittenElsewhere,
  keepPart,
  type LastRead,
  type LastTaken,
  type LinkConfig,
  MangroveError,
  type Plan,
  planFor,
  planOpenDiff,
  readFetches,
  readJoined,
  readOutboxPage,
  readParts,
  readReach,
  type Refused,
  type ReplicaEffect,
  type ReplicaEvent,
  type Store,
  StubCache,
  writeCursor,
  writeSyncedAt,
} from '@mangrove/protocol';
import type { Environment, Identity } from '../environment.js';
import { Certifier } from './certifier.js';
import type { LinkHost } from './link-host.js';
import { acknowledgeAndStand, drawSalt, keepHeads, withdrawAndStand } from './link-plans.js';
import { Guard, PATIENCE_MS } from './guard/guard.js';
import type { Received } from './receive.js';

/** What needs the store and no connection. */
export type StoreEffect = Exclude<ReplicaEffect, { kind: 'send' | 'greet' | 'forget-told' | 'reconnect' | 'close' }>;

/** A page of small deltas is one round trip, one of large ones is read while others are sent. */
const OUTBOX_PAGE = { deltas: 1_024, bytes: 1024 * 1024 };

/** Does what the step function asks of the store, and tells the room what came of it. */
export class LinkWork {
  readonly #env: Environment;
  readonly #store: Store;
  readonly #identity: Identity;
  readonly #config: LinkConfig;
  readonly #host: LinkHost;
  readonly #certifier: Certifier;
  /** What comes from others goes through it. */
  readonly guard: Guard;
  /** What is offered again over each connection. */
  readonly #stubs = new StubCache();
  readonly #lastRead: LastRead = {};
  /** The highest own seq that a relay has said to know. */
  #takenSeq = 0;

  constructor(env: Environment, store: Store, identity: Identity, config: LinkConfig, host: LinkHost) {
    this.#env = env;
    this.#store = store;
    this.#identity = identity;
    this.#config = config;
    this.#host = host;
    this.#certifier = new Certifier(env.verifier, store, config.room);
    const receiver = {
      room: config.room,
      replica: identity.replica,
      certifier: this.#certifier,
      takenSeq: () => this.#takenSeq,
    };
    this.guard = new Guard(env, store, receiver, {
      settled: (received) => host.received(received),
      failed: (error) => host.fault(error),
    });
  }

  async run(effect: StoreEffect): Promise<ReplicaEvent | undefined> {
    const { room } = this.#config;
    switch (effect.kind) {
      case 'trust':
        await this.#certifier.trust(effect.issuer, effect.certificates);
        return undefined;
      case 'check-identity':
        return this.#checkIdentity(effect.last);
      case 'accept':
        return this.#accept(effect.deltas, effect.cursor);
      case 'read-incoming':
        return { kind: 'incoming-read', fetches: await this.#read((tx) => readFetches(tx, room)) };
      case 'keep-part': {
        const { part } = effect;
        const have = await this.#write((tx) => keepPart(tx, room, part));
        return { kind: 'part-kept', trieKey: part.trieKey, have };
      }
      case 'join': {
        const joined = await this.#read((tx) => readJoined(tx, room, effect.trieKey));
        return this.#accept(joined === undefined ? [] : [joined.delta.bytes], undefined);
      }
      case 'acknowledge': {
        const { replica } = this.#identity;
        const { seqs, cursor } = effect;
        const { done, standing } = await this.#write((tx) => acknowledgeAndStand(tx, room, replica, seqs, cursor));
        if (done.length > 0) this.#host.acknowledged(done);
        return { kind: 'acknowledged', standing };
      }
      case 'adopt': {
        const nowMs = this.#env.clock.nowMs();
        await this.#write(function* (tx) {
          yield* adoptVector(tx, effect.vector);
          writeCursor(tx, effect.cursor);
          writeSyncedAt(tx, nowMs);
        });
        return undefined;
      }
      case 'renew-identity':
        this.#host.identitySpent();
        return undefined;
      case 'read-certificates':
        return { kind: 'certificates-read', certificates: await this.#certifier.certificates() };
      case 'read-vector':
        return { kind: 'vector-read', vector: await this.#read(readReach) };
      case 'read-outbox':
        return this.#readOutbox(effect.fromSeq);
      case 'open-diff':
        return this.#read(planOpenDiff(room, drawSalt(this.#env.random)));
      case 'read-beyond':
      case 'answer-diff':
        return this.#read(planFor(room, effect));
      case 'read-parts':
        return this.#read((tx) => readParts(tx, room, effect.wanted, this.#lastRead));
      case 'store-heads':
        for (const statement of await this.#keepHeads(effect.statements)) this.#host.head(statement);
        return undefined;
      case 'withdraw':
        return this.#withdraw(effect.refused);
      case 'show':
        this.#host.show(effect.message);
        return undefined;
      case 'fault':
        this.#host.fault(errorToFacts(new MangroveError(effect.code, effect.facts)));
        return undefined;
    }
  }

  async #accept(deltas: readonly DeltaBytes[], cursor: Cursor | undefined): Promise<ReplicaEvent> {
    const taken: Received[] = [];
    for await (const received of this.guard.receive(deltas, { cursor, patienceMs: PATIENCE_MS })) {
      this.#host.received(received);
      if (received.returned.length > 0) this.#host.acknowledged(received.returned);
      taken.push(received);
    }
    const { standing } = taken.at(-1) as Received;
    const forged = taken.flatMap((received) => received.forged);
    const fetches = taken.flatMap((received) => received.fetches);
    return { kind: 'accepted', standing, forged, fetches };
  }

  async #checkIdentity(last: LastTaken): Promise<undefined> {
    this.#takenSeq = Math.max(this.#takenSeq, last.lastSeq);
    if (await this.#read((tx) => isWrittenElsewhere(tx, last))) this.#host.identitySpent();
    return undefined;
  }

  /** An own delta goes back into the journal; of a repaired one of others only the reason is shown. */
  async #withdraw(refused: Refused): Promise<ReplicaEvent> {
    const { replica } = this.#identity;
    const nowMs = this.#env.clock.nowMs();
    const { room } = this.#config;
    const {
      rows,
      seqs,
      done,
      standing: now,
    } = await this.#store.transact((tx) => withdrawAndStand(tx, room, replica, refused, nowMs), {
      mode: 'write',
      durability: 'strict',
    });
    if (done.length > 0) this.#host.acknowledged(done);
    if (rows !== undefined) this.#host.withdrawn(refused, seqs, rows);
    else if (refused.replica !== replica)
      this.#host.fault(errorToFacts(new MangroveError(refused.code, { ...refused.facts, replica: refused.replica })));
    if (refused.replica === replica && refused.code === 'DOT_REUSED') this.#host.identitySpent();
    return { kind: 'acknowledged', standing: now };
  }

  async #readOutbox(fromSeq: number): Promise<ReplicaEvent> {
    const { replica } = this.#identity;
    if (fromSeq === 1) {
      const settled = await this.#write((tx) => dropSettled(tx, this.#config.room, replica));
      if (settled.length > 0) this.#host.acknowledged(settled);
    }
    const { room } = this.#config;
    const page = await this.#read((tx) => readOutboxPage(tx, room, replica, fromSeq, OUTBOX_PAGE, this.#stubs));
    return { kind: 'outbox-read', deltas: page.entries, nextSeq: page.nextSeq };
  }

  /** Those that were kept. What a relay tells of ourselves is what we said before. */
  async #keepHeads(statements: readonly HeadStatement[]): Promise<readonly HeadStatement[]> {
    const ofOthers = statements.filter(({ replica }) => replica !== this.#identity.replica);
    const verified = await Promise.all(ofOthers.map((statement) => this.#certifier.verifyHead(statement)));
    const signed = ofOthers.filter((_, i) => verified[i]);
    return signed.length === 0 ? [] : this.#write((tx) => keepHeads(tx, this.#config.room, signed));
  }

  #read<Result>(plan: Plan<Result>): Promise<Result> {
    return this.#store.transact(plan, { mode: 'read' });
  }

  /** What can be fetched or asked for again need not be behind a barrier. */
  #write<Result>(plan: Plan<Result>): Promise<Result> {
    return this.#store.transact(plan, { mode: 'write', durability: 'relaxed' });
  }
}
