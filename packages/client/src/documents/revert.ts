import * as Y from 'yjs';
import { MangroveError } from '@mangrove/protocol';
import { mergeUpdates } from './merge.js';
import { updateFault } from './guard.js';

/** A document apart from the one that is edited. Throws `VERSION_UNAVAILABLE` for what is no update: somebody else may have saved it. */
export function stateToDoc(id: string, state: Uint8Array): Y.Doc {
  const reason = updateFault(state, undefined);
  if (reason !== undefined) throw new MangroveError('VERSION_UNAVAILABLE', { id, reason });
  // What it has deleted may have to come back.
  const ydoc = new Y.Doc({ gc: false });
  Y.applyUpdate(ydoc, state);
  return ydoc;
}

/**
 * The update that makes `current` read like `earlier`: everything that the one has and the other has not, done to the earlier one and undone
 * there. So only what differs is touched, content that was deleted since comes back where it was, and what others write meanwhile merges.
 * `earlier` is used up.
 */
export function updateToRevert(current: Y.Doc, earlier: Y.Doc): Uint8Array {
  const since = {};
  const names = new Set([...current.share.keys(), ...earlier.share.keys()]);
  if (names.size === 0) return mergeUpdates([]);
  const scope = [...names].map((name) => earlier.get(name, kindOf(current.share.get(name)) as never));
  const undo = new Y.UndoManager(scope, { trackedOrigins: new Set([since]), captureTimeout: Number.MAX_SAFE_INTEGER });
  const apply = (transaction: Y.Transaction): void => {
    Y.applyUpdate(earlier, Y.encodeStateAsUpdate(current));
    // Of what comes from others Yjs tidies up the formatting, which nobody could undo.
    transaction.local = true;
  };
  Y.transact(earlier, apply, since);
  const updates: Uint8Array[] = [];
  earlier.on('update', (update: Uint8Array) => updates.push(update));
  while (undo.canUndo()) undo.undo();
  undo.destroy();
  return mergeUpdates(updates);
}

/** An undo manager is told only of roots that have a kind; which one does not matter to it where nobody here has asked for it. */
function kindOf(root: object | undefined): unknown {
  return root === undefined || root.constructor === Y.AbstractType ? Y.Array : root.constructor;
}
