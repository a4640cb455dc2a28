import * as Y from 'yjs';
import { type Deletions, deletionsToUpdate, type OperationRange } from './deletions.js';

/** Sealing joins what is lighter; a slice is sealed as it is. */
const SLICE_BYTES = 4 * 1024 * 1024;
/** What stands before the structs of one writer, and before all of them: four numbers of at most ten bytes. */
const HEAD_BYTES = 40;
/** Two numbers, of one deletion or before those of one writer. */
const DELETION_BYTES = 20;

type Struct = ReturnType<typeof Y.decodeUpdate>['structs'][number];

export interface Sliced {
  /** Applied in whatever order, they say what the update says. */
  readonly slices: readonly Uint8Array[];
  /** What is too large by itself and cannot be cut; the slices have deleted content of the same length in its place. */
  readonly refused: readonly Refused[];
  /** What the update deletes. */
  readonly deletions: Deletions;
}

export interface Refused extends OperationRange {
  readonly bytes: number;
}

/**
 * An update as several of at most `bytesMax` bytes, which is no less than 1 KiB. Long text and long lists are cut; a value that is too large
 * by itself is left out in such a way that the clocks of its writer have no gap and what is written beside it keeps its place. One that the
 * update itself deletes again is no loss, and not among the refused.
 */
export function sliceUpdate(update: Uint8Array, bytesMax: number): Sliced {
  const { structs, ds: deletions } = Y.decodeUpdate(update);
  const sliceBytes = Math.min(SLICE_BYTES, bytesMax);
  const writer = new SliceWriter(sliceBytes);
  const refused: Refused[] = [];
  // The next one last, so that what one is cut into takes its place.
  const rest = structs.toReversed();
  for (let struct = rest.pop(); struct !== undefined; struct = rest.pop()) {
    const { id, length } = struct;
    const bytes = structToBytes(struct);
    const ratio = (bytes.length + HEAD_BYTES) / sliceBytes;
    const pieces = ratio > 1 && struct instanceof Y.Item ? cut(struct, Math.ceil(ratio)) : [];
    if (pieces.length > 1) {
      rest.push(...pieces.toReversed());
    } else if (struct instanceof Y.Item && bytes.length + HEAD_BYTES > bytesMax) {
      writer.add(id, length, hollowToBytes(struct, bytesMax - HEAD_BYTES));
      if (!Y.isDeleted(deletions, id)) refused.push({ ...id, length, bytes: bytes.length });
    } else {
      writer.add(id, length, bytes);
    }
  }
  writer.flush();
  return { slices: [...writer.slices, ...sliceDeletions(deletions, sliceBytes)], refused, deletions };
}

/** Gathers structs, in the order in which an update has them: those of one writer by rising clocks. */
class SliceWriter {
  readonly slices: Uint8Array[] = [];
  readonly #bytesMax: number;
  readonly #bytes: Uint8Array;
  #used = 0;
  #runs: { readonly id: Y.ID; readonly from: number; to: number; structs: number; nextClock: number }[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#bytes = new Uint8Array(bytesMax);
  }

  /** `struct`: one that is heavier than a slice may be is a slice of its own. */
  add(id: Y.ID, length: number, struct: Uint8Array): void {
    if (this.#used + struct.length + HEAD_BYTES * (this.#runs.length + 2) > this.#bytesMax) this.flush();
    if (struct.length > this.#bytes.length) {
      this.slices.push(join([countOf(1), headOf(id, 1), struct, countOf(0)]));
      return;
    }
    this.#bytes.set(struct, this.#used);
    const from = this.#used;
    this.#used += struct.length;
    const run = this.#runs.at(-1);
    if (run?.id.client === id.client && run.nextClock === id.clock) {
      run.to = this.#used;
      run.structs++;
      run.nextClock += length;
    } else {
      this.#runs.push({ id, from, to: this.#used, structs: 1, nextClock: id.clock + length });
    }
  }

  flush(): void {
    if (this.#runs.length === 0) return;
    const runs = this.#runs.flatMap(({ id, from, to, structs }) => [
      headOf(id, structs),
      this.#bytes.subarray(from, to),
    ]);
    this.slices.push(join([countOf(this.#runs.length), ...runs, countOf(0)]));
    this.#runs = [];
    this.#used = 0;
  }
}

function sliceDeletions(deletions: Deletions, bytesMax: number): Uint8Array[] {
  const roomMax = Math.floor(bytesMax / DELETION_BYTES) - 1;
  const slices: Uint8Array[] = [];
  let gathered: Deletions['clients'] = new Map();
  let room = roomMax;
  const flush = (): void => {
    if (gathered.size === 0) return;
    slices.push(deletionsToUpdate({ clients: gathered }));
    gathered = new Map();
    room = roomMax;
  };
  for (const [client, ranges] of deletions.clients) {
    for (let i = 0; i < ranges.length; ) {
      const taken = ranges.slice(i, i + room);
      gathered.set(client, taken);
      i += taken.length;
      room -= taken.length + 1;
      if (room <= 0) flush();
    }
  }
  flush();
  return slices;
}

/** About as many pieces of one length; one where it cannot be cut. The item is used up. */
function cut(item: Y.Item, count: number): readonly Y.Item[] {
  const step = Math.ceil(item.length / count);
  const pieces = [item];
  for (let last = item; last.length > step; ) {
    const at = step + (isPairAt(last.content, step) ? 1 : 0);
    if (at >= last.length) break;
    const { client, clock } = last.id;
    const origin = Y.createID(client, clock + at - 1);
    const content = last.content.splice(at);
    const id = Y.createID(client, clock + at);
    const piece = new Y.Item(id, null, origin, null, last.rightOrigin, last.parent, last.parentSub, content);
    last.length = at;
    pieces.push(piece);
    last = piece;
  }
  return pieces;
}

/** Whether a cut would go through one character: Yjs would put two others in its place. */
function isPairAt(content: Y.Item['content'], at: number): boolean {
  return content instanceof Y.ContentString && /^[\ud800-\udbff]/.test(content.str.charAt(at - 1));
}

/** The item without its content; without its place as well where that is what is too large. */
function hollowToBytes(item: Y.Item, bytesMax: number): Uint8Array {
  const { id, origin, rightOrigin, parent, parentSub, length } = item;
  const content = new Y.ContentDeleted(length);
  const bytes = structToBytes(new Y.Item(id, null, origin, null, rightOrigin, parent, parentSub, content));
  return bytes.length <= bytesMax ? bytes : structToBytes(new Y.GC(id, length));
}

function structToBytes(struct: Struct): Uint8Array {
  const encoder = new Y.UpdateEncoderV1();
  struct.write(encoder, 0);
  return encoder.toUint8Array();
}

function headOf({ client, clock }: Y.ID, structs: number): Uint8Array {
  const encoder = new Y.UpdateEncoderV1();
  encoder.writeLen(structs);
  encoder.writeClient(client);
  encoder.writeLen(clock);
  return encoder.toUint8Array();
}

function countOf(count: number): Uint8Array {
  const encoder = new Y.UpdateEncoderV1();
  encoder.writeLen(count);
  return encoder.toUint8Array();
}

/** There may be more of them than a function may have arguments. */
function join(chunks: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}
