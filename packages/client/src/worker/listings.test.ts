import {
  acceptDeltas,
  appendToJournal,
  bodyToBytes,
  type Delta,
  deriveKeyId,
  EMPTY_CONTEXT,
  FLAG,
  hlcFromMs,
  idToBytes,
  type JournalRow,
  makeUnsignedDelta,
  MemoryStore,
  nameKey,
  type ReplicaId,
  recordPayloadToBytes,
  scrubAll,
  signDelta,
  type Store,
  takeIdentity,
  type Value,
  valueToBytes,
} from '@mangrove/protocol';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { roomRef } from '../../../../test/support/client-world.js';
import { textToEntries } from '../listing.js';
import { Collections } from './collections.js';
import { recordName } from './records.js';
import { Unkept } from './unkept.js';

const room = roomRef();
const [ME, ANN] = ['00000000000000aa', '00000000000000bb'] as [ReplicaId, ReplicaId];
const WRITE = { mode: 'write' } as const;
const payloadOf = (value: Value): Uint8Array => recordPayloadToBytes({ value: valueToBytes(value) });

let store: MemoryStore;
/** The one whose listings are kept. */
let collections: Collections;

beforeEach(async () => {
  store = new MemoryStore();
  collections = over(store);
  await store.transact((tx) => takeIdentity(tx, room, ME), WRITE);
});

const over = (of: Store): Collections => new Collections(of, room, ME, () => {});

async function put(id: string, value: Value | undefined): Promise<readonly JournalRow[]> {
  const flags = value === undefined ? FLAG.tombstone : 0;
  const payload = value === undefined ? new Uint8Array() : payloadOf(value);
  const edit = { name: recordName('todos', id), flags, nonces: [], payload };
  return store.transact((tx) => appendToJournal(tx, room, [edit], 1_000), WRITE);
}

/** As another replica has written it, and told nobody here. */
async function accept(id: string, atMs: number): Promise<Delta> {
  const name = recordName('todos', id);
  const keyId = deriveKeyId(room.hash, room.roomId, name);
  const stamp = hlcFromMs(atMs);
  const header = {
    ...{ replica: ANN, seq: atMs, keyId, hlc: stamp, writtenAt: stamp, prev: hlcFromMs(0) },
    ...{ context: EMPTY_CONTEXT, flags: 0, nonces: [] },
  };
  const body = bodyToBytes({ name, payload: payloadOf(`ann ${id}`) });
  const delta = signDelta(makeUnsignedDelta(room.hash, room.roomId, header, body), new Uint8Array(64));
  await store.transact(function* (tx) {
    yield* acceptDeltas(tx, room, [delta], { nowMs: 0, from: 'others', retain: () => false });
    tx.put('names', nameKey(name), idToBytes(keyId));
  }, WRITE);
  return delta;
}

/** As it is read by who has kept nothing, which is how it is read here. */
async function list(shown: Store = store): Promise<string[]> {
  const kept = textToEntries(await collections.entries('todos', 'siblings', {}));
  expect(kept).toEqual(textToEntries(await over(shown).entries('todos', 'siblings', {})));
  return kept.map(([id, { siblings }]) => `${id}: ${siblings.map(({ value }) => value).join()}`);
}

describe('a listing that is kept', () => {
  test('[API] is not read from the store again while nothing has changed', async () => {
    for (let i = 0; i < 300; i++) await put(`r${i}`, i);
    expect(await list()).toHaveLength(300);
    const read = vi.spyOn(store.tables, 'read');
    const text = await collections.entries('todos', 'siblings', {});
    expect(textToEntries(text)).toHaveLength(300);
    expect(read.mock.calls.length).toBeLessThan(8);
    // A part of it is looked for as ever.
    expect(textToEntries(await collections.entries('todos', 'siblings', { prefix: 'r29' }))).toHaveLength(11);
  });

  test('[CX2] shows what this tab, another tab and another replica have written, though nobody has told of it', async () => {
    await put('a', 1);
    expect(await list()).toEqual(['a: 1']);
    await put('b', 2);
    expect(await list()).toEqual(['a: 1', 'b: 2']);
    await accept('b', 5_000);
    expect(await list()).toEqual(['a: 1', 'b: ann b,2']);
    await put('a', undefined);
    expect(await list()).toEqual(['b: ann b,2']);
  });

  test('[AE1] shows what a scrub has listed again', async () => {
    await put('a', 1);
    const { keyId } = await accept('b', 5_000);
    store.tables.table('names').delete(nameKey(recordName('todos', 'b')));
    expect(await list()).toEqual(['a: 1']);
    await scrubAll(store, room);
    expect(store.tables.table('names').get(nameKey(recordName('todos', 'b')))).toEqual(idToBytes(keyId));
    expect(await list()).toEqual(['a: 1', 'b: ann b']);
  });

  test('[AE7] shows what a disk had lost and got again, though the root is that of before', async () => {
    const delta = await accept('b', 5_000);
    expect(await list()).toEqual(['b: ann b']);
    const rows = store.tables.table('deltas');
    const [[key, row]] = rows.rows({ from: new Uint8Array() }) as [[Uint8Array, Uint8Array]];
    collections.changed([{ collection: 'todos', id: 'b' }], 'remote');
    rows.delete(key);
    expect(await list()).toEqual([]);
    rows.put(key, row);
    collections.changed([{ collection: 'todos', id: 'b' }], 'remote');
    expect(await list()).toEqual(['b: ann b']);
    expect(delta.keyId).toBeDefined();
  });

  test('[CX8] is none while something is in quarantine', async () => {
    const delta = await accept('b', 5_000);
    expect(await list()).toEqual(['b: ann b']);
    const quarantine = store.tables.table('quarantine');
    quarantine.put(idToBytes(delta.id), Uint8Array.of(60, ...delta.bytes));
    expect(await list()).toEqual([]);
    quarantine.delete(idToBytes(delta.id));
    expect(await list()).toEqual(['b: ann b']);
  });

  test('[JS7] shows what no disk has taken, and no longer when that is over', async () => {
    const unkept = new Unkept(1);
    const shown = unkept.over(store);
    collections = over(shown);
    const [row] = (await put('a', 1)) as [JournalRow];
    expect(await list(shown)).toEqual(['a: 1']);
    const number = unkept.nextNumber();
    const name = recordName('todos', 'b');
    const keyId = deriveKeyId(room.hash, room.roomId, name);
    unkept.add(1, [{ ...row, name, keyId, number, payload: payloadOf(2) }]);
    expect(await list(shown)).toEqual(['a: 1', 'b: 2']);
    unkept.kept([number]);
    expect(await list(shown)).toEqual(['a: 1']);
  });
});
