import type * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToHex, compareBytes, concatBytes, equalBytes, hexToBytes } from './bytes.js';
import { decode, encode, readCount, readFixed, readU64, readVarUint, writeU64 } from './codec.js';
import type { Context, Stamped } from './context.js';
import { type Delta, FLAG, hasFlag } from './delta.js';
import { isMangroveError, MangroveError } from './errors.js';
import { HASH_BYTES } from './hash.js';
import { type HeadStatement, readVector, writeVector } from './head-statement.js';
import type { Hlc } from './hlc.js';
import {
  bytesToReplicaId,
  type DeltaId,
  FLOOR_KIND,
  idToBytes,
  REPLICA_ID_BYTES,
  type ReplicaId,
  SIGNATURE_BYTES,
} from './ids.js';
import { defaultLimits } from './limits.js';
import type { VersionVector } from './version-vector.js';

/** A delta of a replica by its place in the order of that replica's deltas. */
export interface Place {
  readonly seq: number;
  readonly hlc: Hlc;
}

/** Up to where everything of each replica was seen [FL3]. */
export type Reach = ReadonlyMap<ReplicaId, Place>;

/** What a floor says [FL2]. */
export interface Floor {
  readonly reach: Reach;
  /** `STANDING_BYTES` of the id of each delta that stays, ascending and distinct, one after the other. */
  readonly standing: Uint8Array;
  /** Ascending by replica. */
  readonly witnesses: readonly HeadStatement[];
}

export const STANDING_BYTES = 8;
const REACH_BYTES_MIN = REPLICA_ID_BYTES + 1 + 8;
const WITNESS_BYTES_MIN = REPLICA_ID_BYTES + 1 + 2 * HASH_BYTES + 1 + SIGNATURE_BYTES;
const NO_VECTOR_BYTES = 1;

export function floorToBytes({ reach, standing, witnesses }: Floor): Uint8Array {
  const { vectors, indexes } = distinctVectors(witnesses);
  return encode((encoder) => {
    encoding.writeUint8(encoder, FLOOR_KIND);
    encoding.writeVarUint(encoder, reach.size);
    for (const [replica, { seq, hlc }] of [...reach].sort(([a], [b]) => (a < b ? -1 : 1))) {
      encoding.writeUint8Array(encoder, idToBytes(replica));
      encoding.writeVarUint(encoder, seq);
      writeU64(encoder, hlc);
    }
    encoding.writeVarUint(encoder, standing.length / STANDING_BYTES);
    encoding.writeUint8Array(encoder, standing);
    encoding.writeVarUint(encoder, vectors.length);
    for (const vector of vectors) encoding.writeUint8Array(encoder, vector);
    encoding.writeVarUint(encoder, witnesses.length);
    for (const [i, witness] of witnesses.entries()) writeWitness(encoder, witness, indexes[i] as number);
  });
}

/**
 * What a floor with this stamp says. Bounded by the body that it comes in: no count is believed beyond the bytes that are there. Throws
 * `DELTA_MALFORMED` for bytes that are not canonical, and for a reach that is not below the floor's own stamp [FL2].
 */
export function bytesToFloor(bytes: Uint8Array, floorHlc: Hlc): Floor {
  const floor = decode(bytes, 'DELTA_MALFORMED', (decoder) => {
    if (readFixed(decoder, 1)[0] !== FLOOR_KIND) throw new Error('no floor');
    const reach = readReach(decoder, floorHlc);
    const standing = readStanding(decoder);
    return { reach, standing, witnesses: readWitnesses(decoder) };
  });
  if (!equalBytes(floorToBytes(floor), bytes))
    throw new MangroveError('DELTA_MALFORMED', { reason: 'a floor not in canonical form' });
  return floor;
}

/** What a delta in the set sweeps: nothing where it is no floor, or one that cannot be read [FL2]. */
export function floorOf(delta: Pick<Delta, 'flags' | 'body' | 'hlc'>): Floor | undefined {
  if (!hasFlag(delta, FLAG.floor)) return undefined;
  try {
    return bytesToFloor(delta.body, delta.hlc);
  } catch (error) {
    if (isMangroveError(error)) return undefined;
    throw error;
  }
}

