import { compareBytes } from '@mangrove/protocol';

/** Where a value is that is too large to be packed with others: so many bytes, in pieces whose numbers follow each other. */
export interface Large {
  readonly firstPiece: number;
  readonly bytes: number;
}

export type Held = Uint8Array | Large;

/** A row of a plan, by table and key. Without a value: it was deleted, and what an older place says of it counts no more. */
export type Entry = readonly [key: Uint8Array, held: Held | undefined];

const KIND = { gone: 0, inline: 1, large: 2 } as const;
/** The kind and the length of the key. */
const FRONT_BYTES = 3;
const LENGTH_BYTES = 4;
const LARGE_BYTES = 16;

export function isLarge(held: Held | undefined): held is Large {
  return held !== undefined && !(held instanceof Uint8Array);
}

/** `entry := u8 kind • u16 keyBytes • key • (nothing | u32 bytes • value | u64 firstPiece • u64 bytes)` */
export function bytesOfEntry([key, held]: Entry): number {
  const own = FRONT_BYTES + key.length;
  if (held === undefined) return own;
  return own + (isLarge(held) ? LARGE_BYTES : LENGTH_BYTES + held.length);
}

export function packEntries(entries: readonly Entry[]): Uint8Array {
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + bytesOfEntry(entry), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [key, held] of entries) {
    view.setUint8(at, held === undefined ? KIND.gone : isLarge(held) ? KIND.large : KIND.inline);
    view.setUint16(at + 1, key.length);
    bytes.set(key, at + FRONT_BYTES);
    at += FRONT_BYTES + key.length;
    if (isLarge(held)) {
      view.setBigUint64(at, BigInt(held.firstPiece));
      view.setBigUint64(at + 8, BigInt(held.bytes));
      at += LARGE_BYTES;
    } else if (held !== undefined) {
      view.setUint32(at, held.length);
      bytes.set(held, at + LENGTH_BYTES);
      at += LENGTH_BYTES + held.length;
    }
  }
  return bytes;
}

/** Keys and values are views of `bytes`. */
export function unpackEntries(bytes: Uint8Array): Entry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries: Entry[] = [];
  let at = 0;
  while (at < bytes.length) {
    const kind = view.getUint8(at);
    const keyEnd = at + FRONT_BYTES + view.getUint16(at + 1);
    const key = bytes.subarray(at + FRONT_BYTES, keyEnd);
    at = keyEnd;
    if (kind === KIND.gone) entries.push([key, undefined]);
    else if (kind === KIND.large) {
      const large = { firstPiece: Number(view.getBigUint64(at)), bytes: Number(view.getBigUint64(at + 8)) };
      entries.push([key, large]);
      at += LARGE_BYTES;
    } else {
      const end = at + LENGTH_BYTES + view.getUint32(at);
      entries.push([key, bytes.subarray(at + LENGTH_BYTES, end)]);
      at = end;
    }
  }
  return entries;
}

/** The first place in ascending entries whose key is not below this one. */
export function placeOf(entries: readonly Entry[], key: Uint8Array): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes((entries[middle] as Entry)[0], key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Those of both, ascending; where both have a key, the newer ones count. What is gone stays as such. */
export function mergeEntries(older: readonly Entry[], newer: readonly Entry[]): Entry[] {
  const merged: Entry[] = [];
  let i = 0;
  for (const entry of newer) {
    for (; i < older.length; i++) {
      const order = compareBytes((older[i] as Entry)[0], entry[0]);
      if (order >= 0) {
        if (order === 0) i++;
        break;
      }
      merged.push(older[i] as Entry);
    }
    merged.push(entry);
  }
  for (; i < older.length; i++) merged.push(older[i] as Entry);
  return merged;
}
