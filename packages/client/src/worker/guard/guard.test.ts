import {
  defaultLimits,
  deriveKeyId,
  FLAG,
  hasFlag,
  type MemoryStore,
  readSiblings,
  type ReplicaId,
} from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { type ClientWorld, roomRef, setWorld, type Tab } from '../../../../../test/support/client-world.js';
import { slowUpdate } from '../../../../../test/support/hostile-update.js';
import type { DocumentHandle } from '../../documents/document-handle.js';
import type { Room } from '../../room.js';
import { documentName } from '../documents.js';
import { TRIES, tryBudgetMs } from './budget.js';
import type { ShadowOrder } from '../../documents/shadow.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

/** Whoever brings operations of this clientID makes a shadow compute without an end, where a test says so. */
const SLOW = 77;
const carriesSlow = (update: Uint8Array): boolean =>
  Y.decodeUpdate(update).structs.some(({ id }) => id.client === SLOW);
const isSlow = (order: ShadowOrder): boolean =>
  order.kind === 'try' && order.tried.some(({ update }) => carriesSlow(update));
/** Until the last try of a small update is over: of a step that lasts longer than two ticks, only these count. */
const JUDGED_MS =
  Array.from({ length: TRIES }, (_, round) => tryBudgetMs(2_048, round)).reduce((a, b) => 1.5 * (a + b)) + 2_000;

const read = (note: DocumentHandle): string => note.ydoc.getText('content').toString();
const write = (note: DocumentHandle, text: string): void => note.ydoc.getText('content').insert(0, text);

async function open(room: Room, name = 'note'): Promise<DocumentHandle> {
  const note = room.document(name);
  await world.run(note.ready);
  return note;
}

interface Scene {
  readonly tab: Tab;
  readonly ann: Room;
  readonly note: DocumentHandle;
  readonly bob: Room;
  readonly bobsNote: DocumentHandle;
  readonly bobId: ReplicaId;
}

/** Ann reads what Bob writes. */
async function setScene(): Promise<Scene> {
  const tab = world.profile().tab();
  const bobs = world.profile();
  const [ann, bob] = [tab.room(), bobs.tab().room()];
  const [note, bobsNote] = [await open(ann), await open(bob)];
  write(bobsNote, 'honest ');
  await world.run(bob.synced());
  await world.agree(ann, bob);
  expect(read(note)).toBe('honest ');
  return { tab, ann, note, bob, bobsNote, bobId: bobs.replica('team') };
}

const importSlow = (note: DocumentHandle, pieces = 20) => world.run(note.import(slowUpdate(SLOW, pieces)));

