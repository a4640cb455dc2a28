import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { deletionsOf, deletionsToUpdate } from './deletions.js';
import { mergeUpdates } from './merge.js';
import { sliceUpdate } from './slices.js';

const BYTES_MAX = 2_048;

/** What one writer makes in one transaction, over a document that already says something. */
function updateOf(make: (ydoc: Y.Doc) => void): { before: Uint8Array; update: Uint8Array; ydoc: Y.Doc } {
  const ydoc = new Y.Doc();
  ydoc.clientID = 7;
  ydoc.getText('t').insert(0, 'before and after');
  ydoc.getMap('m').set('k', 'old');
  const before = Y.encodeStateAsUpdate(ydoc);
  const updates: Uint8Array[] = [];
  ydoc.on('update', (update: Uint8Array) => updates.push(update));
  ydoc.transact(() => make(ydoc));
  return { before, update: mergeUpdates(updates), ydoc };
}

function docOf(...updates: readonly Uint8Array[]): Y.Doc {
  const ydoc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(ydoc, update);
  expect(ydoc.store.pendingStructs, 'something is missing').toBeNull();
  expect(ydoc.store.pendingDs, 'something that is deleted is missing').toBeNull();
  return ydoc;
}

const read = (ydoc: Y.Doc): unknown => ({
  text: ydoc.getText('t').toDelta(),
  map: ydoc.getMap('m').toJSON(),
  list: ydoc.getArray('l').toJSON(),
  vector: Y.decodeStateVector(Y.encodeStateVector(ydoc)),
});

describe('[JS11] an update in slices', () => {
  const made: Readonly<Record<string, (ydoc: Y.Doc) => void>> = {
    'long text': (ydoc) => ydoc.getText('t').insert(6, 'ascii and é and 漢 and 😀. '.repeat(1_000)),
    'text of pairs, each cut of which would fall into one': (ydoc) =>
      ydoc.getText('t').insert(5, `x${'😀'.repeat(5_000)}`),
    'a long list': (ydoc) =>
      ydoc.getArray('l').insert(
        0,
        Array.from({ length: 5_000 }, (_, i) => i),
      ),
    'a list whose last element is most of it': (ydoc) =>
      ydoc.getArray('l').insert(0, [...Array.from({ length: 300 }, (_, i) => i), 'x'.repeat(1_900)]),
    'many values': (ydoc) => {
      for (let i = 0; i < 1_000; i++) ydoc.getMap('m').set(`k${i % 300}`, i);
    },
    'nested types': (ydoc) => {
      for (let i = 0; i < 200; i++) ydoc.getMap('m').set(`n${i}`, new Y.Map([['text', new Y.Text('x'.repeat(i))]]));
    },
    'formatted text': (ydoc) => {
      for (let i = 0; i < 300; i++) ydoc.getText('t').insert(i, 'bold', { bold: i % 2 === 0 });
    },
    'text in place of other text': (ydoc) => {
      ydoc.getText('t').delete(0, 7);
      ydoc.getText('t').insert(0, 'y'.repeat(9_000));
      ydoc.getText('t').delete(100, 50);
    },
  };
  test.each(Object.entries(made))('%s: each fits, and together they say the same in any order', (_, make) => {
    const { before, update, ydoc } = updateOf(make);
    const { slices, refused } = sliceUpdate(update, BYTES_MAX);
    expect(refused).toEqual([]);
    expect(slices.length).toBeGreaterThan(1);
    for (const slice of slices) expect(slice.length).toBeLessThanOrEqual(BYTES_MAX);
    for (const order of [slices, slices.toReversed()])
      expect(read(docOf(before, ...order))).toEqual(read(docOf(before, update)));
    expect(read(docOf(before, mergeUpdates(slices)))).toEqual(read(ydoc));
  });

  test('what several writers made, and gaps in what one of them did, keep their clocks', () => {
    const docs = [3, 9, 5].map((clientID) => Object.assign(new Y.Doc(), { clientID }));
    const updates: Uint8Array[] = [];
    for (const ydoc of docs) ydoc.on('update', (update: Uint8Array) => updates.push(update));
    for (let i = 0; i < 300; i++) {
      const ydoc = docs[i % 3] as Y.Doc;
      ydoc.getText('t').insert(Math.min(i, ydoc.getText('t').length), `${i} and some more `);
      if (i % 50 === 0) for (const other of docs) Y.applyUpdate(other, Y.encodeStateAsUpdate(ydoc));
    }
    const withGap = updates.filter((_, i) => i % 7 !== 3);
    const rest = updates.filter((_, i) => i % 7 === 3);
    const { slices } = sliceUpdate(mergeUpdates(withGap), BYTES_MAX);
    expect(slices.length).toBeGreaterThan(3);
    expect(read(docOf(...rest, ...slices))).toEqual(read(docOf(...updates)));
  });

  test('as many deletions as do not fit are cut as well', () => {
    const ydoc = Object.assign(new Y.Doc(), { clientID: 2 ** 31 });
    ydoc.getText('t').insert(0, 'x'.repeat(500_000));
    const before = Y.encodeStateAsUpdate(ydoc);
    const ranges = Array.from({ length: 240_000 }, (_, i) => ({ client: 2 ** 31, clock: 2 * i, length: 1 }));
    const { slices } = sliceUpdate(deletionsToUpdate(deletionsOf(ranges)), 4 * 1024 * 1024);
    expect(slices.length).toBeGreaterThan(1);
    const left = Y.decodeUpdate(Y.mergeUpdates([...slices])).ds.clients.get(2 ** 31);
    expect(left).toHaveLength(240_000);
    expect(docOf(before, slices.at(-1) as Uint8Array).getText('t').length).toBeLessThan(500_000);
  });

  test('whatever was done in one transaction, others end up with the same', () => {
    const act = fc.record({
      kind: fc.constantFrom('insert', 'delete', 'set', 'push', 'cut', 'format', 'embed'),
      at: fc.nat(5_000),
      size: fc.nat(1_800),
      mark: fc.constantFrom('a', 'é', '😀', '漢'),
    });
    fc.assert(
      fc.property(fc.array(act, { minLength: 5, maxLength: 60 }), (acts) => {
        const { before, update } = updateOf((ydoc) => {
          const [text, list] = [ydoc.getText('t'), ydoc.getArray('l')];
          for (const { kind, at, size, mark } of acts) {
            const content = mark.repeat(Math.ceil(size / (4 * mark.length)));
            if (kind === 'insert') text.insert(at % (text.length + 1), content || mark);
            if (kind === 'delete' && text.length > 0)
              text.delete(at % text.length, Math.min(size, text.length - (at % text.length)));
            if (kind === 'set') ydoc.getMap('m').set(`${at % 5}`, content);
            if (kind === 'push') list.push([content, at]);
            if (kind === 'cut' && list.length > 0) list.delete(at % list.length, 1);
            if (kind === 'format' && text.length > 1) text.format(0, text.length - 1, { bold: at % 2 === 0 });
            if (kind === 'embed') text.insertEmbed(at % (text.length + 1), { content });
          }
        });
        const { slices, refused } = sliceUpdate(update, BYTES_MAX);
        expect(refused).toEqual([]);
        for (const slice of slices) expect(slice.length).toBeLessThanOrEqual(BYTES_MAX);
        expect(read(docOf(before, ...slices))).toEqual(read(docOf(before, update)));
      }),
      { numRuns: 200 },
    );
  });
});

