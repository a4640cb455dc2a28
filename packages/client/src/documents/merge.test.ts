import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { mergeUpdates, updatesToOpen, updatesToState } from './merge.js';

interface EditStep {
  readonly writer: number;
  readonly kind: 'insert' | 'delete' | 'set' | 'nest' | 'sync';
  readonly at: number;
  readonly text: string;
}

const step: fc.Arbitrary<EditStep> = fc.record({
  writer: fc.nat(2),
  kind: fc.constantFrom('insert', 'insert', 'delete', 'set', 'nest', 'sync'),
  at: fc.nat(50),
  text: fc.string({ minLength: 1, maxLength: 4 }),
});

/** What three writers made of it, one update an edit, in the order in which they were made. */
function updatesOf(steps: readonly EditStep[]): Uint8Array[] {
  const updates: Uint8Array[] = [];
  const docs = [1, 2, 3].map((clientId) => {
    const ydoc = new Y.Doc();
    ydoc.clientID = clientId;
    ydoc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'sync') updates.push(update);
    });
    return ydoc;
  });
  for (const { writer, kind, at, text } of steps) {
    const ydoc = docs[writer] as Y.Doc;
    const body = ydoc.getText('t');
    if (kind === 'insert') body.insert(at % (body.length + 1), text);
    if (kind === 'delete' && body.length > 0) body.delete(at % body.length, 1);
    if (kind === 'set') ydoc.getMap('m').set(text, at);
    if (kind === 'nest') ydoc.getMap('m').set(`n${at % 3}`, new Y.Map([[text, new Y.Text(text)]]));
    if (kind === 'sync') for (const other of docs) Y.applyUpdate(ydoc, Y.encodeStateAsUpdate(other), 'sync');
  }
  return updates;
}

function read(updates: readonly Uint8Array[]): unknown {
  const ydoc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(ydoc, update);
  return { text: ydoc.getText('t').toString(), map: ydoc.getMap('m').toJSON(), vector: Y.encodeStateVector(ydoc) };
}

test('[JS2] merging updates, in any order, is applying them one by one', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.integer(), (steps, seed) => {
      const updates = updatesOf(steps);
      const shuffled = updates
        .map((update, i) => ({ update, key: Math.imul(i + 1, seed | 1) }))
        .sort((a, b) => a.key - b.key)
        .map(({ update }) => update);
      const expected = read(updates);
      expect(read([mergeUpdates(updates)])).toEqual(expected);
      expect(read([mergeUpdates(shuffled)])).toEqual(expected);
      expect(read([updatesToState(shuffled)])).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});

test('[JS2] merging in parts, and again what was merged, changes nothing', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), fc.nat(), (steps, cut) => {
      const updates = updatesOf(steps);
      const at = cut % (updates.length + 1);
      const halves = [mergeUpdates(updates.slice(0, at)), mergeUpdates(updates.slice(at))];
      expect(read([mergeUpdates([...halves, ...halves])])).toEqual(read(updates));
    }),
    { numRuns: 40 },
  );
});

test('[JS2] what a page opens a document from is all of it, in two updates at most, however much was joined before', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.nat(), (steps, cut) => {
      const updates = updatesOf(steps);
      const at = cut % (updates.length + 1);
      for (const stored of [updates, [updatesToState(updates.slice(0, at)), ...updates.slice(at)]]) {
        const opened = updatesToOpen(stored);
        expect(opened.length).toBeLessThanOrEqual(2);
        const ydoc = new Y.Doc();
        ydoc.transact(() => {
          for (const update of opened) Y.applyUpdate(ydoc, update);
        });
        expect(read([Y.encodeStateAsUpdate(ydoc)])).toEqual(read(updates));
      }
    }),
    { numRuns: 60 },
  );
});

test('[JS2] a checkpoint is opened as it is stored, and what came since as one update', () => {
  const ydoc = new Y.Doc();
  ydoc.getText('t').insert(0, 'a long text that is most of the document '.repeat(20));
  const checkpoint = Y.encodeStateAsUpdate(ydoc);
  const since: Uint8Array[] = [];
  ydoc.on('update', (update: Uint8Array) => since.push(update));
  for (let i = 0; i < 30; i++) ydoc.getText('t').insert(i, 'x');
  expect(updatesToOpen([...since, checkpoint])).toEqual([checkpoint, mergeUpdates(since)]);
  expect(updatesToOpen([])).toEqual([]);
});

test('[JS2] more updates than one group are merged in groups of groups', () => {
  const updates: Uint8Array[] = [];
  const ydoc = new Y.Doc();
  ydoc.on('update', (update: Uint8Array) => updates.push(update));
  for (let i = 0; i < 2_500; i++) ydoc.getText('t').insert(i, 'x');
  const merged = mergeUpdates(updates);
  expect(read([merged])).toEqual(read(updates));
});

test('[JS2] an update that hangs on one that is not there stays in what is merged', () => {
  const [first, second] = updatesOf([
    { writer: 0, kind: 'insert', at: 0, text: 'a' },
    { writer: 0, kind: 'insert', at: 1, text: 'b' },
  ]) as [Uint8Array, Uint8Array];
  expect(read([mergeUpdates([second]), first])).toEqual(read([first, second]));
  expect(read([updatesToState([second, second]), first])).toEqual(read([first, second]));
});

test('[JS2] nothing merges to the empty update', () => {
  expect([...mergeUpdates([])]).toEqual([0, 0]);
  expect([...updatesToState([])]).toEqual([0, 0]);
});

test('[JS2] what was typed character by character takes little more than the text', () => {
  const updates: Uint8Array[] = [];
  const ydoc = new Y.Doc();
  ydoc.on('update', (update: Uint8Array) => updates.push(update));
  const text = ydoc.getText('t');
  for (let i = 0; i < 1_000; i++) text.insert(i < 500 ? i : 100 + i - 500, 'abcdefgh'[i % 8] as string);
  const merged = mergeUpdates(updates);
  expect(read([merged])).toEqual(read(updates));
  expect(merged.length).toBeLessThan(Y.encodeStateAsUpdate(ydoc).length + 16);
});

test('[JS2] a run that is joined can be written into by whoever saw its parts', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40), { minLength: 1, maxLength: 30 }), (places) => {
      const typed: Uint8Array[] = [];
      const author = new Y.Doc();
      author.clientID = 1;
      author.on('update', (update: Uint8Array) => typed.push(update));
      const others = [2, 3].map((clientId) => {
        const other = new Y.Doc();
        other.clientID = clientId;
        return other;
      });
      const answers: Uint8Array[] = [];
      for (const other of others)
        other.on('update', (update: Uint8Array, origin) => origin === 'in' || answers.push(update));
      for (const [i, place] of places.entries()) {
        const body = author.getText('t');
        body.insert(body.length, 'x'.repeat(1 + (place % 3)));
        const other = others[i % 2] as Y.Doc;
        Y.applyUpdate(other, Y.encodeStateAsUpdate(author), 'in');
        other.getText('t').insert(place % (other.getText('t').length + 1), 'o');
        if (place % 4 === 0) other.getText('t').delete(0, 1);
      }
      const expected = read([...typed, ...answers]);
      expect(read([mergeUpdates(typed), ...answers])).toEqual(expected);
      expect(read([...answers, mergeUpdates(typed)])).toEqual(expected);
      expect(read([mergeUpdates([...answers, ...typed])])).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});
