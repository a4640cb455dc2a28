import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rankRelays, type WeightedRelay } from './relay-rank.js';

const hash = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest());
const RELAYS = ['wss://a.example', 'wss://b.example', 'wss://c.example', 'wss://d.example'];
const rooms = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `room ${i}`);
const firstOf = (room: string, relays: readonly (string | WeightedRelay)[]) => rankRelays(hash, room, relays)[0];

test('[FD1] the order is the same for whoever has the same relays, in whatever order they are given', () => {
  fc.assert(
    fc.property(fc.string(), fc.shuffledSubarray(RELAYS, { minLength: RELAYS.length }), (room, given) => {
      expect(rankRelays(hash, room, given)).toEqual(rankRelays(hash, room, RELAYS));
    }),
  );
});

test('[FD1] an order that is fixed for good: other implementations have to come to it', () => {
  expect(rankRelays(hash, 'team', RELAYS)).toMatchInlineSnapshot(`
    [
      "wss://a.example",
      "wss://c.example",
      "wss://b.example",
      "wss://d.example",
    ]
  `);
  expect(rankRelays(hash, 'räume/ü', RELAYS)).toMatchInlineSnapshot(`
    [
      "wss://c.example",
      "wss://a.example",
      "wss://b.example",
      "wss://d.example",
    ]
  `);
});

test('[FD1] a relay that is lost moves its own rooms alone, and leaves the order of the others as it was', () => {
  for (const lost of RELAYS) {
    const left = RELAYS.filter((relay) => relay !== lost);
    for (const room of rooms(200))
      expect(rankRelays(hash, room, left)).toEqual(rankRelays(hash, room, RELAYS).filter((relay) => relay !== lost));
  }
});

test('[FD1] a relay that is added takes about its share of the rooms, and no room goes from one old relay to another', () => {
  const added = 'wss://e.example';
  const moved = rooms(2_000).filter((room) => firstOf(room, [...RELAYS, added]) !== firstOf(room, RELAYS));
  for (const room of moved) expect(firstOf(room, [...RELAYS, added])).toBe(added);
  expect(moved.length).toBeGreaterThan(300);
  expect(moved.length).toBeLessThan(500);
});

test('[FD1] rooms are spread by weight', () => {
  const relays = [
    { url: 'wss://large.example', weight: 3 },
    { url: 'wss://small.example', weight: 1 },
  ];
  const large = rooms(2_000).filter((room) => firstOf(room, relays) === 'wss://large.example');
  expect(large.length).toBeGreaterThan(1_400);
  expect(large.length).toBeLessThan(1_600);
});

test('[FD1] a weight that grows draws rooms to its relay, and from it none', () => {
  const before = { url: 'wss://a.example', weight: 1 };
  const after = { url: 'wss://a.example', weight: 2 };
  const others = RELAYS.slice(1);
  for (const room of rooms(500))
    if (firstOf(room, [before, ...others]) === before.url) expect(firstOf(room, [after, ...others])).toBe(after.url);
});
