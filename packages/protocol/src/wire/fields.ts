import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToUtf8, utf8ToBytes } from '../bytes.js';
import { readBytes, readCount, readFixed, readVarUint } from '../codec.js';
import { TRIE_KEY_BYTES } from '../delta.js';
import { errorCodeFromWire, errorCodeToWire, MangroveError } from '../errors.js';
import { HASH_BYTES } from '../hash.js';
import { defaultLimits } from '../limits.js';
import { type Position, ROLL_BYTES, STORE_ID_BYTES } from '../room/log.js';
import type { Cursor, DeltaBytes, Fault, Wanted } from './messages.js';

const FACTS_BYTES_MAX = 4_096;
const FACT_CHARS_MAX = 600;

/** As runs, in ascending order: a push is of what was sealed one after the other. */
export function writeSeqs(encoder: encoding.Encoder, seqs: readonly number[]): void {
  const runs: { first: number; last: number }[] = [];
  for (const seq of [...seqs].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && seq <= run.last + 1) run.last = seq;
    else runs.push({ first: seq, last: seq });
  }
  encoding.writeVarUint(encoder, runs.length);
  for (const [i, { first, last }] of runs.entries()) {
    encoding.writeVarUint(encoder, first - (runs[i - 1]?.last ?? 0));
    encoding.writeVarUint(encoder, last - first);
  }
}

export function readSeqs(decoder: decoding.Decoder): readonly number[] {
  const { deltasPerMessageMax } = defaultLimits;
  const seqs: number[] = [];
  for (let runs = readCount(decoder, 2, deltasPerMessageMax); runs > 0; runs--) {
    const last = seqs.at(-1);
    const gap = readVarUint(decoder);
    // A run that begins where the one before ends would be one with it: one message has one encoding.
    if (gap < (last === undefined ? 1 : 2)) throw new Error('a run that is none of its own');
    const first = (last ?? 0) + gap;
    const more = readVarUint(decoder);
    if (seqs.length + more >= deltasPerMessageMax) throw new Error('an acknowledgement of too much');
    if (!Number.isSafeInteger(first + more)) throw new Error('a number is over 2^53 - 1');
    for (let seq = first; seq <= first + more; seq++) seqs.push(seq);
  }
  return seqs;
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

export function writeDeltas(encoder: encoding.Encoder, deltas: readonly DeltaBytes[]): void {
  encoding.writeVarUint(encoder, deltas.length);
  for (const delta of deltas) encoding.writeVarUint8Array(encoder, delta);
}

export function readDeltas(decoder: decoding.Decoder): readonly DeltaBytes[] {
  const count = readCount(decoder, 1, defaultLimits.deltasPerMessageMax);
  return Array.from({ length: count }, () => readBytes(decoder, defaultLimits.frameBytesMax));
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
