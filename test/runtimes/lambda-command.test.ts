import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { JS_MERGE } from '../support/lambda/js-merge.js';
import { PINNED } from '../support/lambda/pinned.js';
import { PYTHON_MERGE } from '../support/lambda/python-merge.js';

const CLI = fileURLToPath(new URL('../../packages/lambda/dist/cli.js', import.meta.url));
const RUST = fileURLToPath(new URL('../support/lambda/rust/merge.wasm', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'mangrove-lambda-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

function command(...args: readonly string[]): Promise<{ code: number; output: string; errors: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number(error.code), output, errors });
    });
  });
}

const JS = write(
  'merge.js',
  `function merge({ id, siblings }) {
    if (id === 'endless') for (;;);
    const kept = siblings.filter((sibling) => !sibling.deleted).map(({ value }) => value);
    return kept.length === 0 ? undefined : { ...kept[0], count: kept.reduce((sum, { count }) => sum + count, 0) };
  }`,
);
const PYTHON = write(
  'merge.py',
  `def merge(conflict):
    kept = [s["value"] for s in conflict["siblings"] if not s.get("deleted")]
    if not kept:
        return DELETED
    return {"title": kept[0]["title"], "count": sum(v["count"] for v in kept)}
`,
);
const siblings = [
  { replica: 'aa', writtenAt: 5, value: { title: 'old', count: 1 } },
  { replica: 'bb', writtenAt: 7, value: { title: 'new', count: 2 } },
];
const deletes = [
  { replica: 'aa', writtenAt: 5, deleted: true },
  { replica: 'bb', writtenAt: 7, deleted: true },
];
const GOOD = write(
  'good.json',
  JSON.stringify([
    { id: 'a', siblings, result: { count: 3, title: 'new' } },
    { id: 'b', siblings: deletes, deleted: true },
  ]),
);
const BAD = write(
  'bad.json',
  JSON.stringify([
    { id: 'endless', siblings },
    { id: 'a', siblings, result: 1 },
  ]),
);

describe('mangrove-lambda', () => {
  test.each([
    ['JavaScript', JS],
    ['Python', PYTHON],
  ])('checks, runs and hashes %s with the engine that is shipped', async (_, file) => {
    const checked = await command('check', file, GOOD);
    expect(checked).toMatchObject({
      code: 0,
      output: expect.stringContaining('2 of 2 conflicts merged, the same twice'),
    });
    const ran = await command('run', file, GOOD);
    expect(ran).toMatchObject({ code: 0, output: '{"count":3,"title":"new"}\ndeleted\n' });
    const { output } = await command('hash', file);
    expect(checked.output).toContain(output.trim());
    expect((await command('hash', file, '--fuel', '1000000')).output).not.toBe(output);
  });

  test.each([
    ['js', write('pinned.js', JS_MERGE)],
    ['python', write('pinned.py', PYTHON_MERGE)],
    ['wasm', RUST],
  ])('[LB7] ships what gives %s the id that it has in every engine', async (kind, file) => {
    expect((await command('hash', file)).output.trim()).toBe(PINNED.ids[kind]);
  });

  test('[LB8] says what fails and what it comes to, and exits with 1', async () => {
    const checked = await command('check', JS, BAD);
    expect(checked.code).toBe(1);
    expect(checked.output).toContain('FAIL  conflict 1 (endless): failed: FUEL_OUT');
    expect(checked.output).toContain('FAIL  conflict 2 (a): it came to {"count":3,"title":"new"}, not to 1');
    const ran = await command('run', JS, BAD);
    expect(ran.code).toBe(1);
    expect(ran.output).toContain('the newest write wins: {"count":2,"title":"new"}');
  });

  test('refuses a lambda that does not load, and a command that it does not know', async () => {
    const broken = await command('check', write('broken.js', 'let merge = ;'));
    expect(broken).toMatchObject({ code: 1, errors: expect.stringContaining('SyntaxError') });
    expect(await command('hash', write('text.wasm', 'no module'))).toMatchObject({ code: 1 });
    for (const args of [
      [],
      ['merge'],
      ['hash'],
      ['run', JS],
      ['check', 'missing.js'],
      ['hash', GOOD],
      ['hash', JS, '--fuel', 'x'],
    ])
      expect((await command(...args)).code, args.join(' ')).toBe(2);
    expect(await command('--help')).toMatchObject({ code: 0, output: expect.stringContaining('Usage') });
  });
});
