import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const SCENARIOS = 'test/simulation/scenarios.test.ts';
/** As the head of the page says. */
const FOLDERS = { 'room/': 'packages/protocol/src/room/', 'worker/': 'packages/client/src/worker/' };

interface Row {
  readonly number: string;
  readonly tests: string;
}

const rows: readonly Row[] = [...read('docs/scenarios.md').matchAll(/^\| (\d+) \|.*\| (.+) \|$/gm)].map(
  ([, number = '', tests = '']) => ({ number, tests }),
);

function toPath(file: string): string {
  for (const [short, folder] of Object.entries(FOLDERS)) if (file.startsWith(short)) return file.replace(short, folder);
  return file;
}

/** The tests that a row names, by file and a part of their titles. */
function namedTests({ number, tests }: Row): readonly { readonly path: string; readonly titles: readonly string[] }[] {
  const files = [...tests.matchAll(/`([^`]+\.test\.ts)`(?:: ((?:"[^"]+"(?:, )?)+))?/g)];
  const named = files.map(([, file = '', quoted = '']) => ({
    path: toPath(file),
    titles: [...quoted.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title),
  }));
  return /\bsimulation\b(?!\/)/.test(tests) ? [...named, { path: SCENARIOS, titles: [` ${number}:`] }] : named;
}

/** The titles of a file's tests; what stands in its code or its comments is none. */
const titlesOf = (path: string): readonly string[] =>
  [...read(path).matchAll(/\b(?:test|describe)(?:\.\w+)?(?:\([^'"`]*\))?\(\s*(['`])(.+?)\1/gs)].map(
    ([, , title = '']) => title,
  );

test('the scenarios name files and tests that are there', () => {
  expect(rows.map(({ number }) => number)).toEqual(rows.map((_, i) => `${i + 1}`));
  expect(rows.flatMap(namedTests).length).toBeGreaterThan(rows.length);
  for (const row of rows) {
    for (const { path, titles } of namedTests(row)) {
      expect(existsSync(fileURLToPath(new URL(`../../${path}`, import.meta.url))), `${row.number}: ${path}`).toBe(true);
      for (const title of titles) {
        const isThere = titlesOf(path).some((one) => one.includes(title));
        expect(isThere, `${row.number}: ${path} has no test whose title has ${title}`).toBe(true);
      }
    }
  }
});

/** A copy of the tree in which a bug is planted has none of them. */
const planted = new URL('../planted/', import.meta.url);

test.runIf(existsSync(planted))(
  'each scenario that waits for nothing has a planted bug, and its row names a test that is to notice',
  () => {
    const bugs = readdirSync(planted).flatMap((file) => {
      const patch = read(`test/planted/${file}`);
      const scenario = /^Scenario: (\d+)$/m.exec(patch)?.[1];
      return scenario === undefined
        ? []
        : [{ file, scenario, look: /^Look: (.+)$/m.exec(patch)?.[1]?.split(' ') ?? [] }];
    });
    const wanted = rows.filter(({ tests }) => !tests.startsWith('waits for')).map(({ number }) => number);
    expect([...new Set(bugs.map(({ scenario }) => scenario))].sort()).toEqual([...wanted].sort());
    for (const { file, scenario, look } of bugs) {
      const paths = namedTests(rows[Number(scenario) - 1] as Row).map(({ path }) => path);
      expect(
        paths.some((path) => look.includes(path)),
        `${file}: one of ${paths}`,
      ).toBe(true);
    }
  },
);
