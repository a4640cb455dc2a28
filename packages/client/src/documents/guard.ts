import * as Y from 'yjs';
import { type Cost, costOf } from './cost.js';

/** No writer reaches this many operations of one clientID; a forged clock near 2^53 would poison every later one. */
const CLOCK_MAX = 2 ** 31;

/** What is known of an update before Yjs sees it. */
export type Looked =
  | { readonly fault: string; readonly cost?: undefined }
  | { readonly fault?: undefined; readonly cost: Cost };

/** Why an update must not be applied, or undefined. `writers`: as {@link lookThrough} has them. */
export function updateFault(update: Uint8Array, writers: ReadonlySet<number> | undefined): string | undefined {
  return lookThrough(update, writers).fault;
}

/**
 * Why an update must not be applied, or what it may cost to apply it. Looked at before Yjs sees it: an update with another writer's clientID
 * would make two replicas differ for ever with equal state vectors.
 *
 * `writers`: the clientIDs its structs may carry; undefined for updates that their signer vouches for (imports, checkpoints).
 */
export function lookThrough(update: Uint8Array, writers: ReadonlySet<number> | undefined): Looked {
  let decoded: Decoded;
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
    return { fault: error instanceof Error ? error.message : 'it is no Yjs update' };
  }
  // An update in format V2 begins like an empty one in V1: Yjs would read it, say nothing and leave all of it out.
  const rest = decoder?.restDecoder;
  if (rest !== undefined && rest.pos !== rest.arr.length)
    return { fault: 'it goes on after its end, as one in format V2 would' };
  const fault = faultOf(decoded, writers);
  return fault === undefined ? { cost: costOf(decoded) } : { fault };
}

type Decoded = ReturnType<typeof Y.decodeUpdate>;

function faultOf(decoded: Decoded, writers: ReadonlySet<number> | undefined): string | undefined {
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
