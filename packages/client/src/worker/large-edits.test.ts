import { defaultLimits, MangroveError } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { type ClientWorld, type Tab, setWorld } from '../../../../test/support/client-world.js';
import type { DocumentHandle } from '../documents/document-handle.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const MIB = 1024 * 1024;
const TOO_LARGE = defaultLimits.bodyBytesMax + 1;

async function openNote(tab: Tab): Promise<DocumentHandle> {
  const note = tab.room().document('note');
  await world.run(note.ready);
  return note;
}

const textOf = ({ ydoc }: DocumentHandle): Y.Text => ydoc.getText('t');
const mapOf = ({ ydoc }: DocumentHandle): Y.Map<unknown> => ydoc.getMap('m');
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: { code: string }) => error.code,
  );

/** Text by its length and what stands around the long middle: nobody wants to read the rest in a failure. */
const outline = (note: DocumentHandle): string => {
  const text = textOf(note).toString();
  return text.length < 100 ? text : `${text.slice(0, 20)}…${text.slice(-20)} ${text.length}`;
};

/** What a fresh device and a fresh tab of the profile show is what this page shows, and nothing waits. */
async function expectEverywhere(tab: Tab, note: DocumentHandle): Promise<void> {
  await world.agree(tab.room());
  const far = world.profile().tab();
  const others = [await openNote(far), await openNote(tab.profile.tab())];
  await world.agree(tab.room(), far.room());
  await world.quiet();
  for (const other of others) {
    expect(outline(other)).toBe(outline(note));
    expect(textOf(other).toString() === textOf(note).toString(), 'the same text').toBe(true);
    expect(mapOf(other).toJSON()).toEqual(mapOf(note).toJSON());
    expect(other.ydoc.getArray('l').toJSON()).toEqual(note.ydoc.getArray('l').toJSON());
    expect(Y.decodeStateVector(Y.encodeStateVector(other.ydoc))).toEqual(
      Y.decodeStateVector(Y.encodeStateVector(note.ydoc)),
    );
    expect(other.ydoc.store.pendingStructs).toBeNull();
  }
  expect(far.room().status).toMatchObject({ quarantined: 0, lastError: null });
  expect(tab.room().status.pending.writes).toBe(0);
}

describe('[JS11] an edit that is larger than a delta', () => {
  test('is taken as several, by everybody, and what is written later comes behind it', async () => {
    const profile = world.profile();
    const [tab, second] = [profile.tab(), profile.tab()];
    const note = await openNote(tab);
    const beside = await openNote(second);
    textOf(note).insert(0, 'begin end');
    textOf(note).insert(6, 'pasted. 😀'.repeat(MIB));
    await world.run(note.reached('disk'));
    textOf(note).insert(0, 'later ');
    await world.run(note.reached('relay'));
    expect(tab.room().status.lastError).toBeNull();
    await world.until('shown beside', () => textOf(beside).length === textOf(note).length);
    textOf(beside).insert(0, 'beside ');
    await world.until('shown here', () => textOf(beside).length === textOf(note).length);
    await expectEverywhere(tab, note);
  });

  test('is all on disk or not at all when its tab crashes', async () => {
    const profile = world.profile();
    const tab = profile.tab({ relays: [] });
    const note = await openNote(tab);
    textOf(note).insert(0, 'before');
    await world.run(note.reached('disk'));
    let transactions = 0;
    tab.beforeTransact = ({ mode }) => {
      if (mode === 'write' && ++transactions > 1) tab.crash();
    };
    textOf(note).insert(0, 'x'.repeat(18 * MIB));
    await world.until('on disk', () => transactions >= 1);
    await world.quiet();
    tab.crash();
    const again = await openNote(profile.tab({ relays: [] }));
    expect(textOf(again).length).toBe(18 * MIB + 6);
  });

  test('is imported as a whole, and its receipt stands for all of it', async () => {
    const tab = world.profile().tab();
    const note = await openNote(tab);
    const foreign = new Y.Doc();
    for (let i = 0; i < 40; i++) foreign.getArray('l').push([`${i} ${'y'.repeat(300_000)}`]);
    const receipt = await world.run(note.import(Y.encodeStateAsUpdate(foreign)));
    await world.run(receipt.reached('relay'));
    const far = await openNote(world.profile().tab());
    await world.until('there', () => far.ydoc.getArray('l').length === 40);
    await expectEverywhere(tab, note);
  });

  test('waits for room on a full disk like any other', async () => {
    const tab = world.profile().tab();
    const note = await openNote(tab);
    await world.agree(tab.room());
    const disk = { isFull: true };
    tab.beforeTransact = ({ mode }) => {
      if (disk.isFull && mode === 'write') throw new MangroveError('STORAGE_FULL');
    };
    textOf(note).insert(0, 'x'.repeat(9 * MIB));
    await world.run(note.reached('applied'));
    disk.isFull = false;
    await expectEverywhere(tab, note);
  });
});

