import { expect, test } from 'vitest';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();

declare global {
  var heardChanges: { id: string; value: unknown; origin: string }[][];
}

test('two people write one record without seeing each other: both values are kept, until somebody chooses', async () => {
  const [anna, ben] = await stage.arriveTogether();
  await put(anna, 'milk', { title: 'Milk', done: false });
  await waitUntilEqual([anna, ben]);
  await apart(anna, ben, async () => {
    await put(anna, 'milk', { title: 'Oat milk', done: false });
    await put(ben, 'milk', { title: 'Milk', done: true });
  });

  await waitUntilEqual([anna, ben]);
  for (const person of [anna, ben]) {
    const entry = await person.page.evaluate(() => mangrove.records.get('milk'));
    expect(entry?.siblings).toHaveLength(2);
    expect(entry?.siblings.map(({ value }) => value)).toEqual(
      expect.arrayContaining([
        { title: 'Oat milk', done: false },
        { title: 'Milk', done: true },
      ]),
    );
    expect(entry?.value).toEqual(entry?.siblings[0]?.value);
    await expect.poll(() => hints(person)).toBe(1);
  }

  await put(ben, 'milk', { title: 'Oat milk', done: true });
  await until('one value', async () => {
    const entry = await anna.page.evaluate(() => mangrove.records.get('milk'));
    return entry?.siblings.length === 1;
  });
});

test('a delete and a write that did not see each other: the write survives', async () => {
  const [anna, ben] = await stage.arriveTogether();
  await put(anna, 'milk', 1);
  await waitUntilEqual([anna, ben]);
  await apart(anna, ben, async () => {
    await put(anna, 'milk', 2);
    await ben.page.evaluate(() => mangrove.records.delete('milk'));
    expect(await ben.page.evaluate(() => mangrove.records.get('milk'))).toBe(undefined);
  });
  await waitUntilEqual([anna, ben]);
  for (const person of [anna, ben]) {
    const entry = await person.page.evaluate(() => mangrove.records.get('milk'));
    expect(entry?.value).toBe(2);
    expect(entry?.siblings).toHaveLength(2);
  }
  await anna.page.evaluate(() => mangrove.records.delete('milk'));
  await until('it to be gone', async () => (await ben.page.evaluate(() => mangrove.records.get('milk'))) === undefined);
});

test('under lww the newest write wins everywhere, a delete included', async () => {
  const [anna, ben] = await stage.arriveTogether();
  const putLast = ({ page }: Person, id: string, value: number): Promise<void> =>
    page.evaluate(
      async ({ id, value }) => {
        await mangrove.room.collection('lasts', { resolver: { kind: 'lww' } }).put(id, value);
      },
      { id, value },
    );
  await apart(anna, ben, async () => {
    await putLast(anna, 'a', 1);
    await putLast(ben, 'a', 2);
    await putLast(ben, 'b', 1);
    await anna.page.evaluate(async () => {
      const lasts = mangrove.room.collection('lasts', { resolver: { kind: 'lww' } });
      await lasts.put('b', 0);
      await lasts.delete('b');
    });
  });
  await waitUntilEqual([anna, ben]);
  for (const { page } of [anna, ben]) {
    const read = await page.evaluate(async () => {
      const lasts = mangrove.room.collection('lasts', { resolver: { kind: 'lww' } });
      return [(await lasts.get('a'))?.value, await lasts.get('b')];
    });
    expect(read).toEqual([2, undefined]);
  }
  const conflict = await anna.page.evaluate(() => failureOf(() => mangrove.room.collection('lasts')));
  expect(conflict?.code).toBe('ROOM_OPTIONS_CONFLICT');
});

test('a subscriber hears of each change after it was written, and where it was made', async () => {
  const [anna, ben] = await stage.arriveTogether();
  const annasFirst = anna.page;
  const tab = anna.inTab(await anna.openTab());
  anna.page = annasFirst;
  await listen(anna);
  await put(anna, 'mine', 1);
  await put(tab, 'in-my-other-tab', 2);
  await put(ben, 'of-ben', 3);
  await ben.page.evaluate(() => mangrove.records.delete('of-ben'));
  await until('four changes', async () => (await heard(anna)).length >= 4);
  expect(await heard(anna)).toEqual([
    { id: 'mine', value: 1, origin: 'local' },
    { id: 'in-my-other-tab', value: 2, origin: 'tab' },
    { id: 'of-ben', value: 3, origin: 'remote' },
    { id: 'of-ben', value: undefined, origin: 'remote' },
  ]);
});

