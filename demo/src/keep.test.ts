import type { Client, RoomStatus } from '@mangrove/client';
import { expect, test } from 'vitest';
import { isOnlyHere, mountKeep } from './keep.ts';

const status = (connection: RoomStatus['connection'], oldestAgeMs: number | null): RoomStatus => ({
  connection,
  sync: 'behind',
  pending: { writes: oldestAgeMs === null ? 0 : 1, bytes: 9, oldestAgeMs },
  staleness: { lastSyncedAtMs: null, lagVersions: 0, exceeded: false },
  storage: 'indexeddb',
  quarantined: 0,
  vouched: 0,
  root: '0'.repeat(64),
  lastError: null,
});

test('what waits for ten seconds without a connection is only here', () => {
  expect(isOnlyHere(status('offline', 10_000), 0)).toBe(true);
  expect(isOnlyHere(status('none', 4_000), 6_000)).toBe(true);
  expect(isOnlyHere(status('paused', 4_000), 5_999)).toBe(false);
  expect(isOnlyHere(status('offline', null), 60_000)).toBe(false);
  expect(isOnlyHere(status('connected', 60_000), 0)).toBe(false);
});

test('the browser is asked once', () => {
  let asked = 0;
  const client = { persist: async () => ++asked > 0 } as unknown as Client;
  const update = mountKeep(client);
  update(status('offline', 0), 0);
  expect(asked).toBe(0);
  for (let i = 0; i < 3; i++) update(status('offline', 10_000), 0);
  expect(asked).toBe(1);
});
