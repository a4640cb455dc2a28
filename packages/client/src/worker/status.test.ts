import { defaultLimits, type LinkConfig, offline, type ReplicaId, type ReplicaState } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import { roomRef } from '../../../../test/support/client-world.js';
import type { RoomStatus } from '../types.js';
import { type Attempt, connectionOf, INITIAL_STATUS, type LinkStatus, roomStatus } from './status.js';

type Connection = RoomStatus['connection'];
type Sync = RoomStatus['sync'];

const none: RoomStatus['pending'] = { writes: 0, bytes: 0, oldestAgeMs: null };
const some: RoomStatus['pending'] = { writes: 1, bytes: 9, oldestAgeMs: 5 };

/** For each connection: settled or not, once synced or never, with and without pending writes. */
const SYNC: Record<Connection, Record<'settled' | 'unsettled', Record<'never' | 'once', readonly [Sync, Sync]>>> = {
  none: {
    settled: { never: ['local', 'local'], once: ['local', 'local'] },
    unsettled: { never: ['local', 'local'], once: ['local', 'local'] },
  },
  connecting: {
    settled: { never: ['local', 'local'], once: ['behind', 'behind'] },
    unsettled: { never: ['local', 'local'], once: ['behind', 'behind'] },
  },
  connected: {
    settled: { never: ['in-sync', 'syncing'], once: ['in-sync', 'syncing'] },
    unsettled: { never: ['syncing', 'syncing'], once: ['syncing', 'syncing'] },
  },
  offline: {
    settled: { never: ['local', 'local'], once: ['behind', 'behind'] },
    unsettled: { never: ['local', 'local'], once: ['behind', 'behind'] },
  },
  paused: {
    settled: { never: ['local', 'local'], once: ['behind', 'behind'] },
    unsettled: { never: ['local', 'local'], once: ['behind', 'behind'] },
  },
  refused: {
    settled: { never: ['local', 'local'], once: ['behind', 'behind'] },
    unsettled: { never: ['local', 'local'], once: ['behind', 'behind'] },
  },
};

describe('sync', () => {
  for (const [connection, bySettled] of Object.entries(SYNC) as [Connection, (typeof SYNC)[Connection]][]) {
    test(`[SY5] in sync only when connected, roots equal and nothing pending: ${connection}`, () => {
      for (const [settled, byHistory] of Object.entries(bySettled)) {
        for (const [history, [idle, busy]] of Object.entries(byHistory)) {
          const link: LinkStatus = {
            ...INITIAL_STATUS,
            connection,
            settled: settled === 'settled',
            lastSyncedAtMs: history === 'once' ? 1 : null,
          };
          expect(roomStatus(link, none).sync, `${settled}, ${history}, idle`).toBe(idle);
          expect(roomStatus(link, some).sync, `${settled}, ${history}, busy`).toBe(busy);
        }
      }
    });
  }

  test('[SY5] what the link says is told as it is, with what is pending', () => {
    const link: LinkStatus = { ...INITIAL_STATUS, storage: 'lost', quarantined: 3, lastSyncedAtMs: 7 };
    expect(roomStatus(link, some)).toMatchObject({
      pending: some,
      storage: 'lost',
      quarantined: 3,
      staleness: { lastSyncedAtMs: 7 },
      root: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });
});

describe('connection', () => {
  const config: LinkConfig = {
    room: roomRef(),
    roomConfig: { history: 'current', encrypted: false },
    limits: defaultLimits,
  };
  const base = offline(config, '0000000000000001' as ReplicaId);
  const states = {
    offline: base,
    connecting: { ...base, kind: 'connecting' },
    greeting: { ...base, kind: 'greeting' },
    'catching-up': { ...base, kind: 'catching-up' },
    comparing: { ...base, kind: 'comparing' },
    live: { ...base, kind: 'live' },
    refused: { ...base, kind: 'refused' },
  } as Record<ReplicaState['kind'], ReplicaState>;

  const EXPECTED: Record<ReplicaState['kind'], Record<Attempt, Connection>> = {
    offline: { none: 'offline', trying: 'connecting', failed: 'offline', refused: 'refused' },
    connecting: { none: 'connecting', trying: 'connecting', failed: 'connecting', refused: 'refused' },
    greeting: { none: 'connecting', trying: 'connecting', failed: 'connecting', refused: 'refused' },
    'catching-up': { none: 'connected', trying: 'connected', failed: 'connected', refused: 'refused' },
    comparing: { none: 'connected', trying: 'connected', failed: 'connected', refused: 'refused' },
    live: { none: 'connected', trying: 'connected', failed: 'connected', refused: 'refused' },
    refused: { none: 'refused', trying: 'refused', failed: 'refused', refused: 'refused' },
  };

  for (const [kind, byAttempt] of Object.entries(EXPECTED) as [ReplicaState['kind'], Record<Attempt, Connection>][]) {
    test(`[SY15] the link in state ${kind} is shown by what people know`, () => {
      for (const [attempt, expected] of Object.entries(byAttempt) as [Attempt, Connection][]) {
        expect(connectionOf(states[kind], { isPaused: false, attempt }), attempt).toBe(expected);
        expect(connectionOf(states[kind], { isPaused: true, attempt }), `${attempt}, paused`).toBe('paused');
      }
    });
  }
});