describe('an update that is tried', () => {
  test('[CX9] small edits never start a shadow; one whose cost is not bounded does, and is shown when it passed', async () => {
    const { tab, ann, note, bob, bobsNote } = await setScene();
    for (let i = 0; i < 20; i++) {
      write(bobsNote, `${i} `);
      await world.run(bob.synced());
    }
    await world.agree(ann, bob);
    expect(tab.shadows.started).toBe(0);
    await importSlow(bobsNote);
    await world.agree(ann, bob);
    await world.until('shown', () => read(note) === read(bobsNote));
    expect(tab.shadows.tried).toBe(1);
    expect(ann.status.quarantined).toBe(0);
    // Own edits that come back are nothing new.
    await importSlow(note, 18);
    await world.agree(ann, bob);
    expect(tab.shadows.tried).toBe(1);
  });

  test('[CX9] it is tried on what the document is made of, of which a shadow that has it is told no more', async () => {
    const { tab, ann, bob, bobsNote } = await setScene();
    for (let i = 0; i < 3; i++) {
      await world.run(bobsNote.import(slowUpdate(100 + i, 20)));
      await world.agree(ann, bob);
    }
    const loads = tab.shadows.orders.filter((order) => order.kind === 'load');
    expect(loads.map(({ isFresh, updates }) => [isFresh, updates.length])).toEqual([
      [true, 1],
      [false, 0],
      [false, 0],
    ]);
  });

  test('[CX9] over its time twice it is set aside, listed and exported; everything else goes on meanwhile and afterwards', async () => {
    const { tab, ann, note, bob, bobsNote, bobId } = await setScene();
    tab.shadows.behaves = (order) => (isSlow(order) ? 'never' : 1);
    const other = await open(ann, 'other');
    await importSlow(bobsNote);
    const bobsOther = await open(bob, 'other');
    write(bobsOther, 'beside ');
    await world.run(bob.collection('todos').put('a', 1));
    const atMs = world.nowMs;
    await world.until('beside', () => read(other) === 'beside ');
    expect((await world.run(ann.collection('todos').get('a')))?.value).toBe(1);
    expect(world.nowMs - atMs).toBeLessThan(3_000);
    write(other, 'mine ');
    await world.run((await world.run(ann.collection('todos').put('b', 2))).reached('relay'));

    await world.pass(JUDGED_MS);
    await world.agree(ann, bob);
    expect(ann.status).toMatchObject({ quarantined: 1, lastError: { code: 'UPDATE_TOO_COSTLY' } });
    const entries = await world.run(ann.quarantine.list());
    expect(entries).toMatchObject([{ code: 'UPDATE_TOO_COSTLY', replica: bobId, kind: 'document', document: 'note' }]);
    expect(await world.run(ann.quarantine.export(entries[0] as { id: string }))).toHaveLength(entries[0]?.bytes ?? 0);
    expect(tab.shadows.tried).toBe(TRIES);

    // What does not rest upon it is read, also of the same document.
    bobsNote.ydoc.getText('content').insert(read(bobsNote).length, 'later ');
    await world.agree(ann, bob);
    await world.until('later', () => read(note).includes('later '));
    expect(read(note)).toBe('honest later ');

    // A page that opens anew pays nothing again.
    await world.run(tab.close());
    const again = tab.profile.tab();
    const room = again.room();
    const reopened = await open(room);
    await world.agree(room, bob);
    await world.pass(JUDGED_MS);
    expect(read(reopened)).toBe('honest later ');
    expect(room.status.quarantined).toBe(1);
    expect(again.shadows.started).toBe(0);
  });

  test('[CX9] over its time once only, as on a device that had no time, it is shown after the second try', async () => {
    const { tab, ann, note, bob, bobsNote } = await setScene();
    let tries = 0;
    tab.shadows.behaves = (order) => (isSlow(order) && tries++ === 0 ? 'never' : 1);
    await importSlow(bobsNote);
    await world.until('set aside', () => ann.status.quarantined === 1);
    expect(ann.status.lastError).toBeNull();
    await world.pass(JUDGED_MS);
    await world.agree(ann, bob);
    expect(read(note)).toBe(read(bobsNote));
    expect(ann.status).toMatchObject({ quarantined: 0, lastError: null });
    expect(tries).toBe(2);
  });

  test('[CX9] what rests upon one that is set aside waits, and is shown with it', async () => {
    const { tab, ann, note, bob, bobsNote } = await setScene();
    let tries = 0;
    tab.shadows.behaves = (order) => (isSlow(order) && tries++ === 0 ? 'never' : 1);
    await importSlow(bobsNote);
    bobsNote.ydoc.getText('content').insert(3, 'upon it');
    await world.until('both are here', () => ann.status.quarantined === 1);
    await world.run(bob.synced());
    await world.pass(500);
    expect(read(note)).toBe('honest ');
    await world.pass(JUDGED_MS);
    expect(read(note)).toBe(read(bobsNote));
    expect(read(note)).toContain('upon it');
  });

  test('[CX9] after one that took too long, what its author sends is tried apart, and holds up nobody', async () => {
    const { tab, ann, bob, bobsNote } = await setScene();
    tab.shadows.behaves = (order) => (isSlow(order) ? 'never' : 1);
    await importSlow(bobsNote);
    await world.pass(JUDGED_MS);
    for (let i = 1; i < 5; i++) await importSlow(bobsNote, 20 + i);
    const third = world.profile().tab().room();
    const thirds = await open(third, 'another');
    const shown = await open(ann, 'another');
    await world.agree(bob, third);
    const atMs = world.nowMs;
    await world.run(thirds.import(slowUpdate(5, 30)));
    await world.until('shown', () => read(shown) === read(thirds));
    expect(world.nowMs - atMs).toBeLessThan(1_000);
  });

  test('[CX9] one that ends the tabs that try it is not tried for ever', async () => {
    const { tab, ann, bob, bobsNote } = await setScene();
    tab.shadows.behaves = (order) => (isSlow(order) ? 'never' : 1);
    await importSlow(bobsNote);
    await world.until('set aside', () => ann.status.quarantined === 1);
    tab.crash();
    for (let session = 0; session < 3; session++) {
      const next = tab.profile.tab();
      next.shadows.behaves = (order) => (isSlow(order) ? 'never' : 1);
      await open(next.room());
      await world.until('tried', () => next.shadows.tried > 0);
      next.crash();
    }
    const last = tab.profile.tab();
    const room = last.room();
    const note = await open(room);
    await world.agree(room, bob);
    await world.pass(JUDGED_MS);
    expect(last.shadows.tried).toBe(0);
    expect(room.status.quarantined).toBe(1);
    expect(read(note)).toBe('honest ');
  });

  test('[CX9] what comes once more while it is on trial is neither tried twice nor told of', async () => {
    const { tab, ann, note, bob, bobsNote } = await setScene();
    let tries = 0;
    tab.shadows.behaves = (order) => (isSlow(order) && tries++ === 0 ? 'never' : 1);
    await importSlow(bobsNote);
    await world.until('set aside', () => ann.status.quarantined === 1);
    // A relay that has forgotten what it sent.
    await tab.profile.store('team').transact(
      function* (tx) {
        tx.delete('meta', new TextEncoder().encode('cursor'));
      },
      { mode: 'write' },
    );
    tab.profile.network.isUp = false;
    await world.pass(20);
    tab.profile.network.isUp = true;
    await world.agree(ann, bob);
    expect(ann.status.lastError).toBeNull();
    await world.pass(JUDGED_MS);
    expect(read(note)).toBe(read(bobsNote));
    expect(tries).toBe(2);
  });

  test('[CX9] closed between the tries, it passes in the next session', async () => {
    const { tab, ann, bob, bobsNote } = await setScene();
    tab.shadows.behaves = (order) => (isSlow(order) ? 'never' : 1);
    await importSlow(bobsNote);
    await world.until('set aside', () => ann.status.quarantined === 1);
    await world.run(tab.close());
    const room = tab.profile.tab().room();
    const note = await open(room);
    await world.until('shown', () => read(note) === read(bobsNote));
    await world.agree(room, bob);
    expect(room.status.quarantined).toBe(0);
  });

  test('[CX9] a worker that fails at it counts as one that takes too long; with none to be had it is used as it is', async () => {
    const { tab, ann, note, bob, bobsNote } = await setScene();
    tab.shadows.behaves = (order) => (isSlow(order) ? 'broken' : 1);
    await importSlow(bobsNote);
    await world.pass(JUDGED_MS);
    expect(ann.status.quarantined).toBe(1);
    const other = world.profile().tab();
    other.shadows.isRefused = true;
    const room = other.room();
    const copy = await open(room);
    await world.agree(room, ann, bob);
    await world.until('shown', () => read(copy) === read(bobsNote));
    expect(room.status.quarantined).toBe(0);
    expect(read(note)).toBe('honest ');
    room.health();
    await world.quiet();
    room.health();
    await world.quiet();
    expect(room.health().reasons).toContain('unguarded');
    expect(ann.health().reasons).not.toContain('unguarded');
  });

  test('[CX9] of several that come together the one that takes too long is found, and no other is set aside', async () => {
    const { tab, ann, note, bob, bobsNote } = await setScene();
    const { network } = tab.profile;
    network.isUp = false;
    for (const clientId of [5, SLOW, 6]) await world.run(bobsNote.import(slowUpdate(clientId, 20)));
    await world.run(bob.synced());
    tab.shadows.behaves = (order) => (isSlow(order) ? 'never' : 1);
    network.isUp = true;
    await world.pass(3 * JUDGED_MS);
    await world.agree(ann, bob);
    expect(tab.shadows.orders.some((order) => order.kind === 'try' && order.tried.length === 3)).toBe(true);
    expect(ann.status.quarantined).toBe(1);
    expect(read(note)).toHaveLength('honest '.length + 2 * 40);
    expect(read(bobsNote)).toHaveLength('honest '.length + 3 * 40);
  });
});

