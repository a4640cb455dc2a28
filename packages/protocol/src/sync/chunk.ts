import { defaultLimits } from '../limits.js';
import type { Certificate } from '../certificate.js';
import type { Certificates, DeltaBytes } from '../wire/messages.js';

/** Below a frame, so that the usual message is one frame; a larger single delta goes alone and in parts. */
const CHUNK_BYTES = 192 * 1024;

/** Splits deltas into messages of bounded bytes and count, in order; no deltas, no messages. */
export function chunkDeltas(deltas: readonly DeltaBytes[]): readonly (readonly DeltaBytes[])[] {
  const chunks: DeltaBytes[][] = [];
  let bytes = 0;
  for (const delta of deltas) {
    const chunk = chunks.at(-1);
    if (
      chunk === undefined ||
      bytes + delta.length > CHUNK_BYTES ||
      chunk.length >= defaultLimits.deltasPerMessageMax
    ) {
      chunks.push([delta]);
      bytes = delta.length;
    } else {
      chunk.push(delta);
      bytes += delta.length;
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
