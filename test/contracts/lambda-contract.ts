import { bytesToHex, concatBytes, utf8ToBytes, type Value, valueToBytes } from '@mangrove/protocol';
import { sha256 } from '@noble/hashes/sha2.js';
import { beforeAll, describe, expect, test } from 'vitest';
import { bytesToMerged, conflictToBytes } from '../../packages/lambda/src/conflict.js';
import { isDeterministic, type Outcome } from '../../packages/lambda/src/failure.js';
import { type EngineKind, type Lambda, prepareLambda } from '../../packages/lambda/src/lambda.js';
import type { LambdaKind } from '../../packages/lambda/src/lambda-id.js';
import type { LambdaLimits } from '../../packages/lambda/src/limits.js';
import { ENGINE_OPTIONS } from '../../packages/lambda/src/meter/engine-options.js';
import { meterModule } from '../../packages/lambda/src/meter/meter.js';
import { makeConflicts } from '../support/lambda/conflicts.js';
import { HOSTILE_JS, hostileJs } from '../support/lambda/hostile-js.js';
import { HOSTILE_PYTHON, hostilePython } from '../support/lambda/hostile-python.js';
import { JS_MERGE } from '../support/lambda/js-merge.js';
import { PINNED } from '../support/lambda/pinned.js';
import { PYTHON_MERGE } from '../support/lambda/python-merge.js';
import { makeRandom } from '../support/random.js';

/** What a host of lambdas provides: the engines as they are published, and the module of `test/support/lambda/rust`. */
export interface LambdaHost {
  readEngine(kind: EngineKind): Promise<Uint8Array<ArrayBuffer>>;
  readRust(): Promise<Uint8Array<ArrayBuffer>>;
}

const MERGES = 2_000;
/** A seventh of the default: enough to see that it ends, and where. */
const HOSTILE_FUEL = 30_000_000;
const SET_MS_MAX = 120_000;

/**
 * What holds on every replica, byte for byte, and so in every engine that runs it: the same outputs, the same fuel, the same failures. Meters
 * the engines here, so the rewriter is tried in every engine as well.
 */
