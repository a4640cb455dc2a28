import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToUtf8, utf8ToBytes } from '../bytes.js';
import { readBytes, readFixed, readVarUint } from '../codec.js';
import { TRIE_KEY_BYTES } from '../delta.js';
import { errorCodeFromWire, errorCodeToWire, MangroveError } from '../errors.js';
import { HASH_BYTES } from '../hash.js';
import { defaultLimits } from '../limits.js';
import { type Position, ROLL_BYTES, STORE_ID_BYTES } from '../room/log.js';
import type { LinkMemory } from './link-memory.js';
import type { Cursor, DeltaBytes, Deltas, Fault, Wanted } from './messages.js';
import { readToldDelta, writeToldDelta } from './told-delta.js';

const FACTS_BYTES_MAX = 4_096;
const FACT_CHARS_MAX = 600;

/**
 * As runs, in ascending order: a push is of what was sealed one after the other. They are counted from the number that was acknowledged last where
 * they lie beyond it. `flag`: beside their count.
 */
export function writeSeqs(encoder: encoding.Encoder, seqs: readonly number[], flag: boolean, memory: LinkMemory): void {
  const runs: { first: number; last: number }[] = [];
  for (const seq of [...seqs].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && seq <= run.last + 1) run.last = seq;
    else runs.push({ first: seq, last: seq });
  }
  const from = (runs[0]?.first ?? 0) > memory.lastSeq ? memory.lastSeq : 0;
  writeCounted(encoder, runs.length, (flag ? 1 : 0) + (from > 0 ? 2 : 0), 4);
  for (const [i, { first, last }] of runs.entries()) {
    encoding.writeVarUint(encoder, first - (runs[i - 1]?.last ?? from));
    encoding.writeVarUint(encoder, last - first);
  }
  memory.keepSeqs(seqs);
}

export function readSeqs(
  decoder: decoding.Decoder,
  memory: LinkMemory,
): { readonly seqs: readonly number[]; readonly flag: boolean } {
  const { deltasPerMessageMax } = defaultLimits;
  const seqs: number[] = [];
  const { count, beside } = readCounted(decoder, 4, 2);
  const isFurther = beside >= 2;
  if (isFurther && (count === 0 || memory.lastSeq === 0)) throw new MangroveError('BASE_UNKNOWN');
  const from = isFurther ? memory.lastSeq : 0;
  for (let runs = count; runs > 0; runs--) {
    const last = seqs.at(-1);
    const gap = readVarUint(decoder);
    // A run that begins where the one before ends would be one with it: one message has one encoding.
    if (gap < (last === undefined ? 1 : 2)) throw new Error('a run that is none of its own');
    const first = (last ?? from) + gap;
    const more = readVarUint(decoder);
    if (seqs.length + more >= deltasPerMessageMax) throw new Error('an acknowledgement of too much');
    if (!Number.isSafeInteger(first + more)) throw new Error('a number is over 2^53 - 1');
    for (let seq = first; seq <= first + more; seq++) seqs.push(seq);
  }
  memory.keepSeqs(seqs);
  return { seqs, flag: beside % 2 === 1 };
}

export function writePosition(encoder: encoding.Encoder, { offset, roll, root }: Position): void {
  encoding.writeVarUint(encoder, offset);
  encoding.writeUint8Array(encoder, roll);
  encoding.writeUint8Array(encoder, root);
}

export function readPosition(decoder: decoding.Decoder): Position {
  return {
    offset: readVarUint(decoder),
    roll: readFixed(decoder, ROLL_BYTES),
    root: readFixed(decoder, HASH_BYTES),
  };
}

/** What a message of deltas says of the relay's place in its log, beside their count. */
const PLACE = { none: 0, whole: 1, rootless: 2, later: 3 } as const;
export const PLACES = 4;

export function placeOf(position: Deltas['position']): number {
  if (position === undefined) return PLACE.none;
  if (position === 'later') return PLACE.later;
  return position.root === undefined ? PLACE.rootless : PLACE.whole;
}

export function readPlace(decoder: decoding.Decoder, place: number): Deltas['position'] {
  if (place === PLACE.none) return undefined;
  if (place === PLACE.later) return 'later';
  if (place === PLACE.whole) return readPosition(decoder);
  return { offset: readVarUint(decoder), roll: readFixed(decoder, ROLL_BYTES), root: undefined };
}

