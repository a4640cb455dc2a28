import { afterEach, describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { slowUpdate } from '../../../../test/support/hostile-update.js';
import { makeRandom } from '../../../../test/support/random.js';
import { loadSequentialTrace } from '../../../../test/support/traces.js';
import { type Cost, costOf, isFree } from './cost.js';
import { mergeUpdates } from './merge.js';

const ME = 1_001;
const costOfUpdate = (update: Uint8Array): Cost => costOf(Y.decodeUpdate(update));

/** What each edit sends. */
function updatesOf(clientId: number, edits: readonly ((ydoc: Y.Doc) => void)[], base?: Uint8Array): Uint8Array[] {
  const ydoc = new Y.Doc();
  if (base !== undefined) Y.applyUpdate(ydoc, base);
  ydoc.clientID = clientId;
  const made: Uint8Array[] = [];
  ydoc.on('update', (update: Uint8Array) => made.push(update));
  for (const edit of edits) ydoc.transact(() => edit(ydoc));
  return made;
}

const only = (updates: readonly Uint8Array[]): Uint8Array => updates[0] as Uint8Array;
const text = (ydoc: Y.Doc): Y.Text => ydoc.getText('content');

/** Pieces that Yjs looks at to find places, counted where it notes them. */
function stepsOf(apply: () => void): number {
  let steps = 0;
  const { add } = Set.prototype;
  vi.spyOn(Set.prototype, 'add').mockImplementation(function (this: Set<unknown>, value: unknown) {
    if (value instanceof Y.Item) steps++;
    return add.call(this, value);
  });
  try {
    apply();
  } finally {
    vi.restoreAllMocks();
  }
  return steps / 2;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('what is free', () => {
  test('[CX9] keystrokes, a large paste and the deletion of a paragraph need no trial', () => {
    const edits = [
      (ydoc: Y.Doc) => text(ydoc).insert(0, 'x'.repeat(2_000_000)),
      (ydoc: Y.Doc) => text(ydoc).insert(1_000, 'y'),
      (ydoc: Y.Doc) => text(ydoc).delete(500, 2_000),
      (ydoc: Y.Doc) => ydoc.getMap('m').set('title', 'a'),
    ];
    for (const update of updatesOf(ME, edits)) expect(isFree(costOfUpdate(update))).toBe(true);
  });

  test('[CX9] of a long trace hardly an edit needs a trial that is sent alone, and few do that are sent by tens', () => {
    const { edits, source } = loadSequentialTrace('sveltecomponent');
    const made = updatesOf(
      ME,
      edits.slice(0, 10_000).map(([at, count, insert]) => (ydoc: Y.Doc) => {
        text(ydoc).delete(at, count);
        text(ydoc).insert(at, insert);
      }),
    );
    const tens: Uint8Array[] = [];
    for (let i = 0; i < made.length; i += 10) tens.push(mergeUpdates(made.slice(i, i + 10)));
    const triedOf = (updates: readonly Uint8Array[]): number =>
      updates.filter((update) => !isFree(costOfUpdate(update))).length / updates.length;
    console.log(`${source}: tried are ${triedOf(made)} of all alone, ${triedOf(tens)} by tens`);
    expect(triedOf(made)).toBeLessThan(0.005);
    expect(triedOf(tens)).toBeLessThan(0.05);
  });

  test('[CX9] an update whose every piece has to look for its place is not', () => {
    expect(isFree(costOfUpdate(slowUpdate(ME, 10)))).toBe(true);
    expect(isFree(costOfUpdate(slowUpdate(ME, 16)))).toBe(false);
  });

  test('[CX9] nor is one that deletes the same again and again, or a great deal, or brings much formatting, or many pieces', () => {
    const deletes = (ranges: readonly (readonly [number, number])[]): Uint8Array => {
      const encoder = new Y.UpdateEncoderV1();
      encoder.writeLen(0);
      encoder.writeLen(1);
      encoder.writeClient(ME);
      encoder.writeLen(ranges.length);
      for (const [clock, length] of ranges) {
        encoder.writeDsClock(clock);
        encoder.writeDsLen(length);
      }
      return encoder.toUint8Array();
    };
    const spread = Array.from({ length: 1_000 }, (_, i) => [10 * i, 4] as const);
    expect(isFree(costOfUpdate(deletes(spread)))).toBe(true);
    expect(isFree(costOfUpdate(deletes(Array.from({ length: 40 }, () => [0, 100] as const))))).toBe(false);
    expect(isFree(costOfUpdate(deletes([[0, 4_096]])))).toBe(true);
    expect(isFree(costOfUpdate(deletes([[0, 4_097]])))).toBe(false);
    const bold = (count: number) => (ydoc: Y.Doc) => {
      for (let i = 0; i < count; i++) text(ydoc).format(20 * i, 10, { bold: true });
    };
    const base = only(updatesOf(1, [(ydoc) => text(ydoc).insert(0, ' '.repeat(10_000))]));
    expect(costOfUpdate(only(updatesOf(ME, [bold(40)], base))).formats).toBe(80);
    expect(isFree(costOfUpdate(only(updatesOf(ME, [bold(40)], base))))).toBe(false);
    const list = only(
      updatesOf(ME, [(ydoc) => ydoc.getArray('a').push(Array.from({ length: 10_001 }, () => new Y.Map()))]),
    );
    expect(isFree(costOfUpdate(list))).toBe(false);
  });
});

describe('what it costs', () => {
  test.each([
    [
      'of one writer, who has not seen what others wrote meanwhile',
      (...[, , own]: [Y.Doc, Uint8Array, Uint8Array]) => own,
    ],
    ['of several', (a: Y.Doc, vector: Uint8Array) => Y.encodeStateAsUpdate(a, vector)],
  ])('[CX9] no update walks over more than its walks times the document: %s', (_, updateOf) => {
    const random = makeRandom(7);
    let stepsOfAll = 0;
    for (let round = 0; round < 80; round++) {
      const docs = [1 + random.below(9), 11, 12].map((clientID) => Object.assign(new Y.Doc(), { clientID }));
      const [a, b, c] = docs as [Y.Doc, Y.Doc, Y.Doc];
      const write = (ydoc: Y.Doc): void => {
        // At few places, so that they meet, and in runs, as people type.
        let at = Math.min(text(ydoc).length, 3 * random.below(4));
        if (random.below(6) === 0) text(ydoc).delete(at, Math.min(2, text(ydoc).length - at));
        for (let left = random.below(6); left > 0; left--) text(ydoc).insert(at++, 'abc'.slice(random.below(3)));
      };
      for (let step = 0; step < 12; step++) for (const ydoc of docs) if (random.below(2) === 0) write(ydoc);
      for (const ydoc of [a, b]) Y.applyUpdate(ydoc, Y.encodeStateAsUpdate(c));
      const vector = Y.encodeStateVector(b);
      const own: Uint8Array[] = [];
      a.on('update', (made: Uint8Array) => own.push(made));
      Y.applyUpdate(b, Y.encodeStateAsUpdate(a));
      for (let step = 0; step < 12; step++) for (const ydoc of [a, b]) write(ydoc);
      const update = updateOf(a, vector, mergeUpdates(own));
      const { walks, structs } = costOfUpdate(update);
      const pieces = [...b.store.clients.values()].reduce((sum, { length }) => sum + length, 0) + 2 * structs;
      const steps = stepsOf(() => Y.applyUpdate(b, update));
      stepsOfAll += steps;
      expect(steps, `round ${round}`).toBeLessThanOrEqual(walks * pieces + structs);
      expect(b.store.pendingStructs).toBeNull();
    }
    expect(stepsOfAll).toBeGreaterThan(500);
  });

  test('[CX9] it is the walks that make a hostile update slow', () => {
    const pieces = 300;
    const update = slowUpdate(ME, pieces);
    expect(costOfUpdate(update).walks).toBe(pieces + 1);
    const steps = stepsOf(() => Y.applyUpdate(new Y.Doc(), update));
    expect(steps).toBeGreaterThan((pieces * pieces) / 2);
  });
});
