import {
  bytesToDelta,
  concatBytes,
  FLAG,
  hasFlag,
  MemoryStore,
  type Plan,
  receiveDeltas,
  type RoomRef,
  TABLES,
  trieKeyOf,
  u64ToBytes,
} from '@mangrove/protocol';
import { sha256 } from '@noble/hashes/sha2.js';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { readPutAside } from '../../../packages/protocol/src/room/aside.js';
import { putInTrash } from '../../../packages/protocol/src/room/trash.js';
import { endProfiles, openRelay, Profile, roomIdOf } from './real-profile.js';
import { copyOf, type Rows, rowsOf, writeRow, writeRows } from './rows.js';

const ROOM = 'damage';
const room: RoomRef = { hash: sha256, roomId: roomIdOf(ROOM), history: 'current' };
const EVERYTHING = { from: new Uint8Array() };
const SIGNATURE_BYTES = 64;
const DOCUMENTS = ['large', 'small', 'own'];

/** What a disk makes of a row. */
const SPOILS: Readonly<Record<string, (row: Uint8Array) => unknown>> = {
  'cut in half': (row) => row.slice(0, row.length >> 1),
  'with a flipped bit': (row) => row.map((byte, i) => (i === row.length >> 1 ? byte ^ 0x10 : byte)),
  overwritten: () => Uint8Array.of(1, 2, 3),
  'that is no bytes': () => null,
};

let whole: Rows;
let expected: Awaited<ReturnType<typeof readAll>>;
const relayStore = new MemoryStore();
let ann: Profile;

async function typeInto(profile: Profile, id: string, text: string): Promise<void> {
  const { updates, nonce, clientId } = await profile.engine.openDocument(ROOM, id);
  const ydoc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(ydoc, update);
  ydoc.clientID = clientId;
  const made: Uint8Array[] = [];
  ydoc.on('update', (update: Uint8Array) => made.push(update));
  ydoc.getText('t').insert(0, text);
  await profile.engine.edit(ROOM, id, { updates: made, nonce, clientId, imported: false, isShown: true });
  await profile.engine.closeDocument(ROOM, id);
}

async function readAll(profile: Profile): Promise<{ texts: readonly string[]; records: readonly string[] }> {
  const texts: string[] = [];
  for (const id of DOCUMENTS) {
    const ydoc = new Y.Doc();
    for (const update of (await profile.engine.openDocument(ROOM, id)).updates) Y.applyUpdate(ydoc, update);
    texts.push(ydoc.getText('t').toString());
    await profile.engine.closeDocument(ROOM, id);
  }
  return { texts, records: await profile.read() };
}

/** A delta that is quarantined, one that is kept, one in the trash: rows of tables that a calm day leaves empty. */
const putWrecks: Plan<void> = function* (tx) {
  const rows = yield* tx.rows('deltas', EVERYTHING);
  const [delta, other, third] = rows.map(([, row]) => bytesToDelta(sha256, room.roomId, row));
  if (delta === undefined || other === undefined || third === undefined) throw new Error('too few deltas');
  // Another id: a copy of what is held with a wrong signature is no news of it.
  const wreck = bytesToDelta(
    sha256,
    room.roomId,
    delta.bytes.map((byte, i) => (i === delta.bytes.length - SIGNATURE_BYTES - 1 ? byte ^ 1 : byte)),
  );
  const options = { nowMs: Date.now(), cursor: undefined, replica: delta.replica, compare: () => undefined };
  yield* receiveDeltas(tx, room, [], [{ delta: wreck, fault: 'SIGNATURE_INVALID' }], options);
  tx.put('retained', concatBytes(u64ToBytes(1), trieKeyOf(other)), other.bytes);
  yield* putInTrash(tx, [{ delta: third, why: 'late', by: third.replica }], Date.now());
};

