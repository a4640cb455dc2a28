import { expect, test } from 'vitest';
import type { Person } from '../support/person.js';
import { setStage } from '../support/stage.js';

const stage = setStage();

/** Everybody's other room, in which everything is kept. */
const FULL = 'kept-for-good';

interface Seen {
  readonly values: readonly unknown[];
  readonly texts: readonly string[];
  readonly value: unknown;
  readonly text: string;
  readonly root: string;
}

/** All earlier states, oldest first, and how it reads now. */
function see({ page }: Person): Promise<Seen> {
  return page.evaluate(async (name) => {
    const room = mangrove.client.room(name, { history: 'full' });
    await room.synced();
    const versions = room.collection('todos').versions('t');
    const note = room.document('note');
    await note.ready;
    const values: unknown[] = [];
    for (const { id } of await versions.list()) values.unshift(await versions.view(id));
    const texts: string[] = [];
    for (const { id } of await note.versions.list())
      texts.unshift((await note.versions.view(id)).getText('t').toString());
    const value = (await room.collection('todos').get('t'))?.value;
    return { values, texts, value, text: note.ydoc.getText('t').toString(), root: room.status.root };
  }, FULL);
}

test('[FH1, VS6] everything that was ever written is seen by who comes last, and restored by a write', async () => {
  const anna = await stage.arrive('Anna');
  const ben = await stage.arrive('Ben');
  const write = ({ page }: Person, step: number): Promise<void> =>
    page.evaluate(
      async ({ name, step }) => {
        const room = mangrove.client.room(name, { history: 'full' });
        await room.synced();
        await (await room.collection('todos').put('t', step)).reached('relay');
        const note = room.document('note');
        await note.ready;
        const text = note.ydoc.getText('t');
        text.delete(0, text.length);
        // Heavier than what a document that keeps its current state would be merged from.
        const noise = Array.from(crypto.getRandomValues(new Uint8Array(20_000)), (byte) => byte.toString(16)).join('');
        text.insert(0, `step ${step} ${noise}`);
        await note.reached('relay');
      },
      { name: FULL, step },
    );
  // Another writer begins another step.
  for (const step of [1, 2, 3, 4, 5]) await write(step % 2 === 1 ? anna : ben, step);

  const carol = await stage.arrive('Carol');
  const seen = [await see(anna), await see(ben), await see(carol)];
  for (const { values, texts, value, text, root } of seen) {
    expect(values).toEqual([1, 2, 3, 4]);
    expect(texts.map((one) => one.slice(0, 6))).toEqual(['step 1', 'step 2', 'step 3', 'step 4']);
    expect(value).toBe(5);
    expect(text.slice(0, 6)).toBe('step 5');
    expect(root).toBe(seen[0]?.root);
  }

  await carol.page.evaluate(async (name) => {
    const room = mangrove.client.room(name, { history: 'full' });
    const versions = room.collection('todos').versions('t');
    const oldest = (await versions.list()).at(-1);
    await (await versions.restore(oldest?.id ?? '')).reached('relay');
    const { versions: states } = room.document('note');
    const first = (await states.list()).at(-1);
    await (await states.restore(first?.id ?? '')).reached('relay');
  }, FULL);
  await expect.poll(async () => (await see(anna)).text.slice(0, 6)).toBe('step 1');
  const after = [await see(anna), await see(ben), await see(carol)];
  for (const { values, texts, value, root } of after) {
    expect(values).toEqual([1, 2, 3, 4, 5]);
    expect(texts).toHaveLength(5);
    expect(value).toBe(1);
    expect(root).toBe(after[0]?.root);
  }
  expect(after[0]?.root).not.toBe(seen[0]?.root);
});

test('[ID1] a room that the relay has under one configuration is not opened under the other', async () => {
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  const ben = await stage.arrive('Ben', { room: stage.room, relay: false });
  const told = await ben.page.evaluate(async () => {
    // This device has it as it is: its own word is enough.
    const { client, room } = mangrove;
    await (await room.collection('todos').put('t', 1)).reached('disk');
    const { name } = room;
    room.close();
    const other = client.room(name, { history: 'full' });
    return [(await failureOf(() => other.ready))?.code, other.status.lastError?.code];
  });
  expect(told).toEqual(['ROOM_CONFIG_MISMATCH', 'ROOM_CONFIG_MISMATCH']);
  const failure = await anna.page.evaluate(() =>
    failureOf(() => mangrove.client.room('x', { history: 'all' as never })),
  );
  expect(failure).toMatchObject({ code: 'OPTION_INVALID' });
});
