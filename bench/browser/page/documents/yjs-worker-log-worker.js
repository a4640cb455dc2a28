import * as Y from 'yjs';
import { openDatabase, read, write } from '../idb.js';

const ROWS_MAX = 500;
const REST_MS = 1_000;

let db;
let rows = 0;
let waiting = [];
let isWriting = false;
let timer;

globalThis.onmessage = async ({ data: { id, open, updates } }) => {
  if (open !== undefined) globalThis.postMessage({ id, value: await openLog(open) });
  else {
    waiting.push({ id, updates });
    if (!isWriting) await writeWaiting();
  }
};

async function openLog(name) {
  db = await openDatabase(name, { updates: { autoIncrement: true } });
  return join(await readRows());
}

/** What comes while one transaction is under way goes into the next one together. */
async function writeWaiting() {
  isWriting = true;
  while (waiting.length > 0) {
    const group = waiting;
    waiting = [];
    await write(db, 'updates', 'strict', (store) => {
      for (const { updates } of group) store.put(join(updates));
    });
    rows += group.length;
    for (const { id } of group) globalThis.postMessage({ id });
  }
  isWriting = false;
  clearTimeout(timer);
  if (rows >= ROWS_MAX) timer = setTimeout(compact, REST_MS);
}

async function compact() {
  if (isWriting) return;
  isWriting = true;
  const state = join(await readRows());
  await write(db, 'updates', 'strict', (store) => {
    store.clear();
    store.put(state);
  });
  rows = 1;
  await writeWaiting();
}

async function readRows() {
  const updates = await read(db, 'updates', (store) => store.getAll());
  rows = updates.length;
  return updates;
}

function join(updates) {
  if (updates.length === 1) return updates[0];
  const doc = new Y.Doc();
  Y.transact(doc, () => {
    for (const update of updates) Y.applyUpdate(doc, update);
  });
  return Y.encodeStateAsUpdate(doc);
}
