import type { RoomStatus } from '@mangrove/client';
import { describe, expect, test, vi } from 'vitest';
import { describeStatus, mountStatus } from './status.ts';

const ROOT = `3fa9${'0'.repeat(60)}`;
const SYNCED_AT_MS = 1_000_000;
const CALM: RoomStatus = {
  connection: 'connected',
  sync: 'in-sync',
  pending: { writes: 0, bytes: 0, oldestAgeMs: null },
  staleness: { lastSyncedAtMs: SYNCED_AT_MS, lagVersions: 0, exceeded: false },
  storage: 'indexeddb',
  vouched: 0,
  quarantined: 0,
  root: ROOT,
  lastError: null,
};
const waiting = (writes: number, oldestAgeMs: number) => ({ pending: { writes, bytes: writes * 90, oldestAgeMs } });
const describeIt = (change: Partial<RoomStatus>, elapsedMs = 0) => describeStatus({ ...CALM, ...change }, elapsedMs);

test('what is gone for good is told also when all is in sync again', () => {
  const lastError = {
    code: 'STORAGE_LOST',
    message: 'Lost: 3.',
    remedy: 'Wait.',
    retryable: false,
    atMs: SYNCED_AT_MS - 1,
  };
  expect(describeIt({ lastError }).detail).toBe('Lost: 3. Wait.');
  expect(describeIt({ lastError: { ...lastError, code: 'STORAGE_DAMAGED' } }).detail).toBe('');
});

describe('the network', () => {
  test('in sync names the root and has nothing to add', () => {
    expect(describeIt({})).toEqual({ tone: 'ok', headline: 'In sync, root 3fa9…', detail: '' });
  });

  test('offline says how much waits, that it is safe, and how old it is by now', () => {
    expect(describeIt({ connection: 'offline', sync: 'behind', ...waiting(12, 60_000) }, 65_000)).toEqual({
      tone: 'waiting',
      headline: 'Offline: 12 edits waiting, safe on this device',
      detail: 'oldest edit 2 min ago',
    });
  });

  test('offline with nothing waiting is not in sync', () => {
    expect(describeIt({ connection: 'offline' })).toMatchObject({
      tone: 'waiting',
      headline: 'Offline: nothing waiting',
    });
  });

  test('a pause is told from being offline', () => {
    const { headline } = describeIt({ connection: 'paused', sync: 'behind', ...waiting(1, 0) });
    expect(headline).toBe('Paused: 1 edit waiting, safe on this device');
  });

  test('connecting keeps naming what waits', () => {
    expect(describeIt({ connection: 'connecting', sync: 'behind' })).toMatchObject({
      tone: 'busy',
      headline: 'Connecting…',
    });
    expect(describeIt({ connection: 'connecting', sync: 'behind', ...waiting(2, 0) }).headline).toBe(
      'Connecting: 2 edits waiting, safe on this device',
    );
  });

  test('syncing shows progress where there is any', () => {
    expect(describeIt({ sync: 'syncing' })).toMatchObject({ tone: 'busy', headline: 'Syncing…' });
    const progress = { deltas: 40, deltasTotal: 2_000, bytes: 1, bytesTotal: 2 };
    expect(describeIt({ sync: 'syncing', progress }).headline).toBe('Syncing 40 of 2,000 deltas');
  });

  test('connected and not equal is never called in sync', () => {
    for (const sync of ['local', 'syncing', 'behind'] as const) {
      const { tone, headline } = describeIt({ sync });
      expect(tone, sync).toBe('busy');
      expect(headline, sync).not.toMatch(/in sync/i);
    }
  });

  test('an edit that waits while connected shows its age once it is too old to be on its way', () => {
    expect(describeIt({ sync: 'syncing', ...waiting(1, 100) }).detail).toBe('1 edit waiting');
    expect(describeIt({ sync: 'syncing', ...waiting(1, 5_000) }).detail).toBe('1 edit waiting · oldest edit 5 s ago');
  });

  test('without a relay nothing is waiting for one', () => {
    expect(describeIt({ connection: 'none', sync: 'local', ...waiting(9, 90_000) })).toEqual({
      tone: 'waiting',
      headline: 'Local only, safe on this device',
      detail: '',
    });
  });
});