export function writeCursor(encoder: encoding.Encoder, { storeId, offset, roll }: Cursor): void {
  encoding.writeUint8Array(encoder, storeId);
  encoding.writeVarUint(encoder, offset);
  encoding.writeUint8Array(encoder, roll);
}

export function readCursor(decoder: decoding.Decoder): Cursor {
  return {
    storeId: readFixed(decoder, STORE_ID_BYTES),
    offset: readVarUint(decoder),
    roll: readFixed(decoder, ROLL_BYTES),
  };
}

/** A count with a small number beside it, which is below `of`: most messages of deltas have one delta. */
export function writeCounted(encoder: encoding.Encoder, count: number, beside: number, of: number): void {
  encoding.writeVarUint(encoder, count * of + beside);
}

/** The count is checked like any other. */
export function readCounted(
  decoder: decoding.Decoder,
  of: number,
  itemBytesMin: number,
): { readonly count: number; readonly beside: number } {
  const both = readVarUint(decoder);
  const count = Math.floor(both / of);
  const left = decoder.arr.length - decoder.pos;
  if (count > defaultLimits.deltasPerMessageMax || count * itemBytesMin > left)
    throw new Error(`a count of ${count} is out of bounds`);
  return { count, beside: both % of };
}

export function writeDeltas(encoder: encoding.Encoder, deltas: readonly DeltaBytes[], memory: LinkMemory): void {
  for (const delta of deltas) writeToldDelta(encoder, delta, memory);
}

export function readDeltas(decoder: decoding.Decoder, count: number, memory: LinkMemory): readonly DeltaBytes[] {
  return Array.from({ length: count }, () => readToldDelta(decoder, memory));
}

/** More parts than one side may ask for at once is no message. */
export function readWanted(decoder: decoding.Decoder): Wanted {
  const trieKey = readFixed(decoder, TRIE_KEY_BYTES);
  const from = readVarUint(decoder);
  const count = readVarUint(decoder);
  if (count > defaultLimits.wantedPartsMax) throw new Error(`${count} parts are wanted`);
  return { trieKey, from, count };
}

export function writeFault(encoder: encoding.Encoder, { code, facts }: Omit<Fault, 'kind'>): void {
  encoding.writeVarUint(encoder, errorCodeToWire(code));
  encoding.writeVarUint8Array(encoder, factsToBytes(facts));
}

/** What a reader would leave out, or refuse the whole message for, is not sent: a reason that nobody can read helps nobody. */
function factsToBytes(facts: Readonly<Record<string, unknown>>): Uint8Array {
  const kept: Record<string, string | number> = {};
  let bytes = utf8ToBytes('{}');
  for (const [key, fact] of Object.entries(facts)) {
    if (!isFact(key, fact)) continue;
    const text = JSON.stringify({ ...kept, [key]: typeof fact === 'string' ? fact.slice(0, FACT_CHARS_MAX) : fact });
    const longer = utf8ToBytes(text);
    if (longer.length > FACTS_BYTES_MAX) continue;
    Object.defineProperty(kept, key, { value: JSON.parse(text)[key], enumerable: true });
    bytes = longer;
  }
  return bytes;
}

function isFact(key: string, fact: unknown): fact is string | number {
  return /^\w{1,40}$/.test(key) && (typeof fact === 'string' || (typeof fact === 'number' && Number.isFinite(fact)));
}

/** Facts are shown to people, never acted on: only short texts and numbers come through. */
export function readFault(decoder: decoding.Decoder): Omit<Fault, 'kind'> {
  const code = errorCodeFromWire(readVarUint(decoder));
  const parsed: unknown = JSON.parse(bytesToUtf8(readBytes(decoder, FACTS_BYTES_MAX)));
  if (typeof parsed !== 'object' || parsed === null) throw new Error('facts are no object');
  const facts = Object.entries(parsed).filter(([key, fact]) => isFact(key, fact));
  return { code, facts: Object.fromEntries(facts) as Record<string, string | number> };
}

export function writeOptional<T>(encoder: encoding.Encoder, value: T | undefined, write: (present: T) => void): void {
  encoding.writeUint8(encoder, value === undefined ? 0 : 1);
  if (value !== undefined) write(value);
}

export function readOptional<T>(decoder: decoding.Decoder, read: () => T): T | undefined {
  return readFlag(decoder) ? read() : undefined;
}

export function readFlag(decoder: decoding.Decoder): boolean {
  const flag = decoding.readUint8(decoder);
  if (flag > 1) throw new MangroveError('FRAME_MALFORMED', { reason: `a flag of ${flag}` });
  return flag === 1;
}
