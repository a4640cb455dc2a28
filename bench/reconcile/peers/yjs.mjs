import * as Y from 'yjs';
import { versionOf } from '../../support/machine.mjs';
import { heldBy, LEFT, RIGHT, timed } from '../workload.mjs';

const MERGED_AT_ONCE = 64;

export const yjs = {
  id: 'yjs',
  name: 'Yjs state vectors',
  about:
    'one Y.Array an author in one Y.Doc, an item of 8 characters; both send their state vector and what the other lacks, as y-protocols does. A state vector cannot name a hole: what an author made after one is kept aside and sent again whole',
  carries: 'items, which are in its bytes',
  versions: () => ({ yjs: versionOf('yjs') }),
  sources: ['peers/yjs.mjs'],
  cannot: () => undefined,
  run({ items, authors }) {
    const updates = makeUpdates(items, authors);
    const left = docOf(heldBy(LEFT, items), updates);
    const right = docOf(heldBy(RIGHT, items), updates);
    const { result, cpuMs } = timed(() => {
      const leftVector = Y.encodeStateVector(left);
      const rightVector = Y.encodeStateVector(right);
      const toLeft = Y.encodeStateAsUpdate(right, leftVector);
      const toRight = Y.encodeStateAsUpdate(left, rightVector);
      return { leftVector, rightVector, toLeft, toRight };
    });
    const bytes = Object.values(result).reduce((sum, part) => sum + part.length, 0);
    const vectors = result.leftVector.length + result.rightVector.length;
    Y.applyUpdate(left, result.toLeft);
    Y.applyUpdate(right, result.toRight);
    if (lengthOf(left) !== items.length || lengthOf(right) !== items.length)
      throw new Error(`Yjs holds ${lengthOf(left)} and ${lengthOf(right)} of ${items.length}`);
    return { bytes, notes: { stateVectors: vectors }, roundTrips: 1, cpuMs };
  },
};

/** One update an item: each author appends to an array of its own. */
function makeUpdates(items, authors) {
  const docs = Array.from({ length: authors }, (_, author) => {
    const doc = new Y.Doc({ gc: false });
    doc.clientID = 1_000_000_007 + author * 1_000_003;
    return doc;
  });
  const updates = [];
  for (const doc of docs) doc.on('update', (update) => updates.push(update));
  for (const [index, { author }] of items.entries())
    docs[author].getArray(`a${author}`).push([`item${String(index % 10_000).padStart(4, '0')}`]);
  return updates;
}

function docOf(indices, updates) {
  const doc = new Y.Doc({ gc: false });
  Y.applyUpdate(doc, mergeAll(indices.map((index) => updates[index])));
  return doc;
}

/** Some at a time: merging sorts all that are left after each struct, which takes minutes for 100,000 at once. */
function mergeAll(updates) {
  let merged = updates;
  while (merged.length > 1) {
    const some = Array.from({ length: Math.ceil(merged.length / MERGED_AT_ONCE) }, (_, i) =>
      merged.slice(i * MERGED_AT_ONCE, (i + 1) * MERGED_AT_ONCE),
    );
    merged = some.map((group) => Y.mergeUpdates(group));
  }
  return merged[0];
}

function lengthOf(doc) {
  let length = 0;
  for (const name of doc.share.keys()) length += doc.getArray(name).length;
  return length;
}
