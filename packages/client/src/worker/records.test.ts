import {
  appendToJournal,
  bodyToBytes,
  type BuiltInResolver,
  type Context,
  deriveKeyId,
  type Delta,
  EMPTY_CONTEXT,
  FLAG,
  hlcFromMs,
  type Hlc,
  type JournalRow,
  type KeyState,
  makeContext,
  makeUnsignedDelta,
  MemoryStore,
  nameKey,
  idToBytes,
  recordPayloadToBytes,
  type ReplicaId,
  signDelta,
  utf8ToBytes,
  compareBytes,
  type Value,
  valueToBytes,
} from '@mangrove/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { roomRef } from '../../../../test/support/client-world.js';
import type { EntriesOptions } from '../types.js';
import { versionOf } from '../listing.js';
import { readEntries, recordName, resolveRecord } from './records.js';

const room = roomRef();
const name = recordName('todos', 'a');
const keyId = deriveKeyId(room.hash, room.roomId, name);
const [ME, ANN, BOB] = ['00000000000000aa', '00000000000000bb', '00000000000000cc'] as [
  ReplicaId,
  ReplicaId,
  ReplicaId,
];
const at = (ms: number): Hlc => hlcFromMs(ms);

interface Spec {
  readonly replica: ReplicaId;
  readonly atMs: number;
  readonly value?: Value;
  readonly tombstone?: boolean;
  readonly payload?: Uint8Array;
  readonly context?: Context;
  readonly prev?: number;
}

function delta({ replica, atMs, value, tombstone = false, payload, context = EMPTY_CONTEXT, prev = 0 }: Spec): Delta {
  const bytes = tombstone
    ? new Uint8Array()
    : (payload ?? recordPayloadToBytes({ value: valueToBytes(value as Value) }));
  const header = {
    replica,
    seq: atMs,
    keyId,
    hlc: at(atMs),
    writtenAt: at(atMs),
    prev: at(prev),
    context,
    flags: tombstone ? FLAG.tombstone : 0,
    nonces: [],
  };
  const unsigned = makeUnsignedDelta(room.hash, room.roomId, header, bodyToBytes({ name, payload: bytes }));
  return signDelta(unsigned, new Uint8Array(64));
}

function row(number: number, atMs: number, value: Value | undefined, context: Context = EMPTY_CONTEXT): JournalRow {
  return {
    number,
    keyId,
    name,
    flags: value === undefined ? FLAG.tombstone : 0,
    writtenAt: at(atMs),
    context,
    nonces: [],
    payload: value === undefined ? new Uint8Array() : recordPayloadToBytes({ value: valueToBytes(value) }),
  };
}

const seen = (...entries: (readonly [ReplicaId, number])[]): Context =>
  makeContext(new Map(entries.map(([replica, ms]) => [replica, at(ms)])), []);

function read(state: Partial<KeyState>, resolver: BuiltInResolver = 'siblings') {
  const entry = resolveRecord({ deltas: [], rows: [], ...state }, ME, resolver);
  return entry && { value: entry.value, siblings: entry.siblings.map(({ value }) => value) };
}

