import { type DeltaHeader, deriveClientId, deriveKeyId, FLAG, hasFlag, readDocumentDeltas } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { type ClientWorld, type Profile, roomRef, setWorld, type Tab } from '../../../test/support/client-world.js';
import type { Room } from './room.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const text = (room: Room, id = 'note'): string => room.document(id).ydoc.getText('t').toString();

async function openNote(tab: Tab) {
  const note = tab.room().document('note');
  await world.run(note.ready);
  return note;
}

/** The deltas of the note that the profile's disk holds. */
function deltasOf(profile: Profile): Promise<readonly DeltaHeader[]> {
  const room = roomRef();
  const keyId = deriveKeyId(room.hash, room.roomId, { kind: 'document', collection: '', id: 'note' });
  return profile.store('team').transact((tx) => readDocumentDeltas(tx, room, keyId), { mode: 'read' });
}

function clientIdOf(profile: Profile, nonce: number): number {
  const room = roomRef();
  return deriveClientId(room.hash, room.roomId, profile.replica('team'), nonce);
}

describe('documents', () => {
  test('[ID5] edits made before the document is ready are kept, and pass the guard of everybody else', async () => {
    const [ann, bob] = [world.profile().tab(), world.profile().tab()];
    const early = ann.room().document('note');
    early.ydoc.getText('t').insert(0, 'early ');
    await world.run(early.ready);
    early.ydoc.getText('t').insert(6, 'late');
    const note = await openNote(bob);
    await world.agree(ann.room(), bob.room());
    await world.quiet();
    expect(note.ydoc.getText('t').toString()).toBe('early late');
    expect(bob.room().status).toMatchObject({ quarantined: 0, lastError: null });
  });

  test('[ID5] every opening has a clientID of its own, in tabs and over reloads', async () => {
    const profile = world.profile();
    const ids = new Set<number>();
    for (let i = 0; i < 5; i++) {
      const tab = profile.tab();
      const note = await openNote(tab);
      ids.add(note.ydoc.clientID);
      note.ydoc.getText('t').insert(0, `${i}`);
      if (i % 2 === 0) await world.run(tab.close());
    }
    expect(ids.size).toBe(5);
    const tab = profile.tab();
    await openNote(tab);
    expect(text(tab.room())).toBe('43210');
    await world.agree(tab.room());
    const bob = world.profile().tab();
    await openNote(bob);
    await world.agree(bob.room());
    await world.quiet();
    expect(text(bob.room())).toBe('43210');
    expect(bob.room().status).toMatchObject({ quarantined: 0, lastError: null });
  });

  /** Opens the note, adds a character to its end and closes it, so many times. Returns the clientIDs under which it was added. */
  async function typeOverReloads(profile: Profile, count: number): Promise<readonly number[]> {
    const clientIds: number[] = [];
    for (let i = 0; i < count; i++) {
      const tab = profile.tab();
      const note = await openNote(tab);
      clientIds.push(note.ydoc.clientID);
      note.ydoc.getText('t').insert(note.ydoc.getText('t').length, `${i}`);
      await world.agree(tab.room());
      await world.run(tab.close());
    }
    return clientIds;
  }

  test('[SC6] [ID5] after a reload edits go on under another clientID, as edits of their writer that nobody refuses', async () => {
    const profile = world.profile();
    const bob = world.profile().tab();
    const bobNote = await openNote(bob);
    const clientIds = await typeOverReloads(profile, 4);
    await world.agree(bob.room());
    await world.quiet();
    expect(bobNote.ydoc.getText('t').toString()).toBe('0123');
    expect(bob.room().status).toMatchObject({ quarantined: 0, lastError: null });
    const deltas = await deltasOf(profile);
    expect(deltas.filter((delta) => hasFlag(delta, FLAG.import))).toEqual([]);
    const nonces = deltas.flatMap((delta) => delta.nonces);
    expect(nonces.map((nonce) => clientIdOf(profile, nonce)).sort()).toEqual([...clientIds].sort());
    expect(new Set(clientIds).size).toBe(4);
  });

  test('[SC6] the clientID is set after loading: it stays, also where what is loaded was written under it', async () => {
    const profile = world.profile();
    world.u32 = () => 7;
    const clientIds = await typeOverReloads(profile, 3);
    expect(new Set(clientIds)).toEqual(new Set([clientIdOf(profile, 7)]));
    const deltas = await deltasOf(profile);
    expect(deltas.map(({ nonces }) => nonces)).toEqual([[7], [7], [7]]);
    expect(deltas.filter((delta) => hasFlag(delta, FLAG.import))).toEqual([]);
  });

  test('[API] what comes from elsewhere is not local, and no edit of ours', async () => {
    const [ann, bob] = [world.profile().tab(), world.profile().tab()];
    const [annNote, bobNote] = [await openNote(ann), await openNote(bob)];
    const locals: boolean[] = [];
    annNote.ydoc.on('afterTransaction', (transaction: Y.Transaction) => {
      if (transaction.changed.size > 0) locals.push(transaction.local);
    });
    const undo = new Y.UndoManager(annNote.ydoc.getText('t'));
    bobNote.ydoc.getText('t').insert(0, 'theirs');
    await world.agree(ann.room(), bob.room());
    await world.until('shown', () => text(ann.room()) === 'theirs');
    expect(locals).toEqual([false]);
    expect(undo.canUndo()).toBe(false);
    annNote.ydoc.getText('t').insert(0, 'mine ');
    expect(locals).toEqual([false, true]);
    expect(ann.room().status.pending.writes).toBe(1);
  });

  test('[API] a handle that is closed and asked for again at once goes on hearing', async () => {
    const [ann, bob] = [world.profile().tab(), world.profile().tab()];
    const bobNote = await openNote(bob);
    const first = ann.room().document('note');
    first.close();
    const second = ann.room().document('note');
    expect(second).not.toBe(first);
    await world.run(second.ready);
    await world.quiet();
    bobNote.ydoc.getText('t').insert(0, 'hello');
    await world.agree(ann.room(), bob.room());
    await world.until('shown', () => second.ydoc.getText('t').toString() === 'hello');
    // And once more, with what the first one typed last.
    second.ydoc.getText('t').insert(5, '!');
    second.close();
    const third = ann.room().document('note');
    await world.run(third.ready);
    expect(third.ydoc.getText('t').toString()).toBe('hello!');
  });

  test('[API] one handle a name, counted: the last close releases it', async () => {
    const tab = world.profile().tab();
    const first = await openNote(tab);
    const again = tab.room().document('note');
    expect(again).toBe(first);
    first.close();
    again.ydoc.getText('t').insert(0, 'kept');
    await world.run(again.flush());
    expect(tab.room().document('note')).toBe(first);
    first.close();
    first.close();
    expect(tab.room().document('note')).not.toBe(first);
  });

  test('[API] a foreign update is imported, and everybody gets it', async () => {
    const [ann, bob] = [world.profile().tab(), world.profile().tab()];
    const note = await openNote(ann);
    await openNote(bob);
    const foreign = new Y.Doc();
    foreign.getText('t').insert(0, 'from elsewhere');
    const receipt = await world.run(note.import(Y.encodeStateAsUpdate(foreign)));
    expect(text(ann.room())).toBe('from elsewhere');
    await world.run(receipt.reached('relay'));
    await world.agree(ann.room(), bob.room());
    await world.until('shown', () => text(bob.room()) === 'from elsewhere');
    expect(bob.room().status.quarantined).toBe(0);
  });

  test('[CX8] what is no update in format V1 is refused and not shown', async () => {
    const tab = world.profile().tab();
    const note = await openNote(tab);
    const foreign = new Y.Doc();
    foreign.getText('t').insert(0, 'from elsewhere');
    for (const bytes of [Y.encodeStateAsUpdateV2(foreign), Uint8Array.of(1, 2, 3), new Uint8Array()])
      await expect(world.run(note.import(bytes))).rejects.toMatchObject({ code: 'UNDECODABLE' });
    expect(text(tab.room())).toBe('');
    note.ydoc.getText('t').insert(0, 'goes on');
    await world.agree(tab.room());
    expect(tab.room().status.pending.writes).toBe(0);
  });

  test('[API] a provider that is disconnected shows nothing new, and catches up when it is connected', async () => {
    const [ann, bob] = [world.profile().tab(), world.profile().tab()];
    const [annNote, bobNote] = [await openNote(ann), await openNote(bob)];
    const heard: unknown[] = [];
    await world.agree(ann.room(), bob.room());
    await world.until('synced', () => annNote.provider.synced);
    annNote.provider.on('status', ({ status }) => heard.push(status));
    annNote.provider.disconnect();
    bobNote.ydoc.getText('t').insert(0, 'hello');
    await world.agree(ann.room(), bob.room());
    await world.quiet();
    expect(text(ann.room())).toBe('');
    annNote.provider.connect();
    await world.until('shown', () => text(ann.room()) === 'hello');
    expect(heard).toEqual(['disconnected', 'connected']);
    expect(ann.room().status.connection).toBe('connected');
  });
});

