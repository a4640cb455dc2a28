import { type BackupStream, isMangroveError, type Room } from '@mangrove/client';
import { expect, test } from 'vitest';
import { setClients } from './real-clients.js';

const open = setClients('shelf');

const fileOf = (stream: BackupStream): Promise<Blob> => new Response(stream).blob();

/** What is drawn by chance cannot be compressed. */
async function fill(room: Room, count: number, saltBytes: number): Promise<void> {
  const records = room.collection<{ title: string; salt: string }>('records');
  await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const salt = Array.from(crypto.getRandomValues(new Uint8Array(saltBytes)), (byte) => byte.toString(36)).join('');
      return records.put(`r${i}`, { title: `number ${i}`, salt });
    }),
  );
  const note = room.document('note');
  await note.ready;
  note.ydoc.getText('t').insert(0, 'kept on a shelf');
  await note.reached('disk');
}

async function ids(room: Room): Promise<string[]> {
  return (await room.collection('records').entries()).map(([id]) => id);
}

test('[BK5, BK7, BK9] a room of two tabs is backed up from one of them and restored in another profile, twice', async () => {
  const first = open();
  await first.room.ready;
  const second = open(first.name);
  await second.room.ready;
  await fill(first.room, 600, 1_000);
  await first.room.collection('records').delete('r7');

  const stream = await second.room.backup();
  const file = await fileOf(stream);
  expect(file.size).toBeGreaterThan(500_000);
  await expect.poll(() => second.room.status.root).toBe(first.room.status.root);
  expect(first.room.status.pending.writes, 'sealed and not sent').toBeGreaterThan(0);

  const other = open();
  const result = await other.client.restore(file.stream());
  expect(result).toMatchObject({ rooms: ['shelf'], deltas: 601, refused: 0, marks: { shelf: await stream.mark } });
  await other.room.ready;
  expect(other.room.status.root).toBe(second.room.status.root);
  expect(await ids(other.room)).toHaveLength(599);
  const note = other.room.document('note');
  await note.ready;
  expect(note.ydoc.getText('t').toString()).toBe('kept on a shelf');
  expect(await other.client.restore(file.stream())).toMatchObject({ deltas: 0, refused: 0 });
  expect(other.room.status.root).toBe(second.room.status.root);

  // And on from there, shown in a tab that has it open.
  await first.room.collection('records').put('later', { title: 'later', salt: '' });
  note.ydoc.getText('t').insert(0, 'mine, ');
  const increment = await fileOf(await first.room.backup({ since: result.marks.shelf as string }));
  expect(increment.size).toBeLessThan(3_000);
  const heard: string[] = [];
  other.room.collection('records').subscribe((changes) => heard.push(...changes.map(({ id }) => id)));
  expect(await other.client.restore(increment.stream())).toMatchObject({ deltas: 1 });
  await expect.poll(() => heard).toContain('later');
  expect(note.ydoc.getText('t').toString()).toBe('mine, kept on a shelf');
});

test('[BK8] a file that was cut is restored as far as it goes, and the rest from the mark that this tells', async () => {
  const { room } = open();
  await fill(room, 220, 30_000);
  const file = await fileOf(await room.backup());
  expect(file.size, 'more than one section').toBeGreaterThan(5_000_000);
  const other = open();
  const failure: unknown = await other.client
    .restore(file.slice(0, file.size - 300_000).stream())
    .catch((error) => error);
  if (!isMangroveError(failure)) throw failure;
  expect(failure.code).toBe('BACKUP_CUT');
  const rest = await room.backup({ since: failure.facts.mark as string });
  const { deltas } = await other.client.restore(rest);
  expect(deltas + (failure.facts.deltas as number)).toBe(221);
  await other.room.ready;
  expect(other.room.status.root).toBe(room.status.root);
});
