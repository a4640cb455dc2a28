import type * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { equalBytes } from '../bytes.js';
import { encode, readBytes, readFixed, readU8, readVarUint } from '../codec.js';
import { MangroveError } from '../errors.js';
import { TICKS_PER_MS } from '../hlc.js';
import { SIGNATURE_BYTES } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { BASE_BYTES_MAX, type DeltaParts, joinDelta, partsOfDelta } from './delta-parts.js';
import { type LinkMemory, SLOTS, slotOfDelta } from './link-memory.js';
import type { DeltaBytes } from './messages.js';
import { readToldBody, writeToldBody } from './told-body.js';

/**
 * How a delta is told on a link: whole, or by its difference from the last one of its replica and key that was told there [SY21]. The first
 * byte says which of the usual things hold; 0 is a whole delta.
 */
const WHOLE = 0;
const NEXT = 1;
const SAME_SLOT = 2;
const SEQ_IS_NEXT = 4;
const COUNTER_IS_ZERO = 8;
const AGE_IN_MS = 16;
const SAME_BODY_LENGTH = 32;
const KNOWN_BITS = 63;

/** As a delta was told last by its difference, and by what: whoever else is told it by the same is told the same bytes. */
interface Told {
  /** Tells the base from any others without holding it, which would hold its own base, and so on. */
  readonly baseSerial: number | undefined;
  readonly isSameSlot: boolean;
  readonly bytes: Uint8Array;
}

/** A room tells each of its links all but what that link has said, so that messages differ where most of what they tell does not. */
const toldByParts = new WeakMap<DeltaParts, Told>();
const serialByParts = new WeakMap<DeltaParts, number>();
let serials = 0;

export function writeToldDelta(encoder: encoding.Encoder, delta: DeltaBytes, memory: LinkMemory): void {
  const parts = partsOfDelta(delta);
  if (parts === undefined) {
    writeWhole(encoder, delta);
    return;
  }
  const slot = slotOfDelta(parts);
  const base = memory.delta(slot);
  const baseSerial = base && serialOf(base);
  const isSameSlot = slot === memory.lastSlot;
  const told = toldByParts.get(parts);
  if (told !== undefined && told.baseSerial === baseSerial && told.isSameSlot === isSameSlot)
    encoding.writeUint8Array(encoder, told.bytes);
  else if (base !== undefined && isNext(parts, base)) {
    const bytes = encode((own) => writeNext(own, parts, base, isSameSlot));
    toldByParts.set(parts, { baseSerial, isSameSlot, bytes });
    encoding.writeUint8Array(encoder, bytes);
  } else writeWhole(encoder, delta);
  memory.keepDelta(parts);
}

function serialOf(parts: DeltaParts): number {
  let serial = serialByParts.get(parts);
  if (serial === undefined) serialByParts.set(parts, (serial = ++serials));
  return serial;
}

function writeWhole(encoder: encoding.Encoder, delta: DeltaBytes): void {
  encoding.writeUint8(encoder, WHOLE);
  encoding.writeVarUint8Array(encoder, delta);
}

/** The very bytes that were signed. Throws `BASE_UNKNOWN` where what it was told by is not remembered. */
export function readToldDelta(decoder: decoding.Decoder, memory: LinkMemory): DeltaBytes {
  const bits = readU8(decoder);
  if (bits === WHOLE) {
    const delta = readBytes(decoder, defaultLimits.frameBytesMax);
    const parts = partsOfDelta(delta);
    if (parts !== undefined) memory.keepDelta(parts);
    return delta;
  }
  if ((bits & NEXT) === 0 || bits > KNOWN_BITS) throw new Error(`a delta told as ${bits}`);
  const parts = readNext(decoder, bits, memory);
  memory.keepDelta(parts);
  return parts.bytes;
}

/** Whether only what a keystroke changes is different, and `prev` is the base. */
function isNext(parts: DeltaParts, base: DeltaParts): boolean {
  return (
    parts.hlc > base.hlc &&
    parts.sincePrev === parts.hlc - base.hlc &&
    parts.seq > base.seq &&
    equalBytes(parts.front, base.front) &&
    equalBytes(parts.keyId, base.keyId) &&
    equalBytes(parts.nonces, base.nonces)
  );
}

function writeNext(encoder: encoding.Encoder, parts: DeltaParts, base: DeltaParts, isSameSlot: boolean): void {
  const { seq, hlc, age, body, signature } = parts;
  const counter = hlc % TICKS_PER_MS;
  const bits =
    NEXT |
    (isSameSlot ? SAME_SLOT : 0) |
    (seq === base.seq + 1 ? SEQ_IS_NEXT : 0) |
    (counter === 0 ? COUNTER_IS_ZERO : 0) |
    (age % TICKS_PER_MS === 0 ? AGE_IN_MS : 0) |
    (body.length === base.body.length ? SAME_BODY_LENGTH : 0);
  encoding.writeUint8(encoder, bits);
  if (!isSameSlot) encoding.writeUint8(encoder, slotOfDelta(parts));
  if ((bits & SEQ_IS_NEXT) === 0) encoding.writeVarUint(encoder, seq - base.seq);
  encoding.writeVarUint(encoder, msOf(hlc) - msOf(base.hlc));
  if (counter !== 0) encoding.writeVarUint(encoder, counter);
  encoding.writeVarUint(encoder, (bits & AGE_IN_MS) === 0 ? age : age / TICKS_PER_MS);
  writeToldBody(encoder, body, base.body);
  encoding.writeUint8Array(encoder, signature);
}

function readNext(decoder: decoding.Decoder, bits: number, memory: LinkMemory): DeltaParts {
  const slot = (bits & SAME_SLOT) === 0 ? readU8(decoder) : memory.lastSlot;
  if (slot >= SLOTS) throw new Error(`a base in slot ${slot}`);
  const base = memory.delta(slot);
  if (base === undefined) throw new MangroveError('BASE_UNKNOWN', { slot });
  const seq = base.seq + ((bits & SEQ_IS_NEXT) === 0 ? readVarUint(decoder) : 1);
  const ms = msOf(base.hlc) + readVarUint(decoder);
  const counter = (bits & COUNTER_IS_ZERO) === 0 ? readVarUint(decoder) : 0;
  const hlc = ms * TICKS_PER_MS + counter;
  const age = (bits & AGE_IN_MS) === 0 ? readVarUint(decoder) : readVarUint(decoder) * TICKS_PER_MS;
  const isSound = counter < TICKS_PER_MS && hlc > base.hlc && Number.isSafeInteger(hlc) && Number.isSafeInteger(seq);
  if (!isSound || !Number.isSafeInteger(age)) throw new Error('a number is out of bounds');
  const { front, keyId, nonces } = base;
  const body = readToldBody(decoder, base.body, (bits & SAME_BODY_LENGTH) !== 0);
  const signature = readFixed(decoder, SIGNATURE_BYTES);
  const parts = joinDelta({ front, seq, keyId, hlc, age, sincePrev: hlc - base.hlc, nonces, body, signature });
  if (parts.bytes.length > BASE_BYTES_MAX) throw new Error('a delta larger than what is told so');
  return parts;
}

const msOf = (hlc: number): number => Math.floor(hlc / TICKS_PER_MS);
