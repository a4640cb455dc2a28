import { utf8ToBytes } from '@mangrove/protocol';
import wabt from 'wabt';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Outcome } from '../failure.js';
import { prepareLambda } from '../lambda.js';
import type { LambdaLimits } from '../limits.js';

type Features = Parameters<Awaited<ReturnType<typeof wabt>>['parseWat']>[2];
let parser: Awaited<ReturnType<typeof wabt>>;
beforeAll(async () => {
  parser = await wabt();
});

const INPUT = utf8ToBytes('input');
/** What is allowed, and what the tests of refusals need to say at all. */
const FEATURES: Features = {
  sign_extension: true,
  sat_float_to_int: true,
  bulk_memory: true,
  multi_value: true,
  reference_types: true,
  mutable_globals: true,
};

function toWasm(wat: string, features: Features = FEATURES): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parser.parseWat('lambda.wat', wat, features).toBinary({}).buffer);
}

/** A module whose `merge` has this body, which leaves an i64 on the stack. */
const withMerge = (body: string, more = '', memory = '1'): string => `(module
  (memory (export "memory") ${memory})
  (func (export "alloc") (param i32) (result i32) i32.const 1024)
  (func (export "merge") (param i32 i32) (result i64) ${body})
  ${more})`;
/** Leaves 8 bytes at 0 as the result. */
const EIGHT_BYTES = 'i64.const 0x800000000';

async function run(wat: string, limits: Partial<LambdaLimits> = {}): Promise<Outcome> {
  const lambda = await prepareLambda({ kind: 'wasm', code: toWasm(wat), limits }, () => Promise.reject());
  return lambda.run(INPUT);
}

const refusal = (wat: string, features: Features = FEATURES): Promise<unknown> =>
  prepareLambda({ kind: 'wasm', code: toWasm(wat, features) }, () => Promise.reject()).then(
    () => 'taken',
    (error) => (error as { reason: string }).reason,
  );

