import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const TESTS = fileURLToPath(new URL('../browser/', import.meta.url));
const PAGE = fileURLToPath(new URL('../../docs/engines.md', import.meta.url));

test('docs/engines.md names every test file of which something is skipped in an engine', () => {
  const table = readFileSync(PAGE, 'utf8').split('## What is skipped where')[1]?.split('\n## ')[0] ?? '';
  const named = new Set([...table.matchAll(/`([\w/-]+)`/g)].map(([, name]) => name));
  const skipping = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && /\bneeds\(|skipIf\(/.test(readFileSync(TESTS + file, 'utf8')))
    .map((file) => file.replace(/\.test\.ts$/, ''));
  expect(skipping.length).toBeGreaterThan(10);
  expect(skipping.filter((name) => !named.has(name))).toEqual([]);
});