describe('[JS11] a value that no delta can carry', () => {
  const tooLarge = (): Uint8Array => new Uint8Array(TOO_LARGE);

  test('is left out and taken back, and all else stands: what it replaced, what came with it, what comes later', async () => {
    const profile = world.profile();
    const [tab, second] = [profile.tab(), profile.tab()];
    const note = await openNote(tab);
    const beside = await openNote(second);
    mapOf(note).set('picture', new Y.Map([['small', 'bytes']]));
    textOf(note).insert(0, 'text');
    await world.run(note.reached('relay'));
    const waiting = [note.reached('disk'), note.reached('relay'), tab.room().synced()].map(codeOf);
    await world.run(Promise.all(waiting));
    note.ydoc.transact(() => {
      textOf(note).insert(4, ' that comes along');
      mapOf(note).set('picture', tooLarge());
      note.ydoc.getArray('l').push([1, tooLarge(), 2]);
    });
    const refused = [note.reached('disk'), note.reached('relay'), tab.room().synced()].map(codeOf);
    // Before the worker has answered.
    mapOf(note).set('later', true);
    textOf(note).insert(0, 'later ');
    expect(await world.run(Promise.all(refused))).toEqual(Array(3).fill('BODY_TOO_LARGE'));
    expect(note.ydoc.getArray('l').toJSON()).toEqual([1, 2]);
    expect(mapOf(note).toJSON()).toEqual({ picture: { small: 'bytes' }, later: true });
    expect(tab.room().status.lastError).toMatchObject({ code: 'BODY_TOO_LARGE' });
    textOf(note).insert(0, 'and later ');
    expect(await world.run(codeOf(note.reached('relay'))), 'told once').toBe('ok');
    expect(await world.run(codeOf(tab.room().synced()))).toBe('ok');
    expect(textOf(note).toString()).toBe('and later later text that comes along');
    await world.until('shown beside', () => textOf(beside).length === textOf(note).length);
    textOf(beside).insert(0, 'beside ');
    await world.until('shown here', () => textOf(beside).length === textOf(note).length);
    await expectEverywhere(tab, note);
  });

  test.each([true, false])('leaves the same everywhere with gc %s', async (gc) => {
    const tab = world.profile().tab();
    const note = await openNote(tab);
    note.ydoc.gc = gc;
    textOf(note).insert(0, 'around');
    textOf(note).insertEmbed(3, { image: 'x'.repeat(TOO_LARGE) });
    textOf(note).insert(4, 'behind');
    expect(await world.run(codeOf(note.reached('relay')))).toBe('BODY_TOO_LARGE');
    textOf(note).insert(3, 'before');
    await world.run(note.reached('relay'));
    expect(textOf(note).toString()).toBe('arobeforebehindund');
    await expectEverywhere(tab, note);
  });

  test('is told to the next who waits where nobody does, and to no import, version or backup', async () => {
    const tab = world.profile().tab();
    const note = await openNote(tab);
    mapOf(note).set('a', tooLarge());
    await world.until('taken back', () => mapOf(note).size === 0);
    await world.run(note.import(Y.encodeStateAsUpdate(new Y.Doc())));
    await world.run(note.versions.save('v'));
    await world.run((await world.run(tab.room().backup())).cancel());
    expect(await world.run(codeOf(tab.room().reached('disk')))).toBe('BODY_TOO_LARGE');
    expect(await world.run(codeOf(tab.room().reached('disk')))).toBe('ok');
  });

  test('that was undone meanwhile is left as the undo has put it, and redoing it is refused again', async () => {
    const tab = world.profile().tab();
    const note = await openNote(tab);
    mapOf(note).set('k', 'old');
    textOf(note).insert(0, 'text');
    const undo = new Y.UndoManager([mapOf(note), textOf(note)], { captureTimeout: 0 });
    note.ydoc.transact(() => {
      mapOf(note).set('k', tooLarge());
      textOf(note).delete(0, 2);
      textOf(note).insertEmbed(0, { image: 'x'.repeat(TOO_LARGE) });
    });
    await Promise.resolve();
    undo.undo();
    expect(await world.run(codeOf(note.reached('relay')))).toBe('BODY_TOO_LARGE');
    expect([textOf(note).toString(), mapOf(note).get('k')]).toEqual(['text', 'old']);
    await expectEverywhere(tab, note);
    undo.redo();
    expect(await world.run(codeOf(note.reached('relay')))).toBe('BODY_TOO_LARGE');
    expect([textOf(note).toString(), mapOf(note).get('k')]).toEqual(['xt', 'old']);
    undo.undo();
    await world.run(note.reached('relay'));
    expect([textOf(note).toString(), mapOf(note).get('k')]).toEqual(['text', 'old']);
    await expectEverywhere(tab, note);
  });

  test('one after the other under one key: what was there before the first is there again', async () => {
    const tab = world.profile().tab();
    const note = await openNote(tab);
    mapOf(note).set('k', 'old');
    await world.run(note.reached('relay'));
    for (let i = 0; i < 3; i++) {
      mapOf(note).set('k', tooLarge());
      await Promise.resolve();
    }
    expect(await world.run(codeOf(note.reached('relay')))).toBe('BODY_TOO_LARGE');
    await world.run(note.reached('relay'));
    expect(mapOf(note).toJSON()).toEqual({ k: 'old' });
    await expectEverywhere(tab, note);
  });

  test('leaves no gap where its tab crashes before it has taken it back', async () => {
    const profile = world.profile();
    const tab = profile.tab({ relays: [] });
    const note = await openNote(tab);
    note.ydoc.getArray('l').push([1, tooLarge()]);
    await Promise.resolve();
    textOf(note).insert(0, 'typed at once');
    await world.until('on disk', () => tab.room().status.pending.writes >= 2);
    await world.quiet(2);
    tab.crash();
    const again = await openNote(profile.tab({ relays: [] }));
    expect(textOf(again).toString()).toBe('typed at once');
    expect(again.ydoc.getArray('l').toJSON()).toEqual([1]);
  });

  test('in an import is refused with all of it, and nothing of it is shown', async () => {
    const tab = world.profile().tab();
    const note = await openNote(tab);
    const foreign = new Y.Doc();
    foreign.getText('t').insert(0, 'from elsewhere');
    foreign.getMap('m').set('k', tooLarge());
    expect(await world.run(codeOf(note.import(Y.encodeStateAsUpdate(foreign))))).toBe('BODY_TOO_LARGE');
    expect(textOf(note).length).toBe(0);
    textOf(note).insert(0, 'goes on');
    expect(await world.run(codeOf(note.reached('relay')))).toBe('ok');
    await expectEverywhere(tab, note);
  });

  test('that others made, applied to the document of a page, is left out of it as well', async () => {
    const tab = world.profile().tab();
    const note = await openNote(tab);
    const foreign = new Y.Doc();
    foreign.getMap('m').set('k', tooLarge());
    foreign.getText('t').insert(0, 'from elsewhere');
    Y.applyUpdate(note.ydoc, Y.encodeStateAsUpdate(foreign));
    expect(await world.run(codeOf(note.reached('relay')))).toBe('BODY_TOO_LARGE');
    expect(mapOf(note).size).toBe(0);
    textOf(note).insert(0, 'goes on ');
    await expectEverywhere(tab, note);
  });
});
