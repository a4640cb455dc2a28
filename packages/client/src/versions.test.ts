import {
  isMangroveError,
  recordPayloadToBytes,
  type Value,
  valueToBytes,
  VERSION_PARTS,
  VERSIONS,
} from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import type * as Y from 'yjs';
import { type ClientWorld, type Tab, setWorld } from '../../../test/support/client-world.js';
import type { DocumentHandle } from './documents/document-handle.js';
import { textToEntries } from './listing.js';
import type { Version } from './types.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

async function openNote(tab: Tab): Promise<DocumentHandle> {
  const note = tab.room().document('note');
  await world.run(note.ready);
  return note;
}

const textOf = (ydoc: Y.Doc): string => ydoc.getText('t').toString();
const saved = (list: readonly Version[]): (string | null)[] =>
  list.filter(({ kind }) => kind !== 'recent').map(({ name, kind }) => name ?? kind);

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await world.run(work).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return isMangroveError(error) ? error.code : `did not fail: ${String(error)}`;
}

describe('versions of a document', () => {
  test('[VS1, VS4] one that was named is listed, seen and restored by everybody, and what stood before can be had back', async () => {
    const [ann, bob] = [world.profile().tab(), world.profile().tab()];
    const [annNote, bobNote] = [await openNote(ann), await openNote(bob)];
    annNote.ydoc.getText('t').insert(0, 'first draft');
    const version = await world.run(annNote.versions.save('Before the review'));
    expect(version).toMatchObject({ kind: 'named', name: 'Before the review', replica: ann.profile.replica('team') });
    annNote.ydoc.getText('t').delete(0, 6);
    annNote.ydoc.getText('t').insert(0, 'second ');
    await world.agree(ann.room(), bob.room());

    const listed = await world.run(bobNote.versions.list());
    expect(saved(listed)).toEqual(['Before the review']);
    expect(textOf(await world.run(bobNote.versions.view(version.id)))).toBe('first draft');
    expect(textOf(bobNote.ydoc)).toBe('second draft');
    const receipt = await world.run(bobNote.versions.restore(version.id));
    await world.run(receipt.reached('relay'));
    await world.agree(ann.room(), bob.room());
    await world.until('shown', () => textOf(annNote.ydoc) === 'first draft');
    expect(textOf(bobNote.ydoc)).toBe('first draft');

    const after = await world.run(annNote.versions.list());
    expect(saved(after)).toEqual(['automatic', 'Before the review']);
    const undo = after.find(({ kind }) => kind === 'automatic') as Version;
    expect(undo.replica).toBe(bob.profile.replica('team'));
    await world.run(annNote.versions.restore(undo.id));
    expect(textOf(annNote.ydoc)).toBe('second draft');
    for (const tab of [ann, bob]) expect(tab.room().status).toMatchObject({ quarantined: 0, lastError: null });
    // It goes on like any document.
    annNote.ydoc.getText('t').insert(0, 'A ');
    await world.agree(ann.room(), bob.room());
    await world.until('shown', () => textOf(bobNote.ydoc) === 'A second draft');
  });

  test('[VS1, VS2] one of many parts outlives checkpoints and reloads, and is deleted for everybody', async () => {
    const profile = world.profile();
    const ann = profile.tab();
    const note = await openNote(ann);
    const long = Buffer.from(world.bytes(150_000)).toString('base64');
    note.ydoc.getText('t').insert(0, long);
    const { id, bytes } = await world.run(note.versions.save('Long'));
    expect(bytes).toBeGreaterThan(200_000);
    const partsOf = async (tab: Tab): Promise<number> =>
      textToEntries(await world.run(tab.engine.entries('team', VERSION_PARTS, 'lww', {}))).length;
    expect(await partsOf(ann)).toBeGreaterThan(3);
    note.ydoc.getText('t').delete(0, long.length);
    for (let i = 0; i < 30; i++) {
      note.ydoc.getText('t').insert(0, Buffer.from(world.bytes(12_000)).toString('base64'));
      await world.run(note.reached('relay'));
    }
    await world.pass(30_000);
    const bob = world.profile().tab();
    const bobNote = await openNote(bob);
    await world.agree(ann.room(), bob.room());
    const list = await world.run(bobNote.versions.list());
    // The tail has been merged: what it told is gone, what was saved is not.
    expect(saved(list)).toEqual(['Long']);
    expect(list.filter(({ kind }) => kind === 'recent').length).toBeLessThan(3);
    expect(textOf(await world.run(bobNote.versions.view(id)))).toBe(long);
    await world.run(bobNote.versions.delete(id));
    await world.agree(ann.room(), bob.room());
    expect(saved(await world.run(note.versions.list()))).toEqual([]);
    expect(await partsOf(ann)).toBe(0);
    expect(await codeOf(note.versions.view(id))).toBe('VERSION_UNAVAILABLE');
  });

  test('[VS5] what the tail still tells is listed step by step, and kept by a name', async () => {
    const [ann, bob] = [world.profile().tab(), world.profile().tab()];
    const [annNote, bobNote] = [await openNote(ann), await openNote(bob)];
    for (const [note, words] of [
      [annNote, 'one '],
      [annNote, 'and '],
      [bobNote, 'two '],
    ] as const) {
      note.ydoc.getText('t').insert(note.ydoc.getText('t').length, words);
      await world.agree(ann.room(), bob.room());
      await world.until('shown', () => textOf(annNote.ydoc) === textOf(bobNote.ydoc));
    }
    await world.pass(120_000);
    annNote.ydoc.getText('t').insert(0, 'later ');
    await world.agree(ann.room(), bob.room());
    const recent = await world.run(bobNote.versions.list());
    // How it reads now is no earlier state.
    expect(recent.map(({ kind, replica }) => [kind, replica])).toEqual([
      ['recent', bob.profile.replica('team')],
      ['recent', ann.profile.replica('team')],
    ]);
    const texts = [];
    for (const { id } of recent) texts.push(textOf(await world.run(bobNote.versions.view(id))));
    expect(texts).toEqual(['one and two ', 'one and ']);
    const named = await world.run(bobNote.versions.name((recent[1] as Version).id, 'Half'));
    expect(named).toMatchObject({ kind: 'named', name: 'Half', atMs: (recent[1] as Version).atMs });
    const again = await world.run(bobNote.versions.name(named.id, 'The half'));
    expect(again).toMatchObject({ id: named.id, name: 'The half' });
    await world.run(bobNote.versions.restore(named.id));
    expect(textOf(bobNote.ydoc)).toBe('one and ');
    expect(await codeOf(bobNote.versions.view('~nothing'))).toBe('VERSION_UNAVAILABLE');
  });

  test('[VS3] a version whose parts are missing or somebody else’s is VERSION_UNAVAILABLE, and rows that are none are passed over', async () => {
    const ann = world.profile().tab({ relays: [] });
    const note = await openNote(ann);
    note.ydoc.getText('t').insert(0, 'text');
    const { id } = await world.run(note.versions.save('It'));
    const [[listed], [part, { value }]] = (await Promise.all([
      world.run(ann.engine.entries('team', VERSIONS, 'lww', {})).then((text) => textToEntries(text)[0]),
      world.run(ann.engine.entries('team', VERSION_PARTS, 'lww', {})).then((text) => textToEntries(text)[0]),
    ])) as unknown as [[string, unknown], [string, { value: Uint8Array }]];
    const put = (collection: string, key: string, next: unknown): Promise<unknown> => {
      // As another member's client may write there.
      const bytes = recordPayloadToBytes({ value: valueToBytes(next as Value) });
      return world.run(ann.engine.put('team', collection, key, bytes));
    };
    await put(VERSION_PARTS, part, value.with(5, (value[5] as number) ^ 1));
    expect(await codeOf(note.versions.view(id))).toBe('VERSION_UNAVAILABLE');
    await world.run(ann.engine.put('team', VERSION_PARTS, part, undefined));
    expect(await codeOf(note.versions.restore(id))).toBe('VERSION_UNAVAILABLE');
    expect(textOf(note.ydoc)).toBe('text');
    await put(VERSION_PARTS, part, value);
    expect(textOf(await world.run(note.versions.view(id)))).toBe('text');
    await put(VERSIONS, listed, { name: 7 });
    await put(VERSIONS, `${listed}0`, 'nothing');
    expect(saved(await world.run(note.versions.list()))).toEqual([]);
  });

  test('[VS4] of those that are saved by restoring the last twenty are kept', async () => {
    const ann = world.profile().tab({ relays: [] });
    const note = await openNote(ann);
    const first = await world.run(note.versions.save('First'));
    for (let i = 0; i < 24; i++) {
      note.ydoc.getText('t').insert(0, `${i} `);
      world.nowMs += 1_000;
      await world.run(note.versions.restore(first.id));
    }
    const kinds = saved(await world.run(note.versions.list()));
    expect(kinds.filter((kind) => kind === 'automatic')).toHaveLength(20);
    expect(kinds.at(-1)).toBe('First');
    // Restored twice in a row, there is nothing to keep.
    await world.run(note.versions.restore(first.id));
    await world.run(note.versions.restore(first.id));
    expect(saved(await world.run(note.versions.list())).filter((kind) => kind === 'automatic')).toHaveLength(20);
  });
});

