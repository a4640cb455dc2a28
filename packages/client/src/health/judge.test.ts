import { describe, expect, test } from 'vitest';
import { initialStatus } from '../page-status.js';
import type { HealthReason, RoomStatus } from '../types.js';
import { judgeHealth, type Signs } from './judge.js';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;

const CALM: RoomStatus = {
  ...initialStatus(true),
  connection: 'connected',
  sync: 'in-sync',
  storage: 'indexeddb',
  staleness: { lastSyncedAtMs: 1_000, lagVersions: 0, exceeded: false },
};

/** Open for a day, and well. */
const WELL: Signs = {
  status: CALM,
  statusMs: 0,
  isOpen: true,
  openMs: 24 * HOUR_MS,
  connectionMs: 24 * HOUR_MS,
  untakenMs: 24 * HOUR_MS,
  stillMs: 24 * HOUR_MS,
  unsyncedMs: 0,
  lostWrites: 0,
  isPersisted: null,
  workerSilentMs: 0,
  ownerSilentMs: 0,
  isUnguarded: false,
};

type Change = Partial<Omit<Signs, 'status'>> & { readonly status?: Partial<RoomStatus> };

const signs = ({ status, ...others }: Change): Signs => ({ ...WELL, ...others, status: { ...CALM, ...status } });
const reasons = (change: Change): readonly HealthReason[] => judgeHealth(signs(change)).reasons;
const pending = (writes: number, oldestAgeMs: number, bytes = 100) => ({ pending: { writes, bytes, oldestAgeMs } });
const fault = (code: string, atMs: number) => ({ code, message: '', remedy: '', retryable: true, atMs });
const syncing = { sync: 'syncing' } as const;
const apart = { connection: 'offline', sync: 'behind' } as const;

/** For each reason: signs that give it and nothing else, and signs that are near and do not give it. */
const TABLE: Record<HealthReason, { readonly when: readonly Change[]; readonly not: readonly Change[] }> = {
  closed: {
    when: [{ isOpen: false }, { isOpen: false, status: { ...apart, ...pending(1, 48 * HOUR_MS) } }],
    not: [{}],
  },
  opening: {
    when: [{ openMs: 10_000, status: { storage: 'opening' } }],
    not: [{ openMs: 9_999, status: { storage: 'opening' } }],
  },
  'worker-silent': {
    when: [{ workerSilentMs: 10_000 }],
    not: [{ workerSilentMs: 9_999 }, { workerSilentMs: 10_000, openMs: 0, status: { storage: 'opening' } }],
  },
  'owner-silent': { when: [{ ownerSilentMs: 10_000 }], not: [{ ownerSilentMs: 9_999 }] },
  'storage-lost': { when: [{ status: { storage: 'lost' } }], not: [{}] },
  'writes-lost': { when: [{ lostWrites: 1 }], not: [{}] },
  'storage-full': { when: [{ status: { storage: 'full' } }], not: [{}] },
  'storage-memory': { when: [{ status: { storage: 'memory' } }], not: [{}] },
  'storage-damaged': {
    when: [
      { status: { lastError: fault('STORAGE_DAMAGED', 2_000) } },
      { stillMs: 0, status: { ...syncing, lastError: fault('STORAGE_DAMAGED', 500) } },
    ],
    not: [{ status: { lastError: fault('STORAGE_DAMAGED', 1_000) } }],
  },
  refused: { when: [{ status: { connection: 'refused', sync: 'behind' } }], not: [{}] },
  'clock-ahead': {
    when: [{ untakenMs: 0, status: { ...syncing, ...pending(1, 0), lastError: fault('CLOCK_AHEAD', 2_000) } }],
    not: [{ status: { lastError: fault('CLOCK_AHEAD', 900) } }, { status: { lastError: fault('UNDECODABLE', 2_000) } }],
  },
  'not-taken': {
    when: [
      { status: { ...syncing, ...pending(1, 30_000, 0) } },
      { connectionMs: 30_000, untakenMs: 30_000, status: { ...syncing, ...pending(3, HOUR_MS, 0) } },
      { statusMs: 20_000, status: { ...syncing, ...pending(1, 10_000, 0) } },
      { status: { ...syncing, ...pending(1, 30_000 + 8_388_608 / 16, 8_388_608) } },
    ],
    not: [
      { status: { ...syncing, ...pending(1, 29_999, 0) } },
      { connectionMs: 29_999, status: { ...syncing, ...pending(1, HOUR_MS, 0) } },
      { untakenMs: 29_999, status: { ...syncing, ...pending(1, HOUR_MS, 0) } },
      { status: { ...syncing, ...pending(1, 300_000, 8_388_608) } },
    ],
  },
  'sync-stalled': {
    when: [{ connectionMs: 30_000, stillMs: 30_000, status: syncing }],
    not: [
      { connectionMs: 29_999, status: syncing },
      { stillMs: 29_999, status: syncing },
      { status: {} },
      { untakenMs: 0, status: { ...syncing, ...pending(1, 0) } },
    ],
  },
  offline: {
    when: [
      { connectionMs: 10_000, status: apart },
      { connectionMs: 10_000, status: { ...apart, connection: 'connecting' } },
    ],
    not: [{ connectionMs: 9_999, status: apart }],
  },
  paused: { when: [{ status: { connection: 'paused', sync: 'behind' } }], not: [{}] },
  unsent: {
    when: [
      { connectionMs: 0, status: { ...apart, ...pending(1, HOUR_MS) } },
      { connectionMs: 0, statusMs: HOUR_MS, status: { ...apart, ...pending(1, 0) } },
    ],
    not: [
      { connectionMs: 0, status: { ...apart, ...pending(1, HOUR_MS - 1) } },
      { connectionMs: 0, status: { ...syncing, ...pending(1, HOUR_MS) } },
    ],
  },
  // It goes with `unsent` or `no-relay`, which says that something is there alone.
  evictable: {
    when: [],
    not: [
      { isPersisted: null, status: { ...apart, ...pending(1, HOUR_MS) } },
      { isPersisted: true, status: { ...apart, ...pending(1, HOUR_MS) } },
      { isPersisted: false, status: { ...apart, ...pending(1, HOUR_MS - 1) } },
      { isPersisted: false, status: { ...syncing, ...pending(1, HOUR_MS) } },
    ],
  },
  behind: {
    when: [{ connectionMs: 0, unsyncedMs: 24 * HOUR_MS, status: apart }],
    not: [
      { connectionMs: 0, unsyncedMs: 24 * HOUR_MS - 1, status: apart },
      { connectionMs: 0, unsyncedMs: null, status: { ...apart, sync: 'local' } },
      { unsyncedMs: 48 * HOUR_MS },
    ],
  },
  'no-relay': {
    when: [{ status: { connection: 'none', sync: 'local', ...pending(1, 48 * HOUR_MS) } }],
    not: [{ status: { connection: 'none', sync: 'local' } }],
  },
  unguarded: { when: [{ isUnguarded: true }], not: [{}] },
  quarantined: { when: [{ status: { quarantined: 1 } }], not: [{}] },
};

