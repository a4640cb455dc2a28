import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { mergeUpdates } from './merge.js';
import { stateToDoc, updateToRevert } from './revert.js';

interface Step {
  readonly author: number;
  readonly kind: 'insert' | 'delete' | 'format' | 'set' | 'nest' | 'unset' | 'push' | 'cut' | 'element' | 'sync';
  readonly at: number;
}

const AUTHORS = 2;
const steps = (maxLength: number) =>
  fc.array(
    fc.record({
      author: fc.nat(AUTHORS - 1),
      kind: fc.constantFrom<Step['kind'][]>(
        ...([
          'insert',
          'insert',
          'delete',
          'format',
          'set',
          'nest',
          'unset',
          'push',
          'cut',
          'element',
          'sync',
        ] as const),
      ),
      at: fc.nat(30),
    }),
    { minLength: 1, maxLength },
  );

function makeDocs(): Y.Doc[] {
  return Array.from({ length: AUTHORS }, (_, i) => {
    const ydoc = new Y.Doc();
    ydoc.clientID = i + 1;
    return ydoc;
  });
}

function syncAll(docs: readonly Y.Doc[]): void {
  const state = mergeUpdates(docs.map((ydoc) => Y.encodeStateAsUpdate(ydoc)));
  for (const ydoc of docs) Y.applyUpdate(ydoc, state);
}

function act(docs: readonly Y.Doc[], { author, kind, at }: Step): void {
  const ydoc = docs[author] as Y.Doc;
  const text = ydoc.getText('t');
  const map = ydoc.getMap<unknown>('m');
  const list = ydoc.getArray<unknown>('l');
  const xml = ydoc.getXmlFragment('x');
  const place = at % (text.length + 1);
  const acts: Record<Step['kind'], () => unknown> = {
    insert: () => text.insert(place, `a${at}`),
    delete: () => text.delete(place, Math.min(3, text.length - place)),
    format: () => text.format(place, Math.min(2, text.length - place), { bold: at % 2 === 0 }),
    set: () => map.set(`k${at % 3}`, at),
    nest: () => map.set(`k${at % 3}`, new Y.Map([['x', at]])),
    unset: () => map.delete(`k${at % 3}`),
    push: () => list.insert(at % (list.length + 1), [at, { at }]),
    cut: () => list.length > 0 && list.delete(at % list.length, 1),
    element: () => xml.insert(at % (xml.length + 1), [new Y.XmlElement(`p${at % 3}`)]),
    sync: () => syncAll(docs),
  };
  acts[kind]();
}

/** What a person sees. */
function read(ydoc: Y.Doc): unknown {
  return {
    text: ydoc.getText('t').toDelta(),
    map: ydoc.getMap('m').toJSON(),
    list: ydoc.getArray('l').toJSON(),
    xml: ydoc.getXmlFragment('x').toString(),
  };
}

describe('reverting a document', () => {
  test('[VS4] whatever was written since, by whomever, it reads like the version again, as others see it too', () => {
    fc.assert(
      fc.property(steps(12), steps(12), (before, after) => {
        const docs = makeDocs();
        for (const step of before) act(docs, step);
        syncAll(docs);
        const state = Y.encodeStateAsUpdate(docs[0] as Y.Doc);
        const expected = read(stateToDoc('v', state));
        for (const step of after) act(docs, step);
        syncAll(docs);
        const update = updateToRevert(docs[0] as Y.Doc, stateToDoc('v', state));
        Y.applyUpdate(docs[0] as Y.Doc, update);
        // Also what Yjs has tidied up by itself where something came.
        syncAll(docs);
        for (const ydoc of docs) expect(read(ydoc)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  test('[VS4] what others write meanwhile stays, and only what differs is written', () => {
    const docs = makeDocs() as [Y.Doc, Y.Doc];
    const [ann, bob] = docs;
    ann.getText('t').insert(0, `${'long '.repeat(2_000)}end`);
    syncAll(docs);
    const state = Y.encodeStateAsUpdate(ann);
    ann.getText('t').delete(0, 5);
    syncAll(docs);
    bob.getText('t').insert(bob.getText('t').length, ' of it');
    const update = updateToRevert(ann, stateToDoc('v', state));
    expect(update.length).toBeLessThan(100);
    for (const ydoc of docs) Y.applyUpdate(ydoc, update);
    syncAll(docs);
    for (const ydoc of docs) expect(ydoc.getText('t').toString()).toBe(`${'long '.repeat(2_000)}end of it`);
  });

  test('[VS4] between documents in which nobody has written anything there is nothing to do', () => {
    expect(updateToRevert(new Y.Doc(), stateToDoc('v', mergeUpdates([])))).toEqual(mergeUpdates([]));
  });

  test('[VS3] what is no update is VERSION_UNAVAILABLE', () => {
    expect(() => stateToDoc('v', Uint8Array.of(9, 9, 9))).toThrow(
      expect.objectContaining({ code: 'VERSION_UNAVAILABLE' }),
    );
  });
});
