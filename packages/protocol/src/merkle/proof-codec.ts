import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { decode, encode, readCount, readFixed } from '../codec.js';
import { HASH_BYTES } from '../hash.js';
import { countChildren } from './node.js';
import { bytesToSlot, slotToBytes, type Slot } from './slot.js';

/** An inner node on the way down: all that it hashes but for the child that the way goes through. */
export interface ProofStep {
  readonly count: number;
  readonly prefix: Slot;
  readonly map: number;
  /** Hashes of the other children, in nibble order. */
  readonly siblings: readonly Uint8Array[];
}

/**
 * Where the way ends.
 * - `items`: all trie keys below: a leaf's, or all of the key asked for when these are more.
 * - `fork`: an inner node, with all its children's hashes, that has no child on the way or stands aside of it: there are no items.
 */
export type ProofEnd =
  | { readonly kind: 'items'; readonly keys: readonly Uint8Array[] }
  | {
      readonly kind: 'fork';
      readonly count: number;
      readonly prefix: Slot;
      readonly map: number;
      readonly children: readonly Uint8Array[];
    };

/**
 * The way from a root towards a key [MK6]. One root and one key have one proof. It discloses the trie keys that share a leaf with the
 * items asked for (which replica, when), never names or contents.
 */
export interface MerkleProof {
  readonly steps: readonly ProofStep[];
  readonly end: ProofEnd;
}

const ITEMS = 0;
const FORK = 1;
const STEP_BYTES_MIN = 4 + 1 + 2;

/**
 * `proof := varUint n • n × step • (u8 0 • varUint k • (k > 0: u8 keyBytes • k × key) | u8 1 • u32 count • slot prefix • u16 map • hashes)`;
 * `step := u32 count • slot prefix • u16 map • hashes but one`; `slot := u8 nibbles • packed, zero padded`.
 */
export function proofToBytes(proof: MerkleProof): Uint8Array {
  return encode((encoder) => {
    encoding.writeVarUint(encoder, proof.steps.length);
    for (const step of proof.steps) writeInner(encoder, step, step.siblings);
    writeEnd(encoder, proof.end);
  });
}

/** Any bytes give a proof, which may be false, or throw `FRAME_MALFORMED`; sizes are checked before anything is allocated. */
export function bytesToProof(bytes: Uint8Array): MerkleProof {
  return decode(bytes, 'FRAME_MALFORMED', (decoder) => {
    const steps: ProofStep[] = [];
    for (let left = readCount(decoder, STEP_BYTES_MIN, Number.MAX_SAFE_INTEGER); left > 0; left--) {
      const { children: siblings, ...inner } = readInner(decoder, 1);
      steps.push({ ...inner, siblings });
    }
    return { steps, end: readEnd(decoder) };
  });
}

function writeEnd(encoder: encoding.Encoder, end: ProofEnd): void {
  if (end.kind === 'fork') {
    encoding.writeUint8(encoder, FORK);
    writeInner(encoder, end, end.children);
    return;
  }
  encoding.writeUint8(encoder, ITEMS);
  encoding.writeVarUint(encoder, end.keys.length);
  if (end.keys.length > 0) encoding.writeUint8(encoder, (end.keys[0] as Uint8Array).length);
  for (const key of end.keys) encoding.writeUint8Array(encoder, key);
}

function readEnd(decoder: decoding.Decoder): ProofEnd {
  const kind = decoding.readUint8(decoder);
  if (kind === FORK) return { kind: 'fork', ...readInner(decoder, 0) };
  if (kind !== ITEMS) throw new Error('an unknown end of a proof');
  const count = readCount(decoder, 1, Number.MAX_SAFE_INTEGER);
  if (count === 0) return { kind: 'items', keys: [] };
  const keyBytes = decoding.readUint8(decoder);
  if (keyBytes === 0) throw new Error('a key without bytes');
  const keys: Uint8Array[] = [];
  for (let i = 0; i < count; i++) keys.push(readFixed(decoder, keyBytes));
  return { kind: 'items', keys };
}

function writeInner(
  encoder: encoding.Encoder,
  { count, prefix, map }: { readonly count: number; readonly prefix: Slot; readonly map: number },
  hashes: readonly Uint8Array[],
): void {
  encoding.writeUint32BigEndian(encoder, count);
  encoding.writeUint8Array(encoder, slotToBytes(prefix));
  encoding.writeUint8(encoder, map >>> 8);
  encoding.writeUint8(encoder, map & 255);
  for (const hash of hashes) encoding.writeUint8Array(encoder, hash);
}

function readInner(decoder: decoding.Decoder, omitted: 0 | 1) {
  const count = decoding.readUint32BigEndian(decoder);
  const prefix = bytesToSlot(readFixed(decoder, 1 + ((decoding.peekUint8(decoder) + 1) >>> 1)));
  if (prefix === undefined) throw new Error('a slot with bits in its padding');
  const map = decoding.readUint8(decoder) * 256 + decoding.readUint8(decoder);
  const hashes = countChildren(map) - omitted;
  if (hashes < 0) throw new Error('an inner node without the child that the way goes through');
  const children: Uint8Array[] = [];
  for (let i = 0; i < hashes; i++) children.push(readFixed(decoder, HASH_BYTES));
  return { count, prefix, map, children };
}