describe('presence', () => {
  const seen = (tab: Tab): string[] =>
    [...tab.room().document('note').awareness.getStates().values()].map(({ name }) => String(name)).sort();

  test('[SY12] who is there is shown to everybody, and who has gone is not', async () => {
    const annProfile = world.profile();
    const [first, second, bob] = [annProfile.tab(), annProfile.tab(), world.profile().tab()];
    for (const [tab, name] of [
      [first, 'ann 1'],
      [second, 'ann 2'],
      [bob, 'bob'],
    ] as const) {
      const note = await openNote(tab);
      note.awareness.setLocalState({ name });
      await world.agree(tab.room());
    }
    const all = ['ann 1', 'ann 2', 'bob'];
    await world.until('all see all', () =>
      [first, second, bob].every((tab) => JSON.stringify(seen(tab)) === JSON.stringify(all)),
    );
    annProfile.network.isUp = false;
    await world.until('bob alone', () => seen(bob).join() === 'bob');
    await world.until('the tabs still see each other', () => seen(first).join() === 'ann 1,ann 2');
    annProfile.network.isUp = true;
    await world.until('all see all again', () =>
      [first, second, bob].every((tab) => JSON.stringify(seen(tab)) === JSON.stringify(all)),
    );
    await world.run(second.close());
    await world.until('one tab less', () => seen(bob).join() === 'ann 1,bob' && seen(first).join() === 'ann 1,bob');
  });
});

