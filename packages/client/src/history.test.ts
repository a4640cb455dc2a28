import { deriveKeyId, isMangroveError, readSiblings, type TABLES } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import type * as Y from 'yjs';
import { type ClientWorld, type Profile, roomRef, setWorld, type Tab } from '../../../test/support/client-world.js';
import type { DocumentHandle } from './documents/document-handle.js';
import type { Room } from './room.js';
import type { Version } from './types.js';
import { documentName } from './worker/documents.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const FULL = { history: 'full' } as const;
const open = (tab: Tab): Room => tab.room('team', FULL);
const textOf = (ydoc: Y.Doc): string => ydoc.getText('t').toString();
const recent = (list: readonly Version[]): readonly Version[] => list.filter(({ kind }) => kind === 'recent');
const countOf = (profile: Profile, table: (typeof TABLES)[number]): number =>
  profile.store('team', 'full').tables.table(table).rows({ from: new Uint8Array() }).length;

async function openNote(room: Room): Promise<DocumentHandle> {
  const note = room.document('note');
  await world.run(note.ready);
  return note;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await world.run(work).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return isMangroveError(error) ? error.code : `did not fail: ${String(error)}`;
}

describe('a room of full history', () => {
  test('[FH1, VS6] every value of a record is listed, seen and restored, by who came after all of them too', async () => {
    const [ann, bob] = [open(world.profile().tab()), open(world.profile().tab())];
    const todos = ann.collection<string>('todos');
    const others = bob.collection<string>('todos');
    for (const value of ['one', 'two', 'three']) {
      await world.run(todos.put('t', value));
      await world.agree(ann, bob);
    }
    await world.run(others.delete('t'));
    await world.agree(ann, bob);
    await world.run(others.put('t', 'five'));
    await world.agree(ann, bob);

    const newcomer = world.profile();
    const carol = open(newcomer.tab());
    await world.agree(ann, bob, carol);
    const versions = carol.collection<string>('todos').versions('t');
    const list = await world.run(versions.list());
    expect(list.map(({ kind, bytes }) => [kind, bytes > 0])).toEqual([
      ['recent', false],
      ...Array.from({ length: 3 }, () => ['recent', true]),
    ]);
    const values: (string | undefined)[] = [];
    for (const { id } of list) values.push(await world.run(versions.view(id)));
    expect(values).toEqual([undefined, 'three', 'two', 'one']);
    expect((await world.run(carol.collection<string>('todos').get('t')))?.value).toBe('five');

    const [first] = list.slice(-1) as [Version];
    const receipt = await world.run(versions.restore(first.id));
    await world.run(receipt.reached('relay'));
    await world.agree(ann, bob, carol);
    expect((await world.run(others.get('t')))?.value).toBe('one');
    // Forward: what it has replaced is a version now, and nothing had to be saved for that.
    const after = await world.run(others.versions('t').list());
    expect(after.map(({ kind }) => kind)).toEqual(Array.from({ length: 5 }, () => 'recent'));
    expect(await world.run(others.versions('t').view((after[0] as Version).id))).toBe('five');
    expect(countOf(newcomer, 'deltas')).toBe(6);
    expect(countOf(newcomer, 'retained')).toBe(0);
  });

  test('[FH4, VS6] each step of a document is listed and seen since the beginning, whatever was merged, and opens as before', async () => {
    const profile = world.profile();
    const ann = open(profile.tab());
    const note = await openNote(ann);
    const words: string[] = [];
    for (let i = 0; i < 12; i++) {
      words.push(Buffer.from(world.bytes(3_000)).toString('base64'));
      note.ydoc.getText('t').delete(0, note.ydoc.getText('t').length);
      note.ydoc.getText('t').insert(0, words[i] as string);
      await world.run(note.reached('relay'));
      await world.pass(70_000);
    }
    expect(countOf(profile, 'deltas')).toBe(12);
    expect(countOf(profile, 'merged')).toBe(1);
    const ref = roomRef('team', 'full');
    const keyId = deriveKeyId(ref.hash, ref.roomId, documentName('note'));
    const present = await profile
      .store('team', 'full')
      .transact((tx) => readSiblings(tx, ref, keyId), { mode: 'read' });
    expect(present.length, 'read one by one').toBeLessThan(3);

    const newcomer = world.profile();
    const bob = open(newcomer.tab());
    await world.agree(ann, bob);
    await world.pass(5_000);
    const copy = await openNote(bob);
    expect(textOf(copy.ydoc)).toBe(words.at(-1));
    expect(countOf(newcomer, 'merged')).toBe(1);

    const seen: string[] = [];
    let list: readonly Version[] = await world.run(copy.versions.list({ limit: 5 }));
    while (list.length > 0) {
      expect(list.length).toBeLessThanOrEqual(5);
      for (const { id } of list) seen.push(textOf(await world.run(copy.versions.view(id))));
      list = await world.run(copy.versions.list({ limit: 5, after: (list.at(-1) as Version).id }));
    }
    expect(seen).toEqual(words.slice(0, -1).reverse());

    const all = await world.run(copy.versions.list());
    const named = await world.run(copy.versions.name((all.at(-1) as Version).id, 'The first'));
    expect(named.atMs).toBe((all.at(-1) as Version).atMs);
    await world.run(copy.versions.restore(named.id));
    await world.agree(ann, bob);
    await world.until('shown', () => textOf(note.ydoc) === words[0]);
    const again = await world.run(note.versions.list());
    expect(again.map(({ kind }) => kind)).toEqual([...Array.from({ length: 12 }, () => 'recent'), 'named']);
    expect(await codeOf(copy.versions.list({ after: 'nothing' }))).toBe('VERSION_UNAVAILABLE');
    expect(await codeOf(copy.versions.list({ limit: 0 }))).toBe('OPTION_INVALID');
    expect(await codeOf(copy.versions.view('~nothing'))).toBe('VERSION_UNAVAILABLE');
    for (const room of [ann, bob]) expect(room.status).toMatchObject({ quarantined: 0, vouched: 0, lastError: null });
  });

  test('[FH3, VS4] what is not sealed yet is merged with the next write, so a restore saves it first', async () => {
    const tab = world.profile().tab({ relays: [] });
    const room = open(tab);
    const todos = room.collection<string>('todos');
    await world.run(todos.put('t', 'draft'));
    const { id } = await world.run(todos.versions('t').save('Draft'));
    await world.run(todos.put('t', 'final'));
    await world.run(todos.versions('t').restore(id));
    const kinds = (await world.run(todos.versions('t').list())).map(({ kind }) => kind);
    expect(kinds).toEqual(['automatic', 'named']);
    expect(recent(await world.run(todos.versions('t').list()))).toEqual([]);
  });

  test('[FH1, BK7] it is backed up and restored as a whole, into a room of its kind', async () => {
    const ann = open(world.profile().tab());
    const todos = ann.collection<number>('todos');
    for (let i = 1; i <= 5; i++) {
      await world.run(todos.put('t', i));
      await world.run(ann.synced());
    }
    const file = new Uint8Array(await world.run(new Response(await world.run(ann.backup())).arrayBuffer()));
    const stream = (): ReadableStream<Uint8Array> => new Blob([file]).stream();
    const elsewhere = world.profile().tab({ relays: [] });
    const bob = open(elsewhere);
    await world.run(bob.ready);
    const restore = async (tab: Tab): Promise<{ rooms: readonly string[] }> => {
      const number = await tab.engine.restore();
      for await (const bytes of stream()) await tab.engine.writeRestore(number, bytes);
      return tab.engine.endRestore(number);
    };
    expect((await world.run(restore(elsewhere))).rooms).toEqual(['team']);
    await world.until('the root', () => bob.status.root === ann.status.root);
    const list = await world.run(bob.collection<number>('todos').versions('t').list());
    expect(list).toHaveLength(4);
    const other = world.profile().tab({ relays: [] });
    await world.run(other.room('team').collection<number>('todos').put('t', 9));
    expect(await codeOf(restore(other))).toBe('ROOM_CONFIG_MISMATCH');
  });
});

