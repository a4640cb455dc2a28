import { bytesToBody } from '../../packages/protocol/src/body.js';
import { EMPTY_CONTEXT } from '../../packages/protocol/src/context.js';
import { bytesToDelta, type Delta, FLAG, hasFlag, makeUnsignedDelta } from '../../packages/protocol/src/delta.js';
import { floorToBytes, type Reach } from '../../packages/protocol/src/floor.js';
import { type HeadStatement, headStatementToBytes } from '../../packages/protocol/src/head-statement.js';
import type { Hlc } from '../../packages/protocol/src/hlc.js';
import { deriveFloorKeyId, idToBytes, type ReplicaId } from '../../packages/protocol/src/ids.js';
import { defaultLimits } from '../../packages/protocol/src/limits.js';
import { readRoot } from '../../packages/protocol/src/merkle/trie.js';
import { commitFloor, draftFloor, type FloorLimits } from '../../packages/protocol/src/room/floor.js';
import { takeIdentity } from '../../packages/protocol/src/room/identity.js';
import { appendToJournal, type JournalRow, readSiblings } from '../../packages/protocol/src/room/journal.js';
import { proveByHead } from '../../packages/protocol/src/room/prove.js';
import { receiveDeltas, type Reception } from '../../packages/protocol/src/room/receive.js';
import { acknowledge, commitSeal, draftSeal } from '../../packages/protocol/src/room/seal.js';
import { adoptVector, readVectorRows } from '../../packages/protocol/src/room/vector.js';
import { withdrawDelta } from '../../packages/protocol/src/room/withdraw.js';
import { MemoryTables } from '../../packages/protocol/src/store/memory-store.js';
import type { Plan } from '../../packages/protocol/src/store/plan.js';
import type { VersionVector } from '../../packages/protocol/src/version-vector.js';
import { keyIdOf, record, replicaOf, room, signStub } from './fixture.js';

/** Floors as soon as there is anything to collect, whatever they weigh, so that small worlds have many. */
export const eager: FloorLimits = { ...defaultLimits, floorTombstonesMin: 1, floorContextEntriesMin: 1 };

/**
 * Replicas over memory that write, delete, exchange parts of what they have, state their heads and write floors. Beside them the truth: of each
 * delta which others its writer had seen of the key, told by ids rather than by contexts.
 */
export class FloorWorld {
  readonly replicas: readonly FloorReplica[];
  readonly all = new Map<string, Delta>();
  readonly past = new Map<string, ReadonlySet<string>>();
  nowMs = 1_000_000;

  constructor(count: number) {
    this.replicas = Array.from({ length: count }, (_, n) => new FloorReplica(this, replicaOf(n)));
  }

  at(n: number): FloorReplica {
    return this.replicas[n % this.replicas.length] as FloorReplica;
  }

  /** What of everything that was ever written nobody has superseded; tombstones left out. */
  liveIds(): string[] {
    const superseded = new Set([...this.past.values()].flatMap((past) => [...past]));
    return [...this.all.values()]
      .filter((delta) => !superseded.has(delta.id) && !hasFlag(delta, FLAG.tombstone | FLAG.floor))
      .map(({ id }) => id)
      .sort();
  }

  /** Everybody gets all from everybody until nothing moves. */
  heal(): void {
    for (let round = 0; ; round++) {
      if (round > 8) throw new Error('the replicas do not come to rest');
      const before = this.replicas.map((replica) => replica.root());
      for (const from of this.replicas) for (const to of this.replicas) if (from !== to) to.receive(from.shown());
      if (this.replicas.every((replica, i) => replica.root() === before[i])) return;
    }
  }

  /** Everybody hears the newest head of everybody. */
  tellHeads(): void {
    const heads = this.replicas.map((replica) => replica.head());
    for (const replica of this.replicas) for (const head of heads) replica.hear(head);
  }
}

export class FloorReplica {
  readonly tables = new MemoryTables();
  readonly replica: ReplicaId;
  readonly #world: FloorWorld;
  /** An own floor that no relay has answered for yet: nobody else has it. */
  #waiting: Delta | undefined;
  readonly #pastByRow = new Map<number, ReadonlySet<string>>();

  constructor(world: FloorWorld, replica: ReplicaId) {
    this.#world = world;
    this.replica = replica;
    this.run((tx) => takeIdentity(tx, room, replica));
  }

  run<Result>(plan: Plan<Result>): Result {
    return this.tables.transact(plan).result;
  }

  root(): string {
    return Buffer.from(this.run(readRoot).root).toString('hex');
  }

  held(): readonly Delta[] {
    return this.tables
      .table('deltas')
      .rows({ from: new Uint8Array() })
      .map(([, bytes]) => bytesToDelta(room.hash, room.roomId, bytes));
  }

