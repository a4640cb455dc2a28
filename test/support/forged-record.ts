import {
  bodyToBytes,
  type Delta,
  deriveKeyId,
  EMPTY_CONTEXT,
  hlcFromMs,
  type KeyName,
  makeUnsignedDelta,
  recordPayloadToBytes,
  type ReplicaId,
  signDelta,
  valueToBytes,
} from '@mangrove/protocol';
import { roomRef } from './client-world.js';

/** A write of a record that the replica did not sign. */
export function forgeRecord(replica: ReplicaId, name: KeyName, value: string, atMs: number, seq = 1): Delta {
  const { hash, roomId } = roomRef();
  const hlc = hlcFromMs(atMs);
  const header = {
    replica,
    seq,
    keyId: deriveKeyId(hash, roomId, name),
    hlc,
    writtenAt: hlc,
    prev: hlcFromMs(0),
    context: EMPTY_CONTEXT,
    flags: 0,
    nonces: [],
  };
  const body = bodyToBytes({ name, payload: recordPayloadToBytes({ value: valueToBytes(value) }) });
  return signDelta(makeUnsignedDelta(hash, roomId, header, body), new Uint8Array(64).fill(7));
}
