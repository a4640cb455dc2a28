import type * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { decode, encode, readCount, readFixed, readVarUint } from './codec.js';
import { HASH_BYTES } from './hash.js';
import { bytesToReplicaId, idToBytes, REPLICA_ID_BYTES, type ReplicaId, type RoomId, SIGNATURE_BYTES } from './ids.js';
import { defaultLimits } from './limits.js';
import { signedMessage } from './signature.js';
import type { VersionVector } from './version-vector.js';

/** What a replica says it holds, at a time [SY11]. */
export interface HeadClaim {
  readonly replica: ReplicaId;
  readonly timeMs: number;
  readonly root: Uint8Array;
  readonly headsRoot: Uint8Array;
  readonly vector: VersionVector;
}

export interface HeadStatement extends HeadClaim {
  readonly signature: Uint8Array;
}

export function headMessage(roomId: RoomId, claim: HeadClaim): Uint8Array {
  return signedMessage(
    'mangrove:head:1',
    roomId,
    encode((encoder) => writeHeadClaim(encoder, claim)),
  );
}

export function writeHeadStatement(encoder: encoding.Encoder, statement: HeadStatement): void {
  writeHeadClaim(encoder, statement);
  encoding.writeUint8Array(encoder, statement.signature);
}

export function readHeadStatement(decoder: decoding.Decoder): HeadStatement {
  return {
    replica: bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES)),
    timeMs: readVarUint(decoder),
    root: readFixed(decoder, HASH_BYTES),
    headsRoot: readFixed(decoder, HASH_BYTES),
    vector: readVector(decoder),
    signature: readFixed(decoder, SIGNATURE_BYTES),
  };
}

export const headStatementToBytes = (statement: HeadStatement): Uint8Array =>
  encode((encoder) => writeHeadStatement(encoder, statement));
export const bytesToHeadStatement = (bytes: Uint8Array): HeadStatement =>
  decode(bytes, 'FRAME_MALFORMED', readHeadStatement);

/**
 * Ascending by replica, so that one vector has one encoding. Of more replicas than a message holds the first are told: what is not told
 * counts as 0, so the other side sends more than it must, which changes nothing [SY3].
 */
export function writeVector(encoder: encoding.Encoder, vector: VersionVector): void {
  const told = toldEntries(vector);
  encoding.writeVarUint(encoder, told.length);
  for (const [replica, seq] of told) {
    encoding.writeUint8Array(encoder, idToBytes(replica));
    encoding.writeVarUint(encoder, seq);
  }
}

/** What of a vector goes onto the wire [SY3]: the entries of the lowest ids, ascending. */
export function toldEntries(vector: VersionVector): readonly (readonly [ReplicaId, number])[] {
  return [...vector].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, defaultLimits.replicasPerKeyMax);
}

export function readVector(decoder: decoding.Decoder): VersionVector {
  const count = readCount(decoder, REPLICA_ID_BYTES + 1, defaultLimits.replicasPerKeyMax);
  const vector = new Map<ReplicaId, number>();
  let last = '';
  for (let i = 0; i < count; i++) {
    const replica = bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES));
    if (replica <= last) throw new Error('a vector out of order');
    last = replica;
    vector.set(replica, readVarUint(decoder));
  }
  return vector;
}

function writeHeadClaim(encoder: encoding.Encoder, claim: HeadClaim): void {
  encoding.writeUint8Array(encoder, idToBytes(claim.replica));
  encoding.writeVarUint(encoder, claim.timeMs);
  encoding.writeUint8Array(encoder, claim.root);
  encoding.writeUint8Array(encoder, claim.headsRoot);
  writeVector(encoder, claim.vector);
}
