import { IndexeddbPersistence } from 'y-indexeddb';
import * as Y from 'yjs';
import { watchWrites, writesIdle } from '../write-watch.js';
import { textOf } from './yjs-edits.js';

export async function open(name) {
  watchWrites();
  const doc = new Y.Doc();
  const persistence = new IndexeddbPersistence(name, doc);
  await persistence.whenSynced;
  // Each edit begins a transaction of its own before it returns.
  return { ...textOf(doc), onDisk: writesIdle, settle: writesIdle };
}
