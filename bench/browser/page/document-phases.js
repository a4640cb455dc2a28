import { typedEdits } from '../typed-edits.mjs';

// Each contestant is a chunk of its own: a page loads the code of one only.
const contestants = {
  yjs: () => import('./documents/yjs.js'),
  'yjs-worker-log': () => import('./documents/yjs-worker-log.js'),
  'y-indexeddb': () => import('./documents/y-indexeddb.js'),
  'automerge-repo': () => import('./documents/automerge-repo.js'),
  loro: () => import('./documents/loro.js'),
  mangrove: () => import('./documents/mangrove.js'),
};

/** Edits before the page looks after anything else, and before what was made is waited for. */
const FILL_TASK = 200;
const FILL_KEPT = 2_000;
/** Promises that follow one another within one task. */
const MICROTASKS = 20;

let doc;

/** Times since the navigation began: code here, text in the model, text painted. */
export async function openDocument(contestant) {
  const { open } = await contestants[contestant]();
  const loadedMs = performance.now();
  doc = await open('bench-document');
  const text = doc.text();
  const readableMs = performance.now();
  document.getElementById('text').textContent = text;
  await painted();
  return { loadedMs, readableMs, visibleMs: performance.now(), length: text.length };
}

/** Makes the edits as fast as they go, each a change of its own, and resolves when the contestant keeps all of them. */
export async function fill({ count }) {
  const edits = (await (await fetch('./trace.json')).json()).slice(0, count);
  const startMs = performance.now();
  for (let i = 0; i < edits.length; i++) {
    doc.edit(...edits[i]);
    if (i % FILL_KEPT === FILL_KEPT - 1) await doc.settle();
    else if (i % FILL_TASK === FILL_TASK - 1) await nextTask();
  }
  await doc.settle();
  return { ms: performance.now() - startMs };
}

/** Characters at a person's pace, times ten. Resolves to what each took until its edit returned, and until its promises had run. */
export async function type({ count, everyMs, seed }) {
  const returnedMs = [];
  const taskMs = [];
  await paced(typed(count, seed), everyMs, async (edit) => {
    const startMs = performance.now();
    doc.edit(...edit);
    returnedMs.push(performance.now() - startMs);
    await microtasks();
    taskMs.push(performance.now() - startMs);
  });
  return { returnedMs, taskMs };
}

/** The same, but each is waited for: resolves to what each took until it was on disk. */
export async function typeToDisk({ count, everyMs, seed }) {
  const diskMs = [];
  await paced(typed(count, seed), everyMs, async (edit) => {
    const startMs = performance.now();
    doc.edit(...edit);
    await doc.onDisk();
    diskMs.push(performance.now() - startMs);
  });
  return { diskMs };
}

/** Many edits in one task, as a find-and-replace makes them. */
export async function burst({ count, seed }) {
  const edits = typed(count, seed);
  await nextTask();
  const startMs = performance.now();
  for (const edit of edits) doc.edit(...edit);
  const kept = doc.onDisk?.();
  await microtasks();
  const taskMs = performance.now() - startMs;
  if (kept === undefined) return { taskMs };
  await kept;
  return { taskMs, diskMs: performance.now() - startMs };
}

export const settle = () => doc.settle();

export async function textDigest() {
  const text = doc.text();
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return {
    length: text.length,
    hash: [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
  };
}

/** Bytes of this page and its workers after a collection of garbage. */
export async function memory() {
  const { bytes, breakdown } = await performance.measureUserAgentSpecificMemory();
  const scopes = {};
  for (const { bytes, attribution } of breakdown) {
    const scope = attribution[0]?.scope ?? 'shared';
    scopes[scope] = (scopes[scope] ?? 0) + bytes;
  }
  return { bytes, scopes };
}

function typed(count, seed) {
  return typedEdits({ length: doc.text().length, count, seed });
}

async function paced(edits, everyMs, run) {
  const startMs = performance.now();
  for (const [i, edit] of edits.entries()) {
    const waitMs = startMs + i * everyMs - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, waitMs)));
    await run(edit);
  }
}

async function microtasks() {
  for (let i = 0; i < MICROTASKS; i++) await undefined;
}

/** Without the pause that timers make when they follow one another. */
function nextTask() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

function painted() {
  return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
}
