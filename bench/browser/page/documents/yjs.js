import * as Y from 'yjs';
import { openDatabase, read, write } from '../idb.js';
import { textOf } from './yjs-edits.js';

/** Nothing is stored while somebody types; when asked to, all of it is put as one blob, and opened from that. */
export async function open(name) {
  const doc = new Y.Doc();
  const db = await openDatabase(name, { blobs: {} });
  const blob = await read(db, 'blobs', (store) => store.get('state'));
  if (blob !== undefined) Y.applyUpdate(doc, blob);
  return {
    ...textOf(doc),
    onDisk: undefined,
    settle: () => write(db, 'blobs', 'strict', (store) => store.put(Y.encodeStateAsUpdate(doc), 'state')),
  };
}
