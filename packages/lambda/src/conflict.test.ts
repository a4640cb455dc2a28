import { bytesToUtf8, type Hlc, type ReplicaId, type SiblingValue, utf8ToBytes, type Value } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import { bytesToMerged, conflictOfEntry, conflictToBytes } from './conflict.js';
import { decide } from './decision.js';
import { FAILURE_CODES, type FailureCode, isDeterministic, type Outcome } from './failure.js';

const sibling = (value: Value | undefined, writtenAt: number, replica: string): SiblingValue<Value> => ({
  value,
  replica: replica as ReplicaId,
  writtenAt: writtenAt as Hlc,
  bytes: new Uint8Array(),
});

const NEW = sibling({ at: new Date(5), one: { $x: 1 } }, 9, 'bb');
const OLD = sibling(undefined, 8, 'cc');
const TIED = sibling('tied', 9, 'aa');
const CONFLICT = { collection: 'to "dos"', id: 'ä', siblings: [OLD, TIED, NEW] };

describe('[LB1] the bytes of a conflict', () => {
  test('are canonical: the newest first, values tagged, deletes said', () => {
    const wanted =
      '{"collection":"to \\"dos\\"","id":"ä","siblings":[' +
      '{"replica":"bb","value":{"at":{"$date":5},"one":{"$$x":1}},"writtenAt":9},' +
      '{"replica":"aa","value":"tied","writtenAt":9},{"deleted":true,"replica":"cc","writtenAt":8}]}';
    expect(bytesToUtf8(conflictToBytes(CONFLICT))).toBe(wanted);
    const turned = { ...CONFLICT, siblings: CONFLICT.siblings.toReversed() };
    expect(conflictToBytes(turned)).toEqual(conflictToBytes(CONFLICT));
  });

  test('hold a value that is as deep as a value may be', () => {
    let deep: Value = 1;
    for (let i = 0; i < 64; i += 1) deep = [deep];
    const bytes = conflictToBytes({ collection: 'c', id: 'i', siblings: [sibling(deep, 1, 'aa')] });
    expect(JSON.parse(bytesToUtf8(bytes)).siblings[0].value.flat(64)).toEqual([1]);
  });

  test('come from an entry of a collection as well', () => {
    const entry = { siblings: [{ value: 1, replica: 'aa', writtenAtMs: 2 }] };
    const text = bytesToUtf8(conflictToBytes(conflictOfEntry('c', 'i', entry)));
    expect(text).toBe('{"collection":"c","id":"i","siblings":[{"replica":"aa","value":1,"writtenAt":2048}]}');
  });
});

describe('[LB1] the bytes of a result', () => {
  test.each([
    ['', undefined],
    ['{"b": 1.0, "a": [1e2, -0]}', { a: [100, 0], b: 1 }],
    ['{"$date":3}', new Date(3)],
    ['{"$$date":3}', { $date: 3 }],
    ['{"__proto__":1}', JSON.parse('{"__proto__":1}')],
  ])('%j are a value in any spelling', (text, value) => {
    expect(bytesToMerged(utf8ToBytes(text))).toEqual({ value });
  });

  test.each(['nan', '1e999', '{"$date":"soon"}', '"\\ud800"', `${'['.repeat(66)}${']'.repeat(66)}`, '{', 'Infinity'])(
    '%j are none',
    (text) => {
      expect(bytesToMerged(utf8ToBytes(text))).toMatchObject({ error: { code: 'OUTPUT_INVALID' } });
    },
  );

  test('that are no UTF-8 are none either', () => {
    expect(bytesToMerged(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22))).toMatchObject({
      error: { code: 'OUTPUT_INVALID' },
    });
  });
});

describe('[LB8] what becomes of a conflict', () => {
  const ok = (text: string): Outcome => ({ ok: true, bytes: new Uint8Array(utf8ToBytes(text)), fuel: 1 });

  test('a value, or a delete, of the lambda', () => {
    expect(decide(CONFLICT, ok('7'))).toEqual({ by: 'lambda', value: 7 });
    expect(decide(CONFLICT, ok(''))).toEqual({ by: 'lambda', value: undefined });
  });

  test('the newest write where the result is no value', () => {
    expect(decide(CONFLICT, ok('nan'))).toMatchObject({
      by: 'fallback',
      value: NEW.value,
      error: { code: 'OUTPUT_INVALID' },
    });
  });

  const NOT_DETERMINISTIC: readonly FailureCode[] = [
    'TIMED_OUT',
    'NO_MEMORY',
    'HOST_STACK',
    'UNAVAILABLE',
    'HOST_FAILED',
  ];
  test.each(FAILURE_CODES)('%s decides where every replica comes to it, and nothing else does', (code) => {
    const outcome: Outcome = { ok: false, error: { code, detail: '' }, fuel: 0 };
    expect(isDeterministic(code)).toBe(!NOT_DETERMINISTIC.includes(code));
    expect(decide(CONFLICT, outcome).by).toBe(NOT_DETERMINISTIC.includes(code) ? 'nobody' : 'fallback');
  });
});