export function describeLambdas(name: string, host: LambdaHost): void {
  describe(`lambdas in ${name}`, () => {
    const engines = new Map<EngineKind, Uint8Array<ArrayBuffer>>();
    const code = new Map<LambdaKind, Uint8Array<ArrayBuffer>>([
      ['js', new Uint8Array(utf8ToBytes(JS_MERGE))],
      ['python', new Uint8Array(utf8ToBytes(PYTHON_MERGE))],
    ]);
    const prepare = (
      kind: LambdaKind,
      source: string | Uint8Array<ArrayBuffer>,
      limits?: Partial<LambdaLimits>,
    ): Promise<Lambda> =>
      prepareLambda(
        {
          kind,
          code: typeof source === 'string' ? new Uint8Array(utf8ToBytes(source)) : source,
          ...(limits && { limits }),
        },
        async (engine) => engines.get(engine) as Uint8Array<ArrayBuffer>,
      );
    const seen = (part: keyof typeof PINNED, name: string, text: string): void => {
      expect(text, `${part}: ${name}`).toBe(PINNED[part][name]);
    };

    beforeAll(async () => {
      for (const kind of ['js', 'python'] as const)
        engines.set(kind, meterModule(await host.readEngine(kind), ENGINE_OPTIONS[kind]));
      code.set('wasm', await host.readRust());
    }, SET_MS_MAX);

    test('[LB2, LB5, LB7] the rewriter makes of an engine the same bytes everywhere', () => {
      for (const [kind, engine] of engines) seen('engines', kind, bytesToHex(sha256(engine)));
    });

    describe.each(['js', 'python', 'wasm'] as const)('in %s', (kind) => {
      const conflicts = makeConflicts(20_261_130, MERGES).map(conflictToBytes);
      let lambda: Lambda;
      beforeAll(async () => {
        lambda = await prepare(kind, code.get(kind) as Uint8Array<ArrayBuffer>);
      }, SET_MS_MAX);

      test('[LB7] the id is the same everywhere', () => {
        seen('ids', kind, lambda.id);
      });

      test(`[LB1, LB6] ${MERGES} merges give the pinned bytes and take the pinned fuel`, {
        timeout: SET_MS_MAX,
      }, () => {
        const outcomes = conflicts.map((conflict) => lambda.run(conflict));
        const deterministic = outcomes.filter((outcome) => outcome.ok || isDeterministic(outcome.error.code));
        expect(deterministic).toHaveLength(MERGES);
        seen('merges', kind, digest(outcomes));
      });

      test('[LB6] what ran before leaves nothing: backwards, between traps, and in a new instance', {
        timeout: SET_MS_MAX,
      }, async () => {
        const some = conflicts.slice(0, 60);
        const forwards = some.map((conflict) => lambda.run(conflict));
        const broken = utf8ToBytes('{"siblings":17}');
        const backwards = some.toReversed().map((conflict) => {
          lambda.run(broken);
          return lambda.run(conflict);
        });
        expect(backwards.toReversed()).toEqual(forwards);
        const another = await prepare(kind, code.get(kind) as Uint8Array<ArrayBuffer>);
        expect(some.map((conflict) => another.run(conflict))).toEqual(forwards);
      });
    });

    test.each([
      ['js', 'function merge({ siblings }) { return siblings[0].value; }'],
      ['python', 'def merge(conflict):\n    return conflict["siblings"][0]["value"]\n'],
    ] as const)(
      '[LB1] %s gives back 20,000 numbers and all kinds of values as they were',
      { timeout: SET_MS_MAX },
      async (kind, source) => {
        const echo = await prepare(kind, source);
        const values: Value[] = [...randomNumbers(40, 500), ALL_KINDS];
        for (const value of values) {
          const [conflict] = makeConflicts(1, 1);
          const sibling = { ...conflict!.siblings[0]!, value };
          const outcome = echo.run(conflictToBytes({ collection: 'c', id: 'i', siblings: [sibling] }));
          if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.detail}`);
          const merged = bytesToMerged(outcome.bytes);
          if ('error' in merged) throw new Error(merged.error.detail);
          expect(valueToBytes(merged.value)).toEqual(valueToBytes(value));
        }
      },
    );

    test.each([
      ['js', HOSTILE_JS, hostileJs],
      ['python', HOSTILE_PYTHON, hostilePython],
    ] as const)(
      '[LB2, LB3, LB6, LB8] hostile %s comes to its pinned end, and what comes next is right',
      { timeout: SET_MS_MAX },
      async (kind, set, wrap) => {
        const [first] = makeConflicts(3, 1);
        const ordinary = conflictToBytes({ ...first!, id: 'ordinary' });
        const hostile = conflictToBytes({ ...first!, id: 'hostile' });
        for (const [name, body] of Object.entries(set)) {
          const lambda = await prepare(kind, wrap(body), { fuel: HOSTILE_FUEL });
          const before = lambda.run(ordinary);
          seen(kind, name, describeOutcome(lambda.run(hostile)));
          expect(lambda.run(ordinary), `after one that ${name}`).toEqual(before);
          expect(before, name).toMatchObject({ ok: true, bytes: utf8ToBytes(String(first!.siblings.length)) });
        }
      },
    );
  });
}

/** The kinds of values that JSON lacks, and what looks like them and is not. */
const ALL_KINDS: Value = {
  bytes: Uint8Array.of(0, 255, 7),
  date: new Date(1_700_000_000_123),
  large: 2n ** 200n,
  map: new Map<Value, Value>([
    [1, 'one'],
    ['k', new Date(0)],
  ]),
  dollar: { $date: 'no date' },
  text: 'naïve 日本 🦀 \u0000 \u2028 "\\',
  nested: [[[null, true, -0, 1e21, 5e-324]]],
};

function* randomNumbers(lists: number, length: number): Generator<Value> {
  const random = makeRandom(7);
  const words = new Uint32Array(2);
  const numbers = new Float64Array(words.buffer);
  for (let i = 0; i < lists; i += 1) {
    yield Array.from({ length }, () => {
      do words.set([random.below(2 ** 32), random.below(2 ** 32)]);
      while (!Number.isFinite(numbers[0]));
      return numbers[0] as number;
    });
  }
}

function describeOutcome(outcome: Outcome): string {
  if (!outcome.ok) return `${outcome.error.code} ${outcome.fuel}`;
  return `ok ${outcome.fuel} ${bytesToHex(sha256(outcome.bytes)).slice(0, 16)} ${'error' in bytesToMerged(outcome.bytes) ? 'OUTPUT_INVALID' : ''}`.trim();
}

/** Of all outputs, in their order, and the fuel that they took together. */
function digest(outcomes: readonly Outcome[]): string {
  const parts = outcomes.map((outcome) => (outcome.ok ? outcome.bytes : utf8ToBytes(outcome.error.code)));
  const fuel = outcomes.reduce((sum, outcome) => sum + outcome.fuel, 0);
  const failures = outcomes.filter(({ ok }) => !ok).length;
  return `${bytesToHex(sha256(concatBytes(...parts.flatMap((part) => [part, Uint8Array.of(10)])))).slice(0, 16)} ${fuel} ${failures}`;
}
