import * as Y from 'yjs';

/** What a document has that is not in these updates, as one update; undefined where that is nothing. */
export function missingIn(updates: readonly Uint8Array[], ydoc: Y.Doc): Uint8Array | undefined {
  const stored = new Y.Doc();
  for (const update of updates) Y.applyUpdate(stored, update);
  const missing: Uint8Array[] = [];
  stored.on('update', (update: Uint8Array) => missing.push(update));
  Y.applyUpdate(stored, Y.encodeStateAsUpdate(ydoc, Y.encodeStateVector(stored)));
  stored.destroy();
  return missing.length === 0 ? undefined : Y.mergeUpdates(missing);
}