beforeAll(async () => {
  const relay = openRelay(ROOM, relayStore);
  ann = new Profile(ROOM, relay);
  const bob = new Profile(ROOM, relay);
  await ann.open();
  await bob.open();
  const long = Array.from(crypto.getRandomValues(new Uint8Array(30_000)), (byte) => byte.toString(36)).join('');
  for (const text of [long, 'more ']) {
    await typeInto(ann, 'large', text);
    await ann.reached('relay');
  }
  await typeInto(ann, 'small', 'small ');
  await ann.put(['a', 'b', 'c', 'd', 'e']);
  await ann.remove(['d']);
  await ann.reached('relay');
  await bob.synced();
  await bob.put(['b', 'f']);
  await typeInto(bob, 'small', 'tiny ');
  await bob.reached('relay');
  const hasCheckpoint: Plan<boolean> = function* (tx) {
    const rows = yield* tx.rows('deltas', EVERYTHING);
    return rows.some(([, row]) => hasFlag(bytesToDelta(sha256, room.roomId, row), FLAG.checkpoint));
  };
  await vi.waitUntil(() => ann.look(hasCheckpoint), { timeout: 20_000, interval: 100 });
  await ann.reached('replicas');
  await ann.synced();
  await ann.close();
  await bob.close();

  // What no relay has: some of it sealed, as a backup does, and some in the journal.
  await ann.open({ isOffline: true });
  await typeInto(ann, 'small', 'unsent ');
  await ann.put(['g']);
  await ann.backUp();
  await typeInto(ann, 'own', 'own ');
  await ann.put(['h', 'a']);
  await ann.reached('disk');
  await ann.look(putWrecks, 'write');
  expected = await readAll(ann);
  await ann.close();
  whole = await rowsOf(ann.name);
}, 60_000);

afterAll(endProfiles);

/** Whose rows make something readable. Of all other tables a row may be lost, and nobody notices. */
const READ = ['deltas', 'journal'];
/** The last two are of rooms that keep everything. */
const EMPTY = ['incoming', 'floors', 'vouched', 'log', 'past', 'merged'];

test.each(TABLES.filter((table) => !EMPTY.includes(table)))(
  '[AE2, AE3] one bad row of %s: all else opens, and what a relay has comes back',
  { timeout: 60_000 },
  async (table) => {
    const rows = (whole.get(table) ?? []) as readonly (readonly [IDBValidKey, Uint8Array])[];
    expect(rows.length).toBeGreaterThan(0);
    const chosen = table === 'meta' || table === 'deltas' ? rows : [...new Set([rows[0], rows.at(-1)])];
    for (const [i, row] of chosen.entries()) {
      const [key, value] = row as (typeof rows)[number];
      for (const [how, spoil] of Object.entries(SPOILS)) {
        await writeRows(ann.name, whole);
        await writeRow(ann.name, table, key, spoil(value));
        await expectHealed(`row ${i} of ${table}, ${how}`, READ.includes(table) ? 1 : 0);
      }
    }
  },
);

/** `readMax`: how much of what is read may be missing. It is missing for good only where its bytes were put aside. */
async function expectHealed(label: string, readMax: number): Promise<void> {
  const profile = ann.again(openRelay(ROOM, copyOf(relayStore)));
  try {
    await profile.open({ isOffline: true });
    const lostHere = lost(await readAll(profile));
    expect(lostHere.length, label).toBeLessThanOrEqual(readMax);
    const isToldOf = () => lostHere.length === 0 || profile.status?.lastError?.code === 'STORAGE_DAMAGED';
    await vi.waitUntil(isToldOf, { timeout: 20_000 });
    await profile.put(['new']);
    await profile.close();
    await profile.open();
    await profile.synced();
    const healed = await readAll(profile);
    const aside = await profile.look(readPutAside);
    expect(lost(healed), label).toEqual(aside.length > 0 ? lostHere : []);
    expect(healed.records, label).toContain('new');
  } catch (error) {
    throw new Error(`${label}: ${(error as Error).message} ${JSON.stringify(profile.status)}`);
  } finally {
    await profile.close();
  }
}

/** What is not as it was written. */
function lost({ texts, records }: typeof expected): readonly string[] {
  const documents = DOCUMENTS.filter((_, i) => texts[i] !== expected.texts[i]);
  return [...documents, ...expected.records.filter((id) => !records.includes(id))];
}
