import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('each planted bug can be planted in the tree as it is', () => {
  const patches = readdirSync(`${ROOT}test/planted`).filter((name) => name.endsWith('.patch'));
  expect(patches.length).toBeGreaterThan(100);
  const fails = patches.filter(
    (name) => spawnSync('git', ['apply', '--check', `test/planted/${name}`], { cwd: ROOT }).status !== 0,
  );
  expect(fails).toEqual([]);
});
