import type * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { equalBytes } from '../bytes.js';
import { readCount, readFixed, readU8, readVarUint } from '../codec.js';
import { MangroveError } from '../errors.js';
import { HASH_BYTES } from '../hash.js';
import { type HeadStatement, readVector, toldEntries, writeVector } from '../head-statement.js';
import { bytesToReplicaId, idToBytes, REPLICA_ID_BYTES, type ReplicaId, SIGNATURE_BYTES } from '../ids.js';
import type { VersionVector } from '../version-vector.js';
import { BASE_VECTOR_MAX, type LinkMemory, SLOTS, slotOfHead } from './link-memory.js';
import { type Change, changesSince, growthSince, readToldAs, writeToldHead } from './told-head.js';

/** Statements in one message: what a reader makes of one is bounded by this many vectors that were told by their changes. */
export const HEADS_MAX = 256;
/** The first byte of a statement that is told by the one told before it, whoever made that. */
const BESIDE = SLOTS + 1;
const BESIDE_BYTES_MIN = 1 + REPLICA_ID_BYTES + 2 + SIGNATURE_BYTES;
const SAME_ROOT = 1;
const SAME_VECTOR = 2;
const CHANGES = 4;
/** A change is told as a whole number of twice its size. */
const CHANGE_MAX = 2 ** 51;

/**
 * Head statements of many replicas, in the order of their times [SY23]: those who hold the same say the same, so that of most of them a name, a
 * time and a signature are all there is to tell.
 */
export function writeToldHeads(
  encoder: encoding.Encoder,
  statements: readonly HeadStatement[],
  memory: LinkMemory,
): void {
  encoding.writeVarUint(encoder, statements.length);
  let before = memory.lastHead;
  for (const statement of statements) {
    if (before !== undefined && isBesideLess(before, statement, memory)) {
      writeBeside(encoder, before, statement);
      memory.keepHead(statement);
    } else writeToldHead(encoder, statement, memory);
    before = statement;
  }
}

/** All that were signed. Throws `BASE_UNKNOWN` where what one was told by is not remembered. */
export function readToldHeads(decoder: decoding.Decoder, memory: LinkMemory): readonly HeadStatement[] {
  const statements: HeadStatement[] = [];
  let before = memory.lastHead;
  for (let n = readCount(decoder, BESIDE_BYTES_MIN, HEADS_MAX); n > 0; n--) {
    const first = readU8(decoder);
    if (first === BESIDE) {
      if (before === undefined) throw new MangroveError('BASE_UNKNOWN', { slot: first });
      before = readBeside(decoder, before);
      memory.keepHead(before);
    } else before = readToldAs(first, decoder, memory);
    statements.push(before);
  }
  return statements;
}

function isBesideLess(before: HeadStatement, statement: HeadStatement, memory: LinkMemory): boolean {
  if (statement.timeMs < before.timeMs) return false;
  if (isSameVector(before, statement)) return true;
  const own = memory.head(slotOfHead(statement));
  return own === undefined || growthSince(own, statement) === undefined;
}

function writeBeside(encoder: encoding.Encoder, before: HeadStatement, statement: HeadStatement): void {
  const isSameRoot = equalBytes(before.root, statement.root);
  const isSame = isSameVector(before, statement);
  const changes = isSame ? undefined : changesBeside(before, statement);
  const bits = (isSameRoot ? SAME_ROOT : 0) + (isSame ? SAME_VECTOR : 0) + (changes === undefined ? 0 : CHANGES);
  encoding.writeUint8(encoder, BESIDE);
  encoding.writeUint8Array(encoder, idToBytes(statement.replica));
  encoding.writeUint8(encoder, bits);
  encoding.writeVarUint(encoder, statement.timeMs - before.timeMs);
  if (!isSameRoot) encoding.writeUint8Array(encoder, statement.root);
  if (!isSame) {
    encoding.writeUint8Array(encoder, statement.headsRoot);
    if (changes === undefined) writeVector(encoder, statement.vector);
    else writeChanges(encoder, changes);
  }
  encoding.writeUint8Array(encoder, statement.signature);
}

function readBeside(decoder: decoding.Decoder, before: HeadStatement): HeadStatement {
  const replica = bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES));
  const bits = readU8(decoder);
  const isSame = (bits & SAME_VECTOR) !== 0;
  if (bits > (isSame ? SAME_ROOT + SAME_VECTOR : SAME_ROOT + CHANGES)) throw new Error(`a statement of bits ${bits}`);
  const timeMs = before.timeMs + readVarUint(decoder);
  if (!Number.isSafeInteger(timeMs)) throw new Error('a number is over 2^53 - 1');
  const root = (bits & SAME_ROOT) !== 0 ? before.root : readFixed(decoder, HASH_BYTES);
  const headsRoot = isSame ? before.headsRoot : readFixed(decoder, HASH_BYTES);
  const vector = isSame
    ? before.vector
    : (bits & CHANGES) !== 0
      ? readChanged(decoder, before.vector)
      : readVector(decoder);
  return { replica, timeMs, root, headsRoot, vector, signature: readFixed(decoder, SIGNATURE_BYTES) };
}

function isSameVector(before: HeadStatement, statement: HeadStatement): boolean {
  if (!equalBytes(before.headsRoot, statement.headsRoot)) return false;
  // What the heads root is of is its signer's word.
  return before.vector === statement.vector || changesSince(before, statement)?.length === 0;
}

/** Undefined where a whole vector is less, or what it is made of is not bounded by what is told. */
function changesBeside(before: HeadStatement, statement: HeadStatement): readonly Change[] | undefined {
  if (before.vector.size > BASE_VECTOR_MAX) return undefined;
  const changes = changesSince(before, statement);
  return changes?.every(([, more]) => Math.abs(more) < CHANGE_MAX) ? changes : undefined;
}

function writeChanges(encoder: encoding.Encoder, changes: readonly Change[]): void {
  encoding.writeVarUint(encoder, changes.length);
  for (const [index, more] of changes) {
    encoding.writeVarUint(encoder, index);
    encoding.writeVarUint(encoder, 2 * Math.abs(more) - (more < 0 ? 1 : 0));
  }
}

function readChanged(decoder: decoding.Decoder, base: VersionVector): VersionVector {
  if (base.size > BASE_VECTOR_MAX) throw new Error(`${base.size} replicas told by their changes`);
  const entries = toldEntries(base).map(([replica, seq]): [ReplicaId, number] => [replica, seq]);
  let next = 0;
  for (let n = readCount(decoder, 2, BASE_VECTOR_MAX); n > 0; n--) {
    const index = readVarUint(decoder);
    const twice = readVarUint(decoder);
    const entry = entries[index];
    // Ascending, and nothing that has not changed: one statement has one such form.
    if (entry === undefined || index < next || twice === 0) throw new Error('a change of no entry');
    next = index + 1;
    entry[1] += twice % 2 === 0 ? twice / 2 : -(twice + 1) / 2;
    if (entry[1] < 0 || !Number.isSafeInteger(entry[1])) throw new Error('a number is over 2^53 - 1, or below 0');
  }
  return new Map(entries);
}
