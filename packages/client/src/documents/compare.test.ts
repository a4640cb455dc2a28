import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { checkpointFault } from './compare.js';
import { mergeUpdates, updatesToState } from './merge.js';

/** Who does what to a document that all of them share, some of it unseen by the others. */
interface Step {
  readonly author: number;
  readonly kind: 'insert' | 'delete' | 'format' | 'set' | 'unset' | 'push' | 'sync';
  readonly at: number;
}

const AUTHORS = 3;
const steps = fc.array(
  fc.record({
    author: fc.nat(AUTHORS - 1),
    kind: fc.constantFrom<Step['kind'][]>('insert', 'insert', 'delete', 'format', 'set', 'unset', 'push', 'sync'),
    at: fc.nat(30),
  }),
  { minLength: 1, maxLength: 40 },
);

/** One update for each step that changed something, as replicas seal them. */
function updatesOf(history: readonly Step[]): Uint8Array[] {
  const updates: Uint8Array[] = [];
  const docs = Array.from({ length: AUTHORS }, (_, i) => {
    const ydoc = new Y.Doc();
    ydoc.clientID = i + 1;
    ydoc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'sync') updates.push(update);
    });
    return ydoc;
  });
  for (const { author, kind, at } of history) {
    const ydoc = docs[author] as Y.Doc;
    if (kind === 'sync') for (const update of [...updates]) Y.applyUpdate(ydoc, update, 'sync');
    else act(ydoc, kind, at);
  }
  return updates;
}

function act(ydoc: Y.Doc, kind: Exclude<Step['kind'], 'sync'>, at: number): void {
  const text = ydoc.getText('t');
  const place = at % (text.length + 1);
  switch (kind) {
    case 'insert':
      // Others may insert between the two halves of the last character.
      text.insert(place, `a${at}🦀`);
      return;
    case 'delete':
      text.delete(place, Math.min(3, text.length - place));
      return;
    case 'format':
      text.format(place, Math.min(2, text.length - place), { bold: at % 2 === 0 });
      return;
    case 'set':
      ydoc.getMap('m').set(`k${at % 3}`, at % 5 === 0 ? new Y.Map([['x', at]]) : at);
      return;
    case 'unset':
      ydoc.getMap('m').delete(`k${at % 3}`);
      return;
    case 'push':
      ydoc.getArray('l').insert(at % (ydoc.getArray('l').length + 1), [at, { at }]);
      return;
  }
}

describe('comparing a checkpoint with what it covers', () => {
  test('[CP6] what was merged honestly is never found wrong, deleted content gone or not, whatever part is known', () => {
    fc.assert(
      fc.property(steps, fc.nat(0xffff), (history, part) => {
        const updates = updatesOf(history);
        fc.pre(updates.length > 1);
        const known = updates.filter((_, i) => (part >> (i % 16)) & 1);
        for (const checkpoint of [updatesToState(updates), mergeUpdates(updates)]) {
          expect(checkpointFault(checkpoint, updates, true)).toBeUndefined();
          expect(checkpointFault(checkpoint, updates.toReversed(), true)).toBeUndefined();
          expect(checkpointFault(checkpoint, known, false)).toBeUndefined();
        }
        // One checkpoint over another and what came since.
        const half = Math.ceil(updates.length / 2);
        const covered = [updatesToState(updates.slice(0, half)), ...updates.slice(half)];
        expect(checkpointFault(updatesToState(covered), covered, true)).toBeUndefined();
        expect(checkpointFault(updatesToState(covered), updates, false)).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  test('[CP6] an operation or a deletion that is left out is found', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const updates = updatesOf(history);
        fc.pre(updates.length > 1);
        const all = updatesToState(updates);
        const part = updatesToState(updates.slice(0, -1));
        // The last step may have changed nothing that can be seen: a deletion of what was deleted.
        fc.pre(!sameState(all, part));
        expect(checkpointFault(part, updates, false)).toBeDefined();
        expect(checkpointFault(part, updates, true)).toBeDefined();
        expect(checkpointFault(all, updates.slice(0, -1), true), 'and one that is too much').toBeDefined();
        expect(checkpointFault(all, updates.slice(0, -1), false)).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  const typed = (text: string, clientID = 1): Uint8Array => {
    const ydoc = new Y.Doc();
    ydoc.clientID = clientID;
    ydoc.getText('t').insert(0, text);
    return Y.encodeStateAsUpdate(ydoc);
  };

  test('[CP6] the same operation with another content is found: state vectors are equal', () => {
    expect(checkpointFault(typed('tide'), [typed('time')], false)).toContain('clientID 1 at 0');
    expect(checkpointFault(typed('tide'), [typed('ti')], false)).toBeUndefined();
    expect(checkpointFault(typed('tide'), [typed('ti')], true)).toContain('clientID 1');
  });

  test('[CP6] operations of others are as good as their place: another origin is another operation', () => {
    const base = typed('ac');
    const insert = (at: number): Uint8Array => {
      const ydoc = new Y.Doc();
      Y.applyUpdate(ydoc, base);
      ydoc.clientID = 2;
      ydoc.getText('t').insert(at, 'b');
      return Y.encodeStateAsUpdate(ydoc);
    };
    expect(checkpointFault(insert(1), [base, insert(1)], true)).toBeUndefined();
    expect(checkpointFault(insert(2), [base, insert(1)], true)).toContain('clientID 2');
  });
});

function sameState(a: Uint8Array, b: Uint8Array): boolean {
  return checkpointFault(a, [b], true) === undefined && checkpointFault(b, [a], true) === undefined;
}
