import { equalBytes } from '../bytes.js';
import { trieKeyOf } from '../delta.js';
import type { RoomRef } from '../room/accept.js';
import { bytesToStub, isStub } from '../stub.js';
import type { DeltaBytes, Part, Wanted } from '../wire/messages.js';

/** [SY17] A stub of an own delta that was pushed over this connection and has not been answered. */
export interface Offer {
  readonly seq: number;
  readonly trieKey: Uint8Array;
  readonly parts: number;
  /** The parts below were asked for, over this connection or an earlier one. */
  readonly asked: number;
}

/** Adds the stubs among what is pushed. */
export function addOffers(
  offers: readonly Offer[],
  { hash, roomId }: RoomRef,
  entries: readonly DeltaBytes[],
): readonly Offer[] {
  const fresh = entries.filter(isStub).map((entry): Offer => {
    const stub = bytesToStub(hash, roomId, entry);
    return { seq: stub.seq, trieKey: trieKeyOf(stub), parts: stub.partHashes.length, asked: 0 };
  });
  if (fresh.length === 0) return offers;
  const seqs = new Set(fresh.map(({ seq }) => seq));
  return [...offers.filter(({ seq }) => !seqs.has(seq)), ...fresh];
}

/** Parts are asked for in order, so what lies before these is at the other side, whoever brought it. */
export function askedFor(offers: readonly Offer[], wanted: readonly Wanted[]): readonly Offer[] {
  return offers.map((offer) => {
    const run = wanted.findLast(({ trieKey }) => equalBytes(trieKey, offer.trieKey));
    return run === undefined ? offer : { ...offer, asked: Math.min(run.from + run.count, offer.parts) };
  });
}

/** Acknowledged, or refused. */
export function answered(offers: readonly Offer[], seqs: readonly number[]): readonly Offer[] {
  if (offers.length === 0) return offers;
  const gone = new Set(seqs);
  return offers.filter(({ seq }) => !gone.has(seq));
}

/** A part without bytes is of a delta that we do not hold any more: nobody will ask for more of it. */
export function withoutLost(offers: readonly Offer[], parts: readonly Part[]): readonly Offer[] {
  const lost = parts.filter(({ bytes }) => bytes.length === 0);
  if (lost.length === 0) return offers;
  return offers.filter((offer) => !lost.some(({ trieKey }) => equalBytes(trieKey, offer.trieKey)));
}

/** How many parts were not asked for yet. */
export function partsLeft(offers: readonly Offer[]): number {
  return offers.reduce((sum, { parts, asked }) => sum + parts - asked, 0);
}