describe('one record', () => {
  test('[CX2] nothing written is undefined', () => {
    expect(read({})).toBeUndefined();
  });

  test('[CX2] siblings are all there, newest first; both resolvers show the newest', () => {
    const deltas = [delta({ replica: ANN, atMs: 10, value: 'ann' }), delta({ replica: BOB, atMs: 20, value: 'bob' })];
    for (const resolver of ['siblings', 'lww'] as const) {
      expect(read({ deltas }, resolver)).toEqual({ value: 'bob', siblings: ['bob', 'ann'] });
      expect(read({ deltas: [...deltas].reverse() }, resolver)).toEqual({ value: 'bob', siblings: ['bob', 'ann'] });
    }
  });

  test('[CX2] written in the same moment, the order is by replica, the same for everybody', () => {
    const deltas = [delta({ replica: ANN, atMs: 10, value: 'ann' }), delta({ replica: BOB, atMs: 10, value: 'bob' })];
    expect(read({ deltas })?.siblings).toEqual(['bob', 'ann']);
    expect(read({ deltas: [...deltas].reverse() })?.siblings).toEqual(['bob', 'ann']);
  });

  test('[CX2] a newer delete beside a value: siblings show the value, lww shows the delete', () => {
    const deltas = [
      delta({ replica: ANN, atMs: 10, value: 'ann' }),
      delta({ replica: BOB, atMs: 20, tombstone: true }),
    ];
    expect(read({ deltas })).toEqual({ value: 'ann', siblings: [undefined, 'ann'] });
    expect(read({ deltas }, 'lww')).toBeUndefined();
  });

  test('[CX2] an older delete beside a value hides it from nobody', () => {
    const deltas = [
      delta({ replica: ANN, atMs: 20, value: 'ann' }),
      delta({ replica: BOB, atMs: 10, tombstone: true }),
    ];
    expect(read({ deltas })?.value).toBe('ann');
    expect(read({ deltas }, 'lww')?.value).toBe('ann');
  });

  test('[CX2] deletes alone are undefined', () => {
    const deltas = [ANN, BOB].map((replica) => delta({ replica, atMs: 10, tombstone: true }));
    expect(read({ deltas })).toBeUndefined();
    expect(read({ deltas }, 'lww')).toBeUndefined();
  });

  test('[JS2] an unsealed write shows at once and hides what it saw and what is its own', () => {
    const own = delta({ replica: ME, atMs: 5, value: 'mine before' });
    const ann = delta({ replica: ANN, atMs: 10, value: 'ann' });
    const state = { deltas: [own, ann], rows: [row(1, 30, 'mine', seen([ANN, 10]))] };
    expect(read(state)).toEqual({ value: 'mine', siblings: ['mine'] });
  });

  test('[CX5] what came after an unsealed write stands beside it', () => {
    const ann = delta({ replica: ANN, atMs: 10, value: 'ann' });
    const later = delta({ replica: BOB, atMs: 40, value: 'bob' });
    const state = { deltas: [ann, later], rows: [row(1, 30, 'mine', seen([ANN, 10]))] };
    expect(read(state)).toEqual({ value: 'bob', siblings: ['bob', 'mine'] });
  });

  test('[JS2] of several unsealed writes the last shows, and what any of them saw is hidden', () => {
    const ann = delta({ replica: ANN, atMs: 10, value: 'ann' });
    const bob = delta({ replica: BOB, atMs: 12, value: 'bob' });
    const state = {
      deltas: [ann, bob],
      rows: [row(1, 30, 'first', seen([ANN, 10])), row(2, 31, 'second', seen([BOB, 12]))],
    };
    expect(read(state)).toEqual({ value: 'second', siblings: ['second'] });
  });

  test('[JS2] an unsealed delete hides what it saw, and not what it did not', () => {
    const ann = delta({ replica: ANN, atMs: 10, value: 'ann' });
    expect(read({ deltas: [ann], rows: [row(1, 30, undefined, seen([ANN, 10]))] })).toBeUndefined();
    expect(read({ deltas: [ann], rows: [row(1, 30, undefined)] })).toEqual({
      value: 'ann',
      siblings: [undefined, 'ann'],
    });
  });

  test('[CX8] a sibling that cannot be decoded counts as absent', () => {
    const broken = delta({ replica: BOB, atMs: 20, payload: Uint8Array.of(0, 123) });
    expect(read({ deltas: [delta({ replica: ANN, atMs: 10, value: 'ann' }), broken] })).toEqual({
      value: 'ann',
      siblings: ['ann'],
    });
    expect(read({ deltas: [broken] })).toBeUndefined();
  });

  test('[DL9] a falsy value is a value', () => {
    for (const value of [0, '', false, null])
      expect(read({ deltas: [delta({ replica: ANN, atMs: 10, value })] })).toEqual({ value, siblings: [value] });
  });

  test('[API] a version names every sibling, whatever their order, and stays the same when a row is sealed', () => {
    const ann = delta({ replica: ANN, atMs: 10, value: 'ann' });
    const unsealed = resolveRecord({ deltas: [ann], rows: [row(1, 30, 'mine')] }, ME, 'siblings');
    const sealed = resolveRecord(
      { deltas: [delta({ replica: ME, atMs: 30, value: 'mine' }), ann], rows: [] },
      ME,
      'siblings',
    );
    expect(unsealed?.version).toBe(sealed?.version);
    expect(unsealed?.version.split('.').sort()).toEqual([versionOf(ANN, at(10)), versionOf(ME, at(30))].sort());
    expect(sealed?.siblings.map(({ version, replica, writtenAtMs }) => ({ version, replica, writtenAtMs }))).toEqual([
      { version: versionOf(ME, at(30)), replica: ME, writtenAtMs: 30 },
      { version: versionOf(ANN, at(10)), replica: ANN, writtenAtMs: 10 },
    ]);
  });
});