describe('versions of a record', () => {
  test('[VS2, VS4] values and deletes are saved and come back by a write', async () => {
    const [ann, bob] = [world.profile().tab(), world.profile().tab()];
    const todos = ann.room().collection<{ title: string; at: Date }>('todos');
    const value = { title: 'Milk', at: new Date(7) };
    await world.run(todos.put('t1', value));
    const versions = todos.versions('t1');
    const milk = await world.run(versions.save('Milk'));
    await world.run(todos.delete('t1'));
    const gone = await world.run(versions.save('Gone'));
    await world.run(todos.put('t1', { title: 'Bread', at: new Date(8) }));
    await world.agree(ann.room(), bob.room());
    const bobs = bob.room().collection<{ title: string; at: Date }>('todos');
    expect(saved(await world.run(bobs.versions('t1').list()))).toEqual(['Gone', 'Milk']);
    expect(await world.run(bobs.versions('t1').view(milk.id))).toEqual(value);
    expect(await world.run(bobs.versions('t1').view(gone.id))).toBeUndefined();
    expect(await world.run(bobs.versions('t2').list())).toEqual([]);
    await world.run(bobs.versions('t1').restore(milk.id));
    await world.agree(ann.room(), bob.room());
    const entry = await world.run(todos.get('t1'));
    expect(entry?.value).toEqual(value);
    expect(entry?.siblings).toHaveLength(1);
    await world.run(versions.restore(gone.id));
    expect(await world.run(todos.get('t1'))).toBeUndefined();
    expect(saved(await world.run(versions.list()))).toEqual(['automatic', 'automatic', 'Gone', 'Milk']);
  });

  test('[VS1] what versions are kept under is no collection of an application', async () => {
    const room = world.profile().tab({ relays: [] }).room();
    for (const name of [VERSIONS, VERSION_PARTS])
      expect(() => room.collection(name)).toThrow(expect.objectContaining({ code: 'NAME_INVALID' }));
    const versions = room.collection('todos').versions('t1');
    expect(await codeOf(versions.save(''))).toBe('NAME_INVALID');
    expect(await codeOf(versions.name('none', 'Name'))).toBe('VERSION_UNAVAILABLE');
  });
});