test('entries come by the bytes of their ids, within prefix, from, to and limit, in both directions', async () => {
  const anna = await stage.arrive('Anna', { relay: false });
  const ids = ['a', 'b/1', 'b/10', 'b/2', 'z', 'é', '\u{1f980}', '\uff5e'];
  const list = (options: Parameters<typeof mangrove.records.entries>[0]): Promise<string[]> =>
    anna.page.evaluate(async (options) => (await mangrove.records.entries(options)).map(([id]) => id), options);
  await anna.page.evaluate(async (ids) => {
    for (const id of [...ids].reverse()) await mangrove.records.put(id, id);
    await mangrove.records.put('gone', 1);
    await mangrove.records.delete('gone');
    await mangrove.room.collection('another').put('elsewhere', 1);
  }, ids);
  // By UTF-8 bytes a character outside of the basic plane comes after all within it.
  const inOrder = ['a', 'b/1', 'b/10', 'b/2', 'z', 'é', '\uff5e', '\u{1f980}'];
  expect(await list({})).toEqual(inOrder);
  expect(await list({ reverse: true })).toEqual([...inOrder].reverse());
  expect(await list({ prefix: 'b/' })).toEqual(['b/1', 'b/10', 'b/2']);
  expect(await list({ prefix: 'b/', reverse: true, limit: 1 })).toEqual(['b/2']);
  expect(await list({ from: 'b/10', to: 'z' })).toEqual(['b/10', 'b/2']);
  expect(await list({ from: 'b/10', limit: 3 })).toEqual(['b/10', 'b/2', 'z']);
  expect(await list({ limit: 0 })).toEqual([]);
  expect(await list({ prefix: 'nothing' })).toEqual([]);
});

test('a listing is complete and in order where it is longer than any page', async () => {
  const [anna, ben] = await stage.arriveTogether();
  await anna.page.evaluate(async () => {
    const many = mangrove.room.collection('many');
    await Promise.all(Array.from({ length: 500 }, (_, i) => many.put(String(i).padStart(4, '0'), i)));
    await mangrove.room.reached('relay');
  });
  await waitUntilEqual([anna, ben]);
  const read = await ben.page.evaluate(async () => {
    const many = mangrove.room.collection('many');
    return [
      (await many.entries()).map(([, { value }]) => value),
      (await many.entries({ reverse: true, limit: 200 })).length,
    ];
  });
  expect(read).toEqual([Array.from({ length: 500 }, (_, i) => i), 200]);
});

test('values of all kinds come through as they were put', async () => {
  const [anna, ben] = await stage.arriveTogether();
  await anna.page.evaluate(async () => {
    const value = {
      text: 'naïve 🦀 \u0000',
      numbers: [0, -1.5, 1e300, Number.MAX_SAFE_INTEGER],
      nothing: null,
      bytes: Uint8Array.of(0, 255),
      date: new Date(0),
      big: 2n ** 80n,
      map: new Map([['key', 'value']]),
    };
    await mangrove.room.collection('kinds').put('all', value);
  });
  await waitUntilEqual([anna, ben]);
  const isSame = await ben.page.evaluate(async () => {
    const value = (await mangrove.room.collection('kinds').get('all'))?.value as Record<string, unknown>;
    return {
      text: value.text === 'naïve 🦀 \u0000',
      numbers: JSON.stringify(value.numbers) === JSON.stringify([0, -1.5, 1e300, Number.MAX_SAFE_INTEGER]),
      nothing: value.nothing === null,
      bytes: value.bytes instanceof Uint8Array && String(value.bytes) === '0,255',
      date: value.date instanceof Date && value.date.getTime() === 0,
      big: value.big === 2n ** 80n,
      map: value.map instanceof Map && value.map.get('key') === 'value',
    };
  });
  expect(Object.entries(isSame).filter(([, same]) => !same)).toEqual([]);
});

/** How often the page says that there are two values. */
function hints({ page }: Person): Promise<number> {
  return page.evaluate(() => document.body.innerText.split('written without seeing each other').length - 1);
}

function put({ page }: Person, id: string, value: unknown): Promise<void> {
  return page.evaluate(
    async ({ id, value }) => {
      const receipt = await mangrove.records.put(id, value);
      await receipt.reached('disk');
    },
    { id, value },
  );
}

/** Something happens while neither network works. */
async function apart(anna: Person, ben: Person, happen: () => Promise<void>): Promise<void> {
  for (const { network } of [anna, ben]) network.cut();
  for (const person of [anna, ben])
    await person.waitForStatus('cut off', ({ connection }) => connection !== 'connected');
  await happen();
  for (const { network } of [anna, ben]) network.heal();
}

function listen({ page }: Person): Promise<void> {
  return page.evaluate(() => {
    globalThis.heardChanges = [];
    mangrove.records.subscribe((changes) =>
      heardChanges.push(changes.map(({ id, entry, origin }) => ({ id, value: entry?.value, origin }))),
    );
  });
}

async function heard({ page }: Person): Promise<{ id: string; value: unknown; origin: string }[]> {
  return (await page.evaluate(() => heardChanges)).flat();
}
