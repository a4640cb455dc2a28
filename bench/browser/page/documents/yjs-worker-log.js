import * as Y from 'yjs';
import { textOf } from './yjs-edits.js';

/** The floor for what is on disk at once: a worker with a log, and nothing else. */
export async function open(name) {
  const doc = new Y.Doc();
  const worker = new Worker(new URL('./yjs-worker-log-worker.js', import.meta.url), { type: 'module' });
  const waiting = new Map();
  let asked = 0;
  worker.onmessage = ({ data: { id, value } }) => {
    waiting.get(id)(value);
    waiting.delete(id);
  };
  const ask = (message) =>
    new Promise((resolve) => {
      waiting.set(++asked, resolve);
      worker.postMessage({ id: asked, ...message });
    });

  Y.applyUpdate(doc, await ask({ open: name }));
  let last = Promise.resolve();
  let updates = [];
  const handOver = () => {
    last = ask({ updates });
    updates = [];
  };
  doc.on('update', (update) => {
    if (updates.push(update) === 1) queueMicrotask(handOver);
  });
  const onDisk = async () => {
    // What was typed in this task is handed over at its end.
    await undefined;
    await last;
  };
  return { ...textOf(doc), onDisk, settle: onDisk };
}