test('[API] a room that is in sync and kept is well', () => {
  expect(judgeHealth(WELL)).toEqual({ score: 1, reasons: [] });
});

describe('[API] each reason is given when it is so, and is the only one then', () => {
  for (const [reason, { when, not }] of Object.entries(TABLE)) {
    test(reason, () => {
      for (const change of when) {
        expect(reasons(change), JSON.stringify(change)).toEqual([reason]);
        expect(judgeHealth(signs(change)).score).toBeLessThan(1);
      }
      for (const change of not) expect(reasons(change), JSON.stringify(change)).not.toContain(reason);
    });
  }
});

test('[API] what one device alone has had for an hour may be deleted by its browser: said where the browser has not promised', () => {
  const old = pending(1, HOUR_MS);
  expect(reasons({ isPersisted: false, connectionMs: 0, status: { ...apart, ...old } })).toEqual([
    'unsent',
    'evictable',
  ]);
  expect(reasons({ isPersisted: false, status: { connection: 'none', sync: 'local', ...old } })).toEqual([
    'evictable',
    'no-relay',
  ]);
});

test('[API] reasons add up: each lowers the score, the gravest comes first, and nothing goes below 0', () => {
  const paused = judgeHealth(signs({ status: { connection: 'paused', sync: 'behind' } }));
  const both = judgeHealth(signs({ status: { connection: 'paused', sync: 'behind', quarantined: 2 } }));
  const lost = judgeHealth(signs({ status: { connection: 'paused', quarantined: 2, storage: 'lost' } }));
  expect([paused.score, both.score, lost.score]).toEqual([0.9, 0.81, 0.24]);
  expect(lost.reasons).toEqual(['storage-lost', 'paused', 'quarantined']);
  expect(judgeHealth(signs({ isOpen: false })).score).toBe(0);
  expect(judgeHealth(signs({ workerSilentMs: 60_000, ownerSilentMs: 60_000 })).score).toBe(0);
});
