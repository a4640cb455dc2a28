import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, compareBytes, concatBytes, equalBytes, u64ToBytes, utf8ToBytes } from '../bytes.js';
import type { Hash } from '../hash.js';
import { defaultLimits } from '../limits.js';
import { MemoryTables } from '../store/memory-store.js';
import { makeCut } from './cut.js';
import { answerDiff, answerDiffPart, type DiffEntry, type DiffMessage, type DiffPlace, openDiff } from './diff.js';
import { cutItem, sumCuts } from './diff-message.js';
import { EMPTY_ROOT } from './node.js';
import { keyToSlot, ROOT_SLOT, type Slot } from './slot.js';
import { buildTrie, readRoot, updateTrie } from './trie.js';

const sha256: Hash = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());
/** With it all cuts are the same, as if all of them collided. */
const blindSalt = new Uint8Array(8);
const CUT_DOMAIN = utf8ToBytes('mangrove:cut:1');
const hash: Hash = (bytes) =>
  equalBytes(bytes.subarray(0, -1), concatBytes(CUT_DOMAIN, blindSalt)) ? new Uint8Array(32) : sha256(bytes);
const saltOf = (byte: number): Uint8Array => Uint8Array.of(7, 7, 7, 7, 7, 7, 7, byte);
const zeroCut = makeCut(sha256, saltOf(0));
const digest = (text: string): Uint8Array => sha256(utf8ToBytes(text));

function trieKey(name: string, replica: string, hlc: number, id = digest(`${name} ${replica} ${hlc}`)): Uint8Array {
  return concatBytes(digest(name).subarray(0, 16), digest(replica).subarray(0, 8), u64ToBytes(hlc), id);
}

interface Peer {
  readonly tables: MemoryTables;
  readonly insert: (keys: readonly Uint8Array[]) => void;
  readonly open: (salt: Uint8Array) => DiffMessage;
  readonly answer: (message: DiffMessage, max?: number) => { message: DiffMessage; send: readonly Uint8Array[] };
  readonly root: () => Uint8Array;
}

function createPeer(keys: readonly Uint8Array[]): Peer {
  const tables = new MemoryTables();
  const root = () => tables.transact(readRoot).result.root;
  const peer: Peer = {
    tables,
    root,
    insert(incoming) {
      tables.transact(function* (tx) {
        const held = yield* tx.getMany('deltas', incoming);
        const adds = incoming.filter((_, i) => held[i] === undefined);
        yield* updateTrie(tx, sha256, { adds, removes: [] });
        for (const key of adds) tx.put('deltas', key, Uint8Array.of(1));
      });
    },
    open: (salt) => ({ salt, root: root(), entries: tables.transact((tx) => openDiff(tx, hash, salt)).result }),
    answer({ salt, ...message }, max = defaultLimits.diffEntriesMax) {
      const { result, writes } = tables.transact((tx) =>
        answerDiff(tx, hash, { salt, ...message }, { diffEntriesMax: max }),
      );
      expect(writes).toEqual([]);
      return { message: { salt, root: root(), entries: result.entries }, send: result.send };
    },
  };
  peer.insert(keys);
  return peer;
}

/** Runs one pass to its end and inserts what is sent; counts messages, and items that were sent in vain. */
function runPass(
  a: Peer,
  b: Peer,
  pass: number | Uint8Array,
  max?: number,
): { messages: number; sent: number; vain: number } {
  let [from, to] = [a, b];
  let message = a.open(typeof pass === 'number' ? saltOf(pass) : pass);
  const tally = { messages: 1, sent: 0, vain: 0 };
  while (message.entries.length > 0) {
    const answer = to.answer(message, max);
    const known = from.tables.transact((tx) => tx.getMany('deltas', answer.send)).result;
    tally.sent += answer.send.length;
    tally.vain += known.filter((row) => row !== undefined).length;
    from.insert(answer.send);
    message = answer.message;
    [from, to] = [to, from];
    tally.messages++;
    expect(tally.messages, 'a pass ends').toBeLessThan(300);
  }
  return tally;
}

const shared = Array.from({ length: 1_500 }, (_, i) => trieKey(`record ${i % 200}`, `replica ${i % 7}`, 1_000 + i));
const more = Array.from({ length: 1_500 }, (_, i) => trieKey(`record ${i % 300}`, `replica ${i % 9}`, 90_000 + i));
const dense = Array.from({ length: 600 }, (_, i) => trieKey('document', 'replica 0', 5_000 + i));

/** What one side holds: a part of the common past, scattered items, and a run under one key. */
const side = fc.record({
  shared: fc.oneof(fc.constant(0), fc.constant(1_500), fc.integer({ min: 0, max: 1_500 })),
  scattered: fc.array(fc.nat(1_499), { maxLength: 60 }),
  run: fc.record({ start: fc.nat(599), length: fc.nat(200) }),
});

