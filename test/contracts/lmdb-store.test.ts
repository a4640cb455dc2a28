import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToRoomId, equalBytes, type RoomId, type Store, u64ToBytes } from '@mangrove/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { openLmdb } from '../../packages/relay/src/storage/lmdb-store.js';
import { describeStore } from './store-contract.js';

// The first sixteen bytes are neighbours in byte order, so a range that runs over its end meets the other room.
const room = roomOf(0x0f, 0xff);
const neighbour = roomOf(0x10, 0x00);

const paths: string[] = [];
afterEach(() => {
  for (const path of paths.splice(0)) rmSync(path, { recursive: true, force: true });
});

function makePath(): string {
  const path = mkdtempSync(join(tmpdir(), 'mangrove-lmdb-'));
  paths.push(path);
  return path;
}

describeStore('lmdb', async () => {
  const path = makePath();
  let environment = openLmdb(path);
  const store = environment.room(room);
  return {
    store,
    neighbour: environment.room(neighbour),
    reopen: async () => {
      await store.close();
      await environment.close();
      environment = openLmdb(path);
      return environment.room(room);
    },
    destroy: () => environment.close(),
  };
});

describe('lmdb environment', () => {
  test('a room is listed from its first row on, also after opening again', async () => {
    const path = makePath();
    const environment = openLmdb(path);
    expect(environment.rooms()).toEqual([]);
    await environment.room(room).transact((tx) => tx.get('meta', u64ToBytes(1)), { mode: 'write' });
    expect(environment.rooms()).toEqual([]);
    await put(environment.room(neighbour), 1);
    await put(environment.room(room), 1);
    await put(environment.room(room), 2);
    expect(environment.rooms()).toEqual([room, neighbour]);
    await environment.close();
    const reopened = openLmdb(path);
    expect(reopened.rooms()).toEqual([room, neighbour]);
    await reopened.close();
  });

  test('meta values are kept apart from rooms and survive opening again', async () => {
    const path = makePath();
    const environment = openLmdb(path);
    expect(await environment.getMeta('store-id')).toBeUndefined();
    await environment.putMeta('store-id', u64ToBytes(7));
    await environment.putMeta('store-id', u64ToBytes(8));
    expect(environment.rooms()).toEqual([]);
    await environment.close();
    const reopened = openLmdb(path);
    expect(await reopened.getMeta('store-id')).toEqual(u64ToBytes(8));
    await reopened.close();
  });

  test('plans that are started while others sync share their commits', async () => {
    const environment = openLmdb(makePath());
    const store = environment.room(room);
    const oneByOne = await timeOf(async () => {
      for (let n = 0; n < 300; n++) await put(store, n);
    });
    const atOnce = await timeOf(() => Promise.all(Array.from({ length: 300 }, (_, n) => put(store, n))));
    expect(atOnce).toBeLessThan(oneByOne / 2);
    await environment.close();
  });

  test('closing finishes what is under way, then everything is refused', async () => {
    const path = makePath();
    const environment = openLmdb(path);
    const store = environment.room(room);
    const underWay = [put(store, 1), put(store, 2), environment.putMeta('name', u64ToBytes(3))];
    await environment.close();
    await Promise.all(underWay);
    await expect(put(store, 4)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(environment.getMeta('name')).rejects.toMatchObject({ code: 'CLOSED' });
    await environment.close();
  });

  test('[SY6] a folder that was deleted or replaced while it is open takes nothing more', async () => {
    const path = makePath();
    const environment = openLmdb(path);
    await put(environment.room(room), 1);
    rmSync(path, { recursive: true });
    const gone = expect.objectContaining({ code: 'STORAGE_UNAVAILABLE', message: expect.stringContaining(path) });
    await expect(put(environment.room(room), 2)).rejects.toEqual(gone);
    const replacement = openLmdb(path);
    await expect(put(environment.room(room), 3)).rejects.toEqual(gone);
    await expect(environment.getMeta('key')).rejects.toEqual(gone);
    await put(replacement.room(room), 1);
    await environment.close();
    await replacement.close();
  });

  test('a path that is no directory is STORAGE_UNAVAILABLE and says which', () => {
    const path = join(makePath(), 'taken');
    writeFileSync(path, 'a file');
    expect(() => openLmdb(path)).toThrow(expect.objectContaining({ code: 'STORAGE_UNAVAILABLE' }));
    expect(() => openLmdb(path)).toThrow(path);
  });

  test.each([
    ['is no database', () => new Uint8Array(16_384).fill(0x55)],
    ['is a few bytes', () => new Uint8Array(5)],
    ['has a damaged first page', (file: Uint8Array) => file.fill(0x55, 0, 4_096)],
    ['has a damaged second page', (file: Uint8Array) => file.fill(0x55, 4_096, 8_192)],
    ['was cut off', (file: Uint8Array) => file.subarray(0, 8_192)],
  ])('a file that %s is STORAGE_UNAVAILABLE, and no end of the process', async (_, damage) => {
    const path = makePath();
    const environment = openLmdb(path);
    for (let n = 0; n < 10; n++) await put(environment.room(room), n);
    await environment.close();
    const file = join(path, 'data.mdb');
    const damaged = damage(new Uint8Array(readFileSync(file)));
    writeFileSync(file, damaged);
    expect(() => openLmdb(path)).toThrow(expect.objectContaining({ code: 'STORAGE_UNAVAILABLE' }));
    expect(equalBytes(new Uint8Array(readFileSync(file)), damaged), 'left as it was').toBe(true);
  });
});

async function put(store: Store, n: number): Promise<void> {
  await store.transact(
    function* (tx) {
      tx.put('log', u64ToBytes(n), u64ToBytes(n));
    },
    { mode: 'write' },
  );
}

async function timeOf(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

function roomOf(...end: readonly number[]): RoomId {
  const bytes = new Uint8Array(32).fill(0xaa);
  bytes.set(end, 16 - end.length);
  return bytesToRoomId(bytes);
}