describe('trouble', () => {
  test('what is not on the disk is not called safe', () => {
    for (const storage of ['memory', 'full', 'lost'] as const) {
      for (const connection of ['none', 'offline', 'paused', 'connecting'] as const) {
        const { headline, detail } = describeIt({ storage, connection, sync: 'behind', ...waiting(3, 5_000) });
        expect(`${headline} ${detail}`, `${storage} ${connection}`).not.toContain('safe');
      }
    }
  });

  test('memory offline is trouble, memory in sync is a remark', () => {
    expect(describeIt({ storage: 'memory', connection: 'offline', sync: 'behind', ...waiting(3, 0) })).toMatchObject({
      tone: 'trouble',
      headline: 'Offline: 3 edits waiting, only in this tab',
    });
    const { tone, detail } = describeIt({ storage: 'memory' });
    expect(tone).toBe('ok');
    expect(detail).toMatch(/^Not kept on this device/);
  });

  test('while nothing is kept here, why and what helps stays, also in sync', () => {
    const lastError = {
      ...{ code: 'STORAGE_NEWER', message: 'Another tab has a newer version.', remedy: 'Reload this tab.' },
      ...{ retryable: false, atMs: 1 },
    };
    for (const storage of ['memory', 'lost'] as const)
      expect(describeIt({ storage, lastError }).detail).toContain('Reload this tab.');
    expect(describeIt({ storage: 'indexeddb', lastError }).detail).not.toContain('Reload');
    expect(describeIt({ storage: 'lost' }).detail).toContain('All of it is at the relay');
    expect(describeIt({ storage: 'lost', sync: 'behind', ...waiting(3, 0) }).detail).toContain('keep it open');
  });

  test('a refusal stands above everything but storage', () => {
    expect(describeIt({ connection: 'refused', sync: 'behind', ...waiting(2, 0) })).toEqual({
      tone: 'trouble',
      headline: 'Not allowed in this room',
      detail: '2 edits waiting, safe on this device',
    });
    expect(describeIt({ connection: 'refused', storage: 'lost' }).headline).toMatch(/storage .* lost/);
  });

  test('an error comes with its remedy until the room was in sync after it', () => {
    const lastError = { code: 'X', message: 'It broke.', remedy: 'Mend it.', retryable: true, atMs: SYNCED_AT_MS + 1 };
    expect(describeIt({ lastError }).detail).toBe('It broke. Mend it.');
    expect(describeIt({ lastError: { ...lastError, atMs: SYNCED_AT_MS - 1 } }).detail).toBe('');
    expect(describeIt({ lastError: { ...lastError, atMs: SYNCED_AT_MS - 1 }, sync: 'behind' }).detail).toContain(
      'Mend it.',
    );
  });

  test('an exceeded staleness is said; what is set aside has a place of its own', () => {
    const staleness = { lastSyncedAtMs: null, lagVersions: 9, exceeded: true };
    const { detail } = describeIt({ quarantined: 2, staleness, connection: 'offline' });
    expect(detail).toBe('what you see is older than this room allows');
  });
});

describe('what is said when', () => {
  test('that something waits is said at once after it was said that nothing does, though other news wait for calm', () => {
    vi.useFakeTimers();
    const element = () => ({ dataset: {}, textContent: '' }) as unknown as HTMLElement;
    const elements = { strip: element(), status: element(), detail: element() };
    const show = mountStatus(elements);
    const offline = { ...CALM, connection: 'offline', sync: 'behind' } as const;
    show(offline, 0);
    expect(elements.status.textContent).toBe('Offline: nothing waiting');
    show({ ...offline, ...waiting(1, 0) }, 0);
    expect(elements.status.textContent).toBe('Offline: 1 edit waiting, safe on this device');
    show({ ...offline, ...waiting(2, 0) }, 0);
    expect(elements.status.textContent).toBe('Offline: 1 edit waiting, safe on this device');
    vi.advanceTimersByTime(1_000);
    expect(elements.status.textContent).toBe('Offline: 2 edits waiting, safe on this device');
    vi.useRealTimers();
  });
});