function holdings({
  shared: count,
  scattered,
  run,
}: typeof side extends fc.Arbitrary<infer T> ? T : never): Uint8Array[] {
  const keys = [...shared.slice(0, count), ...scattered.map((i) => more[i] as Uint8Array)];
  keys.push(...dense.slice(run.start, run.start + run.length));
  return [...new Map(keys.map((key) => [bytesToHex(key), key])).values()];
}

function union(...sets: readonly (readonly Uint8Array[])[]): Uint8Array[] {
  return [...new Map(sets.flat().map((key) => [bytesToHex(key), key])).values()].sort(compareBytes);
}

describe('convergence', () => {
  test('[SY4] any two sets are one after a pass, nothing is sent in vain, and the pass is short', () => {
    fc.assert(
      fc.property(side, side, (left, right) => {
        const [mine, theirs] = [holdings(left), holdings(right)];
        const [a, b] = [createPeer(mine), createPeer(theirs)];
        const { messages, sent, vain } = runPass(a, b, 0);
        const all = union(mine, theirs);
        expect(a.root()).toEqual(buildTrie(sha256, all).root);
        expect(b.root()).toEqual(a.root());
        expect(sent).toBe(2 * all.length - mine.length - theirs.length);
        expect(vain).toBe(0);
        expect(messages).toBeLessThanOrEqual(14);
      }),
      { numRuns: 40 },
    );
  });

  test('[SY4] a tail, and one side empty, take two or three messages more than the opening', () => {
    const tail = Array.from({ length: 100 }, (_, i) => trieKey('document', 'replica 0', 5_600 + i));
    const [a, b] = [createPeer([...shared, ...dense]), createPeer([...shared, ...dense, ...tail])];
    expect(runPass(a, b, 0)).toMatchObject({ sent: 100, vain: 0 });
    expect(a.root()).toEqual(b.root());
    const empty = createPeer([]);
    expect(runPass(empty, a, 0)).toMatchObject({ sent: 2_200, messages: 2 });
    expect(runPass(createPeer([]), createPeer([]), 0)).toMatchObject({ sent: 0, messages: 2 });
    const other = createPeer([]);
    expect(runPass(a, other, 0).messages).toBeLessThanOrEqual(4);
    expect(other.root()).toEqual(a.root());
  });

  test('[SY4] equal roots end a pass at once, whatever is asked', () => {
    const [a, b] = [createPeer(shared), createPeer(shared)];
    const message = { ...a.open(saltOf(0)), entries: [{ kind: 'want', slot: ROOT_SLOT } as const] };
    expect(b.answer(message)).toMatchObject({ send: [], message: { entries: [] } });
  });

  test('[SY4] a large set tells a level more at once, and no child twice', () => {
    const past = Array.from({ length: 5_000 }, (_, i) => trieKey(`record ${i}`, 'replica', i));
    const [a, b] = [createPeer(past), createPeer([...past.slice(100), ...more])];
    expect(a.open(saltOf(0)).entries).toHaveLength(17);
    const answer = b.answer(a.open(saltOf(0))).message;
    expect(new Set(answer.entries.map((entry) => entry.slot)).size).toBe(answer.entries.length);
    expect(Math.min(...answer.entries.map((entry) => entry.slot.length)), 'nothing above the told children').toBe(2);
    expect(runPass(a, b, 0)).toMatchObject({ sent: 1_600, vain: 0 });
    expect(a.root()).toEqual(b.root());
  });

  test('[SY4] with hardly any room for entries each pass still moves something', () => {
    fc.assert(
      fc.property(side, side, fc.integer({ min: 1, max: 40 }), (left, right, max) => {
        const [a, b] = [createPeer(holdings(left)), createPeer(holdings(right))];
        for (let pass = 0; pass < 3 && !equalBytes(a.root(), b.root()); pass++) {
          const { sent } = runPass(a, b, pass, max);
          expect(sent).toBeGreaterThan(0);
        }
      }),
      { numRuns: 40 },
    );
    const [a, b] = [createPeer(shared.slice(0, 300)), createPeer(shared.slice(100, 400))];
    for (let pass = 0; pass < 400 && !equalBytes(a.root(), b.root()); pass++) runPass(a, b, 0, 3);
    expect(a.root()).toEqual(b.root());
  });
});

