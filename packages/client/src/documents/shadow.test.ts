import { describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { Shadow } from './shadow.js';

function docOf(clientId: number, edit: (ydoc: Y.Doc) => void): Y.Doc {
  const ydoc = Object.assign(new Y.Doc(), { clientID: clientId });
  edit(ydoc);
  return ydoc;
}

const stateOf = (ydoc: Y.Doc): Uint8Array => Y.encodeStateAsUpdate(ydoc);
const hello = stateOf(docOf(1, (ydoc) => ydoc.getText('t').insert(0, 'hello')));
/** The first piece says a content that Yjs does not know, behind what a decoder sees of it. */
const throwing = Uint8Array.of(1, 1, 9, 0, 1, 1, 1, 116, 0);

describe('a shadow', () => {
  test('[CX9] does to a document what a page would, and says that it went well', () => {
    const shadow = new Shadow();
    expect(shadow.run({ kind: 'load', isFresh: true, updates: [hello] })).toEqual({ fault: undefined });
    const tried = [{ update: hello, isWhole: true }];
    expect(shadow.run({ kind: 'try', tried })).toEqual({ fault: undefined });
  });

  test('[CX9] tells what was thrown, and goes on', () => {
    const shadow = new Shadow();
    const { fault } = shadow.run({ kind: 'try', tried: [{ update: throwing, isWhole: false }] });
    expect(fault).toBeTypeOf('string');
    expect(shadow.run({ kind: 'try', tried: [{ update: hello, isWhole: false }] })).toEqual({ fault: undefined });
  });

  test('[CX9] tidies up formatting as a page does that has the root as a text', () => {
    const plain = stateOf(docOf(1, (ydoc) => ydoc.getText('t').insert(0, 'hello hello')));
    // Two have not seen each other's marks, which are the same: one of them is too many.
    const [first, second] = [2, 3].map((clientId) => {
      const ydoc = docOf(clientId, (fresh) => Y.applyUpdate(fresh, plain));
      ydoc.getText('t').format(0, 5, { bold: true });
      return Y.encodeStateAsUpdate(ydoc);
    }) as [Uint8Array, Uint8Array];
    const shadow = new Shadow();
    shadow.run({ kind: 'load', isFresh: true, updates: [first] });
    const { delete: remove } = Y.Item.prototype;
    let marksRemoved = 0;
    vi.spyOn(Y.Item.prototype, 'delete').mockImplementation(function (this: Y.Item, ...args) {
      if (this.content instanceof Y.ContentFormat) marksRemoved++;
      remove.apply(this, args);
    });
    shadow.run({ kind: 'try', tried: [{ update: second, isWhole: false }] });
    vi.restoreAllMocks();
    expect(marksRemoved).toBeGreaterThan(0);
  });
});
