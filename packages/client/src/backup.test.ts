import { certificateMessage, defaultLimits, hlcFromMs, isMangroveError, readRoot } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import { makeDelta, publicKeyOf, record, replicaOf, room as fixtureRoom } from '../../../test/interop/fixture.js';
import { framesOf, framesToFile, tablesOf } from '../../../test/support/backups.js';
import { ClientWorld, type Profile, type Tab, setWorld } from '../../../test/support/client-world.js';
import { makeKeys } from '../../../test/support/keys.js';
import { restoreFrom } from './backup.js';
import type { Room } from './room.js';
import type { RestoreResult } from './types.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const LOCAL = { relays: [] };

async function backUp(room: Room, since?: string): Promise<{ file: Uint8Array; mark: string }> {
  const stream = await world.run(room.backup(since === undefined ? {} : { since }));
  const pieces: Uint8Array[] = [];
  const read = async (): Promise<void> => {
    for (const reader = stream.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      pieces.push(value);
    }
  };
  await world.run(read());
  return { file: new Uint8Array(Buffer.concat(pieces)), mark: await stream.mark };
}

const restore = (tab: Tab, file: Uint8Array): Promise<RestoreResult> =>
  world.run(restoreFrom(new Blob([file as Uint8Array<ArrayBuffer>]).stream(), tab.engine));

async function failure(work: Promise<unknown>): Promise<{ code: string; facts: Readonly<Record<string, unknown>> }> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (isMangroveError(error)) return error;
  throw error ?? new Error('it did not fail');
}

async function write(room: Room, entries: Readonly<Record<string, string>>): Promise<void> {
  const todos = room.collection<string>('todos');
  for (const [id, value] of Object.entries(entries)) await world.run(todos.put(id, value));
}

async function type(room: Room, text: string): Promise<void> {
  const note = room.document('note');
  await world.run(note.ready);
  note.ydoc.getText('t').insert(0, text);
  await world.run(note.reached('disk'));
}

async function records(room: Room): Promise<Record<string, string>> {
  const entries = await world.run(room.collection<string>('todos').entries());
  return Object.fromEntries(entries.map(([id, { value }]) => [id, value]));
}

async function text(room: Room): Promise<string> {
  const note = room.document('note');
  await world.run(note.ready);
  return note.ydoc.getText('t').toString();
}

const rootIn = async (profile: Profile): Promise<string> =>
  Buffer.from((await profile.store('team').transact(readRoot, { mode: 'read' })).root).toString('hex');

