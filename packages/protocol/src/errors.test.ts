import { describe, expect, test } from 'vitest';
import {
  type ErrorCode,
  errorCodeFromWire,
  errorCodeToWire,
  errorFromFacts,
  errorToFacts,
  isMangroveError,
  MangroveError,
} from './errors.js';

describe('errors', () => {
  test('codes and their wire numbers are permanent', () => {
    const codes = Array.from({ length: 28 }, (_, i) => errorCodeFromWire(i + 1));
    expect(codes.map((code, i) => `${i + 1} ${code}`)).toMatchInlineSnapshot(`
      [
        "1 FRAME_TOO_LARGE",
        "2 BODY_TOO_LARGE",
        "3 VALUE_TOO_LARGE",
        "4 VALUE_INVALID",
        "5 NAME_INVALID",
        "6 FRAME_MALFORMED",
        "7 DELTA_MALFORMED",
        "8 SIGNATURE_INVALID",
        "9 DELTA_REPLAYED",
        "10 WRONG_ROOM",
        "11 DOT_REUSED",
        "12 CLOCK_AHEAD",
        "13 VERSION_UNSUPPORTED",
        "14 UNAUTHORIZED",
        "15 STORAGE_FULL",
        "16 STORAGE_UNAVAILABLE",
        "17 NO_RELAY",
        "18 NO_SEQUENCER",
        "19 STALE_REPLICA",
        "20 VERSION_MISMATCH",
        "21 ROOM_CONFIG_MISMATCH",
        "22 ROOM_OPTIONS_CONFLICT",
        "23 NOT_SUPPORTED",
        "24 CLOSED",
        "25 UNCERTIFIED",
        "26 UNDECODABLE",
        "27 ABORTED",
        "28 INTERNAL",
      ]
    `);
    for (const [i, code] of codes.entries()) expect(errorCodeToWire(code)).toBe(i + 1);
  });

  test('a number from a newer peer becomes INTERNAL', () => {
    for (const wire of [0, 60_000, 2 ** 40]) expect(errorCodeFromWire(wire)).toBe('INTERNAL');
  });

  test('facts fill the message and survive a boundary', () => {
    const error = new MangroveError('CLOCK_AHEAD', { aheadMs: 7, clockAheadMsMax: 5 });
    expect(error.message).toBe('A stamp lies 7 ms ahead of the clock; 5 ms are allowed.');
    const plain = structuredClone(errorToFacts(error));
    const back = errorFromFacts(plain);
    expect(isMangroveError(back)).toBe(true);
    expect(errorToFacts(back)).toEqual(plain);
    expect(new MangroveError('NAME_INVALID').message).toContain('unknown');
  });

  test('what is no error of ours becomes INTERNAL with its message, also a code that only Object knows', () => {
    expect(errorToFacts(new TypeError('oops'))).toMatchObject({ code: 'INTERNAL', facts: { reason: 'oops' } });
    expect(errorToFacts('text')).toMatchObject({ code: 'INTERNAL', facts: { reason: 'text' } });
    for (const code of ['toString', '__proto__', 'NEVER_HEARD'])
      expect(
        errorFromFacts({ code: code as ErrorCode, message: '', remedy: '', retryable: false, facts: {} }).code,
      ).toBe('INTERNAL');
  });
});
