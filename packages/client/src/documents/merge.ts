import * as Y from 'yjs';

/** Yjs merges n updates in about n² steps, so many are merged in groups and the groups again. */
const GROUP = 32;

/** One update that holds what all of them hold. */
export function mergeUpdates(updates: readonly Uint8Array[]): Uint8Array {
  let level = updates;
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += GROUP) next.push(Y.mergeUpdates(level.slice(i, i + GROUP)));
    level = next;
  }
  return level[0] ?? new Uint8Array([0, 0]);
}

/** The state of a document as one update, for a page that opens it. Applying is faster than merging where updates are many. */
export function updatesToState(updates: readonly Uint8Array[]): Uint8Array {
  if (updates.length <= 1) return mergeUpdates(updates);
  const ydoc = new Y.Doc();
  ydoc.transact(() => {
    for (const update of updates) Y.applyUpdate(ydoc, update);
  });
  const state = Y.encodeStateAsUpdate(ydoc);
  ydoc.destroy();
  return state;
}
