import * as Y from 'yjs';
import { type Deletions, deletionsOf, type OperationRange } from './deletions.js';

/** An edit that something was left out of: what that is, and what the edit has deleted. */
export interface LeftOutEdit {
  readonly refused: readonly OperationRange[];
  readonly deletions: Deletions;
}

/**
 * The values under keys that were replaced by what was left out of the last of `edits`, as an update that puts them there again; undefined
 * where there are none, or where somebody has put something else there since. `stored`: of the document, with what was left out as deleted
 * content. What one of the edits has replaced that an earlier one had put there and was left out of is what was there before.
 */
export function updateThatBringsBack(
  stored: readonly Uint8Array[],
  edits: readonly LeftOutEdit[],
): Uint8Array | undefined {
  const ydoc = new Y.Doc({ gc: false });
  ydoc.transact(() => {
    for (const update of stored) Y.applyUpdate(ydoc, update);
  });
  const undo = new Y.UndoManager(ydoc);
  const step = ydoc.transact((transaction) => toUndo(transaction, edits), 'look');
  const updates: Uint8Array[] = [];
  ydoc.on('update', (update: Uint8Array) => updates.push(update));
  // As if these alone had been done, and were undone now: what has come in their place since is left as it is.
  undo.undoStack.push({ ...step, meta: new Map() } as never);
  undo.undo();
  undo.destroy();
  ydoc.destroy();
  return updates.length === 0 ? undefined : Y.mergeUpdates(updates);
}

/** What came under keys and is left out, and what was there before, with everything in it. */
function toUndo(
  transaction: Y.Transaction,
  edits: readonly LeftOutEdit[],
): Record<'insertions' | 'deletions', Deletions> {
  // Of items as they are now: to look at others may cut them.
  const insertions: OperationRange[] = [];
  const deletions: OperationRange[] = [];
  const values = new Set<Y.Item>();
  const wasDeleted = (item: Y.Item): boolean => edits.some(({ deletions }) => Y.isDeleted(deletions, item.id));
  Y.iterateDeletedStructs(transaction, deletionsOf(edits.at(-1)?.refused ?? []), (struct) => {
    if (!(struct instanceof Y.Item) || struct.parentSub === null) return;
    insertions.push(rangeOf(struct));
    // What has no content any more was left out as well, or did not outlive the edit that it came with.
    let before = struct.left;
    while (before !== null && before.content instanceof Y.ContentDeleted && wasDeleted(before)) {
      insertions.push(rangeOf(before));
      before = before.left;
    }
    if (before !== null && wasDeleted(before)) values.add(before);
  });
  for (const edit of edits) {
    Y.iterateDeletedStructs(transaction, edit.deletions, (struct) => {
      if (struct instanceof Y.Item && isWithin(struct, values)) deletions.push(rangeOf(struct));
    });
  }
  return { insertions: deletionsOf(insertions), deletions: deletionsOf(deletions) };
}

function isWithin(item: Y.Item, values: ReadonlySet<Y.Item>): boolean {
  for (let outer: Y.Item | null = item; outer !== null; outer = (outer.parent as Y.AbstractType<unknown>)._item)
    if (values.has(outer)) return true;
  return false;
}

const rangeOf = ({ id: { client, clock }, length }: Y.Item): OperationRange => ({ client, clock, length });
