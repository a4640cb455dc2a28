import * as encoding from 'lib0/encoding';
import { utf8ToBytes } from './bytes.js';
import { encode } from './codec.js';
import type { Hash } from './hash.js';

/** A relay that a room may be at, with its share of the rooms beside those of weight 1. */
export interface WeightedRelay {
  readonly url: string;
  /** Above 0; a relay of weight 2 gets twice as many rooms as one of weight 1. */
  readonly weight: number;
}

/** Without a weight it has 1. */
export type RelayChoice = string | WeightedRelay;

const DRAW_BYTES = 6;

/** The base URL of a relay in the one spelling that its place in a room's order depends on [FD1]; undefined for another kind of URL. */
export function spellRelay({
  protocol,
  href,
}: {
  readonly protocol: string;
  readonly href: string;
}): string | undefined {
  return /^(wss?|https?):$/.test(protocol) ? href.replace(/^http/, 'ws').replace(/\/+$/, '') : undefined;
}

/**
 * [FD1] The relays of a room, its own one first. Everybody who has the same list finds the same order, in whatever order it is given; a relay that
 * is added or lost moves only the rooms that it has, or had, and leaves the order of the others as it is.
 *
 * Source: highest random weight (Thaler and Ravishankar 1998), weighted as a race of exponential clocks.
 */
export function rankRelays(hash: Hash, room: string, relays: readonly RelayChoice[]): readonly string[] {
  const arrivals = relays.map((relay) => {
    const { url, weight } = typeof relay === 'string' ? { url: relay, weight: 1 } : relay;
    return { url, atTime: -Math.log(draw(hash, room, url)) / weight };
  });
  arrivals.sort((a, b) => a.atTime - b.atTime || (a.url < b.url ? -1 : 1));
  return arrivals.map(({ url }) => url);
}

/** Above 0 and below 1, the same for one room and one relay everywhere. */
function draw(hash: Hash, room: string, url: string): number {
  const named = encode((encoder) => {
    encoding.writeUint8Array(encoder, utf8ToBytes('mangrove:relay:1'));
    encoding.writeVarString(encoder, room);
    encoding.writeVarString(encoder, url);
  });
  const drawn = hash(named)
    .subarray(0, DRAW_BYTES)
    .reduce((sum, byte) => sum * 256 + byte, 0);
  return (drawn + 0.5) / 256 ** DRAW_BYTES;
}
