import { ChaiStyleAssertions, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from '@vitest/expect';
import * as chai from 'chai';

/** Vitest's words, as far as a contract uses them, for a runtime in which Vitest itself does not run. */
chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(ChaiStyleAssertions);
chai.use(JestAsymmetricMatchers);
export const expect = ((value: unknown, message?: string) =>
  chai.expect(value, message)) as unknown as typeof chai.expect;

export interface Outcome {
  readonly title: string;
  readonly error?: string;
  readonly skipped?: string;
}

interface Context {
  readonly skip: (note: string) => never;
}
type Run = (...args: never[]) => unknown;

class Skipped extends Error {}

interface Block {
  readonly name: string;
  readonly before: (() => unknown)[];
  readonly after: (() => unknown)[];
}

interface Test {
  readonly title: string;
  readonly block: Block;
  readonly run: (context: Context) => unknown;
}

let block: Block = { name: '', before: [], after: [] };
const tests: Test[] = [];

/** The hooks of one `describe` run around its own tests. */
export function describe(name: string, define: () => void): void {
  block = { name, before: [], after: [] };
  define();
}

export function test(title: string, run: (context: Context) => unknown): void {
  tests.push({ title: `${block.name}: ${title}`, block, run });
}

test.each =
  (table: readonly (readonly unknown[])[]) =>
  (title: string, run: Run): void => {
    for (const row of table) test(title.replace('%s', String(row[0])), () => run(...(row as never[])));
  };

export function beforeEach(run: () => unknown): void {
  block.before.push(run);
}

export function afterEach(run: () => unknown): void {
  block.after.push(run);
}

/** Runs all tests that were defined, one after the other. */
export async function runTests(): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const each of tests) outcomes.push(await runTest(each));
  return outcomes;
}

async function runTest({ title, block: { before, after }, run }: Test): Promise<Outcome> {
  try {
    for (const hook of before) await hook();
    await run({
      skip: (note) => {
        throw new Skipped(note);
      },
    });
    for (const hook of after) await hook();
    return { title };
  } catch (error) {
    if (error instanceof Skipped) return { title, skipped: error.message };
    return { title, error: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) };
  }
}
