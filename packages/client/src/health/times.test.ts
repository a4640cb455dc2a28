import { expect, test } from 'vitest';
import { initialStatus } from '../page-status.js';
import type { RoomStatus } from '../types.js';
import { beginTimes, noteStatus } from './times.js';

const BEGUN = beginTimes(initialStatus(true), 0);
const note = (before: Partial<RoomStatus>, after: Partial<RoomStatus>) => {
  const { connectionAtMs, takenUpAtMs, movedAtMs } = noteStatus(
    { ...BEGUN, status: { ...BEGUN.status, ...before } },
    { ...BEGUN.status, ...after },
    7,
  );
  return [connectionAtMs, takenUpAtMs, movedAtMs];
};
const pending = (writes: number) => ({ pending: { writes, bytes: writes, oldestAgeMs: writes === 0 ? null : 1 } });
const progress = (bytes: number) => ({ progress: { deltas: 1, deltasTotal: 9, bytes, bytesTotal: 9 } });

/** Before, after, and which times move on: those of the connection, of what is pending, of what comes. */
const CASES: readonly (readonly [string, Partial<RoomStatus>, Partial<RoomStatus>, readonly number[]])[] = [
  ['nothing pending', {}, {}, [0, 7, 0]],
  ['connected', pending(1), { ...pending(1), connection: 'connected' }, [7, 0, 0]],
  ['trying again is no change', pending(1), { ...pending(1), connection: 'connecting' }, [0, 0, 0]],
  ['more is pending', pending(1), pending(2), [0, 0, 0]],
  ['something was written first', {}, pending(1), [0, 7, 0]],
  ['less is pending', pending(2), pending(1), [0, 7, 0]],
  ['something came', pending(1), { ...pending(1), root: 'f'.repeat(64) }, [0, 0, 7]],
  ['a part came', { ...pending(1), ...progress(1) }, { ...pending(1), ...progress(2) }, [0, 0, 7]],
  ['no part came', { ...pending(1), ...progress(2) }, { ...pending(1), ...progress(2) }, [0, 0, 0]],
  ['in sync', pending(1), { ...pending(1), sync: 'in-sync' }, [0, 0, 7]],
];

test.each(CASES)('[API] when a room became what it is: %s', (_, before, after, expected) => {
  expect(note(before, after)).toEqual(expected);
});