describe('[JS11] a value that no delta can carry', () => {
  const large = 'x'.repeat(3_000);
  const values: Readonly<Record<string, (ydoc: Y.Doc) => void>> = {
    'a value under a key': (ydoc) => ydoc.getMap('m').set('k', large),
    'a value under a new key': (ydoc) => ydoc.getMap('m').set('new', { large }),
    'bytes in a list': (ydoc) => ydoc.getArray('l').push([1, new Uint8Array(3_000), 2]),
    'one of the elements that were put in together': (ydoc) => ydoc.getArray('l').push([1, 2, large, 3]),
    'an embed in text': (ydoc) => ydoc.getText('t').insertEmbed(6, { large }),
    'a format': (ydoc) => ydoc.getText('t').format(0, 6, { comment: large }),
  };
  test.each(Object.entries(values))('%s is left out alone, and what comes later is not', (_, make) => {
    const { before, update, ydoc } = updateOf((ydoc) => {
      ydoc.getText('t').insert(0, 'kept ');
      make(ydoc);
      ydoc.getText('t').insert(0, 'and ');
    });
    const { slices, refused } = sliceUpdate(update, BYTES_MAX);
    expect(refused).toMatchObject([{ client: 7, length: 1 }]);
    expect(refused[0]?.bytes).toBeGreaterThan(BYTES_MAX);
    const vector = Y.encodeStateVector(ydoc);
    ydoc.getText('t').insert(12, 'later ');
    ydoc.getArray('l').push(['later']);
    ydoc.getMap('m').set('later', true);
    const later = Y.encodeStateAsUpdate(ydoc, vector);
    const other = docOf(before, ...slices, later);
    expect(other.getText('t').toString()).toBe(ydoc.getText('t').toString());
    expect(other.getArray('l').toJSON().at(-1)).toBe('later');
    expect(other.getArray('l').length).toBe(
      ydoc
        .getArray('l')
        .toJSON()
        .filter((one) => !isLarge(one)).length,
    );
    expect(other.getMap('m').toJSON()).toMatchObject({ later: true });
    expect(JSON.stringify(other.getMap('m').toJSON()).length).toBeLessThan(1_000);
  });

  test('what is deleted again in the same update is no loss', () => {
    const { before, update, ydoc } = updateOf((ydoc) => {
      ydoc.gc = false;
      ydoc.getArray('l').push([large, 1]);
      ydoc.getArray('l').delete(0, 1);
    });
    const { slices, refused } = sliceUpdate(update, BYTES_MAX);
    expect(refused).toEqual([]);
    expect(read(docOf(before, ...slices))).toEqual(read(ydoc));
  });

  test('a name that is too large takes its place with it, and cannot hang the cutting', () => {
    const { before, update } = updateOf((ydoc) => {
      ydoc.getText('n'.repeat(3_000)).insert(0, 'a😀');
      ydoc.getMap('m').set('k'.repeat(3_000), 1);
      ydoc.getText('t').insert(0, 'kept ');
    });
    const { slices, refused } = sliceUpdate(update, BYTES_MAX);
    expect(refused.length).toBeGreaterThan(0);
    expect(
      docOf(before, ...slices)
        .getText('t')
        .toString(),
    ).toBe('kept before and after');
  });
});

const isLarge = (value: unknown): boolean =>
  value instanceof Uint8Array || (typeof value === 'string' && value.length > 1_000);
