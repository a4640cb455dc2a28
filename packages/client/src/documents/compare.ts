import { equalBytes } from '@mangrove/protocol';
import * as Y from 'yjs';

type Struct = Y.Item | Y.GC;

/**
 * Why a checkpoint's update is not what merging the covered updates gives, or undefined. It must hold every operation of theirs as it
 * was made, and every deletion; where `isExact`, nothing more. Deleted content may be gone.
 *
 * Cost: both are loaded once, and their operations are walked side by side.
 */
export function checkpointFault(
  update: Uint8Array,
  covered: readonly Uint8Array[],
  isExact: boolean,
): string | undefined {
  const merged = load(covered);
  const checkpoint = load([update]);
  try {
    return faultOf(checkpoint, merged, isExact);
  } finally {
    merged.destroy();
    checkpoint.destroy();
  }
}

function load(updates: readonly Uint8Array[]): Y.Doc {
  const ydoc = new Y.Doc();
  ydoc.transact(() => {
    for (const update of updates) Y.applyUpdate(ydoc, update);
  });
  return ydoc;
}

function faultOf(checkpoint: Y.Doc, merged: Y.Doc, isExact: boolean): string | undefined {
  // What waits for operations that nobody here has cannot be walked; it can only be there or not.
  if (isWaiting(merged) && !isWaiting(checkpoint) && isExact) return 'it leaves out what waits for other operations';
  if (isWaiting(checkpoint) && !isWaiting(merged) && isExact) return 'it says more than was merged';
  for (const [client, structs] of merged.store.clients) {
    const claimed = checkpoint.store.clients.get(client);
    if (claimed === undefined) return `it leaves out the operations of clientID ${client}`;
    if (Y.getState(checkpoint.store, client) < Y.getState(merged.store, client))
      return `it leaves out operations of clientID ${client}`;
    const fault = walk(claimed as Struct[], structs as Struct[], isExact);
    if (fault !== undefined) return fault;
  }
  if (!isExact) return undefined;
  for (const client of checkpoint.store.clients.keys()) {
    if (Y.getState(checkpoint.store, client) > Y.getState(merged.store, client))
      return `it has operations of clientID ${client} that were not merged`;
  }
  return undefined;
}

const isWaiting = ({ store }: Y.Doc): boolean => store.pendingStructs !== null || store.pendingDs !== null;

/** Both lists begin at clock 0 and have no gaps; the pieces may be cut elsewhere. */
function walk(claimed: readonly Struct[], merged: readonly Struct[], isExact: boolean): string | undefined {
  let i = 0;
  for (const struct of merged) {
    const end = struct.id.clock + struct.length;
    for (let clock = struct.id.clock; clock < end; ) {
      let other = claimed[i] as Struct;
      while (other.id.clock + other.length <= clock) other = claimed[++i] as Struct;
      const until = Math.min(end, other.id.clock + other.length);
      const fault = differ(other, struct, clock, until, isExact);
      if (fault !== undefined) return `${fault} of clientID ${struct.id.client} at ${clock}`;
      clock = until;
    }
  }
  return undefined;
}

function differ(claimed: Struct, merged: Struct, from: number, to: number, isExact: boolean): string | undefined {
  if (merged.deleted) return claimed.deleted ? undefined : 'it brings back what was deleted, an operation';
  if (claimed.deleted) return isExact ? 'it deletes what stands, an operation' : undefined;
  if (!(merged instanceof Y.Item) || !(claimed instanceof Y.Item)) return 'it has no content for an operation';
  const isSame =
    isSameId(originAt(claimed, from), originAt(merged, from)) &&
    isSameId(claimed.rightOrigin, merged.rightOrigin) &&
    claimed.parentSub === merged.parentSub &&
    isSameParent(claimed.parent, merged.parent) &&
    isSameContent(claimed, merged, from, to);
  return isSame ? undefined : 'it has another content for an operation';
}

/** Within a piece each operation stands after the one before it. */
function originAt(item: Y.Item, clock: number): Y.ID | null {
  return clock === item.id.clock ? item.origin : Y.createID(item.id.client, clock - 1);
}

function isSameId(a: Y.ID | null, b: Y.ID | null): boolean {
  return a === null || b === null ? a === b : a.client === b.client && a.clock === b.clock;
}

function isSameParent(a: Y.Item['parent'], b: Y.Item['parent']): boolean {
  const one = placeOf(a);
  const other = placeOf(b);
  return typeof one === 'string' || typeof other === 'string' ? one === other : isSameId(one, other);
}

/** A root type by its name, any other by the operation that made it. */
function placeOf(parent: Y.Item['parent']): string | Y.ID | null {
  if (parent === null) return null;
  if (!(parent instanceof Y.AbstractType)) return parent;
  return parent._item === null ? `root ${Y.findRootTypeKey(parent)}` : parent._item.id;
}

function isSameContent(a: Y.Item, b: Y.Item, from: number, to: number): boolean {
  if (a.content.constructor !== b.content.constructor) return false;
  if (a.content instanceof Y.ContentString && b.content instanceof Y.ContentString)
    return isSameText(pieceOf(a, a.content.str, from, to), pieceOf(b, b.content.str, from, to));
  return equalBytes(encodePiece(a, from, to), encodePiece(b, from, to));
}

/** Yjs puts a replacement character for each half of a surrogate pair that somebody's insertion splits: both are what was written. */
function isSameText(a: string, b: string): boolean {
  if (a === b) return true;
  const isHalf = (unit: number): boolean => (unit >= 0xd800 && unit <= 0xdfff) || unit === 0xfffd;
  for (let i = 0; i < a.length; i++) {
    const [one, other] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (one !== other && !(isHalf(one) && isHalf(other))) return false;
  }
  return a.length === b.length;
}

function pieceOf<Whole extends string | unknown[]>({ id }: Y.Item, whole: Whole, from: number, to: number): Whole {
  return whole.slice(from - id.clock, to - id.clock) as Whole;
}

/** Content of several operations is cut to the piece; any other is of one. */
function encodePiece(item: Y.Item, from: number, to: number): Uint8Array {
  let { content } = item;
  if (content instanceof Y.ContentAny) content = new Y.ContentAny(pieceOf(item, content.arr, from, to));
  if (content instanceof Y.ContentJSON) content = new Y.ContentJSON(pieceOf(item, content.arr, from, to));
  const encoder = new Y.UpdateEncoderV1();
  content.write(encoder as never, 0);
  return encoder.toUint8Array();
}