describe('cuts', () => {
  test('[MK7] what collides in one pass is found by the next, with another salt', () => {
    const [a, b] = [createPeer([...shared, ...more.slice(0, 3)]), createPeer([...shared, ...more.slice(2, 5)])];
    expect(runPass(a, b, blindSalt)).toMatchObject({ sent: 0 });
    expect(runPass(a, b, 1)).toMatchObject({ sent: 4, vain: 0 });
    expect(a.root()).toEqual(b.root());
  });

  test('[MK7] a cut is the sum of 16 products modulo the largest prime of 32 bits', () => {
    const u16 = (bytes: Uint8Array, i: number): bigint =>
      BigInt(((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number));
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        (full, salt) => {
          const keys = concatBytes(...[0, 1].map((half) => sha256(concatBytes(CUT_DOMAIN, salt, Uint8Array.of(half)))));
          let sum = 0n;
          for (let i = 0; i < 16; i++) sum += BigInt(`0x${bytesToHex(keys.subarray(4 * i, 4 * i + 4))}`) * u16(full, i);
          expect(makeCut(sha256, salt)(full)).toBe(Number(sum % (2n ** 32n - 5n)));
        },
      ),
      { numRuns: 200 },
    );
    const full = new Uint8Array(32).fill(255);
    expect(makeCut(() => full, saltOf(0))(full), 'the largest sum is exact').toBe(
      Number((16n * 0xffffffffn * 0xffffn) % (2n ** 32n - 5n)),
    );
    const key = trieKey('target', 'replica', 1);
    expect(cutItem(zeroCut, key)).toBe(zeroCut(key.subarray(32)));
  });

  test('[MK8] one item more or less under a leaf is found by its sum, anything else by a list', () => {
    const leaf = shared.filter((_, i) => i % 50 === 0).slice(0, 12);
    const kindsOf = (mine: readonly Uint8Array[], theirs: readonly Uint8Array[]) => {
      const [a, b] = [createPeer(mine), createPeer(theirs)];
      const first = b.answer(a.open(saltOf(0)));
      const kinds = [first.message.entries.map(({ kind }) => kind).join() || `send ${first.send.length}`];
      const tally = runPass(a, b, 0);
      expect(a.root()).toEqual(b.root());
      expect(tally.vain).toBe(0);
      return kinds[0];
    };
    expect(createPeer(leaf).open(saltOf(0)).entries).toEqual([
      { kind: 'sum', slot: ROOT_SLOT, count: 12, sum: sumCuts(leaf.map((key) => cutItem(zeroCut, key))) },
    ]);
    expect(kindsOf(leaf.slice(1), leaf)).toBe('send 1');
    expect(kindsOf(leaf, leaf.slice(1))).toBe('need');
    expect(kindsOf(leaf.slice(1), leaf.slice(0, -1))).toBe('list');
    expect(kindsOf(leaf.slice(2), leaf)).toBe('list');
    // Two more here and one more there look like one more: what is needed is not there, and a list is said instead.
    expect(kindsOf(leaf.slice(1), [...leaf.slice(0, 1), ...leaf.slice(2), ...more.slice(0, 0)])).toBe('list');
    expect(kindsOf([...leaf, ...more.slice(0, 2)], [...leaf, ...more.slice(2, 3)])).toBe('need');
  });
});

