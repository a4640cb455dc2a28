import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFolder } from '../../packages/relay/src/storage/folder-lock.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mangrove-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a folder is held by one at a time, by its real path', async () => {
  const lock = await lockFolder(folder);
  await expect(lockFolder(`${folder}/.`)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  await lock.release();
  await (await lockFolder(folder)).release();
});

test('two that come at once do not both get it', async () => {
  const locks = await Promise.allSettled([lockFolder(folder), lockFolder(folder), lockFolder(folder)]);
  const held = locks.flatMap((lock) => (lock.status === 'fulfilled' ? [lock.value] : []));
  expect(held).toHaveLength(1);
  await held[0]?.release();
});