  /** What others can have from here. */
  shown(): readonly Delta[] {
    return this.held().filter(({ id }) => id !== this.#waiting?.id);
  }

  /** What is held and was written, neither tombstones nor floors. */
  liveIds(): string[] {
    return this.held()
      .filter((delta) => !hasFlag(delta, FLAG.tombstone | FLAG.floor))
      .map(({ id }) => id)
      .sort();
  }

  count(table: Parameters<MemoryTables['table']>[0]): number {
    return this.tables.table(table).rows({ from: new Uint8Array() }).length;
  }

  journal(key: string, flags = 0): JournalRow {
    this.#world.nowMs += 1;
    const name = record(key);
    const siblings = this.run((tx) => readSiblings(tx, room, keyIdOf(name)));
    const seen = siblings.flatMap(({ id }) => [id, ...(this.#world.past.get(id) ?? [])]);
    const payload = flags === FLAG.tombstone ? new Uint8Array() : Uint8Array.of(0, 1);
    const edit = { name, flags, nonces: [], payload };
    const [row] = this.run((tx) => appendToJournal(tx, room, [edit], this.#world.nowMs)) as [JournalRow];
    this.#pastByRow.set(row.number, new Set(seen));
    return row;
  }

  /** Seals what waits; a relay has it at once unless it is `unsent`. */
  seal(isSent = true): readonly Delta[] {
    const { nowMs } = this.#world;
    const mergeUpdates = () => new Uint8Array();
    const options = { replica: this.replica, nowMs, mergeUpdates, deflate: (bytes: Uint8Array) => bytes };
    const drafts = this.run((tx) => draftSeal(tx, room, options));
    const sealed = drafts.map(({ unsigned, rows }) => ({ delta: signStub(unsigned), rows }));
    this.run((tx) => commitSeal(tx, room, sealed, 0, nowMs));
    for (const { delta, rows } of sealed) {
      this.#world.all.set(delta.id, delta);
      const own = [...this.#world.all.values()].filter(
        (other) => other.replica === this.replica && other.keyId === delta.keyId && other.seq < delta.seq,
      );
      const pasts = rows.flatMap(({ number }) => [...(this.#pastByRow.get(number) ?? [])]);
      this.#world.past.set(delta.id, new Set([...pasts, ...own.map(({ id }) => id)]));
    }
    if (isSent) this.acknowledge(sealed.map(({ delta }) => delta.seq));
    return sealed.map(({ delta }) => delta);
  }

  write(key: string): Delta {
    this.journal(key);
    return this.seal().at(-1) as Delta;
  }

  remove(key: string): Delta {
    this.journal(key, FLAG.tombstone);
    return this.seal().at(-1) as Delta;
  }

  acknowledge(seqs: readonly number[]): void {
    this.run((tx) => acknowledge(tx, room, this.replica, seqs));
  }

  receive(deltas: readonly Delta[]): Reception {
    const arrivals = deltas.map((delta) => {
      const name = hasFlag(delta, FLAG.floor) ? undefined : bytesToBody(delta.body).name;
      return { delta, name, fault: undefined };
    });
    const { nowMs } = this.#world;
    const options = { nowMs, cursor: undefined, replica: this.replica, compare: () => undefined };
    return this.run((tx) => receiveDeltas(tx, room, arrivals, [], options));
  }

  vector(): VersionVector {
    return this.run(readVectorRows);
  }

  /** On a relay's word: right where roots are equal, and a lie wherever else it is told. */
  adopt(vector: VersionVector): void {
    this.run((tx) => adoptVector(tx, vector));
  }

  head(): HeadStatement {
    const [root, headsRoot] = [this.run(readRoot).root, new Uint8Array(32)];
    const timeMs = this.#world.nowMs;
    return { replica: this.replica, timeMs, root, headsRoot, vector: this.vector(), signature: new Uint8Array(64) };
  }

  hear(head: HeadStatement): void {
    if (head.replica === this.replica) return;
    this.run(function* (tx) {
      tx.put('heads', idToBytes(head.replica), headStatementToBytes(head));
      yield* proveByHead(tx, room, head);
    });
  }

  /** The floor that was due, in the set; undefined where none was. */
  floor(limits: FloorLimits = eager, isSent = true): Delta | undefined {
    this.#world.nowMs += 1;
    const { nowMs } = this.#world;
    const draft = this.run((tx) => draftFloor(tx, room, this.replica, nowMs, limits));
    if (draft === undefined) return undefined;
    const delta = signStub(draft.unsigned);
    if (this.run((tx) => commitFloor(tx, room, delta, draft, 0, nowMs)) === undefined) return undefined;
    this.#world.all.set(delta.id, delta);
    if (isSent) this.acknowledge([delta.seq]);
    else this.#waiting = delta;
    return delta;
  }

  /** A relay answers for the floor that waits, if one does. */
  settleFloor(isTaken: boolean): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    if (isTaken) {
      this.acknowledge([waiting.seq]);
    } else {
      this.#world.all.delete(waiting.id);
      this.run((tx) => withdrawDelta(tx, room, this.replica, waiting.seq));
    }
  }
}

/** A floor that nobody honest writes: it lets nothing stand. */
export function floorOver(reach: Reach, writer: ReplicaId, hlc: number, body?: Uint8Array, seq = 1): Delta {
  const keyId = deriveFloorKeyId(room.hash, room.roomId);
  const said = body ?? floorToBytes({ reach, standing: new Uint8Array(), witnesses: [] });
  const stamps = { hlc: hlc as Hlc, writtenAt: hlc as Hlc, prev: 0 as Hlc };
  const header = { replica: writer, seq, keyId, ...stamps, context: EMPTY_CONTEXT, flags: FLAG.floor, nonces: [] };
  return signStub(makeUnsignedDelta(room.hash, room.roomId, header, said));
}