const bytesOf = (outcome: Outcome): number[] => {
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.detail}`);
  return [...outcome.bytes];
};

describe('[LB2] fuel', () => {
  // First of all: without it those that follow would not end.
  test('is used by turns of a loop, and by bulk work for its length', async () => {
    const turns = (count: number): string =>
      withMerge(`(local i32) (loop (local.set 2 (i32.add (local.get 2) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get 2) (i32.const ${count})))) ${EIGHT_BYTES}`);
    const few = (await run(turns(10))).fuel;
    // local.get, i32.const, i32.add, local.set, local.get, i32.const, i32.lt_u, br_if, end: nine for each turn.
    expect((await run(turns(1_010))).fuel - few).toBe(9_000);
    const fill = (bytes: number): string =>
      withMerge(`(memory.fill (i32.const 0) (i32.const 7) (i32.const ${bytes})) ${EIGHT_BYTES}`);
    expect((await run(fill(60_800))).fuel - (await run(fill(800))).fuel).toBe(7_500);
  });

  test.each([
    ['a loop', '(loop br 0) unreachable', ''],
    ['a loop that says it takes and gives values', '(drop (loop (result i32) br 0)) i64.const 0', ''],
    ['calls that loop', '(loop call $f br 0) unreachable', '(func $f)'],
    [
      'a loop of zero-length fills',
      '(loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)) br 0) unreachable',
      '',
    ],
    ['a loop of growing by nothing', '(loop (drop (memory.grow (i32.const 0))) br 0) unreachable', ''],
    ['copies of much', '(loop (memory.copy (i32.const 0) (i32.const 1) (i32.const 60000)) br 0) unreachable', ''],
    [
      'fills of a table',
      '(loop (table.fill 0 (i32.const 0) (ref.null func) (i32.const 1000)) br 0) unreachable',
      '(table 1000 funcref)',
    ],
    ['branches by a table', '(loop (block (br_table 0 1 (i32.const 1)))) (loop br 0) unreachable', ''],
  ])('ends %s', async (_, body, more) => {
    const outcome = await run(withMerge(body, more), { fuel: 1_000_000 });
    expect(outcome).toMatchObject({ ok: false, fuel: 1_000_000, error: { code: 'FUEL_OUT' } });
  });

  test('cannot be refilled by a module that names the counter before it is there', async () => {
    // The counter would be global 0: validation of what was given comes first.
    const honest = toWasm(
      withMerge('(loop (global.set 0 (i32.const 1000000)) br 0) unreachable', '(global (mut i32) (i32.const 0))'),
    );
    const section = [6, 6, 1, 0x7f, 1, 0x41, 0, 0x0b];
    const at = honest.findIndex((_, i) => section.every((byte, j) => honest[i + j] === byte));
    const cheat = Uint8Array.from([...honest.slice(0, at), ...honest.slice(at + section.length)]);
    const refused = prepareLambda({ kind: 'wasm', code: cheat }, () => Promise.reject());
    await expect(refused).rejects.toMatchObject({
      code: 'LAMBDA_INVALID',
      reason: expect.stringContaining('valid'),
    });
  });
});

describe('[LB3] depth', () => {
  const recursion = (locals: string): string => withMerge('(call $f) i64.const 0', `(func $f ${locals} (call $f))`);

  test('ends what calls itself, sooner where frames are larger', async () => {
    const small = await run(recursion(''));
    const large = await run(recursion(`(local ${'i64 '.repeat(100)})`));
    expect(small).toMatchObject({ ok: false, error: { code: 'TOO_DEEP' } });
    expect(large).toMatchObject({ ok: false, error: { code: 'TOO_DEEP' } });
    // 128 bytes a frame, and 8 for each local. A call and its end cost three.
    expect(small.fuel / large.fuel).toBeCloseTo(928 / 128, 0);
  });

  test('is given back by every way out of a function', async () => {
    const ways = `
      (func $return (result i32) (block (loop (return (i32.const 1)))) unreachable)
      (func $branch (result i32) (block (br 1 (i32.const 2))) unreachable)
      (func $table (result i32) (block (result i32) (br_table 1 1 (i32.const 3) (i32.const 0))))
      (func $if (param i32) (result i32) (if (result i32) (local.get 0) (then (return (i32.const 4))) (else (i32.const 5))))
      (func $two (result i32 i32) (return (i32.const 6) (i32.const 7)))
      (func $more (result i32 i32) (i32.const 99) (i32.const 8) (i32.const 9) return)`;
    const sum =
      'call $return call $branch i32.add call $table i32.add (call $if (i32.const 1)) i32.add (call $if (i32.const 0)) i32.add call $two i32.add i32.add call $more i32.add i32.add';
    const body = `(local i32) (loop
      (i64.store (i32.const 0) (i64.extend_i32_u (block (result i32) ${sum})))
      (local.set 2 (i32.add (local.get 2) (i32.const 1)))
      (br_if 0 (i32.lt_u (local.get 2) (i32.const 5000)))) ${EIGHT_BYTES}`;
    // Five thousand times all of them, with room for some ten frames.
    const outcome = await run(withMerge(body, ways), { depthBytes: 2_000 });
    expect(bytesOf(outcome)).toEqual([1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe('[LB5] there is one NaN', () => {
  const NAN_64 = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
  const NAN_32 = [0, 0, 0xc0, 0x7f];
  const odd = '(f64.const -nan:0xdeadbeef)';
  const odd32 = '(f32.const -nan:0xbeef)';
  test.each([
    ['stored', `(f64.store (i32.const 0) ${odd})`, NAN_64],
    ['reinterpreted', `(i64.store (i32.const 0) (i64.reinterpret_f64 ${odd}))`, NAN_64],
    ['computed', `(f64.store (i32.const 0) (f64.neg (f64.sqrt (f64.const -1))))`, NAN_64],
    ['a sign', `(f64.store (i32.const 0) (f64.copysign (f64.const 1) ${odd}))`, [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]],
    ['stored in 32 bits', `(f32.store (i32.const 0) ${odd32})`, [...NAN_32, 0, 0, 0, 0]],
    ['reinterpreted in 32 bits', `(i32.store (i32.const 0) (i32.reinterpret_f32 ${odd32}))`, [...NAN_32, 0, 0, 0, 0]],
    [
      'a sign in 32 bits',
      `(f32.store (i32.const 0) (f32.copysign (f32.const 1) ${odd32}))`,
      [0, 0, 0x80, 0x3f, 0, 0, 0, 0],
    ],
  ])('when it is %s', async (_, store, bytes) => {
    expect(bytesOf(await run(withMerge(`${store} ${EIGHT_BYTES}`)))).toEqual(bytes);
  });

  test('whichever compiler made the code: the last of 300,000 turns is as the first', async () => {
    const turns = (count: number): string =>
      withMerge(`(local i32) (local f64) (loop
        (local.set 3 (f64.sub (f64.mul (f64.div (f64.const 0) (f64.convert_i32_s (i32.sub (local.get 2) (local.get 2)))) (f64.const -3)) (local.get 3)))
        (f64.store (i32.const 0) (local.get 3))
        (local.set 2 (i32.add (local.get 2) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get 2) (i32.const ${count})))) ${EIGHT_BYTES}`);
    expect(bytesOf(await run(turns(1)))).toEqual(NAN_64);
    expect(bytesOf(await run(turns(300_000)))).toEqual(NAN_64);
  });
});

describe('[LB4] what a module may be', () => {
  const ok = EIGHT_BYTES;
  test.each([
    ['an import', `(module (import "a" "b" (func)) ${withMerge(ok).slice(7)}`, /imports something/],
    ['a start section', withMerge(ok, '(func $s) (start $s)'), /start section/],
    ['too much memory', withMerge(ok, '', '300'), /300 pages/],
    [
      'no memory',
      '(module (func (export "alloc") (param i32) (result i32) i32.const 0) (func (export "merge") (param i32 i32) (result i64) i64.const 0))',
      /no memory/,
    ],
    ['a large table', withMerge(ok, '(table 10001 funcref)'), /table of 10001/],
    [
      'a table that grows',
      withMerge(`(drop (table.grow 0 (ref.null func) (i32.const 1))) ${ok}`, '(table 1 funcref)'),
      /grows a table/,
    ],
    [
      'no alloc',
      '(module (memory (export "memory") 1) (func (export "merge") (param i32 i32) (result i64) i64.const 0))',
      /no function alloc/,
    ],
    [
      'another merge',
      '(module (memory (export "memory") 1) (func (export "alloc") (param i32) (result i32) i32.const 0) (func (export "merge") (param i32) (result i64) i64.const 0))',
      /its merge has other/,
    ],
    ['no name for its memory', withMerge(ok).replace('(export "memory")', ''), /exports no memory/],
    [
      'a name of ours',
      withMerge(ok, '(global (export "mangrove:fuel") (mut i32) (i32.const 0))'),
      /a name of the sandbox/,
    ],
    ['many locals', withMerge(ok, `(func ${`(local ${'i32 '.repeat(1_000)})`.repeat(11)})`), /11000 locals/],
  ])('refuses %s', async (_, wat, reason) => {
    expect(await refusal(wat)).toMatch(reason);
  });

  test.each([
    [
      'shared memory and atomics',
      { threads: true },
      withMerge(`(drop (i32.atomic.load (i32.const 0))) ${ok}`, '', '1 1 shared'),
    ],
    ['atomics alone', { threads: true }, withMerge(`(drop (i32.atomic.load (i32.const 0))) ${ok}`)],
    ['vectors', { simd: true }, withMerge(`(drop (i32x4.splat (i32.const 0))) ${ok}`)],
    ['a vector as a local', { simd: true }, withMerge(`(local v128) ${ok}`)],
    ['a vector as a global', { simd: true }, withMerge(ok, '(global v128 (v128.const i32x4 0 0 0 0))')],
    ['exceptions', { exceptions: true }, withMerge(ok, '(tag)')],
    ['tail calls', { tail_call: true }, withMerge(ok, '(func $f (return_call $f))')],
    ['several memories', { multi_memory: true }, withMerge(ok, '(memory 1)')],
    ['a memory of 64 bits', { memory64: true }, withMerge(ok, '', 'i64 1')],
  ] as [string, Features, string][])('refuses %s', async (_, feature, wat) => {
    expect(await refusal(wat, { ...FEATURES, ...feature })).not.toBe('taken');
  });

  test('refuses bytes that are no module, and a module that ends early', async () => {
    const whole = toWasm(withMerge(ok));
    for (const code of [new Uint8Array(), new Uint8Array(utf8ToBytes('merge')), whole.slice(0, -3)]) {
      const refused = prepareLambda({ kind: 'wasm', code }, () => Promise.reject());
      await expect(refused).rejects.toMatchObject({ code: 'LAMBDA_INVALID' });
    }
  });
});

describe('[LB6, LB8] a run', () => {
  test('begins anew: hidden globals and tables are as they were', async () => {
    const counter = withMerge(
      `(global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.store8 (i32.const 0) (global.get $n))
       (if (ref.is_null (table.get $t (i32.const 0))) (then (table.set $t (i32.const 0) (ref.func $f))) (else (i32.store8 (i32.const 1) (i32.const 1))))
       i64.const 0x200000000`,
      '(global $n (mut i32) (i32.const 0)) (table $t 1 funcref) (func $f) (elem declare func $f)',
    );
    const lambda = await prepareLambda({ kind: 'wasm', code: toWasm(counter) }, () => Promise.reject());
    const first = lambda.run(INPUT);
    expect(bytesOf(first)).toEqual([1, 0]);
    expect(lambda.run(INPUT)).toEqual(first);
  });

  test('calls _initialize first, with fuel', async () => {
    const initialized = withMerge(
      `i64.const 0x100000000`,
      '(func (export "_initialize") (i32.store8 (i32.const 0) (i32.const 9)))',
    );
    expect(bytesOf(await run(initialized))).toEqual([9]);
    expect(await run(withMerge(EIGHT_BYTES, '(func (export "_initialize") (loop br 0))'))).toMatchObject({
      error: { code: 'FUEL_OUT' },
    });
  });

  test.each([
    ['a trap', 'unreachable', 'TRAPPED'],
    ['a division by zero', '(i64.div_u (i64.const 1) (i64.const 0))', 'TRAPPED'],
    ['a load out of bounds', '(i64.load (i32.const 70000))', 'TRAPPED'],
    ['a result outside of the memory', 'i64.const 0x7fffffff00000000', 'OUTPUT_INVALID'],
    ['a result at the end of the addresses', 'i64.const -1', 'OUTPUT_INVALID'],
  ])('that comes to %s says so', async (_, body, code) => {
    expect(await run(withMerge(body))).toMatchObject({ ok: false, error: { code } });
  });

  test('gets the memory that the limits allow, and no more', async () => {
    // Grows page by page until it is refused, and says how often it could.
    const greedy = withMerge(`(local i32) (loop (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then
      (local.set 2 (i32.add (local.get 2) (i32.const 1))) (br 1)))) (i32.store (i32.const 0) (local.get 2)) i64.const 0x400000000`);
    expect(bytesOf(await run(greedy))).toEqual([255, 0, 0, 0]);
  });

  test('takes no more input and gives no more output than the limits say', async () => {
    expect(await run(withMerge(EIGHT_BYTES), { inputBytes: 4 })).toMatchObject({
      error: { code: 'INPUT_TOO_LARGE' },
      fuel: 0,
    });
    expect(await run(withMerge(EIGHT_BYTES), { outputBytes: 7 })).toMatchObject({
      error: { code: 'OUTPUT_TOO_LARGE' },
    });
    const strange = withMerge(EIGHT_BYTES).replace('i32.const 1024', 'i32.const 65534');
    expect(await run(strange)).toMatchObject({ error: { code: 'TRAPPED' } });
  });
});
