import { describe, expect, test } from 'vitest';
import type { HeadStatement } from '../head-statement.js';
import type { ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { EventLoop } from '../simulation/loop.js';
import { headMessages } from './chunk.js';
import { HeadPace } from './head-pace.js';
import { HEADS_MAX } from '../wire/told-heads.js';

const replicaOf = (n: number): ReplicaId => n.toString(16).padStart(16, '0') as ReplicaId;
const { headSoonMs, headRestMs } = defaultLimits;
const [ann, bob, cat] = [replicaOf(0), replicaOf(1), replicaOf(2)] as const;

function said(replica: ReplicaId, timeMs: number, reach: Readonly<Record<ReplicaId, number>>): HeadStatement {
  const vector = new Map(Object.entries(reach) as [ReplicaId, number][]);
  const [root, headsRoot, signature] = [new Uint8Array(32), new Uint8Array(32), new Uint8Array(64)];
  return { replica, timeMs, root, headsRoot, vector, signature };
}

/** A room in virtual time, and what each of those who are connected was told of whom, with when. */
function createRoom(connected: readonly ReplicaId[]) {
  const loop = new EventLoop();
  const told: { readonly to: ReplicaId; readonly atMs: number; readonly of: HeadStatement }[] = [];
  const pace = new HeadPace(
    {
      connected: connected.length,
      later: (delayMs, run) => loop.after(delayMs, run),
      tell: (of) => {
        for (const to of connected) for (const each of of(to)) told.push({ to, atMs: loop.nowMs, of: each });
      },
    },
    defaultLimits,
  );
  return {
    loop,
    pace,
    told,
    pass: () => {
      while (loop.step());
    },
  };
}

describe('when heads are told', () => {
  test('[SY23] who has waited for a statement hears it soon, all others at rest, and nobody hears it twice', () => {
    const room = createRoom([ann, bob, cat]);
    const first = said(bob, 1, { [ann]: 1, [cat]: 7 });
    const next = said(bob, 2, { [ann]: 2, [cat]: 7 });
    room.pace.kept(next, first);
    room.pass();
    expect(room.told).toEqual([
      { to: ann, atMs: headSoonMs, of: next },
      { to: cat, atMs: headSoonMs + headRestMs, of: next },
    ]);
  });

  test('[SY23] the first statement of a replica is told to everybody soon: floors wait for it', () => {
    const room = createRoom([ann, bob, cat]);
    const first = said(bob, 1, {});
    room.pace.kept(first, undefined);
    room.pass();
    expect(room.told).toEqual([ann, cat].map((to) => ({ to, atMs: headSoonMs, of: first })));
  });

  test('[SY23] of what comes meanwhile the newest of each replica is told, to all whom any of it concerns', () => {
    const room = createRoom([ann, bob, cat]);
    const [one, two, three] = [
      said(bob, 1, { [ann]: 1 }),
      said(bob, 2, { [ann]: 2 }),
      said(bob, 3, { [ann]: 2, [cat]: 4 }),
    ];
    room.pace.kept(two, one);
    room.pace.kept(three, two);
    room.pass();
    expect(room.told).toEqual([ann, cat].map((to) => ({ to, atMs: headSoonMs, of: three })));
  });

  test('[SY23] one who was told soon is told at rest what has come since and concerns nobody', () => {
    const room = createRoom([ann, bob]);
    const [one, two, three] = [said(bob, 1, { [ann]: 1 }), said(bob, 2, { [ann]: 2 }), said(bob, 3, { [ann]: 2 })];
    room.pace.kept(two, one);
    room.loop.after(2 * headSoonMs, () => room.pace.kept(three, two));
    room.pass();
    expect(room.told).toEqual([
      { to: ann, atMs: headSoonMs, of: two },
      { to: ann, atMs: headSoonMs + headRestMs, of: three },
    ]);
  });

  test('[SY23] a write in a room of 128 costs statements as it has replicas, and all of them again at rest at most', () => {
    const everybody = Array.from({ length: 128 }, (_, n) => replicaOf(n));
    const room = createRoom(everybody);
    const writes = 20;
    for (let write = 1; write <= writes; write++)
      room.loop.after(write * 6_000, () => {
        for (const replica of everybody)
          room.pace.kept(said(replica, write, { [ann]: write }), said(replica, write - 1, { [ann]: write - 1 }));
      });
    room.pass();
    const isSoon = ({ to }: { to: ReplicaId }) => to === ann;
    expect(room.told.filter(isSoon)).toHaveLength(127 * writes);
    // All 20 writes lie within one rest.
    expect(room.told.filter((each) => !isSoon(each))).toHaveLength(127 * 127);
    const [last] = room.told.filter(isSoon).slice(-1);
    expect((last?.atMs ?? 0) - writes * 6_000).toBe((headSoonMs * 128) / 16);
  });
});

test('[SY23] many statements go in messages of a bounded count and size, in the order of their times', () => {
  const statements = Array.from({ length: 600 }, (_, n) => said(replicaOf(n), 600 - n, {}));
  const messages = headMessages(statements);
  expect(messages.map((message) => message.statements.length)).toEqual([HEADS_MAX, HEADS_MAX, 600 - 2 * HEADS_MAX]);
  const times = messages.flatMap((message) => message.statements.map(({ timeMs }) => timeMs));
  expect(times).toEqual(Array.from({ length: 600 }, (_, n) => n + 1));
  const wide = Object.fromEntries(Array.from({ length: 4_096 }, (_, n) => [replicaOf(n), 1]));
  expect(headMessages([1, 2, 3].map((timeMs) => said(ann, timeMs, wide))).length).toBe(3);
});
