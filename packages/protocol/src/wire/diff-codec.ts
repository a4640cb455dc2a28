import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { readCount, readFixed, readVarUint } from '../codec.js';
import { MangroveError } from '../errors.js';
import { HASH_BYTES } from '../hash.js';
import { defaultLimits } from '../limits.js';
import { CUT_BYTES, SALT_BYTES } from '../merkle/cut.js';
import type { DiffEntry, DiffMessage } from '../merkle/diff-message.js';
import { countChildren, LEAF_ITEMS_MAX } from '../merkle/node.js';
import { bytesToSlot, ROOT_SLOT, type Slot, slotToBytes } from '../merkle/slot.js';

const KINDS: readonly DiffEntry['kind'][] = ['node', 'list', 'want', 'need', 'sum'];
const ENTRY_BYTES_MIN = 2;
const KIND_BITS = 3;
/** The most nibbles that the first byte of an entry can say to be shared; from here on a number follows. */
const SHARED_MANY = 31;
const SLOT_NIBBLES_MAX = 255;

/** `diff := salt 8 • root 32 • varUint n • n × entry` */
export function writeDiff(encoder: encoding.Encoder, { salt, root, entries }: DiffMessage): void {
  encoding.writeUint8Array(encoder, salt);
  encoding.writeUint8Array(encoder, root);
  encoding.writeVarUint(encoder, entries.length);
  let last = ROOT_SLOT;
  for (const entry of entries) {
    writeEntry(encoder, entry, last);
    last = entry.slot;
  }
}

export function readDiff(decoder: decoding.Decoder): DiffMessage {
  const salt = readFixed(decoder, SALT_BYTES);
  const root = readFixed(decoder, HASH_BYTES);
  const count = readCount(decoder, ENTRY_BYTES_MIN, defaultLimits.diffEntriesMax);
  const entries: DiffEntry[] = [];
  for (let i = 0; i < count; i++) entries.push(readEntry(decoder, entries[i - 1]?.slot ?? ROOT_SLOT));
  return { salt, root, entries };
}

/**
 * `entry := u8 (kind + 8 × shared) • nibbles • rest`: a slot begins with as many nibbles as it shares with that of the entry before it,
 * where 31 says that a varUint with what is more than 31 follows, and `nibbles` are its others;
 * node 0: `nibbles of the prefix beyond the slot • u16 map • u32 cuts, one for each bit`; list 1 and need 3: `varUint n • n × u32`;
 * want 2: nothing; sum 4: `u8 count • u32 sum`.
 */
function writeEntry(encoder: encoding.Encoder, entry: DiffEntry, last: Slot): void {
  const { kind, slot } = entry;
  const shared = sharedWith(slot, last);
  encoding.writeUint8(encoder, KINDS.indexOf(kind) | (Math.min(shared, SHARED_MANY) << KIND_BITS));
  if (shared >= SHARED_MANY) encoding.writeVarUint(encoder, shared - SHARED_MANY);
  writeNibbles(encoder, slot, shared);
  switch (kind) {
    case 'want':
      return;
    case 'sum':
      encoding.writeUint8(encoder, entry.count);
      encoding.writeUint32BigEndian(encoder, entry.sum);
      return;
    case 'node':
      writeNibbles(encoder, entry.prefix, slot.length);
      encoding.writeUint8(encoder, entry.map >>> 8);
      encoding.writeUint8(encoder, entry.map & 255);
      break;
    default:
      encoding.writeVarUint(encoder, entry.cuts.length);
  }
  for (const cut of entry.cuts) encoding.writeUint32BigEndian(encoder, cut);
}

function readEntry(decoder: decoding.Decoder, last: Slot): DiffEntry {
  const first = decoding.readUint8(decoder);
  const kind = KINDS[first & ((1 << KIND_BITS) - 1)];
  let shared = first >>> KIND_BITS;
  if (shared === SHARED_MANY) shared += readVarUint(decoder);
  if (shared > last.length) throw malformed('a slot that shares more than there is');
  const slot = readNibbles(decoder, last.slice(0, shared));
  if (sharedWith(slot, last) !== shared) throw malformed('a slot that shares less than it could');
  switch (kind) {
    case 'node': {
      const prefix = readNibbles(decoder, slot);
      const map = decoding.readUint8(decoder) * 256 + decoding.readUint8(decoder);
      return { kind, slot, prefix, map, cuts: readCuts(decoder, countChildren(map)) };
    }
    case 'list':
    case 'need':
      return { kind, slot, cuts: readCuts(decoder, readCount(decoder, CUT_BYTES, LEAF_ITEMS_MAX)) };
    case 'sum':
      return { kind, slot, count: decoding.readUint8(decoder), sum: decoding.readUint32BigEndian(decoder) };
    case 'want':
      return { kind, slot };
    default:
      throw malformed('an unknown diff entry');
  }
}

function readCuts(decoder: decoding.Decoder, count: number): number[] {
  return Array.from({ length: count }, () => decoding.readUint32BigEndian(decoder));
}

function writeNibbles(encoder: encoding.Encoder, slot: Slot, from: number): void {
  encoding.writeUint8Array(encoder, slotToBytes(slot.slice(from) as Slot));
}

function readNibbles(decoder: decoding.Decoder, before: string): Slot {
  const nibbles = decoder.arr[decoder.pos] ?? 0;
  const slot = bytesToSlot(readFixed(decoder, 1 + ((nibbles + 1) >>> 1)));
  if (slot === undefined) throw malformed('a slot with a loose end');
  if (before.length + slot.length > SLOT_NIBBLES_MAX) throw malformed('a slot of too many nibbles');
  return (before + slot) as Slot;
}

function sharedWith(slot: Slot, last: Slot): number {
  let shared = 0;
  while (shared < slot.length && slot.charCodeAt(shared) === last.charCodeAt(shared)) shared++;
  return shared;
}

function malformed(reason: string): MangroveError {
  return new MangroveError('FRAME_MALFORMED', { reason });
}