describe('hostile messages', () => {
  const nibbles = fc.oneof(
    fc.constant(''),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), maxLength: 255 }),
    // Prefixes of what is really there reach deep.
    fc.tuple(fc.constantFrom(...shared, ...dense), fc.nat(128)).map(([key, length]) => keyToSlot(key, length)),
  ) as fc.Arbitrary<Slot>;
  const cut = fc.oneof(
    fc.nat(0xffffffff),
    fc.constantFrom(...shared).map((key) => cutItem(zeroCut, key)),
  );
  const cuts = fc.array(cut, { maxLength: 40 });
  const entry: fc.Arbitrary<DiffEntry> = fc.oneof(
    fc.record({ kind: fc.constant('node' as const), slot: nibbles, prefix: nibbles, map: fc.nat(70_000), cuts }),
    fc.tuple(nibbles, nibbles, fc.nat(0xffff), cut).map(([slot, rest, map, one]) => {
      const count = map.toString(2).replaceAll('0', '').length;
      return { kind: 'node' as const, slot, prefix: (slot + rest) as Slot, map, cuts: Array(count).fill(one) };
    }),
    fc.record({ kind: fc.constant('list' as const), slot: nibbles, cuts }),
    fc.record({ kind: fc.constant('want' as const), slot: nibbles }),
    fc.record({ kind: fc.constant('need' as const), slot: nibbles, cuts }),
    fc.record({ kind: fc.constant('sum' as const), slot: nibbles, count: fc.nat(255), sum: cut }),
  );
  const message = fc.record({
    salt: fc.oneof(fc.constant(saltOf(0)), fc.uint8Array({ minLength: 8, maxLength: 8 })),
    root: fc.uint8Array({ maxLength: 33 }),
    entries: fc.array(entry, { maxLength: 40 }),
  });

  test('[SY4] nonsense never throws, and the answer is bounded and about own items', () => {
    const peers = [createPeer([]), createPeer(shared.slice(0, 20)), createPeer([...shared, ...dense])];
    fc.assert(
      fc.property(message, fc.constantFrom(...peers), fc.integer({ min: 1, max: 50 }), (nonsense, peer, max) => {
        const { send, message: answer } = peer.answer(nonsense, max);
        expect(send.length).toBeLessThanOrEqual(max);
        expect(answer.entries.length).toBeLessThanOrEqual(max);
        expect(new Set(send.map(bytesToHex)).size).toBe(send.length);
        const rows = peer.tables.transact((tx) => tx.getMany('deltas', send)).result;
        expect(rows).not.toContain(undefined);
      }),
      { numRuns: 400 },
    );
  });

  test('[SY4] a node outside of its slot, without children or with cuts amiss is passed over', () => {
    const peer = createPeer(shared);
    const one = 0xdeadbeef;
    const entries = [
      { kind: 'node', slot: '12' as Slot, prefix: '21' as Slot, map: 3, cuts: [one, one] },
      { kind: 'node', slot: ROOT_SLOT, prefix: ROOT_SLOT, map: 0, cuts: [] },
      { kind: 'node', slot: ROOT_SLOT, prefix: ROOT_SLOT, map: 3, cuts: [one] },
      { kind: 'node', slot: ROOT_SLOT, prefix: '0'.repeat(128) as Slot, map: 1, cuts: [one] },
    ] as const;
    const { send, message: answer } = peer.answer({ salt: saltOf(0), root: EMPTY_ROOT, entries });
    expect({ send, entries: answer.entries }).toEqual({ send: [], entries: [] });
  });

  test('[SY4] who could not read all own items asks for none by a list', () => {
    const peer = createPeer(shared);
    const cuts = shared.slice(0, 20).map((key) => cutItem(zeroCut, key));
    const list = { kind: 'list', slot: ROOT_SLOT, cuts } as const;
    const { send, message: answer } = peer.answer({ salt: saltOf(0), root: EMPTY_ROOT, entries: [list] }, 5);
    expect(answer.entries).toEqual([]);
    expect(send).toHaveLength(5);
  });

  test('[SY4] an answer in parts is the answer in one go, each part looking at few entries', () => {
    const peer = createPeer(shared);
    const hex = (i: number): Slot => i.toString(16).padStart(3, '0') as Slot;
    const entries = Array.from({ length: 4_096 }, (_, i): DiffEntry => {
      if (i % 3 === 0) return { kind: 'sum', slot: hex(i), count: 3, sum: i };
      if (i % 3 === 1) return { kind: 'want', slot: hex(i) };
      return { kind: 'node', slot: hex(i), prefix: hex(i), map: 1, cuts: [i] };
    });
    const message = { salt: saltOf(0), root: EMPTY_ROOT, entries };
    const whole = peer.tables.transact((tx) => answerDiff(tx, sha256, message)).result;
    let place: DiffPlace | undefined;
    let parts = 0;
    for (;;) {
      const { result } = peer.tables.transact((tx) => answerDiffPart(tx, sha256, message, place));
      parts++;
      if (!('next' in result)) {
        expect(result).toEqual(whole);
        break;
      }
      place = result.next;
    }
    // A node weighs as much as sixteen others, as it may have so many children; a part goes beyond 256 by less than one.
    expect(parts).toBeGreaterThan((4_096 * (1 + 1 + 16)) / 3 / (256 + 16));
  });

  test('[SY4] the same want a thousand times costs one set', () => {
    const peer = createPeer(shared);
    const entries = Array.from({ length: 1_000 }, () => ({ kind: 'want', slot: ROOT_SLOT }) as const);
    let reads = 0;
    const { result } = peer.tables.transact(function* (tx) {
      const steps = answerDiff(tx, sha256, { salt: saltOf(0), root: EMPTY_ROOT, entries });
      let step = steps.next();
      while (!step.done) {
        const answers: Awaited<ReturnType<typeof peer.tables.read>>[] = [...(yield step.value)];
        for (const [i, read] of step.value.entries())
          if (read.kind === 'keys') reads += (answers[i] as unknown[]).length;
        step = steps.next(answers);
      }
      return step.value;
    });
    expect(result.send).toHaveLength(shared.length);
    expect(reads).toBeLessThanOrEqual(defaultLimits.diffEntriesMax + 32);
  });
});
