import type * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { readCount, readFixed, readU8, readVarUint } from '../codec.js';
import { MangroveError } from '../errors.js';
import { HASH_BYTES } from '../hash.js';
import { type HeadStatement, readHeadStatement, toldEntries, writeHeadStatement } from '../head-statement.js';
import { type ReplicaId, SIGNATURE_BYTES } from '../ids.js';
import { BASE_VECTOR_MAX, type LinkMemory, SLOTS, slotOfHead } from './link-memory.js';

/**
 * How a head statement is told on a link: whole, or by what has changed since the last one of its replica there [SY21]. The first byte is 0 for
 * a whole one and the base's slot + 1 otherwise.
 */
const WHOLE = 0;

export function writeToldHead(encoder: encoding.Encoder, statement: HeadStatement, memory: LinkMemory): void {
  const slot = slotOfHead(statement);
  const base = memory.head(slot);
  const changes = base && growthSince(base, statement);
  if (base === undefined || changes === undefined) {
    encoding.writeUint8(encoder, WHOLE);
    writeHeadStatement(encoder, statement);
  } else {
    encoding.writeUint8(encoder, slot + 1);
    encoding.writeVarUint(encoder, statement.timeMs - base.timeMs);
    encoding.writeUint8Array(encoder, statement.root);
    encoding.writeUint8Array(encoder, statement.headsRoot);
    encoding.writeVarUint(encoder, changes.length);
    for (const [index, more] of changes) {
      encoding.writeVarUint(encoder, index);
      encoding.writeVarUint(encoder, more);
    }
    encoding.writeUint8Array(encoder, statement.signature);
  }
  memory.keepHead(statement);
}

/** All that was signed. Throws `BASE_UNKNOWN` where what it was told by is not remembered. */
export function readToldHead(decoder: decoding.Decoder, memory: LinkMemory): HeadStatement {
  return readToldAs(readU8(decoder), decoder, memory);
}

/** The same, where its first byte was read. */
export function readToldAs(first: number, decoder: decoding.Decoder, memory: LinkMemory): HeadStatement {
  if (first > SLOTS) throw new Error(`a head statement told as ${first}`);
  const statement = first === WHOLE ? readHeadStatement(decoder) : readNext(decoder, first - 1, memory);
  memory.keepHead(statement);
  return statement;
}

function readNext(decoder: decoding.Decoder, slot: number, memory: LinkMemory): HeadStatement {
  const base = memory.head(slot);
  if (base === undefined) throw new MangroveError('BASE_UNKNOWN', { slot });
  const timeMs = base.timeMs + readVarUint(decoder);
  const root = readFixed(decoder, HASH_BYTES);
  const headsRoot = readFixed(decoder, HASH_BYTES);
  const entries = toldEntries(base.vector).map(([replica, seq]): [ReplicaId, number] => [replica, seq]);
  let next = 0;
  for (let n = readCount(decoder, 2, BASE_VECTOR_MAX); n > 0; n--) {
    const index = readVarUint(decoder);
    const more = readVarUint(decoder);
    const entry = entries[index];
    // Ascending, and nothing that has not changed: one statement has one such form.
    if (entry === undefined || index < next || more === 0) throw new Error('a change of no entry');
    next = index + 1;
    entry[1] += more;
    if (!Number.isSafeInteger(entry[1])) throw new Error('a number is over 2^53 - 1');
  }
  if (!Number.isSafeInteger(timeMs)) throw new Error('a number is over 2^53 - 1');
  const signature = readFixed(decoder, SIGNATURE_BYTES);
  return { replica: base.replica, timeMs, root, headsRoot, vector: new Map(entries), signature };
}

/** By place in the base's vector how much further it has come; undefined where more than that is different. */
export function growthSince(base: HeadStatement, statement: HeadStatement): readonly Change[] | undefined {
  if (base.replica !== statement.replica || statement.timeMs < base.timeMs) return undefined;
  const changes = changesSince(base, statement);
  return changes?.every(([, more]) => more > 0) ? changes : undefined;
}

/** A place in a vector, and by how much it is higher than the base's. */
export type Change = readonly [index: number, more: number];

/** Undefined where the two name other replicas. */
export function changesSince(base: HeadStatement, statement: HeadStatement): readonly Change[] | undefined {
  const before = toldEntries(base.vector);
  const now = toldEntries(statement.vector);
  if (before.length !== now.length || !before.every(([replica], i) => now[i]?.[0] === replica)) return undefined;
  return now.map(([, seq], i): Change => [i, seq - (before[i]?.[1] ?? 0)]).filter(([, more]) => more !== 0);
}