describe('a checkpoint that is tried', () => {
  test('[CX9, CX8] while it is set aside what it covers is read in its place, and nobody answers it', async () => {
    const { tab, ann, note, bob, bobsNote } = await setScene();
    const { network } = tab.profile;
    const isWhole = (order: ShadowOrder): boolean => order.kind === 'try' && order.tried.some((one) => one.isWhole);
    let tries = 0;
    tab.shadows.behaves = (order) => (isWhole(order) && tries++ === 0 ? 'never' : 1);
    await world.run(bobsNote.import(slowUpdate(5, 20)));
    await world.agree(ann, bob);
    const before = read(note);
    network.isUp = false;
    write(bobsNote, Buffer.from(world.bytes(2 * defaultLimits.checkpointTailBytesMin)).toString('base64'));
    await world.until('a checkpoint', async () => (await checkpointsOf(world.relay.store('team'))) === 1);
    await world.agree(bob);
    network.isUp = true;
    await world.until('set aside', () => ann.status.quarantined === 1);
    await world.agree(ann, bob);
    expect(read(note)).toBe(before);
    const copy = tab.profile.tab().room();
    expect(read(await open(copy))).toBe(before);
    await world.pass(JUDGED_MS);
    await world.until('shown', () => read(note) === read(bobsNote));
    await world.pass(6 * defaultLimits.checkpointStepMs);
    await world.agree(ann, bob);
    expect(ann.status).toMatchObject({ quarantined: 0, lastError: null });
    expect(await checkpointsOf(tab.profile.store('team'))).toBe(1);
    expect(rowsOf(tab.profile.store('team'), 'retained')).toBe(0);
  });

  test('[CX9, CP6] one that is too costly for a device is not answered by that: who has the time for it reads it', async () => {
    const { tab, ann, note, bob, bobsNote } = await setScene();
    const isWhole = (order: ShadowOrder): boolean => order.kind === 'try' && order.tried.some((one) => one.isWhole);
    tab.shadows.behaves = (order) => (isWhole(order) ? 'never' : 1);
    await world.run(bobsNote.import(slowUpdate(5, 20)));
    await world.agree(ann, bob);
    const before = read(note);
    tab.profile.network.isUp = false;
    write(bobsNote, Buffer.from(world.bytes(2 * defaultLimits.checkpointTailBytesMin)).toString('base64'));
    await world.until('a checkpoint', async () => (await checkpointsOf(world.relay.store('team'))) === 1);
    await world.agree(bob);
    const root = await world.relay.root('team');
    tab.profile.network.isUp = true;
    await world.pass(JUDGED_MS + 6 * defaultLimits.checkpointStepMs);
    await world.run(tab.close());
    const again = tab.profile.tab().room();
    expect(read(await open(again))).toBe(before);
    await world.agree(again, bob);
    await world.pass(6 * defaultLimits.checkpointStepMs);
    expect(again.status.quarantined).toBe(1);
    expect(await world.relay.root('team')).toBe(root);
    const late = world.profile().tab().room();
    const copy = await open(late);
    await world.agree(late, bob);
    expect(read(copy)).toBe(read(bobsNote));
  });
});

const ref = roomRef();
const keyId = deriveKeyId(ref.hash, ref.roomId, documentName('note'));

const checkpointsOf = async (store: MemoryStore): Promise<number> =>
  (await store.transact((tx) => readSiblings(tx, ref, keyId), { mode: 'read' })).filter((delta) =>
    hasFlag(delta, FLAG.checkpoint),
  ).length;

const rowsOf = (store: MemoryStore, table: 'retained'): number =>
  store.tables.table(table).rows({ from: new Uint8Array() }).length;