describe('a listing', () => {
  const IDS = ['', 'a', 'a/b', 'ab', 'b', 'ä', 'z', 'é', 'ﬀ', '日本', '\u{1f600}', '\u{10ffff}', '\uffff'].filter(
    (id) => id !== '',
  );
  const byBytes = (a: string, b: string): number => compareBytes(utf8ToBytes(a), utf8ToBytes(b));

  async function storeOf(ids: readonly string[], deleted: ReadonlySet<string> = new Set()): Promise<MemoryStore> {
    const store = new MemoryStore();
    const edit = (collection: string, id: string, value: Value | undefined) => ({
      name: recordName(collection, id),
      flags: value === undefined ? FLAG.tombstone : 0,
      nonces: [],
      payload: value === undefined ? new Uint8Array() : recordPayloadToBytes({ value: valueToBytes(value) }),
    });
    await store.transact(
      function* (tx) {
        const edits = ids.map((id) => edit('todos', id, deleted.has(id) ? undefined : id));
        yield* appendToJournal(tx, room, edits, 1_000);
        // Neighbours on both sides, which are never listed.
        yield* appendToJournal(tx, room, [edit('todo', 's', 1), edit('todost', 'a', 1), edit('', 'x', 1)], 1_000);
      },
      { mode: 'write' },
    );
    return store;
  }

  const list = async (store: MemoryStore, options: EntriesOptions = {}): Promise<string[]> => {
    const entries = await store.transact((tx) => readEntries(tx, room, ME, 'todos', 'siblings', options), {
      mode: 'read',
    });
    for (const [id, { value }] of entries) expect(value).toBe(id);
    return entries.map(([id]) => id);
  };

  test('[API] ids come in the order of their UTF-8 bytes, which is not that of JavaScript strings', async () => {
    const store = await storeOf(IDS);
    const expected = [...IDS].sort(byBytes);
    expect(expected).not.toEqual([...IDS].sort());
    expect(await list(store)).toEqual(expected);
    expect(await list(store, { reverse: true })).toEqual([...expected].reverse());
  });

  test('[API] from is included, to is not; a prefix is one of bytes', async () => {
    const store = await storeOf(IDS);
    expect(await list(store, { from: 'a/b', to: 'b' })).toEqual(['a/b', 'ab']);
    expect(await list(store, { prefix: 'a' })).toEqual(['a', 'a/b', 'ab']);
    expect(await list(store, { prefix: 'a', from: 'a/', to: 'ab' })).toEqual(['a/b']);
    expect(await list(store, { prefix: '日' })).toEqual(['日本']);
    expect(await list(store, { from: 'b', to: 'a' })).toEqual([]);
    expect(await list(store, { from: 'b', to: 'a', reverse: true })).toEqual([]);
    expect(await list(store, { prefix: 'nothing' })).toEqual([]);
    expect(await list(store, { limit: 0 })).toEqual([]);
  });

  test('[API] more than a page, with deletes in it: a limit counts what is there', async () => {
    const ids = Array.from({ length: 400 }, (_, i) => `id-${String(i).padStart(4, '0')}`);
    const deleted = new Set(ids.filter((_, i) => i % 3 === 0 || (i > 120 && i < 270)));
    const store = await storeOf(ids, deleted);
    const there = ids.filter((id) => !deleted.has(id));
    expect(await list(store)).toEqual(there);
    expect(await list(store, { reverse: true })).toEqual([...there].reverse());
    expect(await list(store, { limit: 100 })).toEqual(there.slice(0, 100));
    expect(await list(store, { limit: 100, reverse: true })).toEqual([...there].reverse().slice(0, 100));
    expect(await list(store, { limit: 5, from: 'id-0121' })).toEqual(there.filter((id) => id >= 'id-0121').slice(0, 5));
  });

  test('[API] any options give what filtering and sorting all of it gives', async () => {
    const id = fc.oneof(fc.constantFrom(...IDS), fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }));
    const ids = fc.uniqueArray(id, { maxLength: 20 });
    const options = fc.record(
      { prefix: id, from: id, to: id, limit: fc.nat(6), reverse: fc.boolean() },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(ids, options, async (all, { prefix = '', from, to, limit, reverse = false }) => {
        const wellFormed = all.filter((one) => !/\p{Surrogate}/u.test(one));
        const store = await storeOf(wellFormed);
        const within = wellFormed
          .filter((one) => one.startsWith(prefix))
          .filter((one) => from === undefined || byBytes(one, from) >= 0)
          .filter((one) => to === undefined || byBytes(one, to) < 0)
          .sort(byBytes);
        if (reverse) within.reverse();
        const given = { prefix, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
        const limited = limit === undefined ? {} : { limit };
        expect(await list(store, { ...given, ...limited, reverse })).toEqual(within.slice(0, limit));
      }),
      { numRuns: 150 },
    );
  });

  test('[CX8] a name that leads to nothing is passed over', async () => {
    const store = await storeOf(['a', 'c']);
    await store.transact(
      function* (tx) {
        const nobody = recordName('todos', 'b');
        tx.put('names', nameKey(nobody), idToBytes(deriveKeyId(room.hash, room.roomId, nobody)));
      },
      { mode: 'write' },
    );
    expect(await list(store)).toEqual(['a', 'c']);
  });
});
