import * as Y from 'yjs';

/** No writer reaches this many operations of one clientID; a forged clock near 2^53 would poison every later one. */
const CLOCK_MAX = 2 ** 31;

/**
 * Why an update must not be applied, or undefined. Looked at before Yjs sees it: an update with another writer's clientID
 * would make two replicas differ for ever with equal state vectors.
 *
 * `writers`: the clientIDs its structs may carry; undefined for updates that their signer vouches for (imports, checkpoints).
 */
export function updateFault(update: Uint8Array, writers: ReadonlySet<number> | undefined): string | undefined {
  let decoded: ReturnType<typeof Y.decodeUpdate>;
  let decoder: Y.UpdateDecoderV1 | undefined;
  class Decoder extends Y.UpdateDecoderV1 {
    constructor(...args: ConstructorParameters<typeof Y.UpdateDecoderV1>) {
      super(...args);
      decoder = this;
    }
  }
  try {
    decoded = Y.decodeUpdateV2(update, Decoder);
  } catch (error) {
    return error instanceof Error ? error.message : 'it is no Yjs update';
  }
  // An update in format V2 begins like an empty one in V1: Yjs would read it, say nothing and leave all of it out.
  const rest = decoder?.restDecoder;
  if (rest !== undefined && rest.pos !== rest.arr.length) return 'it goes on after its end, as one in format V2 would';
  for (const struct of decoded.structs) {
    const { client, clock } = struct.id;
    if (writers !== undefined && !writers.has(client))
      return `it carries operations of clientID ${client}, which is not its writer's`;
    if (clock + struct.length > CLOCK_MAX) return 'its clock is out of bounds';
  }
  for (const items of decoded.ds.clients.values()) {
    for (const item of items) if (item.clock + item.len > CLOCK_MAX) return 'it deletes out of bounds';
  }
  return undefined;
}
