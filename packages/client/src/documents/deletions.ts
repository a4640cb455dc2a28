import * as Y from 'yjs';

/** What an update deletes, by writer. */
export type Deletions = ReturnType<typeof Y.decodeUpdate>['ds'];

/** Operations of one clientID: `length` of them from `clock` on. */
export interface OperationRange {
  readonly client: number;
  readonly clock: number;
  readonly length: number;
}

export function deletionsOf(ranges: readonly OperationRange[]): Deletions {
  const deletions = Y.createDeleteSet();
  // Yjs looks for them in the order of their clocks.
  for (const { client, clock, length } of ranges.toSorted((a, b) => a.clock - b.clock)) {
    const own = deletions.clients.get(client) ?? [];
    own.push({ clock, len: length });
    deletions.clients.set(client, own);
  }
  return deletions;
}

/** An update that only deletes. */
export function deletionsToUpdate(deletions: Pick<Deletions, 'clients'>): Uint8Array {
  const encoder = new Y.UpdateEncoderV1();
  encoder.writeLen(0);
  writeDeletions(encoder, deletions);
  return encoder.toUint8Array();
}

export function writeDeletions(encoder: Y.UpdateEncoderV1, deletions: Pick<Deletions, 'clients'>): void {
  encoder.writeLen(deletions.clients.size);
  for (const [client, ranges] of deletions.clients) {
    encoder.writeClient(client);
    encoder.writeLen(ranges.length);
    for (const { clock, len } of ranges) {
      encoder.writeDsClock(clock);
      encoder.writeDsLen(len);
    }
  }
}
