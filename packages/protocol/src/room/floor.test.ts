import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contextOf, document, keyIdOf, makeDelta, record, room, sha256 } from '../../../../test/interop/fixture.js';
import { eager, floorOver, type FloorReplica, FloorWorld } from '../../../../test/interop/floor-world.js';
import { u64ToBytes } from '../bytes.js';
import { contextOfHeld, covers, EMPTY_CONTEXT } from '../context.js';
import { type Delta, FLAG, trieKeyOf } from '../delta.js';
import { type Floor, floorOf, isUnderFloor } from '../floor.js';
import { hlcFromMs } from '../hlc.js';
import { idToBytes, type ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { buildTrie, readRoot } from '../merkle/trie.js';
import { MemoryTables } from '../store/memory-store.js';
import { acceptDeltas } from './accept.js';
import { readCheckpointSources } from './checkpoint.js';
import { draftFloor } from './floor.js';
import { readGrounds } from './ground.js';
import { readSiblings } from './journal.js';
import { outboxEntryToBytes } from './outbox-entry.js';
import { scrubStep } from './scrub.js';
import { listTrash, pruneTombstones, pruneTrash, readTrashed } from './trash.js';
import { withdrawDelta } from './withdraw.js';

type Step =
  | {
      readonly kind: 'write' | 'remove' | 'journal' | 'seal' | 'floor' | 'unsent' | 'taken' | 'refused' | 'lie';
      readonly at: number;
      readonly key: number;
    }
  | { readonly kind: 'pull' | 'head' | 'adopt'; readonly from: number; readonly to: number; readonly part: number };

const REPLICAS = 4;
/** A short round shows whether contexts grow with the writers or with what has come since the last floor. */
const WRITERS = process.env.MANGROVE_TEST_LONG ? 10_000 : 1_000;
const RUNS = process.env.MANGROVE_TEST_LONG ? 5_000 : 300;
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constantFrom(
        'write',
        'remove',
        'remove',
        'journal',
        'seal',
        'floor',
        'floor',
        'unsent',
        'unsent',
        'taken',
        'refused',
        'lie',
      ),
      at: fc.nat(REPLICAS - 1),
      key: fc.nat(2),
    }),
    fc.record({
      kind: fc.constantFrom('pull', 'pull', 'pull', 'head', 'head', 'adopt'),
      from: fc.nat(REPLICAS - 1),
      to: fc.nat(REPLICAS - 1),
      part: fc.oneof(fc.constant(0xffff), fc.constant(0xffff), fc.nat(0xffff)),
    }),
  ),
  { minLength: 8, maxLength: 60 },
) as fc.Arbitrary<readonly Step[]>;

/** Plays the steps; `onFloor` sees each floor with what was live when it was written. */
function play(
  list: readonly Step[],
  onFloor: (floor: Delta, live: readonly string[], world: FloorWorld) => void = () => {},
) {
  const world = new FloorWorld(REPLICAS);
  for (const step of list) playStep(world, step, onFloor);
  for (const replica of world.replicas) {
    replica.seal();
    replica.settleFloor(false);
  }
  return world;
}

function playStep(
  world: FloorWorld,
  step: Step,
  onFloor: (floor: Delta, live: readonly string[], world: FloorWorld) => void,
): void {
  if ('at' in step) {
    const replica = world.at(step.at);
    const key = `key ${step.key}`;
    if (step.kind === 'write') replica.write(key);
    if (step.kind === 'remove') replica.remove(key);
    if (step.kind === 'journal') replica.journal(key);
    if (step.kind === 'seal') replica.seal();
    // A relay that says that roots are equal, and names numbers that nobody has.
    if (step.kind === 'lie') replica.adopt(new Map(world.replicas.map(({ replica }) => [replica, 50])));
    if (step.kind === 'taken' || step.kind === 'refused') replica.settleFloor(step.kind === 'taken');
    if (step.kind !== 'floor' && step.kind !== 'unsent') return;
    const live = world.liveIds();
    const floor = replica.floor(eager, step.kind === 'floor');
    if (floor !== undefined) onFloor(floor, live, world);
    return;
  }
  const [from, to] = [world.at(step.from), world.at(step.to)];
  if (from === to) return;
  if (step.kind === 'pull') to.receive(from.shown().filter((_, i) => (step.part >>> (i % 16)) & 1));
  else if (step.kind === 'head') to.hear(from.head());
  else if (from.root() === to.root()) to.adopt(from.vector());
}

