import {
  bodyToBytes,
  bytesToDelta,
  checkpointPayloadToBytes,
  type Context,
  coverageOf,
  covers,
  type Delta,
  deriveKeyId,
  EMPTY_CONTEXT,
  equalBytes,
  FLAG,
  hasFlag,
  type Hlc,
  hlcFromMs,
  makeUnsignedDelta,
  signDelta,
} from '@mangrove/protocol';
import { idsToBytes, type SimRelay, type SimReplica, simulatedSign, type World } from '@mangrove/protocol/simulation';
import { describe, expect, test } from 'vitest';
import { calmWorld, countOf, document, forge, heldBy, record, rootsOf, roughWorld } from './fixture.js';

const d = document('d');
const r = record('r');
/** About four edits. */
const SMALL = { checkpointTailBytesMin: 450 } as const;
const relayOf = (world: World): SimRelay => world.relays[0] as SimRelay;
const two = (world: World) => [world.replicas[0], world.replicas[1]] as [SimReplica, SimReplica];
const checkpointsOf = (world: World, replica: SimReplica): readonly Delta[] =>
  heldBy(world, replica).filter((delta) => hasFlag(delta, FLAG.checkpoint));

function edits(world: World, replica: SimReplica, count: number): number[] {
  return Array.from({ length: count }, () => {
    const id = replica.edit(d, 'document');
    world.runFor(200);
    return id;
  });
}

/** A validly signed checkpoint of `merged` that says whatever it likes. */
function forgeCheckpoint(
  world: World,
  author: SimReplica,
  merged: readonly Delta[],
  payload: { readonly writes: readonly number[] } | { readonly body: Uint8Array },
  context: Context,
  flags: number = FLAG.checkpoint,
): Delta {
  const { hash, roomId } = world.room;
  const keyId = deriveKeyId(hash, roomId, d);
  const hlc = hlcFromMs(world.wallMs);
  const coverage = coverageOf(world.room, keyId, merged);
  const body =
    'body' in payload
      ? payload.body
      : bodyToBytes({ name: d, payload: checkpointPayloadToBytes({ coverage, update: idsToBytes(payload.writes) }) });
  const header = { replica: author.id, seq: 1, keyId, hlc, writtenAt: hlc, prev: 0 as Hlc, context };
  const unsigned = makeUnsignedDelta(hash, roomId, { ...header, flags, nonces: [] }, body);
  return signDelta(unsigned, simulatedSign(author.publicKey, unsigned.message));
}

const reaching = (replica: SimReplica, stamp: number): Context => ({
  stamps: new Map([[replica.id, stamp as Hlc]]),
  dots: [],
});

