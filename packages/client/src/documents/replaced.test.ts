import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { deletionsOf } from './deletions.js';
import { updateThatBringsBack } from './replaced.js';
import { sliceUpdate } from './slices.js';

const BYTES_MAX = 2_048;
const LARGE = 'x'.repeat(3_000);

/** A document as it is stored after an edit that something was left out of, and what that is. */
function edited(before: (ydoc: Y.Doc) => void, ...edits: readonly ((ydoc: Y.Doc) => void)[]) {
  const ydoc = new Y.Doc();
  const updates: Uint8Array[] = [];
  ydoc.on('update', (update: Uint8Array) => updates.push(update));
  before(ydoc);
  const stored = updates.splice(0);
  ydoc.transact(() => {
    for (const edit of edits) edit(ydoc);
  });
  const { slices, refused, deletions } = sliceUpdate(Y.mergeUpdates(updates.splice(0)), BYTES_MAX);
  return { ydoc, stored: [...stored, ...slices], refused, deletions, updates };
}

function mapOf(...updates: readonly (Uint8Array | undefined)[]): unknown {
  const ydoc = new Y.Doc();
  for (const update of updates) if (update !== undefined) Y.applyUpdate(ydoc, update);
  return ydoc.getMap('m').toJSON();
}

test('[JS11] a value that was replaced by what was left out is there again, with everything in it', () => {
  const nested = (): Y.Map<unknown> => new Y.Map<unknown>([['list', Y.Array.from([1, new Y.Text('deep')])]]);
  const { stored, refused, deletions } = edited(
    (ydoc) => {
      ydoc.getMap('m').set('plain', 'old');
      ydoc.getMap('m').set('nested', nested());
    },
    (ydoc) => ydoc.getMap('m').set('plain', LARGE),
    (ydoc) => ydoc.getMap('m').set('nested', new Uint8Array(3_000)),
  );
  expect(mapOf(...stored)).toEqual({});
  const back = updateThatBringsBack(stored, [{ refused, deletions }]);
  expect(mapOf(...stored, back)).toEqual({ plain: 'old', nested: { list: [1, 'deep'] } });
});

test('[JS11] several of them one after the other under one key are passed over', () => {
  const { ydoc, stored, refused, deletions, updates } = edited(
    (ydoc) => ydoc.getMap('m').set('k', 'old'),
    (ydoc) => ydoc.getMap('m').set('k', LARGE),
    (ydoc) => ydoc.getMap('m').set('k', `${LARGE}!`),
  );
  expect(mapOf(...stored, updateThatBringsBack(stored, [{ refused, deletions }]))).toEqual({ k: 'old' });
  expect(
    updateThatBringsBack(stored, [
      { refused, deletions },
      { refused: [], deletions: deletionsOf([]) },
    ]),
  ).toBeUndefined();
  // In an edit of its own, made before the first was taken back.
  ydoc.getMap('m').set('k', `${LARGE}?`);
  const next = sliceUpdate(Y.mergeUpdates(updates), BYTES_MAX);
  const both = [...stored, ...next.slices];
  expect(updateThatBringsBack(both, [next])).toBeUndefined();
  expect(mapOf(...both, updateThatBringsBack(both, [{ refused, deletions }, next]))).toEqual({ k: 'old' });
});

test('[JS11] what somebody has put there since stays, and what was deleted before or beside it stays deleted', () => {
  const { ydoc, stored, refused, deletions, updates } = edited(
    (ydoc) => {
      for (const key of ['taken', 'gone', 'beside']) ydoc.getMap('m').set(key, 'old');
      ydoc.getMap('m').delete('gone');
    },
    (ydoc) => ydoc.getMap('m').set('taken', LARGE),
    (ydoc) => ydoc.getMap('m').set('gone', LARGE),
    (ydoc) => ydoc.getMap('m').delete('beside'),
  );
  expect(refused).toHaveLength(2);
  ydoc.getMap('m').set('taken', 'since');
  const later = updates.splice(0);
  expect(updateThatBringsBack([...stored, ...later], [{ refused, deletions }])).toBeUndefined();
  expect(mapOf(...stored, ...later)).toEqual({ taken: 'since' });
});

test('[JS11] a key that was deleted between two of them stays without a value', () => {
  const first = edited(
    (ydoc) => ydoc.getMap('m').set('k', 'old'),
    (ydoc) => ydoc.getMap('m').set('k', LARGE),
  );
  const map = first.ydoc.getMap('m');
  map.delete('k');
  const deleted = first.updates.splice(0);
  map.set('k', LARGE);
  const next = sliceUpdate(Y.mergeUpdates(first.updates), BYTES_MAX);
  expect(updateThatBringsBack([...first.stored, ...deleted, ...next.slices], [first, next])).toBeUndefined();
});

test('[JS11] of text and lists nothing is put back', () => {
  const { stored, refused, deletions } = edited(
    (ydoc) => ydoc.getArray('l').push(['old', 'kept']),
    (ydoc) => ydoc.getArray('l').delete(0, 1),
    (ydoc) => ydoc.getArray('l').insert(0, [LARGE]),
  );
  expect(refused).toHaveLength(1);
  expect(deletionsOf(refused).clients.size).toBe(1);
  expect(updateThatBringsBack(stored, [{ refused, deletions }])).toBeUndefined();
});
