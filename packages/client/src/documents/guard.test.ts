import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { updateFault } from './guard.js';

const ME = 1_001;
const OTHER = 2_002;
const mine: ReadonlySet<number> = new Set([ME]);

function docOf(clientId: number, edit: (ydoc: Y.Doc) => void, options: { gc?: boolean } = {}): Y.Doc {
  const ydoc = new Y.Doc(options);
  ydoc.clientID = clientId;
  edit(ydoc);
  return ydoc;
}

const typed = (clientId: number, text = 'hello'): Uint8Array =>
  Y.encodeStateAsUpdate(docOf(clientId, (ydoc) => ydoc.getText('t').insert(0, text)));

/** `update := 1 client • 1 struct • client • clock • struct • no deletes`, by hand. */
function varUint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push(128 | (rest % 128));
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}
const structAt = (client: number, clock: number, info: number, length: number, deletes: number[] = [0]): Uint8Array =>
  Uint8Array.from([1, 1, ...varUint(client), ...varUint(clock), info, ...varUint(length), ...deletes]);
const GC = 0;
const SKIP = 10;

describe('whose operations', () => {
  test('[ID5] operations under the clientIDs of the writer pass, others do not', () => {
    expect(updateFault(typed(ME), mine)).toBeUndefined();
    expect(updateFault(typed(OTHER), mine)).toContain(`clientID ${OTHER}`);
    expect(updateFault(typed(OTHER), new Set([ME, OTHER]))).toBeUndefined();
  });

  test('[ID5] one foreign operation among own ones is enough', () => {
    const ydoc = docOf(ME, (doc) => doc.getText('t').insert(0, 'mine'));
    Y.applyUpdate(ydoc, typed(OTHER, 'theirs'));
    expect(updateFault(Y.encodeStateAsUpdate(ydoc), mine)).toContain(`clientID ${OTHER}`);
  });

  test('[ID5] what a signer vouches for may carry anybody’s operations', () => {
    expect(updateFault(typed(OTHER), undefined)).toBeUndefined();
  });

  test('[ID5] deleting what others wrote is an edit like any other', () => {
    const ydoc = docOf(ME, () => {});
    Y.applyUpdate(ydoc, typed(OTHER));
    const before = Y.encodeStateVector(ydoc);
    ydoc.getText('t').delete(0, 2);
    expect(updateFault(Y.encodeStateAsUpdate(ydoc, before), mine)).toBeUndefined();
  });

  test('[ID5] collected structs and gaps count as operations of their clientID', () => {
    expect(updateFault(structAt(ME, 0, GC, 5), mine)).toBeUndefined();
    expect(updateFault(structAt(ME, 0, SKIP, 5), mine)).toBeUndefined();
    expect(updateFault(structAt(OTHER, 0, GC, 5), mine)).toContain(`clientID ${OTHER}`);
    expect(updateFault(structAt(OTHER, 0, SKIP, 5), mine)).toContain(`clientID ${OTHER}`);
  });

  test('[ID5] a document that Yjs has collected itself passes', () => {
    const ydoc = docOf(ME, (doc) => {
      const map = doc.getMap('m');
      map.set('a', new Y.Text('gone soon'));
      map.delete('a');
      map.set('b', 1);
    });
    expect(updateFault(Y.encodeStateAsUpdate(ydoc), mine)).toBeUndefined();
  });
});

describe('bounds', () => {
  test.each([
    ['collected', GC],
    ['skipped', SKIP],
  ])('[CX8] a clock that no writer reaches is a fault: %s', (_, info) => {
    expect(updateFault(structAt(ME, 2 ** 31 - 5, info, 5), mine)).toBeUndefined();
    expect(updateFault(structAt(ME, 2 ** 31 - 4, info, 5), mine)).toBeDefined();
    expect(updateFault(structAt(ME, 2 ** 52, info, 5), undefined)).toBeDefined();
    expect(updateFault(structAt(ME, 0, info, 2 ** 40), undefined)).toBeDefined();
  });

  test('[CX8] so is a delete beyond it', () => {
    const deletes = (clock: number, length: number): number[] => [
      1,
      ...varUint(OTHER),
      1,
      ...varUint(clock),
      ...varUint(length),
    ];
    expect(updateFault(structAt(ME, 0, GC, 1, deletes(0, 10)), mine)).toBeUndefined();
    expect(updateFault(structAt(ME, 0, GC, 1, deletes(0, 2 ** 40)), mine)).toBeDefined();
  });
});

describe('bytes', () => {
  test('[CX8] updates in format V2 are named, not taken for empty ones', () => {
    const ydoc = docOf(ME, (doc) => doc.getText('t').insert(0, 'hello'));
    for (const writers of [mine, undefined]) {
      expect(updateFault(Y.encodeStateAsUpdateV2(ydoc), writers)).toBeDefined();
      expect(updateFault(Y.encodeStateAsUpdateV2(new Y.Doc()), writers)).toBeDefined();
    }
  });

  test('[CX8] bytes after the end are a fault, also from a view into a larger buffer', () => {
    const update = typed(ME);
    const larger = new Uint8Array(update.length + 20);
    larger.set(update, 7);
    expect(updateFault(larger.subarray(7, 7 + update.length), mine)).toBeUndefined();
    expect(updateFault(larger.subarray(7, 8 + update.length), mine)).toBeDefined();
  });

  test('[CX8] the empty update passes', () => {
    expect(updateFault(Uint8Array.of(0, 0), mine)).toBeUndefined();
  });

  test('[CX8] no bytes, any bytes and cut bytes give an answer and never throw', () => {
    expect(updateFault(new Uint8Array(), mine)).toBeDefined();
    const update = typed(ME, 'some longer text');
    for (let length = 0; length < update.length; length++)
      expect(updateFault(update.subarray(0, length), mine), `${length} bytes`).toBeDefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, vouched) => {
        const fault = updateFault(bytes, vouched ? undefined : mine);
        expect(fault === undefined || typeof fault === 'string').toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('[CX8] what passes can be applied by Yjs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        if (updateFault(bytes, undefined) !== undefined) return;
        Y.applyUpdate(new Y.Doc(), bytes);
      }),
      { numRuns: 2_000 },
    );
  });
});
