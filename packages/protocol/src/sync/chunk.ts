import { defaultLimits } from '../limits.js';
import type { RoomRef } from '../room/accept.js';
import { toEntry } from '../stub.js';
import type { Certificate } from '../certificate.js';
import type { HeadStatement } from '../head-statement.js';
import type { Certificates, DeltaBytes, Heads } from '../wire/messages.js';
import { HEADS_MAX } from '../wire/told-heads.js';

/** Below a frame by the largest header there is, so that a message is one frame. */
const CHUNK_BYTES = 128 * 1024;
/** What a head statement, and each replica that its vector names, may take. */
const HEAD_BYTES = 256;
const ENTRY_BYTES = 16;

/** What deltas are sent as, in messages of bounded bytes and count, in order; no deltas, no messages. */
export function chunkDeltas(
  { hash, roomId }: RoomRef,
  deltas: readonly DeltaBytes[],
): readonly (readonly DeltaBytes[])[] {
  const chunks: DeltaBytes[][] = [];
  let bytes = 0;
  for (const delta of deltas) {
    const entry = toEntry(hash, roomId, delta);
    const chunk = chunks.at(-1);
    if (
      chunk === undefined ||
      bytes + entry.length > CHUNK_BYTES ||
      chunk.length >= defaultLimits.deltasPerMessageMax
    ) {
      chunks.push([entry]);
      bytes = entry.length;
    } else {
      chunk.push(entry);
      bytes += entry.length;
    }
  }
  return chunks;
}

/** A room may have more replicas than one message holds certificates. */
export function certificateMessages(certificates: readonly Certificate[]): readonly Certificates[] {
  const { replicasPerKeyMax: countMax } = defaultLimits;
  return Array.from({ length: Math.ceil(certificates.length / countMax) }, (_, i) => ({
    kind: 'certificates',
    certificates: certificates.slice(i * countMax, (i + 1) * countMax),
  }));
}

/** [SY23] In the order of their times, as each is told by the one before it. */
export function headMessages(statements: readonly HeadStatement[]): readonly Heads[] {
  const chunks: HeadStatement[][] = [];
  let bytes = 0;
  for (const statement of [...statements].sort((a, b) => a.timeMs - b.timeMs)) {
    const most = HEAD_BYTES + ENTRY_BYTES * statement.vector.size;
    const chunk = chunks.at(-1);
    if (chunk === undefined || bytes + most > CHUNK_BYTES || chunk.length >= HEADS_MAX) {
      chunks.push([statement]);
      bytes = most;
    } else {
      chunk.push(statement);
      bytes += most;
    }
  }
  return chunks.map((chunk) => ({ kind: 'heads', statements: chunk }));
}
