import {
  acceptDeltas,
  type Delta,
  deriveKeyId,
  EMPTY_CONTEXT,
  type Hlc,
  makeUnsignedDelta,
  type Reach,
  readSiblings,
  signDelta,
} from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import { type ClientWorld, type Profile, roomRef, setWorld } from '../../../../test/support/client-world.js';
import { forgeFloor } from '../../../../test/support/forged-floor.js';
import type { Room } from '../room.js';
import type { TrashEntry } from '../types.js';
import { documentName } from './documents.js';
import { recordName } from './records.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const ref = roomRef();
const list = (room: Room) => world.run(room.trash());
const textOf = (room: Room) => room.document('note').ydoc.getText('t').toString();
const notes = (room: Room) => room.collection('notes');

async function read(room: Room): Promise<Record<string, unknown>> {
  const entries = await world.run(notes(room).entries());
  return Object.fromEntries(entries.map(([id, { value }]) => [id, value]));
}

async function deltasOf(profile: Profile, name: ReturnType<typeof recordName>): Promise<readonly Delta[]> {
  const keyId = deriveKeyId(ref.hash, ref.roomId, name);
  return await profile.store('team').transact((tx) => readSiblings(tx, ref, keyId), { mode: 'read' });
}

const codeOf = (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(
    () => undefined,
    (error) => error.code,
  );

/** Ann has written two records and a document, and a member's floor has swept all of it at everybody. */
async function swept() {
  const [here, mallory] = [world.profile(), world.profile()];
  const tab = here.tab();
  const liar = mallory.tab();
  const [ann, evil] = [tab.room(), liar.room()];
  for (const [id, value] of Object.entries({ a: 1, b: 2 })) await world.run(notes(ann).put(id, value));
  const note = ann.document('note');
  await world.run(note.ready);
  note.ydoc.getText('t').insert(0, 'typed');
  await world.run(ann.synced());
  await world.agree(ann, evil);
  const deltas = [
    ...(await deltasOf(here, recordName('notes', 'a'))),
    ...(await deltasOf(here, recordName('notes', 'b'))),
    ...(await deltasOf(here, documentName('note'))),
  ];
  const last = deltas.reduce((one, other) => (other.hlc > one.hlc ? other : one));
  const replica = here.replica('team');
  const reach: Reach = new Map([[replica, { seq: last.seq, hlc: last.hlc }]]);
  await world.run(liar.close());
  await forgeFloor(mallory, { reach, standing: new Uint8Array(), witnesses: [] });
  const bob = mallory.tab().room();
  await world.run(bob.ready);
  await world.until('it is swept', async () => here.store('team').tables.table('trash').size > 0);
  await world.agree(ann, bob);
  return { here, mallory, tab, ann, bob, replica, last };
}

const keyOf = (entry: TrashEntry): string =>
  entry.kind === 'record' ? `${entry.collection}/${entry.record}` : entry.kind === 'document' ? entry.document : '?';
const entryOf = (entries: readonly TrashEntry[], key: string): TrashEntry =>
  entries.find((entry) => keyOf(entry) === key) as TrashEntry;

describe('the trash of a room', () => {
  test('[FL15] lists what a floor has taken: what it is, who wrote it when, and who collected it', async () => {
    const { here, mallory, ann, replica } = await swept();
    expect(await read(ann)).toEqual({});
    const entries = await list(ann);
    expect(entries.map(keyOf).sort()).toEqual(['note', 'notes/a', 'notes/b']);
    const a = entryOf(entries, 'notes/a');
    expect(a).toMatchObject({ kind: 'record', collection: 'notes', record: 'a', value: 1 });
    for (const entry of entries) {
      expect(entry).toMatchObject({ replica, why: 'swept', collectedBy: mallory.replica('team') });
      expect(entry.bytes).toBeGreaterThan(0);
      expect(entry.trashedAtMs).toBeGreaterThanOrEqual(entry.writtenAtMs);
    }
    // Any tab of the profile has the same, a page at a time.
    const second = here.tab().room();
    expect(await list(second)).toEqual(entries);
    const [first, ...others] = entries;
    expect(await world.run(second.trash({ limit: 1 }))).toEqual([first]);
    expect(await world.run(second.trash({ after: first as TrashEntry }))).toEqual(others);
    for (const limit of [0, -1, 0.5]) expect(await codeOf(world.run(ann.trash({ limit })))).toBe('OPTION_INVALID');
  });

  test('[FL15] a record is recovered as a write of now, for everybody, and the floor stays in force', async () => {
    const { here, ann, bob } = await swept();
    const second = here.tab().room();
    await world.run(second.ready);
    const heard: unknown[] = [];
    notes(ann).subscribe((changes) => heard.push(...changes.map(({ id, origin }) => `${id} ${origin}`)));
    const a = entryOf(await list(second), 'notes/a');
    const receipt = await world.run(second.recover(a));
    await world.run(receipt.reached('replicas'));
    await world.agree(ann, second, bob);
    for (const room of [ann, second, bob]) expect(await read(room)).toEqual({ a: 1 });
    expect((await list(ann)).map(keyOf).sort()).toEqual(['note', 'notes/b']);
    expect(heard).toEqual(['a tab']);
    expect(ann.status.quarantined).toBe(0);
    expect((await world.run(notes(ann).get('a')))?.siblings).toHaveLength(1);
  });

  test('[FL15] what was added to a document comes back in each page that has it open, and at others', async () => {
    const { here, ann, bob } = await swept();
    const [second, there] = [here.tab().room(), bob.document('note')];
    await world.run(second.document('note').ready);
    await world.run(there.ready);
    // A page keeps what it shows; one that opens the document now has none of it.
    expect([textOf(ann), textOf(second), textOf(bob)]).toEqual(['typed', '', '']);
    await world.run(second.recover(entryOf(await list(second), 'note')));
    await world.agree(ann, second, bob);
    await world.quiet();
    expect([textOf(ann), textOf(second), textOf(bob)]).toEqual(['typed', 'typed', 'typed']);
    const newcomer = world.profile().tab().room();
    await world.run(newcomer.document('note').ready);
    await world.agree(ann, newcomer);
    await world.quiet();
    expect(textOf(newcomer)).toBe('typed');
    expect(newcomer.status).toMatchObject({ quarantined: 0, lastError: null });
  });

  test('[FL15] of two tabs that recover the same only one writes, and what was forgotten is not to be had', async () => {
    const { here, ann, bob } = await swept();
    const second = here.tab().room();
    const entries = await list(second);
    const a = entryOf(entries, 'notes/a');
    const both = [ann, second].map((room) => codeOf(room.recover(a)));
    expect((await world.run(Promise.all(both))).sort()).toEqual(['NOT_IN_TRASH', undefined]);
    expect(await codeOf(world.run(ann.recover(a)))).toBe('NOT_IN_TRASH');
    await world.run(ann.emptyTrash([entryOf(entries, 'notes/b'), a]));
    expect((await list(second)).map(keyOf)).toEqual(['note']);
    expect(await codeOf(world.run(second.recover(entryOf(entries, 'notes/b'))))).toBe('NOT_IN_TRASH');
    await world.run(second.emptyTrash());
    expect(await list(ann)).toEqual([]);
    expect(here.store('team').tables.table('trash').size).toBe(0);
    await world.agree(ann, bob);
    expect(await read(bob)).toEqual({ a: 1 });
    expect(await codeOf(world.run(ann.recover({ id: 'nothing' })))).toBe('NOT_IN_TRASH');
  });

  test('[FL15] recovered offline it is on disk after a crash, once, and sent later', async () => {
    const { here, tab, ann, bob } = await swept();
    here.network.isUp = false;
    await world.run(ann.recover(entryOf(await list(ann), 'notes/b')));
    expect(ann.status.pending.writes).toBe(1);
    tab.crash();
    const again = here.tab().room();
    expect(await read(again)).toEqual({ b: 2 });
    expect((await list(again)).map(keyOf).sort()).toEqual(['note', 'notes/a']);
    here.network.isUp = true;
    await world.agree(again, bob);
    expect(await read(bob)).toEqual({ b: 2 });
  });

  test('[FL15, CX8] what comes late and cannot be read is listed as such, cannot be recovered, and can be forgotten', async () => {
    const { here, ann, last, replica } = await swept();
    world.nowMs += 1_000;
    const keyId = deriveKeyId(ref.hash, ref.roomId, recordName('notes', 'late'));
    const stamps = { hlc: (last.hlc - 1) as Hlc, writtenAt: (last.hlc - 1) as Hlc, prev: 0 as Hlc };
    const header = { replica, seq: 99, keyId, ...stamps, context: EMPTY_CONTEXT, flags: 0, nonces: [] };
    const junk = signDelta(makeUnsignedDelta(ref.hash, ref.roomId, header, Uint8Array.of(255)), new Uint8Array(64));
    const options = { nowMs: world.nowMs, from: 'others', retain: () => false } as const;
    const { outcomes } = await here
      .store('team')
      .transact((tx) => acceptDeltas(tx, ref, [junk], options), { mode: 'write', durability: 'strict' });
    expect(outcomes).toEqual(['trashed']);
    const late = (await list(ann)).find(({ why }) => why === 'late') as TrashEntry;
    expect(late).toMatchObject({ kind: 'unreadable', replica, trashedAtMs: options.nowMs });
    expect(await codeOf(world.run(ann.recover(late)))).toBe('UNDECODABLE');
    await world.run(ann.emptyTrash([late]));
    expect(await list(ann)).toHaveLength(3);
  });
});
