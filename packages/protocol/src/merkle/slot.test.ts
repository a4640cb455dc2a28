import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBytes } from '../bytes.js';
import { bytesToNode, innerNode, leafNode, nodeToBytes } from './node.js';
import {
  bytesToSlot,
  childSlot,
  commonNibbles,
  isSlot,
  keyToSlot,
  nibbleAt,
  type Slot,
  sharedNibbles,
  slotContains,
  slotNibble,
  slotRange,
  slotToBytes,
} from './slot.js';

const slots = fc.string({ unit: fc.constantFrom(...'0f7'), maxLength: 12 }) as fc.Arbitrary<Slot>;
const keys = fc.array(fc.constantFrom(0x00, 0x07, 0x0f, 0x70, 0xf0, 0xff, 0xf7), { minLength: 6, maxLength: 6 });

describe('slots', () => {
  test('[MK4] the range of a slot holds exactly the keys under it', () => {
    fc.assert(
      fc.property(slots, keys, (slot, bytes) => {
        const key = Uint8Array.from(bytes);
        const { from, to } = slotRange(slot);
        const isWithin = compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0);
        expect(slotContains(slot, key)).toBe(isWithin);
        expect(slotContains(slot, key)).toBe(keyToSlot(key).startsWith(slot));
      }),
      { numRuns: 1_000 },
    );
  });

  test('[MK4] a slot has one encoding, and no other bytes are one', () => {
    fc.assert(
      fc.property(slots, (slot) => {
        expect(bytesToSlot(slotToBytes(slot))).toBe(slot);
        expect(isSlot(slot)).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), (bytes) => {
        const slot = bytesToSlot(bytes);
        if (slot !== undefined) expect(slotToBytes(slot)).toEqual(bytes);
      }),
    );
    for (const bytes of [[], [1], [1, 0x12], [2, 1, 2], [3, 1]])
      expect(bytesToSlot(Uint8Array.from(bytes))).toBeUndefined();
    expect(['A', 'g', '0'.repeat(256)].map(isSlot)).toEqual([false, false, false]);
  });

  test('[MK2] nibbles are counted from the high half of a byte', () => {
    const [a, b] = [Uint8Array.of(0x12, 0x34), Uint8Array.of(0x12, 0x3f)];
    expect([0, 1, 2, 3].map((position) => nibbleAt(a, position))).toEqual([1, 2, 3, 4]);
    expect(commonNibbles(a, b)).toBe(3);
    expect(commonNibbles(a, Uint8Array.of(0x1f, 0x34))).toBe(1);
    expect(commonNibbles(a, a)).toBe(4);
    expect(sharedNibbles('13' as Slot, a)).toBe(1);
    expect(childSlot(keyToSlot(a, 3), 15)).toBe('123f');
    expect(slotNibble('123f' as Slot, 3)).toBe(15);
  });
});

describe('rows of nodes', () => {
  const hash = (bytes: Uint8Array) => Uint8Array.from({ length: 32 }, (_, i) => bytes.length + i);

  test('[MK4] a node is read as it was written', () => {
    fc.assert(
      fc.property(
        slots,
        fc.integer({ min: 1, max: 0xffff }),
        fc.integer({ min: 33, max: 0xffffffff }),
        (prefix, map, n) => {
          const children = [...map.toString(2)].filter((bit) => bit === '1').map((_, i) => hash(Uint8Array.of(i)));
          const inner = innerNode(hash, n, prefix, map, children);
          expect(bytesToNode(nodeToBytes(inner))).toEqual(inner);
          const bytes = nodeToBytes(inner);
          expect(() => bytesToNode(bytes.subarray(0, bytes.length - 1))).toThrow('cannot be read');
        },
      ),
    );
    const leaf = leafNode(hash, [Uint8Array.of(1), Uint8Array.of(2)]);
    expect(bytesToNode(nodeToBytes(leaf))).toEqual(leaf);
  });

  test('[MK4] other bytes are INTERNAL', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        try {
          bytesToNode(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INTERNAL' });
        }
      }),
    );
  });
});
