import { bytesToUtf8, equalBytes, type Value, valueToBytes } from '@mangrove/protocol';
import type { Decision } from '../decision.js';

export interface Report {
  readonly lines: readonly string[];
  readonly isOk: boolean;
}

/** A value as tagged JSON; a delete as the word. */
export function valueToText(value: Value | undefined): string {
  return value === undefined ? 'deleted' : bytesToUtf8(valueToBytes(value));
}

export function decisionToText(decision: Decision): string {
  if (decision.by === 'lambda') return valueToText(decision.value);
  const { code, detail } = decision.error;
  if (decision.by === 'nobody') return `undecided: ${code}: ${detail}`;
  return `failed: ${code}: ${detail}; the newest write wins: ${valueToText(decision.value)}`;
}

export function isSameValue(a: Value | undefined, b: Value | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(valueToBytes(a), valueToBytes(b));
}
