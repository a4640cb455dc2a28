import * as encoding from 'lib0/encoding';
import { encode, writeU64 } from '../codec.js';
import type { Delta } from '../delta.js';
import { hlcToMs } from '../hlc.js';
import { idToBytes, shortIdToBytes } from '../ids.js';
import { readOutboxRow } from './outbox.js';
import { isWrite } from './readable.js';

/** What an own delta that no relay has acknowledged stands for. */
export interface OutboxEntry {
  readonly seq: number;
  /** Journal rows that it was made of; 0 for a checkpoint, which is nobody's write. */
  readonly writes: number;
  readonly bytes: number;
  readonly oldestAtMs: number;
}

/** `varUint writes • varUint bytes • varUint oldestAtMs • keyId 16 • u64 hlc • u64 prev • shortId 8` */
export function outboxEntryToBytes(
  { writes, oldestAtMs }: Pick<OutboxEntry, 'writes' | 'oldestAtMs'>,
  delta: Pick<Delta, 'id' | 'body' | 'keyId' | 'hlc' | 'prev'>,
): Uint8Array {
  return encode((encoder) => {
    encoding.writeVarUint(encoder, writes);
    encoding.writeVarUint(encoder, delta.body.length);
    encoding.writeVarUint(encoder, Math.max(0, Math.floor(oldestAtMs)));
    encoding.writeUint8Array(encoder, idToBytes(delta.keyId));
    writeU64(encoder, delta.hlc);
    writeU64(encoder, delta.prev);
    encoding.writeUint8Array(encoder, shortIdToBytes(delta.id));
  });
}

/** The row of a delta whose own row is gone: how many rows it was made of is not known any more. */
export function outboxEntryOf(delta: Delta): Uint8Array {
  return outboxEntryToBytes({ writes: isWrite(delta) ? 1 : 0, oldestAtMs: hlcToMs(delta.writtenAt) }, delta);
}

export function bytesToOutboxEntry(seq: number, bytes: Uint8Array): OutboxEntry {
  const { writes, bytes: bodyBytes, oldestAtMs } = readOutboxRow(bytes);
  return { seq, writes, bytes: bodyBytes, oldestAtMs };
}