describe('checkpoints', () => {
  test('[CP3, CP4] 14: four replicas online, one long tail: one checkpoint, then silence', () => {
    const world = calmWorld({ replicaCount: 4, ...SMALL });
    const written = edits(world, world.replicas[0] as SimReplica, 4);
    world.runFor(2_000);
    expect(countOf(world, 'checkpoints')).toBe(1);
    world.runFor(60_000);
    expect(countOf(world, 'checkpoints')).toBe(1);
    world.healAndDrain();
    for (const replica of world.replicas) {
      expect(heldBy(world, replica)).toHaveLength(1);
      expect(replica.desk.read(d)).toEqual(written);
    }
  });

  test('[CP3] 14: two that were made at once stand beside each other until somebody writes again', () => {
    const world = calmWorld({ replicaCount: 2, ...SMALL });
    const [a, b] = two(world);
    const written = edits(world, a, 3);
    for (const replica of [a, b]) world.block(replica.index, 'replica', world.loop.nowMs + 3_000);
    written.push(...edits(world, a, 1));
    world.runFor(20_000);
    const made = countOf(world, 'checkpoints');
    world.runFor(60_000);
    expect(countOf(world, 'checkpoints')).toBe(made);
    for (let i = 0; i < 8; i++) written.push(...edits(world, i % 2 === 0 ? a : b, 1));
    world.healAndDrain();
    expect(countOf(world, 'checkpoints')).toBeGreaterThan(made);
    for (const replica of [a, b]) expect(replica.desk.read(d)).toEqual(written);
  });

  test('[CP2, CX4] 25: what a relay withholds is covered by nobody, and stands when it comes', () => {
    const world = roughWorld({ replicaCount: 2, ...SMALL });
    const [c, e] = two(world);
    let hidden: Uint8Array | undefined;
    relayOf(world).refuses = (delta) =>
      delta.replica === e.id && hasFlag(delta, FLAG.checkpoint) ? 'STORAGE_FULL' : undefined;
    relayOf(world).tampers = (message, to) => {
      if (message.kind !== 'deltas' || to !== c.id) return message;
      hidden ??= message.deltas[0];
      return { ...message, deltas: message.deltas.filter((bytes) => !equalBytes(bytes, hidden as Uint8Array)) };
    };
    const written = edits(world, e, 6);
    world.runFor(3_000);
    const first = bytesToDelta(world.room.hash, world.room.roomId, hidden as Uint8Array);
    const [checkpoint] = checkpointsOf(world, c);
    expect(checkpoint?.context.dots.length).toBeGreaterThan(1);
    expect(covers(checkpoint?.context ?? EMPTY_CONTEXT, first)).toBe(false);
    relayOf(world).tampers = undefined;
    relayOf(world).refuses = undefined;
    world.healAndDrain();
    for (const replica of world.replicas) expect(replica.desk.read(d)).toEqual(written);
  });

  test('[CP8] one that a relay refuses leaves no trace: all that it covered stands', () => {
    const world = roughWorld({ replicaCount: 2, ...SMALL });
    const [a] = two(world);
    relayOf(world).refuses = (delta) => (hasFlag(delta, FLAG.checkpoint) ? 'STORAGE_FULL' : undefined);
    const written = edits(world, a, 5);
    world.runFor(10_000);
    expect(countOf(world, 'refused STORAGE_FULL')).toBeGreaterThan(0);
    for (const replica of world.replicas) {
      expect(heldBy(world, replica)).toHaveLength(5);
      expect(replica.desk.read(d)).toEqual(written);
      expect(replica.disk.tables.table('retained').size).toBe(0);
    }
    relayOf(world).refuses = undefined;
    written.push(...edits(world, a, 1));
    world.healAndDrain();
    for (const replica of world.replicas) expect(heldBy(world, replica).length).toBeLessThan(3);
    expect(a.desk.read(d)).toEqual(written);
  });

  test('[CP9, CX8] 11: a validly signed write of a record that cannot be read is answered, and both values stand', () => {
    const world = roughWorld({ replicaCount: 4, ...SMALL });
    const [m, a, b, late] = world.replicas as [SimReplica, SimReplica, SimReplica, SimReplica];
    world.runFor(1_000);
    for (const replica of [m, a, b, late]) replica.goOffline();
    const written = [a.edit(r, 'put'), b.edit(r, 'put')];
    a.goOnline();
    b.goOnline();
    world.runFor(5_000);
    const reach = (hlcFromMs(world.wallMs) - 1) as Hlc;
    const context = { stamps: new Map([a.id, b.id].sort().map((id) => [id, reach])), dots: [] };
    const forged = forge(world, m, { seq: 1, name: r, context, body: Uint8Array.of(9, 9, 9) });
    m.goOnline();
    world.runFor(2_000);
    m.push([forged.bytes]);
    world.runFor(20);
    for (const replica of [a, b]) expect(replica.desk.read(r), 'nothing is lost meanwhile').toEqual(written);
    world.runFor(10_000);
    late.goOnline();
    world.healAndDrain();
    for (const replica of world.replicas) {
      expect(replica.desk.read(r)).toEqual(written);
      expect(heldBy(world, replica).map(({ id }) => id)).not.toContain(forged.id);
    }
    expect(rootsOf(world)).toBe(1);
  });

  const garbage = { body: Uint8Array.of(9, 9, 9) };
  const wrong = {
    'checkpoint with a garbage body': [garbage, FLAG.checkpoint],
    'checkpoint that leaves out what it covers': [{ writes: [1] }, FLAG.checkpoint],
    'checkpoint that says more than it covers': [{ writes: [1, 2, 3, 77] }, FLAG.checkpoint],
    'edit that covers what others wrote': [{ body: bodyToBytes({ name: d, payload: idsToBytes([]) }) }, 0],
    'edit with a garbage body that covers others': [garbage, 0],
  } as const;
  test.each(Object.entries(wrong))('[CP6, CX8] 11: a validly signed %s is answered', (_, [payload, flags]) => {
    const world = roughWorld({ replicaCount: 3, ...SMALL, checkpointTailBytesMin: 1_000 });
    const [m, a, b] = world.replicas as [SimReplica, SimReplica, SimReplica];
    const written = edits(world, a, 3);
    const merged = heldBy(world, b);
    const reach = hlcFromMs(world.wallMs) - 1;
    const forged = forgeCheckpoint(world, m, merged, payload, reaching(a, reach), flags);
    m.goOffline();
    m.goOnline();
    world.runFor(2_000);
    m.push([forged.bytes]);
    world.runFor(20);
    for (const replica of [a, b]) expect(replica.desk.read(d), 'nothing is lost meanwhile').toEqual(written);
    world.runFor(10_000);
    expect(countOf(world, 'checkpoints')).toBeGreaterThan(0);
    written.push(...edits(world, a, 1));
    world.healAndDrain();
    for (const replica of [a, b]) {
      expect(heldBy(world, replica).map(({ id }) => id)).not.toContain(forged.id);
      expect(replica.desk.read(d)).toEqual(written);
    }
    expect(rootsOf(world)).toBe(1);
  });
});
