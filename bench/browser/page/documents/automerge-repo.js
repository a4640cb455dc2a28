import { IndexedDBStorageAdapter } from '@automerge/automerge-repo-storage-indexeddb';
import { Automerge, initializeWasm, Repo } from '@automerge/automerge-repo/slim';
import wasmUrl from '@automerge/automerge/automerge.wasm?url';
import { nextWrite, watchWrites } from '../write-watch.js';

const URL_KEY = 'automerge-url';

export async function open(name) {
  watchWrites();
  await initializeWasm(fetch(wasmUrl));
  const repo = new Repo({ storage: new IndexedDBStorageAdapter(name) });
  const known = localStorage.getItem(URL_KEY);
  const handle = known === null ? repo.create({ text: '' }) : await repo.find(known);
  localStorage.setItem(URL_KEY, handle.url);
  return {
    edit: (index, deleted, inserted) =>
      handle.change((doc) => Automerge.splice(doc, ['text'], index, deleted, inserted)),
    text: () => handle.doc().text,
    // It saves by itself, at most every 100 ms, and does not say when: the next transaction has all edits so far.
    onDisk: nextWrite,
    settle: () => repo.flush([handle.documentId]),
  };
}
