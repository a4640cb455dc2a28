import {
  type Arrival,
  bodyOfDelta,
  bytesToRecordPayload,
  bytesToValue,
  type Delta,
  deriveClientId,
  deriveKeyId,
  type ErrorCode,
  FLAG,
  floorOf,
  hasFlag,
  isMangroveError,
  type KeyName,
  type RoomRef,
  updateOfPayload,
} from '@mangrove/protocol';
import { isFree } from '../documents/cost.js';
import { lookThrough } from '../documents/guard.js';

export interface Inspected extends Arrival {
  /** An update whose cost is not bounded by what it looks like: it is to be tried before anybody uses it [CX9]. */
  readonly update: Uint8Array | undefined;
}

/** What an arrived delta says, or why it cannot be used. The set takes it either way: it was validly signed. */
export function inspectDelta(room: RoomRef, delta: Delta): Inspected {
  const { name, fault, update } = inspectBody(room, delta);
  return { delta, name, fault, update };
}

interface Body {
  readonly name: KeyName | undefined;
  readonly fault: ErrorCode | undefined;
  readonly update?: Uint8Array | undefined;
}

function inspectBody(room: RoomRef, delta: Delta): Body {
  if (hasFlag(delta, FLAG.encrypted)) return { name: undefined, fault: 'NOT_SUPPORTED' };
  // It has no name, and what it says is for the set.
  if (hasFlag(delta, FLAG.floor)) return { name: undefined, fault: floorOf(delta) ? undefined : 'UNDECODABLE' };
  // Whose key it is stays known where only its content cannot be used: the key reads differently now.
  let known: KeyName | undefined;
  try {
    const { name, payload } = bodyOfDelta(delta);
    if (deriveKeyId(room.hash, room.roomId, name) !== delta.keyId) return { name: undefined, fault: 'UNDECODABLE' };
    known = name;
    if (name.kind === 'document' && !hasFlag(delta, FLAG.tombstone)) return inspectUpdate(room, delta, name, payload);
    return { name, fault: isUsable(delta, name, payload) ? undefined : 'UNDECODABLE' };
  } catch (error) {
    if (isMangroveError(error)) return { name: known, fault: 'UNDECODABLE' };
    throw error;
  }
}

function inspectUpdate(room: RoomRef, delta: Delta, name: KeyName, payload: Uint8Array): Body {
  const update = updateOfPayload(delta, payload);
  const { fault, cost } = lookThrough(update, writersOf(room, delta));
  if (fault !== undefined) return { name, fault: 'UNDECODABLE' };
  return { name, fault: undefined, update: isFree(cost) ? undefined : update };
}

/** A record, or the tombstone of one: documents have none. */
function isUsable(delta: Delta, { kind }: KeyName, payload: Uint8Array): boolean {
  if (hasFlag(delta, FLAG.tombstone)) return kind === 'record' && payload.length === 0;
  if (hasFlag(delta, FLAG.checkpoint)) return false;
  bytesToValue(bytesToRecordPayload(payload).value);
  return true;
}

/** Undefined where the signer vouches for operations of others. */
function writersOf(room: RoomRef, delta: Delta): ReadonlySet<number> | undefined {
  if (hasFlag(delta, FLAG.import | FLAG.checkpoint | FLAG.seed)) return undefined;
  return new Set(delta.nonces.map((nonce) => deriveClientId(room.hash, room.roomId, delta.replica, nonce)));
}
