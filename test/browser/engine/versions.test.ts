import { expect, test } from 'vitest';
import { setClients } from './real-clients.js';

const open = setClients('desk');

test('[VS1, VS4] a version that one tab saves is seen and restored in another, after a reload, and from a backup', async () => {
  const first = open();
  const note = first.room.document('note');
  await note.ready;
  const text = note.ydoc.getText('t');
  // Beyond one part, also when it is compressed.
  const long = Array.from(crypto.getRandomValues(new Uint8Array(60_000)), (byte) => byte.toString(36)).join('');
  text.insert(0, `draft ${long}`);
  const draft = await note.versions.save('Draft');
  text.delete(0, text.length);
  text.insert(0, 'all new');

  const second = open(first.name);
  const other = second.room.document('note');
  await other.ready;
  await expect.poll(() => other.ydoc.getText('t').toString()).toBe('all new');
  expect((await other.versions.list()).map(({ name }) => name)).toEqual(['Draft']);
  expect((await other.versions.view(draft.id)).getText('t').toString()).toBe(`draft ${long}`);
  const receipt = await other.versions.restore(draft.id);
  await receipt.reached('disk');
  await expect.poll(() => text.toString()).toBe(`draft ${long}`);

  const todos = first.room.collection<string>('todos');
  await todos.put('t1', 'milk');
  const milk = await todos.versions('t1').save('Milk');
  await todos.put('t1', 'bread');
  await first.client.close();
  await second.client.close();

  const again = open(first.name);
  const records = again.room.collection<string>('todos');
  expect(await records.versions('t1').view(milk.id)).toBe('milk');
  const file = await new Response(await again.room.backup()).blob();
  const elsewhere = open();
  await elsewhere.client.restore(file.stream());
  const restored = elsewhere.room.document('note');
  await restored.ready;
  expect((await restored.versions.list()).map(({ kind }) => kind).sort()).toEqual(['automatic', 'named']);
  await elsewhere.room.collection<string>('todos').versions('t1').restore(milk.id);
  expect((await elsewhere.room.collection<string>('todos').get('t1'))?.value).toBe('milk');
  await expect(restored.versions.view('none')).rejects.toMatchObject({ code: 'VERSION_UNAVAILABLE' });
});
