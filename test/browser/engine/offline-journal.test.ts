import {
  appendToJournal,
  bodyOfDelta,
  bytesToRecordPayload,
  bytesToRoomId,
  bytesToValue,
  commitSeal,
  draftSeal,
  type Edit,
  foldJournal,
  type KeyName,
  nextEpoch,
  readJournal,
  recordPayloadToBytes,
  type ReplicaId,
  type RoomRef,
  signDelta,
  type Store,
  valueToBytes,
} from '@mangrove/protocol';
import { sha256 } from '@noble/hashes/sha2.js';
import { afterEach, expect, test } from 'vitest';
import * as Y from 'yjs';
import { deflate } from '../../../packages/client/src/deflate.js';
import { mergeUpdates } from '../../../packages/client/src/documents/merge.js';
import { type IdbDatabase, openIdbDatabase } from '../../../packages/client/src/stores/idb-store.js';

const room: RoomRef = {
  hash: (bytes: Uint8Array) => sha256(bytes),
  roomId: bytesToRoomId(new Uint8Array(32).fill(7)),
  history: 'current',
};
const replica = '0102030405060708' as ReplicaId;
const STRICT = { mode: 'write', durability: 'strict' } as const;
const note: KeyName = { kind: 'document', collection: '', id: 'note' };

let database: IdbDatabase | undefined;
afterEach(() => database?.deleteAll());

async function openStore(name: string): Promise<Store> {
  database = await openIdbDatabase(name, { onClosed: () => {} });
  return database.room(room.roomId);
}

/** `count` characters typed one after the other, from where `ydoc` ends, as one edit each. */
function typed(ydoc: Y.Doc, count: number): Edit[] {
  const text = ydoc.getText('t');
  const edits: Edit[] = [];
  const keep = (payload: Uint8Array) => edits.push({ name: note, flags: 0, nonces: [1], payload });
  ydoc.on('update', keep);
  for (let i = 0; i < count; i++) text.insert(text.length, String.fromCharCode(97 + (i % 26)));
  ydoc.off('update', keep);
  return edits;
}

const put = (value: number): Edit => ({
  ...{ name: { kind: 'record', collection: 'todos', id: 'a' }, flags: 0, nonces: [] },
  payload: recordPayloadToBytes({ value: valueToBytes(value) }),
});

async function seal(store: Store, epoch: number) {
  const nowMs = Date.now();
  const drafts = await store.transact((tx) => draftSeal(tx, room, { replica, nowMs, mergeUpdates, deflate }), {
    mode: 'read',
  });
  const sealed = drafts.map(({ unsigned, rows }) => ({ delta: signDelta(unsigned, new Uint8Array(64)), rows }));
  expect(await store.transact((tx) => commitSeal(tx, room, sealed, epoch, nowMs), STRICT)).toBeDefined();
  return sealed.map(({ delta }) => delta);
}

test.each([
  ['as they are', false],
  ['folded before', true],
])(
  '[JS2, JS6] 1,000 edits and 50 writes of a record, the database opened anew in between, %s: one delta each',
  async (_, isFolded) => {
    const name = `mangrove-test-${crypto.randomUUID()}`;
    const ydoc = new Y.Doc();
    const fold = async (store: Store, epoch: number) => {
      const options = { epoch, mergeUpdates, rowsMin: 256, from: new Uint8Array() };
      if (isFolded) await store.transact((tx) => foldJournal(tx, options), STRICT);
    };
    for (const half of [0, 1]) {
      const store = await openStore(name);
      const epoch = await store.transact(nextEpoch, STRICT);
      for (const edit of typed(ydoc, 500))
        await store.transact((tx) => appendToJournal(tx, room, [edit], Date.now()), {
          mode: 'write',
          durability: 'relaxed',
        });
      for (let i = 0; i < 25; i++)
        await store.transact((tx) => appendToJournal(tx, room, [put(25 * half + i)], Date.now()), STRICT);
      await fold(store, epoch);
      await store.close();
      await database?.close();
    }
    const store = await openStore(name);
    const epoch = await store.transact(nextEpoch, STRICT);
    // 50 rows of a record are too few to be worth it.
    const rows = await store.transact((tx) => readJournal(tx), { mode: 'read' });
    expect(rows).toHaveLength(isFolded ? 1 + 50 : 1_050);
    const deltas = await seal(store, epoch);
    expect(deltas).toHaveLength(2);
    for (const delta of deltas) {
      const { name: of, payload } = bodyOfDelta(delta);
      if (of.kind === 'record') {
        expect(bytesToValue(bytesToRecordPayload(payload).value)).toBe(49);
        continue;
      }
      const read = new Y.Doc();
      Y.applyUpdate(read, payload);
      expect(read.getText('t').toString()).toBe(ydoc.getText('t').toString());
    }
    expect(await store.transact((tx) => readJournal(tx), { mode: 'read' })).toEqual([]);
  },
);
