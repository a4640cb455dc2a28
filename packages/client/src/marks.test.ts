import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { memoryStorage } from '../../../test/support/memory-storage.js';
import { MarkKeeper, markOf, Marks } from './marks.js';
import type { RoomStatus, StorageMetrics } from './types.js';

describe('[API] what a client remembers outside of its database', () => {
  test('each room of each client has a mark of its own, and forgetting takes those of one client', () => {
    const items = new Map([['of the app', '1']]);
    const [ours, others] = ['a', 'a b'].map((client) => new Marks(client, () => memoryStorage(items))) as [
      Marks,
      Marks,
    ];
    ours.write('b r', { writes: 3, atMs: 7 });
    ours.write('s', { writes: 0, atMs: 8 });
    others.write('r', { writes: 1, atMs: 9 });
    expect([ours.read('b r'), ours.read('s'), ours.read('r')]).toEqual([
      { writes: 3, atMs: 7 },
      { writes: 0, atMs: 8 },
      undefined,
    ]);
    ours.forgetAll();
    expect([ours.read('b r'), ours.read('s')]).toEqual([undefined, undefined]);
    expect(others.read('r')).toEqual({ writes: 1, atMs: 9 });
    expect(items.get('of the app')).toBe('1');
  });

  test('a mark that says nothing is none, and storage that is denied or full keeps nobody from anything', () => {
    const items = new Map<string, string>();
    const marks = new Marks('a', () => memoryStorage(items));
    marks.write('r', { writes: 1, atMs: 1 });
    const [key] = items.keys();
    for (const text of ['', 'x', '1', '1 x', '1.5 2']) {
      items.set(key as string, text);
      expect(marks.read('r'), text).toBeUndefined();
    }
    const denied = new Marks('a', () => {
      throw new DOMException('denied', 'SecurityError');
    });
    denied.write('r', { writes: 1, atMs: 1 });
    expect(denied.read('r')).toBeUndefined();
    expect(() => denied.forgetAll()).not.toThrow();
  });
});

type Storage = RoomStatus['storage'];

/** With nothing pending and with two writes. */
const MARKS: Record<StorageMetrics['place'], Record<Storage, readonly [unknown, unknown]>> = {
  main: {
    opening: [undefined, undefined],
    indexeddb: [0, 2],
    full: [0, 2],
    memory: [0, 2],
    lost: [null, 2],
  },
  bucket: {
    opening: [undefined, undefined],
    indexeddb: [undefined, undefined],
    full: [undefined, undefined],
    memory: [undefined, undefined],
    lost: [null, 2],
  },
  memory: {
    opening: [undefined, undefined],
    indexeddb: [undefined, undefined],
    full: [undefined, undefined],
    memory: [undefined, undefined],
    lost: [null, 2],
  },
};

test.each(Object.entries(MARKS) as [StorageMetrics['place'], (typeof MARKS)['main']][])(
  '[API] what is at stake: %s',
  (place, byStorage) => {
    for (const [storage, expected] of Object.entries(byStorage) as [Storage, readonly unknown[]][]) {
      const marks = [0, 2].map((writes) =>
        markOf({ storage, pending: { writes, bytes: writes, oldestAgeMs: null } }, place),
      );
      expect(marks, storage).toEqual(expected);
    }
  },
);

describe('[API] a mark moves on once a second at most, and ends at what was noted last', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  test('while somebody types', () => {
    const written: (number | null)[] = [];
    const keeper = new MarkKeeper((writes) => written.push(writes));
    for (let i = 1; i < 100; i++) {
      keeper.note(i);
      vi.advanceTimersByTime(30);
    }
    expect(written).toEqual([1, 34, 67]);
    vi.advanceTimersByTime(5_000);
    expect(written.at(-1)).toBe(99);
    keeper.note(99);
    keeper.note(undefined);
    vi.advanceTimersByTime(5_000);
    expect(written, 'nothing new').toHaveLength(4);
    keeper.note(null);
    keeper.note(7);
    keeper.close();
    expect(written.slice(4)).toEqual([null, 7]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
