import { describe, expect, test } from 'vitest';
import { lambdaIdOf, type LambdaKind } from './lambda-id.js';
import { defaultLambdaLimits, type LambdaLimits } from './limits.js';

const ENGINE = Uint8Array.of(1);
const SOURCE = Uint8Array.of(2);
const idOf = (kind: LambdaKind = 'js', engine = ENGINE, source = SOURCE, limits: Partial<LambdaLimits> = {}): string =>
  lambdaIdOf(kind, engine, source, { ...defaultLambdaLimits, ...limits });

describe('[LB7] the id of a lambda', () => {
  test('is the same for the same, and 64 hex digits', () => {
    expect(idOf()).toMatch(/^[0-9a-f]{64}$/);
    expect(idOf()).toBe(idOf());
  });

  test('is another for another kind, engine or source, and for one moved to the place of the other', () => {
    const ids = [
      idOf(),
      idOf('python'),
      idOf('wasm'),
      idOf('js', SOURCE),
      idOf('js', ENGINE, ENGINE),
      idOf('js', SOURCE, ENGINE),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each(['fuel', 'loadFuel', 'depthBytes', 'inputBytes', 'outputBytes'] as const)(
    'is another for another %s',
    (limit) => {
      expect(idOf('js', ENGINE, SOURCE, { [limit]: 1_000 })).not.toBe(idOf());
    },
  );
});