function acceptAll(deltas: readonly Delta[]): string {
  const tables = new MemoryTables();
  for (const delta of deltas)
    tables.transact((tx) => acceptDeltas(tx, room, [delta], { nowMs: 0, from: 'others', retain: () => false }));
  const { root } = tables.transact(readRoot).result;
  const keys = tables
    .table('deltas')
    .rows({ from: new Uint8Array() })
    .map(([key]) => key);
  expect(buildTrie(sha256, keys).root).toEqual(root);
  return Buffer.from(root).toString('hex');
}

/** A room where the first replica made and deleted `count` records that all have seen. */
function worldOfDeleted(count: number): FloorWorld {
  const world = new FloorWorld(3);
  for (let n = 0; n < count; n++) world.at(0).write(`gone ${n}`);
  world.heal();
  for (let n = 0; n < count; n++) world.at(0).remove(`gone ${n}`);
  world.heal();
  world.tellHeads();
  return world;
}

describe('floors', () => {
  test('[FL8][FL10] an honest floor sweeps nothing that lives, whatever relays withhold and claim', () => {
    let floors = 0;
    fc.assert(
      fc.property(steps, (list) => {
        play(list, (floor, live, world) => {
          floors++;
          const said = floorOf(floor);
          expect(said).toBeDefined();
          for (const id of live) expect(isUnderFloor(said as Floor, world.all.get(id) as Delta), id).toBe(false);
        });
      }),
      { numRuns: RUNS },
    );
    expect(floors).toBeGreaterThan(RUNS / 10);
  });

  test('[FL4][CX6] any order of the same deltas and floors gives one root, and what lives is what nobody superseded', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.nat(), { minLength: 64, maxLength: 64 }), (list, ranks) => {
        const world = play(list);
        const live = world.liveIds();
        world.heal();
        const [root] = world.replicas.map((replica) => replica.root());
        for (const replica of world.replicas) {
          expect(replica.root()).toBe(root);
          expect(replica.liveIds()).toEqual(live);
        }
        const shuffled = [...world.all.values()]
          .map((delta, i) => ({ delta, rank: ranks[i % ranks.length] as number }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ delta }) => delta);
        expect(acceptAll(shuffled)).toBe(root);
      }),
      { numRuns: RUNS },
    );
  });

  test('scenario 9: one replica has collected a tombstone, another has not: the floor makes their roots equal', () => {
    const world = worldOfDeleted(3);
    const [p, q, late] = world.replicas as [FloorReplica, FloorReplica, FloorReplica];
    const tombstones = q.held();
    const kept = p.write('kept');
    for (const other of [q, late]) other.receive([kept]);
    world.tellHeads();
    const floor = p.floor() as Delta;
    expect(p.held().map(({ id }) => id)).toEqual(expect.arrayContaining([kept.id, floor.id]));
    expect(p.count('deltas')).toBe(2);
    // What has been collected comes again, and a peer that has not heard of the floor sends it as often as it likes.
    for (let round = 0; round < 2; round++) {
      expect(p.receive(tombstones).outcomes).toEqual(tombstones.map(() => 'trashed'));
      expect(p.count('deltas')).toBe(2);
    }
    expect(q.receive([floor]).swept).toHaveLength(3);
    expect(late.receive([floor, ...tombstones]).outcomes).toEqual(['added', 'trashed', 'trashed', 'trashed']);
    expect(new Set(world.replicas.map((replica) => replica.root())).size).toBe(1);
    // There is nothing in a tombstone to be had back; the writer keeps its own until the floor cannot be refused any more.
    expect([q, late].map((replica) => replica.count('trash'))).toEqual([0, 0]);
  });

  test('scenario 10: a replica that comes back after a floor has passed it by keeps what stands, and its unsent edits', () => {
    const world = new FloorWorld(3);
    const [p, q, away] = world.replicas as [FloorReplica, FloorReplica, FloorReplica];
    p.write('gone');
    p.write('kept');
    world.heal();
    world.tellHeads();
    away.journal('written away');
    away.journal('kept');
    const unsent = away.seal(false);
    expect(unsent).toHaveLength(2);
    p.remove('gone');
    q.receive(p.held());
    p.hear(q.head());
    // It is known, so it holds the floor up until it has expired.
    expect(p.floor()).toBeUndefined();
    world.nowMs += defaultLimits.replicaExpiryMs;
    for (const [one, other] of [
      [p, q],
      [q, p],
    ] as const)
      one.hear(other.head());
    const floor = p.floor() as Delta;
    expect(floorOf(floor)?.witnesses.map(({ replica }) => replica)).toEqual([q.replica]);
    // Nothing that a relay says moves anything: only the floor itself.
    const before = away.root();
    away.adopt(new Map(world.replicas.map(({ replica }) => [replica, 1_000])));
    expect(away.root()).toBe(before);
    const { swept, withdrawn } = away.receive(p.held());
    expect(swept.map((delta) => world.all.get(delta.id)?.keyId)).toEqual([keyIdOf(record('gone'))]);
    expect(withdrawn).toEqual([]);
    expect(away.count('trash')).toBe(2);
    expect(away.count('outbox')).toBe(2);
    for (const other of [p, q]) other.receive([...away.held()]);
    expect(new Set(world.replicas.map((replica) => replica.root())).size).toBe(1);
    expect(p.liveIds()).toEqual(unsent.map(({ id }) => id).sort());
  });

  test('[FL5] an own unsent delta under a floor goes back to the journal, and what has content goes into the trash', () => {
    const world = new FloorWorld(2);
    const [victim, other] = world.replicas as [FloorReplica, FloorReplica];
    const sent = victim.write('a');
    victim.journal('b');
    const [unsent] = victim.seal(false) as [Delta];
    const forged = floorOver(new Map([[victim.replica, { seq: 2, hlc: unsent.hlc }]]), other.replica, unsent.hlc + 1);
    const { swept, withdrawn } = victim.receive([forged]);
    expect(swept.map(({ id }) => id).sort()).toEqual([sent.id, unsent.id].sort());
    expect(withdrawn.map(({ name }) => name.id)).toEqual(['b']);
    expect([victim.count('outbox'), victim.count('trash')]).toEqual([0, 2]);
    const [again] = victim.seal() as [Delta];
    expect(again.body).toEqual(unsent.body);
    expect(victim.liveIds()).toEqual([again.id]);
    const [trashed] = victim.run((tx) => listTrash(tx, 10));
    expect(victim.run((tx) => readTrashed(tx, room, trashed?.trieKey as Uint8Array))).toMatchObject({
      ...{ why: 'swept', by: other.replica, delta: { id: sent.id } },
    });
    const { trashMs } = defaultLimits;
    expect(victim.run((tx) => pruneTrash(tx, world.nowMs, 10))).toBe(0);
    expect(victim.run((tx) => pruneTrash(tx, world.nowMs + trashMs, 10))).toBe(1);
    expect(victim.count('trash')).toBe(0);
  });

  test('[FL2] a reach that is not below the floor’s own stamp sweeps nothing, and neither does a body that cannot be read', () => {
    const world = new FloorWorld(2);
    const [victim, other] = world.replicas as [FloorReplica, FloorReplica];
    const { hlc } = victim.write('a');
    for (const forged of [
      floorOver(new Map([[victim.replica, { seq: 1, hlc }]]), other.replica, hlc),
      floorOver(new Map(), other.replica, hlc + 1, Uint8Array.of(2, 1)),
    ]) {
      expect(victim.receive([forged]).swept).toEqual([]);
      expect(victim.held()).toContainEqual(forged);
      expect(victim.liveIds()).toHaveLength(1);
    }
  });

  test('[FL7] a relay that claims what it withholds cannot make a replica sweep it', () => {
    const world = new FloorWorld(2);
    const [author, writer] = world.replicas as [FloorReplica, FloorReplica];
    const withheld = author.write('withheld');
    // What is passed on stands above what is not, so that a reach up to there would sweep it.
    writer.receive([author.write('gone'), author.write('kept')]);
    writer.adopt(new Map([[author.replica, 3]]));
    writer.remove('gone');
    expect(writer.floor()).toBeUndefined();
    writer.receive([withheld]);
    expect(writer.liveIds()).toContain(withheld.id);
    // What went while it stood above a gap has left no trace here: that the gap is closed is for the author to say.
    expect(writer.floor()).toBeUndefined();
    author.receive(writer.held());
    writer.hear(author.head());
    expect(floorOf(writer.floor() as Delta)?.reach.get(author.replica)?.seq).toBe(3);
    expect(writer.liveIds()).toContain(withheld.id);
  });

  test('[FL9] none is written while something that a held floor lets stand is missing here', () => {
    const world = worldOfDeleted(2);
    const [p, q, newcomer] = world.replicas as [FloorReplica, FloorReplica, FloorReplica];
    const kept = p.write('kept');
    q.receive([kept]);
    for (const replica of [p, q]) {
      replica.tables.table('heads').delete(idToBytes(newcomer.replica));
      newcomer.tables.table('heads').delete(idToBytes(replica.replica));
    }
    p.hear(q.head());
    const floor = p.floor() as Delta;
    newcomer.receive([floor]);
    const gone = newcomer.write('own');
    newcomer.remove('own');
    expect(gone.seq).toBe(1);
    expect(newcomer.floor()).toBeUndefined();
    newcomer.receive([kept]);
    expect(newcomer.floor()).toBeDefined();
    expect(newcomer.liveIds()).toEqual([kept.id]);
  });

  test.each(['journal', 'outbox', 'quarantine', 'retained', 'incoming'] as const)(
    '[FL9] none is written beside rows of %s',
    (table) => {
      const world = worldOfDeleted(1);
      const p = world.at(0);
      p.tables.table(table).put(new Uint8Array(80), new Uint8Array(1));
      expect(p.run((tx) => draftFloor(tx, room, p.replica, world.nowMs, eager))).toBeUndefined();
      p.tables.table(table).delete(new Uint8Array(80));
      expect(p.floor()).toBeDefined();
    },
  );

  test('[FL8, FL9] while what was refused waits to be sealed anew, what it had superseded is swept from nobody', () => {
    const world = new FloorWorld(3);
    const [p, q] = world.replicas as [FloorReplica, FloorReplica, FloorReplica];
    const first = p.write('first');
    for (const key of ['a', 'b', 'c']) p.write(key);
    world.heal();
    for (const key of ['a', 'b', 'c']) p.remove(key);
    const kept = p.write('kept');
    const last = p.write('last');
    world.heal();
    world.tellHeads();
    p.journal('kept');
    const [refused] = p.seal(false) as [Delta];
    p.run((tx) => withdrawDelta(tx, room, p.replica, refused.seq));
    world.all.delete(refused.id);
    expect(p.floor(), 'only others have what was superseded').toBeUndefined();
    const again = p.write('kept');
    world.heal();
    world.tellHeads();
    expect(again.context.stamps.get(p.replica)).toBe(kept.hlc);
    q.receive([p.floor() as Delta]);
    expect(q.liveIds()).toEqual([first.id, last.id, again.id].sort());
  });

  test('[FL9] a replica whose disk has lost a delta writes none, which would sweep it from all others', () => {
    const world = worldOfDeleted(1);
    const p = world.at(0);
    const kept = p.write('kept');
    world.heal();
    world.tellHeads();
    const row = p.tables.table('deltas').get(trieKeyOf(kept)) as Uint8Array;
    p.tables.table('deltas').delete(trieKeyOf(kept));
    expect(p.floor()).toBeUndefined();
    p.tables.table('deltas').put(trieKeyOf(kept), row);
    expect(p.floor()).toBeDefined();
  });

  test('[FL10] a tombstone stays beside what lives, and while its context names what lies beyond the reach', () => {
    const world = new FloorWorld(3);
    const [p, q, r] = world.replicas as [FloorReplica, FloorReplica, FloorReplica];
    const first = q.write('beyond');
    r.receive([first]);
    p.receive([r.remove('beyond')]);
    // The removal is here and proved, what it covers has never been: it might come yet.
    expect(p.floor()).toBeUndefined();
    expect(p.receive([first]).outcomes).toEqual(['superseded']);
    expect(p.floor()).toBeDefined();
    expect(p.count('tombstones')).toBe(0);
    for (const other of [q, r]) other.receive(p.held());
    q.write('beside');
    r.remove('beside');
    world.heal();
    expect(p.floor()).toBeUndefined();
    expect(p.count('tombstones')).toBe(1);
  });

  test('[FL11] one floor, then silence; the next collects where the last one ended', () => {
    const world = worldOfDeleted(10);
    const p = world.at(0);
    const limits = { ...eager, floorCollectMax: 4 };
    const sizes: number[] = [];
    for (let floor = p.floor(limits); floor !== undefined && sizes.length < 10; floor = p.floor(limits)) {
      sizes.push(p.count('tombstones'));
      for (const other of world.replicas) if (other !== p) other.receive([floor]);
      world.tellHeads();
    }
    expect(sizes).toEqual([6, 2, 0]);
    expect(p.count('deltas')).toBe(1);
    expect(p.count('floors')).toBeLessThan(6);
    world.tellHeads();
    expect(world.replicas.map((replica) => replica.floor())).toEqual([undefined, undefined, undefined]);
    // As they are in earnest: nothing is due for so little.
    expect(worldOfDeleted(10).at(0).floor(defaultLimits)).toBeUndefined();
  });

  test('[FL8][FL5] a refused floor gives back what it swept', () => {
    const world = worldOfDeleted(3);
    const p = world.at(0);
    const before = p.root();
    const { seq } = p.floor(eager, false) as Delta;
    expect(p.count('deltas')).toBe(1);
    p.run((tx) => withdrawDelta(tx, room, p.replica, seq));
    expect(p.root()).toBe(before);
    expect([p.count('floors'), p.count('journal'), p.count('tombstones')]).toEqual([0, 0, 3]);
    world.tellHeads();
    expect(p.floor()).toBeDefined();
  });

  test('[FL14] the tombstones that an own floor has swept are kept as long as it may be refused, and then forgotten with their keys', () => {
    const world = worldOfDeleted(3);
    const p = world.at(0);
    const before = p.root();
    const { seq } = p.floor(eager, false) as Delta;
    expect(p.run((tx) => pruneTombstones(tx, room, 10))).toBe(0);
    p.run((tx) => withdrawDelta(tx, room, p.replica, seq));
    expect(p.root()).toBe(before);
    world.tellHeads();
    p.floor();
    expect(p.run((tx) => pruneTombstones(tx, room, 10))).toBe(3);
    // The floor has a key and an own last stamp too.
    expect([p.count('trash'), p.count('names'), p.count('previous')]).toEqual([0, 0, 1]);
  });

  test.each(['before', 'after'] as const)(
    '[JS2][FL14] a write on a key that an own floor has swept, sealed %s that is refused, lets nothing deleted back',
    (when) => {
      const world = worldOfDeleted(1);
      const [p, q] = world.replicas as [FloorReplica, FloorReplica];
      const deleted = q.write('key');
      world.heal();
      const tombstone = p.remove('key');
      world.heal();
      world.tellHeads();
      const { seq } = p.floor(eager, false) as Delta;
      const row = p.journal('key');
      const early = when === 'before' ? p.seal(false) : [];
      p.run((tx) => withdrawDelta(tx, room, p.replica, seq));
      const [write] = [...early, ...p.seal()] as [Delta];
      // One who has not heard of the deletion brings it late.
      expect(p.receive([deleted]).outcomes).toEqual(['superseded']);
      expect(p.liveIds()).toEqual([write.id]);
      expect([row.context, write.context]).toEqual([EMPTY_CONTEXT, EMPTY_CONTEXT]);
      expect(write.prev).toBe(tombstone.hlc);
      expect(covers(p.write('key').context, tombstone)).toBe(true);
    },
  );

  test('[FL12] a write over what stands under a floor takes over nothing that the floor has seen, and loses nothing', () => {
    const world = new FloorWorld(4);
    for (const n of [0, 1, 2]) {
      world.at(n).write('key');
      world.heal();
    }
    world.tellHeads();
    const p = world.at(0);
    const [standing] = p.held() as [Delta];
    expect(standing.context.stamps.size).toBe(2);
    const floor = p.floor({ ...eager, floorTombstonesMin: 1_000 }) as Delta;
    // Not while it may be refused: what it has under it would then stand beside the write.
    const outbox = u64ToBytes(floor.seq);
    p.tables.table('outbox').put(outbox, outboxEntryToBytes({ writes: 0, oldestAtMs: 0 }, floor));
    expect(p.journal('key').context.stamps.size).toBe(3);
    p.tables.table('outbox').delete(outbox);
    p.tables.table('journal').delete(p.tables.table('journal').rows({ from: new Uint8Array() })[0]?.[0] as Uint8Array);
    const write = p.write('key');
    expect([...write.context.stamps.keys()].sort()).toEqual([p.replica, standing.replica].sort());
    world.heal();
    for (const replica of world.replicas) expect(replica.liveIds()).toEqual([write.id]);
    // One who comes late with what the write does not name any more.
    const old = [...world.all.values()].filter(({ id }) => id !== write.id);
    expect(p.receive(old).outcomes.filter((outcome) => outcome === 'added')).toEqual([]);
    expect(p.liveIds()).toEqual([write.id]);
  });

  test('[FL12][AE6] of what the disk has lost nothing counts as seen, whatever a floor says of it', () => {
    const world = new FloorWorld(2);
    const [p, q] = world.replicas as [FloorReplica, FloorReplica];
    const name = document('note');
    const first = makeDelta({ replica: q.replica, seq: 1, hlc: 10, name });
    const second = makeDelta({ replica: q.replica, seq: 2, hlc: 20, prev: 10, name });
    p.receive([second, first]);
    p.write('gone');
    p.remove('gone');
    expect(floorOf(p.floor() as Delta)?.reach.get(q.replica)?.hlc).toBe(20);
    const context = () =>
      p.run(function* (tx) {
        const held = yield* readSiblings(tx, room, keyIdOf(name));
        return contextOfHeld(held, yield* readGrounds(tx, room, held));
      });
    p.tables.table('deltas').delete(trieKeyOf(first));
    expect(context).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    p.run((tx) => scrubStep(tx, room));
    expect(context()).toEqual(contextOf([], [[q.replica, 20]]));
    p.receive([first]);
    expect(context()).toEqual(contextOf([[q.replica, 20]]));
  });

  test('[FL12, CP2] a checkpoint that leaves out an own one which no relay has yet claims nothing of what that has superseded', () => {
    const world = new FloorWorld(2);
    const [p, q] = world.replicas as [FloorReplica, FloorReplica];
    const name = document('note');
    const written = [10, 20, 30].map((hlc, i) =>
      makeDelta({ replica: q.replica, seq: i + 1, hlc, prev: hlc - 10, name }),
    );
    const [first, second, third] = written as [Delta, Delta, Delta];
    p.receive(written);
    p.write('gone');
    p.remove('gone');
    expect(floorOf(p.floor() as Delta)?.reach.get(q.replica)?.hlc).toBe(30);
    const limits = { ...defaultLimits, checkpointTailBytesMin: 1 };
    const sources = () => p.run((tx) => readCheckpointSources(tx, room, p.replica, keyIdOf(name), limits)).sources;
    expect(sources()?.context, 'the floor says that nothing lies between').toEqual(contextOf([[q.replica, 30]]));
    const own = { replica: p.replica, seq: 9, hlc: hlcFromMs(2_000_000), name, flags: FLAG.checkpoint };
    const unsent = makeDelta({ ...own, context: contextOf([], [[q.replica, 20]]) });
    p.run((tx) => acceptDeltas(tx, room, [unsent], { nowMs: 0, from: 'others', retain: () => true }));
    const outbox = u64ToBytes(unsent.seq);
    p.tables.table('outbox').put(outbox, outboxEntryToBytes({ writes: 0, oldestAtMs: 0 }, unsent));
    expect(new Set(sources()?.merged)).toEqual(new Set([first, third]));
    expect(covers(sources()?.context ?? EMPTY_CONTEXT, second)).toBe(false);
    p.tables.table('outbox').delete(outbox);
    expect(covers(sources()?.context ?? EMPTY_CONTEXT, second), 'it is merged as well').toBe(true);
  });

  test('[JS2][AE6] an own delta that a floor lets stand and the disk has lost is not named unseen', () => {
    const world = new FloorWorld(1);
    const p = world.at(0);
    const own = p.write('key');
    p.write('gone');
    p.remove('gone');
    expect(p.floor()).toBeDefined();
    p.tables.table('deltas').delete(trieKeyOf(own));
    p.journal('key');
    expect(() => p.seal()).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    p.run((tx) => scrubStep(tx, room));
    const [write] = p.seal() as [Delta];
    expect(write.context).toEqual(EMPTY_CONTEXT);
    p.receive([own]);
    expect(p.liveIds()).toEqual([own.id, write.id].sort());
  });

  test('scenario 26: 10,000 replicas write one key, and its context stays within what a delta may name', {
    timeout: 300_000,
  }, () => {
    const world = new FloorWorld(1);
    const p = world.at(0);
    const name = record('contended');
    // Sooner than in earnest, where contexts of a thousand entries would make this long.
    const limits = { ...defaultLimits, floorContextEntriesMin: 80 };
    let longest = 0;
    let floors = 0;
    for (let n = 0; n < WRITERS; n++) {
      // Each of them has all that came before, as the one that collects has.
      const held = p.run((tx) => readSiblings(tx, room, keyIdOf(name)));
      const context = p.run(function* (tx) {
        return contextOfHeld(held, yield* readGrounds(tx, room, held));
      });
      longest = Math.max(longest, context.stamps.size);
      world.nowMs += 1;
      const hlc = hlcFromMs(world.nowMs);
      const replica = numbered(n);
      const delta = makeDelta({ replica, seq: 1, hlc, name, context });
      p.run((tx) => acceptDeltas(tx, room, [delta], { nowMs: 0, from: 'others', retain: () => false }));
      if (n % 100 === 99 && p.floor(limits) !== undefined) floors++;
    }
    expect(p.held().filter(({ keyId }) => keyId === keyIdOf(name))).toHaveLength(1);
    expect([longest, floors]).toEqual([100, WRITERS / 100]);
    expect(p.floor(limits)).toBeUndefined();
  });
});

const numbered = (n: number): ReplicaId => n.toString(16).padStart(16, '0') as ReplicaId;
