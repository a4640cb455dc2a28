import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { readCount, readFixed } from '../codec.js';
import { MangroveError } from '../errors.js';
import { HASH_BYTES } from '../hash.js';
import { defaultLimits } from '../limits.js';
import { CUT_BYTES, type DiffEntry, type DiffMessage } from '../merkle/diff-message.js';
import { countChildren, LEAF_ITEMS_MAX } from '../merkle/node.js';
import { bytesToSlot, type Slot, slotToBytes } from '../merkle/slot.js';

const KINDS: readonly DiffEntry['kind'][] = ['node', 'list', 'want', 'need'];
const ENTRY_BYTES_MIN = 2;

/** `diff := u32 salt • root 32 • varUint n • n × entry` */
export function writeDiff(encoder: encoding.Encoder, { salt, root, entries }: DiffMessage): void {
  encoding.writeUint32BigEndian(encoder, salt);
  encoding.writeUint8Array(encoder, root);
  encoding.writeVarUint(encoder, entries.length);
  for (const entry of entries) writeEntry(encoder, entry);
}

export function readDiff(decoder: decoding.Decoder): DiffMessage {
  const salt = decoding.readUint32BigEndian(decoder);
  const root = readFixed(decoder, HASH_BYTES);
  const count = readCount(decoder, ENTRY_BYTES_MIN, defaultLimits.diffEntriesMax);
  return { salt, root, entries: Array.from({ length: count }, () => readEntry(decoder)) };
}

/**
 * `entry := u8 kind • slot • rest`, where `slot := u8 nibbles • nibbles packed`;
 * node 0: `slot prefix • u16 map • cuts, one for each bit`; list 1 and need 3: `varUint n • n × cut 6`; want 2: nothing.
 */
function writeEntry(encoder: encoding.Encoder, entry: DiffEntry): void {
  encoding.writeUint8(encoder, KINDS.indexOf(entry.kind));
  encoding.writeUint8Array(encoder, slotToBytes(entry.slot));
  if (entry.kind === 'want') return;
  if (entry.kind === 'node') {
    encoding.writeUint8Array(encoder, slotToBytes(entry.prefix));
    encoding.writeUint8(encoder, entry.map >>> 8);
    encoding.writeUint8(encoder, entry.map & 255);
  } else {
    encoding.writeVarUint(encoder, entry.cuts.length);
  }
  for (const cut of entry.cuts) encoding.writeUint8Array(encoder, cut);
}

function readEntry(decoder: decoding.Decoder): DiffEntry {
  const kind = KINDS[decoding.readUint8(decoder)];
  const slot = readSlot(decoder);
  switch (kind) {
    case 'node': {
      const prefix = readSlot(decoder);
      const map = decoding.readUint8(decoder) * 256 + decoding.readUint8(decoder);
      return { kind, slot, prefix, map, cuts: readCuts(decoder, countChildren(map)) };
    }
    case 'list':
    case 'need':
      return { kind, slot, cuts: readCuts(decoder, readCount(decoder, CUT_BYTES, LEAF_ITEMS_MAX)) };
    case 'want':
      return { kind, slot };
    default:
      throw malformed('an unknown diff entry');
  }
}

function readCuts(decoder: decoding.Decoder, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => readFixed(decoder, CUT_BYTES));
}

function readSlot(decoder: decoding.Decoder): Slot {
  const nibbles = decoder.arr[decoder.pos] ?? 0;
  const slot = bytesToSlot(readFixed(decoder, 1 + ((nibbles + 1) >>> 1)));
  if (slot === undefined) throw malformed('a slot with a loose end');
  return slot;
}

function malformed(reason: string): MangroveError {
  return new MangroveError('FRAME_MALFORMED', { reason });
}
