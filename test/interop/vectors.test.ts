import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readVectors, vectorFolder, vectorMakers } from './vectors.js';

const PYTHON_MS_MAX = 120_000;
const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython) console.log('No python3 here: the independent check of the vectors is left out.');

describe('vectors', () => {
  test.each(Object.keys(vectorMakers))('%s are those that the code makes', (name) => {
    expect(JSON.parse(JSON.stringify(vectorMakers[name]?.()))).toEqual(readVectors(name));
  });

  test('there is a file for each, and every invalid one says with which code', () => {
    expect(readdirSync(vectorFolder).sort()).toEqual(
      Object.keys(vectorMakers)
        .map((name) => `${name}.json`)
        .sort(),
    );
    const cases = [
      readVectors('malformed'),
      ...['values', 'deltas', 'compressed', 'backups'].map(
        (name) => (readVectors(name) as { invalid: unknown }).invalid,
      ),
    ];
    for (const { name, code } of cases.flat() as { name: string; code?: string }[])
      expect(code, name).toMatch(/^[A-Z_]+$/);
  });

  test.runIf(hasPython)(
    'another implementation, written from SPEC.md and GRAMMAR.md alone, reads and recomputes all of them',
    { timeout: PYTHON_MS_MAX },
    () => {
      const check = fileURLToPath(new URL('independent/check.py', import.meta.url));
      const { status, stdout, stderr } = spawnSync('python3', ['-B', check], { encoding: 'utf8' });
      expect(stderr).toBe('');
      expect(status, stdout).toBe(0);
      expect(stdout.match(/^ok /gm)).toHaveLength(Object.keys(vectorMakers).length + 2);
    },
  );
});
