import { prefixEnd } from '../bytes.js';

declare const brand: unique symbol;

/**
 * A place in the trie: the nibbles that lead to it, one lowercase hex digit each, so that a slot is a plain string that can
 * be compared, cut and used as the key of a map. A key of n bytes has 2n nibbles, high nibble first.
 */
export type Slot = string & { readonly [brand]: 'Slot' };

/** The slot of the root: no nibbles. */
export const ROOT_SLOT = '' as Slot;

const DIGITS = '0123456789abcdef';
/** What the u8 before a slot can say. */
const SLOT_NIBBLES_MAX = 255;

/** Whether a text is a slot: for what did not come through `bytesToSlot`. */
export function isSlot(text: string): text is Slot {
  return text.length <= SLOT_NIBBLES_MAX && /^[0-9a-f]*$/.test(text);
}

/** The nibble of a key at a position from 0 to 2 × its length − 1. */
export function nibbleAt(key: Uint8Array, position: number): number {
  const byte = key[position >>> 1] as number;
  return position % 2 === 0 ? byte >>> 4 : byte & 15;
}

/** The nibble of a slot at a position below its length. */
export function slotNibble(slot: Slot, position: number): number {
  return DIGITS.indexOf(slot.charAt(position));
}

/** The slot made of a key's first nibbles. */
export function keyToSlot(key: Uint8Array, nibbles: number = 2 * key.length): Slot {
  let slot = '';
  for (let i = 0; i < nibbles; i++) slot += DIGITS.charAt(nibbleAt(key, i));
  return slot as Slot;
}

/** How many leading nibbles two keys of one length share. */
export function commonNibbles(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) ^ (b[i] as number);
    if (difference !== 0) return difference < 16 ? 2 * i + 1 : 2 * i;
  }
  return 2 * length;
}

/** How many leading nibbles a slot shares with a key; the slot's length when the key lies under it. */
export function sharedNibbles(slot: Slot, key: Uint8Array): number {
  const length = Math.min(slot.length, 2 * key.length);
  for (let i = 0; i < length; i++) {
    if (slot.charCodeAt(i) !== DIGITS.charCodeAt(nibbleAt(key, i))) return i;
  }
  return length;
}

/** Whether a key lies under a slot. */
export function slotContains(slot: Slot, key: Uint8Array): boolean {
  return sharedNibbles(slot, key) === slot.length;
}

/** The slot of an inner node's child. */
export function childSlot(prefix: Slot, nibble: number): Slot {
  return (prefix + DIGITS.charAt(nibble)) as Slot;
}

/**
 * The bytes of all keys under a slot, as a range of an ordered table: `from` included, `to` not, no `to` for a slot that
 * reaches to the table's end. It needs no key length: a shorter byte string sorts before all that it begins.
 */
export function slotRange(slot: Slot): { readonly from: Uint8Array; readonly to: Uint8Array | undefined } {
  const from = packNibbles(slot);
  if (slot.length % 2 === 0) return { from, to: prefixEnd(from) };
  const last = from.length - 1;
  if ((from[last] as number) >>> 4 === 15) return { from, to: prefixEnd(from.subarray(0, last)) };
  const to = from.slice();
  to[last] = (to[last] as number) + 16;
  return { from, to };
}

/** The nibbles two a byte, high one first; an odd last one is padded with zero, as it is hashed [MK2]. */
export function packNibbles(slot: Slot): Uint8Array {
  const bytes = new Uint8Array((slot.length + 1) >>> 1);
  for (let i = 0; i < slot.length; i++) {
    const nibble = slotNibble(slot, i);
    bytes[i >>> 1] = (bytes[i >>> 1] as number) | (i % 2 === 0 ? nibble << 4 : nibble);
  }
  return bytes;
}

/** `u8 nibbleCount • nibbles packed, zero padded`: the key of the table `nodes` [MK4], and a slot on the wire. */
export function slotToBytes(slot: Slot): Uint8Array {
  const bytes = new Uint8Array(1 + ((slot.length + 1) >>> 1));
  bytes[0] = slot.length;
  bytes.set(packNibbles(slot), 1);
  return bytes;
}

/** Undefined unless the bytes are exactly one slot in its one encoding: right length, zero padding. */
export function bytesToSlot(bytes: Uint8Array): Slot | undefined {
  const nibbles = bytes[0];
  if (nibbles === undefined || bytes.length !== 1 + ((nibbles + 1) >>> 1)) return undefined;
  if (nibbles % 2 === 1 && ((bytes[bytes.length - 1] as number) & 15) !== 0) return undefined;
  return keyToSlot(bytes.subarray(1), nibbles);
}
