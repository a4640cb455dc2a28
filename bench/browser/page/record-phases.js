import { recordEntries, shuffled } from '../records-data.mjs';

const contestants = {
  'raw-relaxed': () => import('./records/raw-relaxed.js'),
  'raw-strict': () => import('./records/raw-strict.js'),
  dexie: () => import('./records/dexie.js'),
  rxdb: () => import('./records/rxdb.js'),
  pouchdb: () => import('./records/pouchdb.js'),
  tinybase: () => import('./records/tinybase.js'),
  mangrove: () => import('./records/mangrove.js'),
};

async function open(contestant, name) {
  return (await contestants[contestant]()).open(`bench-${name}`);
}

/** One after the other, each on disk before the next, until all are or the time is over. */
export async function putOneByOne({ contestant, count, secondsMax }) {
  const store = await open(contestant, 'one-by-one');
  const putMs = [];
  const startMs = performance.now();
  for (const [id, value] of recordEntries(count)) {
    const beforeMs = performance.now();
    await store.put(id, value);
    putMs.push(performance.now() - beforeMs);
    if (performance.now() - startMs > secondsMax * 1_000) break;
  }
  return { putMs, ms: performance.now() - startMs };
}

/** A call each, without waiting in between. */
export async function putAtOnce({ contestant, count }) {
  const store = await open(contestant, 'at-once');
  const entries = recordEntries(count);
  const startMs = performance.now();
  await (store.putEach?.(entries) ?? Promise.all(entries.map(([id, value]) => store.put(id, value))));
  return { ms: performance.now() - startMs };
}

/** One call for all, where there is such a call. */
export async function putInBulk({ contestant, count }) {
  const store = await open(contestant, 'bulk');
  if (store.putMany === undefined) return undefined;
  const entries = recordEntries(count);
  const startMs = performance.now();
  await store.putMany(entries);
  return { ms: performance.now() - startMs };
}

/** What was put at once, from a page that has just begun. */
export async function readRecords({ contestant, count }) {
  const expected = recordEntries(count);
  const ids = shuffled(expected.map(([id]) => id));
  const openMs = performance.now();
  const store = await open(contestant, 'at-once');
  const first = await store.all();
  const allMs = performance.now() - openMs;
  const getMs = [];
  const got = new Map();
  for (const id of ids) {
    const beforeMs = performance.now();
    got.set(id, await store.get(id));
    getMs.push(performance.now() - beforeMs);
  }
  const againMs = performance.now();
  await store.all();
  return {
    openAndListMs: allMs,
    listMs: performance.now() - againMs,
    getMs,
    isRight: isSame(new Map(first), expected) && isSame(got, expected),
  };
}

/** Whether the other two ways of writing have left what they were to leave. */
export async function checkRecords({ contestant, name, count }) {
  const store = await open(contestant, name);
  return isSame(new Map(await store.all()), recordEntries(count));
}

function isSame(records, expected) {
  return records.size === expected.length && expected.every(([id, value]) => isEqual(records.get(id), value));
}

function isEqual(a, b) {
  const names = Object.keys(b);
  return a !== undefined && Object.keys(a).length === names.length && names.every((name) => a[name] === b[name]);
}