describe('closing', () => {
  test('[JS1] what the page has handed over is on disk when the room is closed', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    const note = await openNote(tab);
    note.ydoc.getText('t').insert(0, 'last words');
    void tab.room().collection('todos').put('a', 1);
    await world.run(tab.close());
    const again = profile.tab();
    await openNote(again);
    expect(text(again.room())).toBe('last words');
    expect((await world.run(again.room().collection('todos').get('a')))?.value).toBe(1);
  });

  test('[JS1] closing before anything was opened, and twice, harms nobody', async () => {
    const tab = world.profile().tab();
    const room = tab.room();
    room.pause();
    room.close();
    room.close();
    room.resume();
    await world.quiet();
    await expect(room.ready).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(room.synced()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('[API] what a listener was told last is how it stands: one write, one keystroke', async () => {
    const tab = world.profile().tab();
    const room = tab.room();
    await world.agree(room);
    const note = await openNote(tab);
    room.pause();
    await world.until('paused', () => room.status.connection === 'paused');
    let told = room.status;
    room.on('status', (status) => {
      told = status;
    });
    await world.run(room.collection('todos').put('a', 1));
    await world.pass(1_000);
    expect(told.pending).toMatchObject({ writes: 1 });
    note.ydoc.getText('t').insert(0, 'x');
    await world.run(note.flush());
    await world.pass(1_000);
    expect(told.pending).toMatchObject({ writes: 2 });
    expect({ ...told, pending: { ...told.pending, oldestAgeMs: 0 } }).toEqual({
      ...room.status,
      pending: { ...room.status.pending, oldestAgeMs: 0 },
    });
  });

  test('[API] who is shown the status is told at last that a closed room is not looked at any more', async () => {
    const room = world.profile().tab().room();
    await world.agree(room);
    const told: string[] = [];
    room.on('status', ({ connection, sync }) => told.push(`${connection} ${sync}`));
    room.close();
    expect(told).toEqual(['offline behind']);
    await world.pass(1_000);
    expect(room.status).toMatchObject({ connection: 'offline', sync: 'behind' });
    expect(told).toEqual(['offline behind']);
  });

  test('[JS3] a room that is closed and opened again at once goes on', async () => {
    const tab = world.profile().tab();
    for (let i = 0; i < 5; i++) {
      await world.run(tab.room().collection('todos').put('a', i));
      tab.room().close();
    }
    await world.agree(tab.room());
    expect((await world.run(tab.room().collection('todos').get('a')))?.value).toBe(4);
  });
});