describe('backing up and restoring', () => {
  test('[BK5] what another tab wrote and never told is shown by the tab that seals it for a backup', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(LOCAL), profile.tab(LOCAL)];
    await world.run(Promise.all([first.room().ready, second.room().ready]));
    const heard: [string, string][] = [];
    second
      .room()
      .collection('todos')
      .subscribe((changes) => {
        for (const { id, origin } of changes) heard.push([id, origin]);
      });
    await world.quiet();
    first.isMute = true;
    await write(first.room(), { a: 'one', b: 'two' });
    await type(first.room(), 'unheard');
    const note = second.room().document('note');
    await world.run(note.ready);
    await backUp(second.room());
    await world.quiet();
    expect(heard.sort()).toEqual([
      ['a', 'tab'],
      ['b', 'tab'],
    ]);
    expect(second.room().status.pending.writes).toBe(3);
  });

  test('[BK5, BK9] a room that never met a relay comes back whole on another device, open or not, and twice is once', async () => {
    const ann = world.profile().tab(LOCAL);
    await write(ann.room(), { a: 'one', b: 'two', c: 'three' });
    await world.run(ann.room().collection('todos').delete('b'));
    await type(ann.room(), 'never sent');
    const { file } = await backUp(ann.room());
    expect(ann.room().status.pending.writes, 'is sealed, and still waits').toBeGreaterThan(0);

    const profile = world.profile();
    const bob = profile.tab(LOCAL);
    expect(await restore(bob, file)).toMatchObject({ rooms: ['team'], deltas: 4, refused: 0 });
    expect(await rootIn(profile)).toBe(ann.room().status.root);
    expect(await records(bob.room())).toEqual({ a: 'one', c: 'three' });
    expect(await text(bob.room())).toBe('never sent');
    // A replica of its own: it writes on without using anybody's numbers.
    expect(bob.profile.replica('team')).not.toBe(ann.profile.replica('team'));
    await write(bob.room(), { a: 'newer' });
    const before = await rootIn(profile);
    expect(await restore(bob, file)).toMatchObject({ rooms: ['team'], deltas: 0, refused: 0 });
    expect(await rootIn(profile)).toBe(before);
    expect(await records(bob.room())).toEqual({ a: 'newer', c: 'three' });
    expect(bob.room().status.lastError).toBeNull();
  });

  test('[BK5, BK10] what was unsent is in it from any tab, and reaches everybody by who restores it', async () => {
    const profile = world.profile();
    const ann = profile.tab();
    const bob = world.profile().tab();
    await write(ann.room(), { a: 'shared' });
    await world.agree(ann.room(), bob.room());
    profile.network.isUp = false;
    await write(ann.room(), { a: 'offline', b: 'offline' });
    const second = profile.tab();
    await type(second.room(), 'from the second tab');
    const { file } = await backUp(second.room());
    for (const tab of [ann, second]) expect(tab.room().status.pending.writes, 'each tab counts what is sealed').toBe(3);

    const cas = world.profile().tab();
    await world.run(cas.room().ready);
    expect(await restore(cas, file)).toMatchObject({ rooms: ['team'], refused: 0 });
    await world.agree(cas.room(), bob.room());
    expect(await records(bob.room())).toEqual({ a: 'offline', b: 'offline' });
    expect(await text(bob.room())).toBe('from the second tab');

    profile.network.isUp = true;
    await world.agree(ann.room(), second.room(), bob.room(), cas.room());
    expect(await records(ann.room())).toEqual({ a: 'offline', b: 'offline' });
    expect((await world.run(ann.room().collection('todos').get('a')))?.siblings).toHaveLength(1);
    for (const tab of [ann, second, bob, cas]) expect(tab.room().status.quarantined).toBe(0);
  });

  test('[BK10] a replica that no relay has admitted is admitted through who restores its backup', async () => {
    const ann = world.profile().tab(LOCAL);
    await write(ann.room(), { a: 'alone' });
    const { file } = await backUp(ann.room());
    const [bob, cas] = [world.profile().tab(), world.profile().tab()];
    await world.agree(bob.room(), cas.room());
    expect(await restore(bob, file)).toMatchObject({ deltas: 1, refused: 0 });
    await world.agree(bob.room(), cas.room());
    expect(await records(cas.room())).toEqual({ a: 'alone' });
  });

  test('[BK7] all tabs show what was restored, and an older backup brings nothing back that was deleted or replaced', async () => {
    const profile = world.profile();
    const [ann, second] = [profile.tab(), profile.tab()];
    await write(ann.room(), { a: 'old', b: 'old' });
    await world.agree(ann.room());
    const { file } = await backUp(ann.room());
    await write(ann.room(), { a: 'new' });
    await world.run(ann.room().collection('todos').delete('b'));
    await world.agree(ann.room());
    expect(await restore(second, file)).toMatchObject({ deltas: 0 });
    expect(await records(second.room())).toEqual({ a: 'new' });
    const { root } = second.room().status;
    expect(root).toBe(await world.relay.root('team'));

    const other = world.profile();
    const [bob, bobs] = [other.tab(LOCAL), other.tab(LOCAL)];
    const changes: string[] = [];
    bobs
      .room()
      .collection('todos')
      .subscribe((batch) => changes.push(...batch.map(({ id }) => id)));
    const note = bobs.room().document('note');
    await world.run(note.ready);
    await type(ann.room(), 'shown');
    const { file: newer } = await backUp(ann.room());
    await restore(bob, newer);
    await world.until('shown in the other tab', () => note.ydoc.getText('t').toString() === 'shown');
    expect(changes).toContain('a');
    await world.run(bob.room().ready);
    await world.until('one root', () => bobs.room().status.root === bob.room().status.root);
    expect(bob.room().status.root).toBe(ann.room().status.root);
  });

  test('[BK6] increments begin after a mark; in one file after the whole they are restored with it', async () => {
    const ann = world.profile().tab(LOCAL);
    await write(ann.room(), { a: 'one', b: 'two' });
    const whole = await backUp(ann.room());
    await write(ann.room(), { a: 'later', c: 'three' });
    const more = await backUp(ann.room(), whole.mark);
    const nothing = await backUp(ann.room(), more.mark);
    expect(nothing.file.length).toBeLessThan(500);

    const profile = world.profile();
    const bob = profile.tab(LOCAL);
    const file = new Uint8Array(Buffer.concat([whole.file, more.file, nothing.file]));
    const result = await restore(bob, file);
    expect(result.marks).toEqual({ team: nothing.mark });
    expect(await records(bob.room())).toEqual({ a: 'later', b: 'two', c: 'three' });
    expect(await rootIn(profile)).toBe(ann.room().status.root);
    // And the mark is good wherever the room is.
    await write(bob.room(), { d: 'four' });
    const bobs = await backUp(bob.room(), result.marks.team);
    await restore(ann, bobs.file);
    expect(await records(ann.room())).toEqual({ a: 'later', b: 'two', c: 'three', d: 'four' });
    expect((await failure(world.run(ann.room().backup({ since: 'x' })))).code).toBe('OPTION_INVALID');
  });

  test('[BK8] of a file that ends early what is whole is restored, and a backup of the rest begins at its mark', async () => {
    const ann = world.profile().tab(LOCAL);
    // Two sections; bodies are compressed, so it takes what cannot be.
    const value = (): string => Buffer.from(world.bytes(36_000)).toString('base64');
    await write(ann.room(), Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`r${i}`, value()])));
    const { file } = await backUp(ann.room());
    const profile = world.profile();
    const bob = profile.tab(LOCAL);
    const cut = await failure(restore(bob, file.subarray(0, file.length - 500_000)));
    expect(cut).toMatchObject({ code: 'BACKUP_CUT', facts: { rooms: ['team'] } });
    const taken = cut.facts.deltas as number;
    expect(taken).toBeGreaterThan(75);
    expect(Object.keys(await records(bob.room()))).toHaveLength(taken);
    const rest = await backUp(ann.room(), cut.facts.mark as string);
    expect(rest.file.length).toBeLessThan(file.length / 2);
    expect(await restore(bob, rest.file)).toMatchObject({ deltas: 150 - taken });
    expect(await rootIn(profile)).toBe(ann.room().status.root);
  });

  test('[BK8] a damaged file is BACKUP_DAMAGED and changes nothing beyond its last whole section', async () => {
    const ann = world.profile().tab(LOCAL);
    await write(ann.room(), { a: 'one' });
    const { file } = await backUp(ann.room());
    const profile = world.profile();
    const bob = profile.tab(LOCAL);
    const spoiled = file.slice();
    spoiled[file.length >> 1] = (spoiled[file.length >> 1] as number) ^ 1;
    expect(await failure(restore(bob, spoiled))).toMatchObject({ code: 'BACKUP_DAMAGED', facts: { deltas: 0 } });
    expect(await records(bob.room())).toEqual({});
    expect((await failure(restore(bob, new TextEncoder().encode('a picture of a cat')))).code).toBe('BACKUP_DAMAGED');
    expect((await failure(restore(bob, new Uint8Array()))).code).toBe('BACKUP_CUT');
    // The next one is not held up by it.
    expect(await restore(bob, file)).toMatchObject({ deltas: 1 });
  });

  test('[BK7, CX7] a backup that is newer than its own replica gives that a new identity before it seals again', async () => {
    const profile = world.profile();
    const ann = profile.tab();
    await write(ann.room(), { a: 'one' });
    await world.agree(ann.room());
    const older = profile.copy();
    await write(ann.room(), { a: 'two', b: 'two' });
    await world.agree(ann.room());
    const { file } = await backUp(ann.room());
    const before = older.replica('team');

    for (const isOpen of [true, false]) {
      const restored = older.copy();
      restored.network.isUp = false;
      const tab = restored.tab();
      if (isOpen) await world.run(tab.room().ready);
      expect(await restore(tab, file)).toMatchObject({ refused: 0 });
      await write(tab.room(), { c: `three ${isOpen}` });
      expect(restored.replica('team')).not.toBe(before);
      restored.network.isUp = true;
      await world.agree(tab.room(), ann.room());
      expect(await records(ann.room())).toMatchObject({ a: 'two', b: 'two', c: `three ${isOpen}` });
      await world.run(tab.close());
    }
  });

  test('[BK7] an own delta that the disk had lost comes back and still has to reach a relay', async () => {
    const profile = world.profile();
    const ann = profile.tab();
    await world.agree(ann.room());
    profile.network.isUp = false;
    await write(ann.room(), { a: 'unsent' });
    const { file } = await backUp(ann.room());
    const store = profile.store('team');
    const [row] = store.tables.table('deltas').rows({ from: new Uint8Array() });
    if (row !== undefined) store.tables.table('deltas').delete(row[0]);
    await restore(ann, file);
    expect(ann.room().status.pending.writes).toBe(1);
    expect(store.tables.table('outbox').size).toBe(1);
    profile.network.isUp = true;
    const bob = world.profile().tab();
    await world.agree(ann.room(), bob.room());
    expect(await records(bob.room())).toEqual({ a: 'unsent' });
  });

  test('[BK7, SY10] a forged delta and one whose writer nobody has admitted change nothing, and are counted', async () => {
    const forged = makeDelta({
      replica: replicaOf(0),
      seq: 1,
      hlc: hlcFromMs(world.nowMs - 5),
      name: record('forged'),
    });
    const strange = makeDelta({
      replica: replicaOf(7),
      seq: 1,
      hlc: hlcFromMs(world.nowMs - 5),
      name: record('strange'),
    });
    const ahead = makeDelta({
      replica: replicaOf(0),
      seq: 2,
      hlc: hlcFromMs(world.nowMs + 9e8),
      name: record('ahead'),
    });
    const keys = makeKeys();
    const signature = keys.sign(certificateMessage(fixtureRoom.roomId, publicKeyOf(0), 7));
    const certificates = [{ publicKey: publicKeyOf(0), issuedAtMs: 7, issuer: keys.publicKey, signature }];
    const frames = framesOf(tablesOf([forged, strange, ahead])).map((frame) =>
      frame.kind === 'certificates' ? { ...frame, certificates } : frame,
    );
    const bob = world.profile().tab(LOCAL);
    await world.run(bob.room().ready);
    expect(await restore(bob, framesToFile(frames))).toMatchObject({ deltas: 0, refused: 3 });
    expect(await records(bob.room())).toEqual({});
    await world.until('shown', () => bob.room().status.quarantined === 1);
    expect(bob.room().status.root).toBe(await rootIn(world.profile()));
  });

  test('[BK7, FL5] what lies under a floor stays gone, whichever backup has the floor', async () => {
    await world.close();
    world = new ClientWorld(2, { floorTombstonesMin: 40 });
    const profiles = [world.profile(), world.profile()] as const;
    const [ann, bob] = profiles.map((profile) => profile.tab()) as [Tab, Tab];
    const gone = Array.from({ length: 40 }, (_, n) => `gone ${n}`);
    await write(ann.room(), { kept: 'kept', ...Object.fromEntries(gone.map((id) => [id, id])) });
    await world.agree(ann.room(), bob.room());
    const older = await backUp(bob.room());
    await world.run(Promise.all(gone.map((id) => ann.room().collection('todos').delete(id))));
    await world.pass(60_000 + 8 * defaultLimits.checkpointStepMs);
    await world.agree(ann.room(), bob.room());
    expect(profiles[0].store('team').tables.table('tombstones').size).toBe(0);
    const newer = await backUp(ann.room());

    const { root } = ann.room().status;
    expect(await restore(ann, older.file)).toMatchObject({ deltas: 0, refused: 0 });
    expect(await records(ann.room())).toEqual({ kept: 'kept' });
    expect(ann.room().status.root).toBe(root);
    for (const files of [
      [newer.file, older.file],
      [older.file, newer.file],
    ]) {
      const cas = world.profile().tab(LOCAL);
      for (const file of files) await restore(cas, file);
      await world.run(cas.room().ready);
      expect(await records(cas.room())).toEqual({ kept: 'kept' });
      expect(cas.room().status.root).toBe(root);
    }
  });

  test('[BK5] it is read as it is taken, and not beyond', async () => {
    const ann = world.profile().tab(LOCAL);
    await write(ann.room(), { a: 'one' });
    let reads = 0;
    const stream = await world.run(ann.room().backup());
    ann.beforeTransact = ({ mode }) => {
      if (mode === 'read') reads++;
    };
    await world.quiet();
    expect(reads).toBe(0);
    await world.run(stream.getReader().read());
    await world.quiet();
    expect(reads).toBe(1);
    const other = await world.run(ann.room().backup());
    await world.run(other.cancel());
    expect((await failure(other.mark)).code).toBe('ABORTED');
  });
});
