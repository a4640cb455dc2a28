import * as Y from 'yjs';

/** What a document has that a stored state has not, as one update; undefined where that is nothing. */
export function missingIn(state: Uint8Array, ydoc: Y.Doc): Uint8Array | undefined {
  const stored = new Y.Doc();
  Y.applyUpdate(stored, state);
  const missing: Uint8Array[] = [];
  stored.on('update', (update: Uint8Array) => missing.push(update));
  Y.applyUpdate(stored, Y.encodeStateAsUpdate(ydoc, Y.encodeStateVector(stored)));
  stored.destroy();
  return missing.length === 0 ? undefined : Y.mergeUpdates(missing);
}
