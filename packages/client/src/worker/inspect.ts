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
import { updateFault } from '../documents/guard.js';

/** What an arrived delta says, or why it cannot be used. The set takes it either way: it was validly signed. */
export function inspectDelta(room: RoomRef, delta: Delta): Arrival {
  const { name, fault } = inspectBody(room, delta);
  return { delta, name, fault };
}

function inspectBody(room: RoomRef, delta: Delta): { name: KeyName | undefined; fault: ErrorCode | undefined } {
  if (hasFlag(delta, FLAG.encrypted)) return { name: undefined, fault: 'NOT_SUPPORTED' };
  // It has no name, and what it says is for the set.
  if (hasFlag(delta, FLAG.floor)) return { name: undefined, fault: floorOf(delta) ? undefined : 'UNDECODABLE' };
  // Whose key it is stays known where only its content cannot be used: the key reads differently now.
  let known: KeyName | undefined;
  try {
    const { name, payload } = bodyOfDelta(delta);
    if (deriveKeyId(room.hash, room.roomId, name) !== delta.keyId) return { name: undefined, fault: 'UNDECODABLE' };
    known = name;
    return { name, fault: isUsable(room, delta, name, payload) ? undefined : 'UNDECODABLE' };
  } catch (error) {
    if (isMangroveError(error)) return { name: known, fault: 'UNDECODABLE' };
    throw error;
  }
}

function isUsable(room: RoomRef, delta: Delta, name: KeyName, payload: Uint8Array): boolean {
  if (hasFlag(delta, FLAG.tombstone)) return name.kind === 'record' && payload.length === 0;
  if (name.kind === 'record') {
    if (hasFlag(delta, FLAG.checkpoint)) return false;
    bytesToValue(bytesToRecordPayload(payload).value);
    return true;
  }
  return updateFault(updateOfPayload(delta, payload), writersOf(room, delta)) === undefined;
}

/** Undefined where the signer vouches for operations of others. */
function writersOf(room: RoomRef, delta: Delta): ReadonlySet<number> | undefined {
  if (hasFlag(delta, FLAG.import | FLAG.checkpoint | FLAG.seed)) return undefined;
  return new Set(delta.nonces.map((nonce) => deriveClientId(room.hash, room.roomId, delta.replica, nonce)));
}
