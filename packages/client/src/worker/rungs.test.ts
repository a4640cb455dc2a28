import { defaultLimits, MangroveError, type ReplicaId } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import type { Rung } from '../types.js';
import { Pending } from './pending.js';
import { Rungs } from './rungs.js';

const NOW_MS = 10_000_000_000;
const OTHER = ['0000000000000001', '0000000000000002', '0000000000000003'] as ReplicaId[];
const journaled = Promise.resolve();
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function open({ hasRelay = true, hasDisk = true } = {}) {
  const pending = new Pending();
  const room = { isInSync: false };
  const rungs = new Rungs(
    pending,
    { hasRelay, hasDisk },
    defaultLimits,
    () => NOW_MS,
    () => room.isInSync,
  );
  let names = 0;
  const reached = (rung: Rung, { rows = 'all' as readonly number[] | 'all', count = 1, after = journaled } = {}) =>
    watch(rungs.reached({ name: ++names, rows, rung, count }, after));
  return { pending, rungs, room, reached, synced: () => watch(rungs.synced(++names, journaled)), last: () => names };
}

function watch(promise: Promise<void>): { outcome: string } {
  const watched = { outcome: 'waiting' };
  promise.then(
    () => (watched.outcome = 'resolved'),
    (error: MangroveError) => (watched.outcome = error.code),
  );
  return watched;
}

test('[JS1] the first two rungs are reached when the writes are journaled, without a relay too', async () => {
  const { reached } = open({ hasRelay: false });
  let release = (): void => {};
  const after = new Promise<void>((resolve) => {
    release = resolve;
  });
  const waits = [reached('applied', { after }), reached('disk', { after })];
  await turn();
  expect(waits.map(({ outcome }) => outcome)).toEqual(['waiting', 'waiting']);
  release();
  await turn();
  expect(waits.map(({ outcome }) => outcome)).toEqual(['resolved', 'resolved']);
});

const ONE = [{ from: 1, to: 1 }];

test('[SY6] without a relay every higher rung, and being in sync, is NO_RELAY', async () => {
  const { reached, synced } = open({ hasRelay: false });
  const waits = [reached('relay'), reached('replicas'), reached('all'), synced()];
  await turn();
  expect(waits.map(({ outcome }) => outcome)).toEqual(['NO_RELAY', 'NO_RELAY', 'NO_RELAY', 'NO_RELAY']);
});

test('[SY6] [SY11] the ladder: a relay acknowledges, one replica holds it, all known ones do', async () => {
  const { pending, reached } = open();
  pending.heads(OTHER.map((replica) => ({ replica, seq: 0, timeMs: NOW_MS })));
  pending.journaled([{ number: 1, bytes: 1, atMs: 1, numbers: ONE }]);
  pending.receipt(1);
  const waits = [reached('relay'), reached('replicas'), reached('replicas', { count: 2 }), reached('all')];
  const outcomes = async (): Promise<string> => {
    await turn();
    return waits.map(({ outcome }) => (outcome === 'resolved' ? 'x' : '-')).join('');
  };
  expect(await outcomes()).toBe('----');
  pending.sealed([{ seq: 5, rows: ONE, bytes: 1, atMs: 1 }]);
  expect(await outcomes()).toBe('----');
  pending.acknowledged([5]);
  expect(await outcomes()).toBe('x---');
  pending.heads([{ replica: OTHER[0] as ReplicaId, seq: 5, timeMs: NOW_MS }]);
  expect(await outcomes()).toBe('xx--');
  pending.heads([{ replica: OTHER[1] as ReplicaId, seq: 6, timeMs: NOW_MS }]);
  expect(await outcomes()).toBe('xxx-');
  pending.heads([{ replica: OTHER[2] as ReplicaId, seq: 5, timeMs: NOW_MS }]);
  expect(await outcomes()).toBe('xxxx');
});

test('[SY11] a replica that was not seen for longer than its expiry holds up nobody', async () => {
  const { pending, reached } = open();
  pending.heads([
    { replica: OTHER[0] as ReplicaId, seq: 0, timeMs: NOW_MS - defaultLimits.replicaExpiryMs - 1 },
    { replica: OTHER[1] as ReplicaId, seq: 1, timeMs: NOW_MS },
  ]);
  pending.journaled([{ number: 1, bytes: 1, atMs: 1, numbers: ONE }]);
  const all = reached('all');
  pending.sealed([{ seq: 1, rows: ONE, bytes: 1, atMs: 1 }]);
  pending.acknowledged([1]);
  await turn();
  expect(all.outcome).toBe('resolved');
});

test('[SY5] synced resolves at the next look that finds the room in sync', async () => {
  const { rungs, room, synced } = open();
  const wait = synced();
  await turn();
  expect(wait.outcome).toBe('waiting');
  rungs.lookAgain();
  await turn();
  expect(wait.outcome).toBe('waiting');
  room.isInSync = true;
  rungs.lookAgain();
  const later = synced();
  await turn();
  expect([wait.outcome, later.outcome]).toEqual(['resolved', 'resolved']);
});

test('[SY15] a wait can be cancelled while its writes are still being journaled, and later', async () => {
  const { pending, rungs, reached, synced, last } = open();
  pending.journaled([{ number: 1, bytes: 1, atMs: 1, numbers: ONE }]);
  const early = reached('relay', { after: new Promise(() => {}) });
  rungs.cancel(last());
  const later = reached('relay');
  const inSync = synced();
  await turn();
  rungs.cancel(last());
  rungs.cancel(last() - 1);
  await turn();
  expect([early.outcome, later.outcome, inSync.outcome]).toEqual(['ABORTED', 'ABORTED', 'ABORTED']);
});

test('[SY15] closing ends all waits, and no new one begins', async () => {
  const { pending, rungs, reached, synced } = open();
  pending.journaled([{ number: 1, bytes: 1, atMs: 1, numbers: ONE }]);
  const waits = [reached('relay'), reached('relay', { after: new Promise(() => {}) }), synced()];
  rungs.close(new MangroveError('CLOSED', { what: 'room' }));
  waits.push(reached('relay'), synced());
  await turn();
  expect(waits.map(({ outcome }) => outcome)).toEqual(['CLOSED', 'CLOSED', 'CLOSED', 'CLOSED', 'CLOSED']);
});
