import { bytesToHex, countParts, type Delta, type Message, PART_BYTES, removeDelta } from '@mangrove/protocol';
import type { World, WorldOptions } from '@mangrove/protocol/simulation';
import { describe, expect, test } from 'vitest';
import { calmWorld, countOf, document, heldBy, roughWorld, rootsOf } from './fixture.js';

const d = document('d');
const BULK = 5 * PART_BYTES - 100;

type Replica = World['replicas'][number];

/** A world of one writer and one who comes later, with some large documents at the relay. */
function withBulk(options: Partial<WorldOptions> = {}, count = 3): { world: World; a: Replica; b: Replica } {
  const world = roughWorld({ replicaCount: 2, ...options });
  const [a, b] = world.replicas as [Replica, Replica];
  b.goOffline();
  for (let i = 0; i < count; i++) a.edit(document(`bulk ${i}`), 'document', BULK);
  world.runFor(5_000);
  expect(world.relays[0]?.tables.table('deltas').size).toBe(count);
  return { world, a, b };
}

const relayOf = (world: World, { relay }: Replica) => world.relays[relay] as World['relays'][number];
const nameOf = ({ trieKey, index }: { trieKey: Uint8Array; index: number }): string =>
  `${bytesToHex(trieKey)} ${index}`;

describe('transfers', () => {
  test('[SY18] large bodies come as stubs and parts, and leave nothing behind', () => {
    const { world, a, b } = withBulk();
    b.goOnline();
    world.healAndDrain();
    expect(heldBy(world, b).map(({ id }) => id)).toEqual(heldBy(world, a).map(({ id }) => id));
    expect(countOf(world, 'deltas joined')).toBe(3);
    // Up to the relay, and down from it.
    expect(countOf(world, 'sent part')).toBe(2 * 3 * countParts(BULK));
    for (const { disk } of world.replicas) expect(disk.tables.table('incoming').size).toBe(0);
    expect(world.relays[0]?.tables.table('incoming').size).toBe(0);
  });

  test.each([1, 2, 3, 7])('[SY18] a download that is cut after every %i parts goes on with the next one', (every) => {
    const { world, a, b } = withBulk();
    const came: string[] = [];
    let left = every;
    relayOf(world, a).tampers = (message: Message, to) => {
      if (message.kind !== 'part' || to !== b.id) return message;
      if (left === 0) return undefined;
      came.push(nameOf(message));
      if (--left === 0)
        world.loop.after(100, () => {
          left = every;
          b.disconnect();
        });
      return message;
    };
    b.goOnline();
    world.runFor(120_000);
    expect(heldBy(world, b).map(({ id }) => id)).toEqual(heldBy(world, a).map(({ id }) => id));
    expect(b.isSettled).toBe(true);
    expect(came, 'each once').toEqual([...new Set(came)]);
    expect(came).toHaveLength(3 * countParts(BULK));
    expect(countOf(world, 'transfers resumed')).toBeGreaterThan(0);
  });

  test('[SY18] what was kept before a cut is not asked for again', () => {
    const { world, a, b } = withBulk({ latencyMsMax: 0 }, 1);
    const asked: number[] = [];
    const relay = relayOf(world, a);
    let isCut = false;
    relay.tampers = (message: Message, to) => {
      if (message.kind !== 'part' || to !== b.id) return message;
      asked.push(message.index);
      // The third part and what follows it are lost with the connection.
      if (message.index === 2 && !isCut) {
        isCut = true;
        world.loop.after(20, () => b.disconnect());
      }
      return isCut && asked.length <= countParts(BULK) ? undefined : message;
    };
    b.goOnline();
    world.runFor(20_000);
    expect(heldBy(world, b)).toHaveLength(1);
    expect(asked).toEqual([0, 1, 2, 3, 4, 2, 3, 4]);
  });

  test('[SY18] an upload that is cut again and again goes on with the next part', () => {
    const world = roughWorld({ replicaCount: 2 });
    const [a, b] = world.replicas as [Replica, Replica];
    a.edit(d, 'document', 60 * PART_BYTES);
    const wanted: number[] = [];
    relayOf(world, a).tampers = (message: Message, to) => {
      if (message.kind !== 'want' || to !== a.id) return message;
      wanted.push(message.wanted[0]?.from ?? -1);
      if (wanted.length % 2 === 0) world.loop.after(30, () => a.connection?.break());
      return message;
    };
    world.runFor(60_000);
    expect(heldBy(world, b)).toHaveLength(1);
    expect(countOf(world, 'sent hello')).toBeGreaterThan(3);
    expect(wanted.at(-1)).toBeGreaterThan(0);
    expect(countOf(world, 'sent part'), 'up, and down to the other').toBeLessThan(3 * 60);
    expect(rootsOf(world)).toBe(1);
  });

  test('[SY17, SY18] an upload costs what it holds and, for each cut, what was under way', () => {
    const world = roughWorld({ replicaCount: 1 });
    const [a] = world.replicas as [Replica];
    const { wantedPartsMax } = world.config.limits;
    a.goOffline();
    const parts = [...Array.from({ length: 100 }, () => 2), 40].map((count, i) => {
      a.edit(document(`bulk ${i}`), 'document', count * PART_BYTES - 100);
      return count;
    });
    const total = parts.reduce((sum, count) => sum + count);
    let cuts = 0;
    let wants = 0;
    relayOf(world, a).tampers = (message: Message) => {
      if (message.kind !== 'want') return message;
      wants++;
      // Some of the parts come through before each cut, and some do not.
      if (wants % 3 !== 0) return message;
      cuts++;
      world.loop.after(5 + (wants % 20), () => a.connection?.break());
      return message;
    };
    a.goOnline();
    world.runFor(120_000);
    expect(a.standing().outbox).toBe(0);
    expect(cuts).toBeGreaterThan(5);
    expect(countOf(world, 'sent part')).toBeLessThanOrEqual(total + cuts * wantedPartsMax);
    // Those whose parts are asked for or will be next, and a page of the outbox.
    expect(countOf(world, 'sent stubs')).toBeLessThanOrEqual(parts.length + cuts * (wantedPartsMax + 4));
    expect(countOf(world, 'sent stubs')).toBeLessThanOrEqual(parts.length + (cuts + 1) * wantedPartsMax);
  });

  test.each<[string, (part: Message & { kind: 'part' }) => Message | undefined]>([
    ['other bytes', (part) => ({ ...part, bytes: part.bytes.map((byte) => byte ^ 1) })],
    ['too few bytes', (part) => ({ ...part, bytes: part.bytes.slice(1) })],
    ['another index', (part) => ({ ...part, index: part.index + 1 })],
    ['an index out of reach', (part) => ({ ...part, index: Number.MAX_SAFE_INTEGER })],
    ['another delta', (part) => ({ ...part, trieKey: part.trieKey.map((byte) => byte ^ 1) })],
    ['nothing', () => undefined],
  ])(
    '[SY18, SY19] a relay that sends %s for a part is not believed, holds up nothing else, and another one serves',
    (_, spoil) => {
      const { world, a, b } = withBulk({ relayCount: 2 }, 1);
      const spoilt = relayOf(world, a);
      let isHostile = true;
      spoilt.tampers = (message: Message, to) =>
        isHostile && message.kind === 'part' && to === b.id ? spoil(message) : message;
      if (b.relay !== a.relay) b.switchRelay();
      b.goOnline();
      world.runFor(5_000);
      const written = a.edit(document('small'), 'document');
      world.runFor(5_000);
      expect(b.desk.read(document('small'))).toEqual([written]);
      expect(heldBy(world, b)).toHaveLength(1);
      expect(b.isSettled).toBe(false);
      isHostile = false;
      // Roots differ, so what is left of the transfer is found; where a part never came, another connection is begun.
      world.runFor(60_000);
      expect(heldBy(world, b)).toHaveLength(2);
      expect(b.isSettled).toBe(true);
    },
  );

  test('[SY18] stubs whose parts nobody has are not counted as held, and hold up nothing', () => {
    const { world, a, b } = withBulk({}, 1);
    const relay = relayOf(world, a);
    relay.tampers = (message: Message, to) =>
      message.kind === 'part' && to === b.id ? { ...message, bytes: new Uint8Array() } : message;
    b.goOnline();
    world.runFor(3_000);
    expect(heldBy(world, b)).toEqual([]);
    expect(b.disk.tables.table('vector').size).toBe(0);
    expect(b.isSettled).toBe(false);
    a.edit(document('small'), 'document');
    world.runFor(3_000);
    expect(heldBy(world, b)).toHaveLength(1);
    expect(b.disk.tables.table('incoming').rows({ from: Uint8Array.of(0), to: Uint8Array.of(1) })).toHaveLength(1);
  });

  test('[SY17] who reads slowly costs the relay nothing: it is read to from the log when there is room again', () => {
    const world = calmWorld({ replicaCount: 3, windowBytes: 3_000 });
    const [a, b, slow] = world.replicas as [Replica, Replica, Replica];
    const before = countOf(world, 'sent deltas');
    for (let round = 0; round < 20; round++) {
      world.block(slow.index, 'replica', world.loop.nowMs + 1_500);
      for (let i = 0; i < 30; i++) a.edit(document(`d${i}`), 'document');
      world.runFor(1_600);
    }
    expect(heldBy(world, b).length).toBeGreaterThan(100);
    world.healAndDrain();
    expect(heldBy(world, slow)).toHaveLength(heldBy(world, a).length);
    expect(countOf(world, 'sent credit')).toBeGreaterThan(10);
    expect(countOf(world, 'sent caught-up'), 'it went back to the log').toBeGreaterThan(3);
    expect(countOf(world, 'sent deltas')).toBeGreaterThan(before);
  });

  test('[SY17] an outbox that is larger than the window goes as the relay takes it', () => {
    const world = calmWorld({ replicaCount: 2, windowBytes: 1_000 });
    const [a, b] = world.replicas as [Replica, Replica];
    a.goOffline();
    for (let i = 0; i < 200; i++) a.edit(document(`d${i}`), 'document');
    a.goOnline();
    world.healAndDrain();
    expect(heldBy(world, b)).toHaveLength(200);
  });

  test.each(['log', 'vector'] as const)('[SY17] a long history by %s goes through a small window', (newcomers) => {
    const world = calmWorld({ newcomers, windowBytes: 4_000 });
    const [a, b] = world.replicas as [Replica, Replica];
    b.goOffline();
    for (let i = 0; i < 300; i++) a.edit(document(`d${i}`), 'document');
    world.runFor(8_000);
    b.goOnline();
    world.healAndDrain();
    expect(heldBy(world, b)).toHaveLength(300);
  });

  test('[SY19] a relay that falls silent in the middle of a comparison is left, and the next connection is in sync', () => {
    const world = roughWorld({ replicaCount: 2 });
    const [a, b] = world.replicas as [Replica, Replica];
    const relay = relayOf(world, a);
    relay.tampers = (message: Message, to) => (to === b.id && message.kind === 'diff' ? undefined : message);
    a.edit(d, 'document');
    world.runFor(2_000);
    const [held] = b.disk.tables.table('deltas').rows({ from: new Uint8Array() });
    // A row that is gone makes roots differ, with nothing to come by itself.
    const lost = heldBy(world, b)[0] as Delta;
    expect(held).toBeDefined();
    dropDelta(world, b, lost);
    world.runFor(5_000);
    expect(b.state.kind).toBe('comparing');
    world.runFor(60_000);
    expect(countOf(world, 'links begun anew')).toBeGreaterThan(0);
    relay.tampers = undefined;
    world.runFor(60_000);
    expect(b.isSettled).toBe(true);
    expect(rootsOf(world)).toBe(1);
  });
});

function dropDelta(world: World, replica: Replica, delta: Delta): void {
  replica.disk.write((tx) => removeDelta(tx, world.room, delta), 'strict');
}
