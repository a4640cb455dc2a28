import type * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { base64ToBytes, bytesToBase64 } from '../base64.js';
import { decode, encode, readBytes, readCount, readFixed, readU8, readVarUint } from '../codec.js';
import { TRIE_KEY_BYTES } from '../delta.js';
import { isMangroveError, MangroveError } from '../errors.js';
import {
  bytesToReplicaId,
  bytesToRoomId,
  idToBytes,
  REPLICA_ID_BYTES,
  type ReplicaId,
  ROOM_ID_BYTES,
  type RoomId,
} from '../ids.js';
import { defaultLimits } from '../limits.js';
import type { NumberRange } from '../room/journal.js';

/** What somebody has of one replica: all up to a seq, and runs above gaps that may never be filled, or late. */
export interface HeldSeqs {
  readonly upTo: number;
  /** Ascending, apart from each other and from `upTo`. */
  readonly above: readonly NumberRange[];
}

export type Held = ReadonlyMap<ReplicaId, HeldSeqs>;

/** Where a backup ends, or a part of one: what who has it has [BK4]. */
export interface BackupMark {
  readonly roomId: RoomId;
  readonly held: Held;
  /** Where only what lies at or below this trie key is had of `held`: the set was not gone through to its end. */
  readonly through: Uint8Array | undefined;
}

const FORM = 1;

/** The last seq of the run that this one is in, or undefined where it is not held. */
export function endOfHeld(held: Held, replica: ReplicaId, seq: number): number | undefined {
  const own = held.get(replica);
  if (own === undefined) return undefined;
  if (seq <= own.upTo) return own.upTo;
  return own.above.find(({ from, to }) => from <= seq && seq <= to)?.to;
}

/** Empty for no mark. What is over the bounds is left out: it comes again, which does no harm. */
export function markToBytes(mark: BackupMark | undefined): Uint8Array {
  if (mark === undefined) return new Uint8Array();
  return encode((encoder) => {
    encoding.writeUint8(encoder, FORM);
    encoding.writeUint8Array(encoder, idToBytes(mark.roomId));
    const { replicasPerKeyMax } = defaultLimits;
    const replicas = [...mark.held].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, replicasPerKeyMax);
    encoding.writeVarUint(encoder, replicas.length);
    let left = replicasPerKeyMax;
    for (const [replica, { upTo, above }] of replicas) {
      encoding.writeUint8Array(encoder, idToBytes(replica));
      encoding.writeVarUint(encoder, upTo);
      const runs = above.slice(0, left);
      left -= runs.length;
      encoding.writeVarUint(encoder, runs.length);
      let last = upTo;
      for (const { from, to } of runs) {
        encoding.writeVarUint(encoder, from - last - 2);
        encoding.writeVarUint(encoder, to - from);
        last = to;
      }
    }
    encoding.writeVarUint8Array(encoder, mark.through ?? new Uint8Array());
  });
}

/** Throws `BACKUP_DAMAGED`. */
export function bytesToMark(bytes: Uint8Array): BackupMark | undefined {
  if (bytes.length === 0) return undefined;
  return decode(bytes, 'BACKUP_DAMAGED', (decoder) => {
    if (readU8(decoder) !== FORM) throw new Error('a mark of an unknown form');
    const roomId = bytesToRoomId(readFixed(decoder, ROOM_ID_BYTES));
    const { replicasPerKeyMax } = defaultLimits;
    const held = new Map<ReplicaId, HeldSeqs>();
    let lastReplica = '';
    let left = replicasPerKeyMax;
    for (let n = readCount(decoder, REPLICA_ID_BYTES + 2, replicasPerKeyMax); n > 0; n--) {
      const replica = bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES));
      if (replica <= lastReplica) throw new Error('replicas of a mark out of order');
      lastReplica = replica;
      const own = readHeldSeqs(decoder, left);
      left -= own.above.length;
      held.set(replica, own);
    }
    const through = readBytes(decoder, TRIE_KEY_BYTES);
    if (through.length % TRIE_KEY_BYTES !== 0) throw new Error('a mark at no trie key');
    return { roomId, held, through: through.length === 0 ? undefined : through };
  });
}

/** As applications keep it. */
export const markToText = (mark: BackupMark): string => bytesToBase64(markToBytes(mark));

/** Throws `OPTION_INVALID` for what is no mark, or of another room: `since` comes from the application. */
export function textToMark(text: string, roomId: RoomId): BackupMark {
  const mark = readText(text);
  if (mark === undefined) throw new MangroveError('OPTION_INVALID', { option: 'since', reason: 'it is no mark' });
  if (mark.roomId === roomId) return mark;
  throw new MangroveError('OPTION_INVALID', { option: 'since', reason: 'it is the mark of another room' });
}

function readText(text: unknown): BackupMark | undefined {
  const bytes = typeof text === 'string' ? base64ToBytes(text) : undefined;
  try {
    return bytes && bytesToMark(bytes);
  } catch (error) {
    if (isMangroveError(error)) return undefined;
    throw error;
  }
}

function readHeldSeqs(decoder: decoding.Decoder, runsMax: number): HeldSeqs {
  const upTo = readVarUint(decoder);
  let last = upTo;
  const above = Array.from({ length: readCount(decoder, 2, runsMax) }, () => {
    const from = last + 2 + readVarUint(decoder);
    last = from + readVarUint(decoder);
    if (!Number.isSafeInteger(last)) throw new Error('a number is over 2^53 - 1');
    return { from, to: last };
  });
  return { upTo, above };
}