/** By halves, as there may be a million of them. */
export function isStanding(standing: Uint8Array, id: Uint8Array): boolean {
  const wanted = id.subarray(0, STANDING_BYTES);
  let low = 0;
  let high = standing.length / STANDING_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareBytes(standingAt(standing, middle), wanted);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

export const isWithinReach = (reach: Reach, { replica, hlc }: Stamped): boolean =>
  hlc <= (reach.get(replica)?.hlc ?? 0);

/** [FL3] */
export function isUnderFloor({ reach, standing }: Floor, delta: Stamped & { readonly id: DeltaId }): boolean {
  return isWithinReach(reach, delta) && !isStanding(standing, idToBytes(delta.id));
}

/** Whether all that a context names lies within a reach. */
export function isContextWithin(reach: Reach, { stamps, dots }: Context): boolean {
  for (const [replica, hlc] of stamps) if (!isWithinReach(reach, { replica, hlc })) return false;
  return dots.every((dot) => isWithinReach(reach, dot));
}

/** The standing of these ids, in their order and each once. */
export function standingOf(ids: Iterable<DeltaId>): Uint8Array {
  const distinct = new Set<string>();
  for (const id of ids) distinct.add(id.slice(0, 2 * STANDING_BYTES));
  return concatBytes(...[...distinct].sort().map(hexToBytes));
}

const standingAt = (standing: Uint8Array, i: number): Uint8Array =>
  standing.subarray(i * STANDING_BYTES, (i + 1) * STANDING_BYTES);

function readReach(decoder: decoding.Decoder, floorHlc: Hlc): Reach {
  const reach = new Map<ReplicaId, Place>();
  const count = readCount(decoder, REACH_BYTES_MIN, defaultLimits.floorReplicasMax);
  let last = '';
  for (let i = 0; i < count; i++) {
    const replica = bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES));
    const place = { seq: readVarUint(decoder), hlc: readU64(decoder) as Hlc };
    if (replica <= last) throw new Error('a reach out of order');
    if (place.seq < 1 || place.hlc < 1 || place.hlc >= floorHlc) throw new Error('a reach beyond its own stamp');
    last = replica;
    reach.set(replica, place);
  }
  return reach;
}

function readStanding(decoder: decoding.Decoder): Uint8Array {
  const count = readCount(decoder, STANDING_BYTES, Number.MAX_SAFE_INTEGER);
  const standing = readFixed(decoder, count * STANDING_BYTES);
  for (let i = 1; i < count; i++)
    if (compareBytes(standingAt(standing, i - 1), standingAt(standing, i)) >= 0)
      throw new Error('a standing out of order');
  return standing;
}

/** Most replicas of a quiet room say the same vector: each is written once, in the order in which it is first said. */
function distinctVectors(witnesses: readonly HeadStatement[]): {
  readonly vectors: readonly Uint8Array[];
  readonly indexes: readonly number[];
} {
  const indexByVector = new Map<VersionVector, number>();
  const indexByBytes = new Map<string, number>();
  const vectors: Uint8Array[] = [];
  const indexes = witnesses.map(({ vector }) => {
    const known = indexByVector.get(vector);
    if (known !== undefined) return known;
    const bytes = encode((encoder) => writeVector(encoder, vector));
    const name = bytesToHex(bytes);
    const index = indexByBytes.get(name) ?? vectors.push(bytes) - 1;
    indexByVector.set(vector, index);
    indexByBytes.set(name, index);
    return index;
  });
  return { vectors, indexes };
}

function writeWitness(encoder: encoding.Encoder, witness: HeadStatement, index: number): void {
  encoding.writeUint8Array(encoder, idToBytes(witness.replica));
  encoding.writeVarUint(encoder, witness.timeMs);
  encoding.writeUint8Array(encoder, witness.root);
  encoding.writeUint8Array(encoder, witness.headsRoot);
  encoding.writeVarUint(encoder, index);
  encoding.writeUint8Array(encoder, witness.signature);
}

function readWitnesses(decoder: decoding.Decoder): readonly HeadStatement[] {
  const vectors: VersionVector[] = [];
  const vectorCount = readCount(decoder, NO_VECTOR_BYTES, defaultLimits.replicasPerKeyMax);
  for (let i = 0; i < vectorCount; i++) vectors.push(readVector(decoder));
  const count = readCount(decoder, WITNESS_BYTES_MIN, defaultLimits.replicasPerKeyMax);
  const witnesses: HeadStatement[] = [];
  for (let i = 0; i < count; i++) {
    const replica = bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES));
    if (replica <= (witnesses.at(-1)?.replica ?? '')) throw new Error('witnesses out of order');
    const timeMs = readVarUint(decoder);
    const root = readFixed(decoder, HASH_BYTES);
    const headsRoot = readFixed(decoder, HASH_BYTES);
    const vector = vectors[readVarUint(decoder)];
    if (vector === undefined) throw new Error('a witness without a vector');
    witnesses.push({ replica, timeMs, root, headsRoot, vector, signature: readFixed(decoder, SIGNATURE_BYTES) });
  }
  return witnesses;
}