describe('a room under another configuration', () => {
  test.each([
    ['current', 'full'],
    ['full', 'current'],
  ] as const)('[ID1] the relay has it as %s, and who opens it as %s is told', async (first, second) => {
    const ann = world.profile().tab().room('team', { history: first });
    await world.run(ann.collection<string>('todos').put('t', 'here'));
    await world.agree(ann);
    const bob = world.profile().tab().room('team', { history: second });
    await world.run(bob.collection<string>('todos').put('t', 'there'));
    await world.until('told', () => bob.status.lastError !== null);
    expect(bob.status).toMatchObject({ connection: 'refused', lastError: { code: 'ROOM_CONFIG_MISMATCH' } });
    // What was written is kept, and the other room knows nothing of it.
    expect((await world.run(bob.collection<string>('todos').get('t')))?.value).toBe('there');
    expect((await world.run(ann.collection<string>('todos').get('t')))?.value).toBe('here');
  });

  test.each([
    ['current', 'full'],
    ['full', 'current'],
  ] as const)('[ID1] this device has it as %s, and does not open it as %s', async (first, second) => {
    const profile = world.profile();
    const before = profile.tab({ relays: [] });
    await world.run(before.room('team', { history: first }).collection<string>('todos').put('t', 'here'));
    await world.run(before.close());
    const room = profile.tab({ relays: [] }).room('team', { history: second });
    expect(await codeOf(room.ready)).toBe('ROOM_CONFIG_MISMATCH');
    expect(room.status.lastError).toMatchObject({ code: 'ROOM_CONFIG_MISMATCH', retryable: false });
    const again = profile.tab({ relays: [] }).room('team', { history: first });
    expect((await world.run(again.collection<string>('todos').get('t')))?.value).toBe('here');
  });

  test('one in which nothing was written is opened either way', async () => {
    const profile = world.profile();
    await world.run(profile.tab({ relays: [] }).room('team').ready);
    const room = profile.tab({ relays: [] }).room('team', FULL);
    await world.run(room.collection<string>('todos').put('t', 'here'));
    expect(room.status.lastError).toBeNull();
  });
});
