import { expect, test } from 'vitest';
import type { Failure } from '../support/person.js';
import { setStage } from '../support/stage.js';

const stage = setStage();

test('options that this version does not build are refused, never ignored', async () => {
  const anna = await stage.arrive('Anna', { relay: false });
  const failures = await anna.page.evaluate(async () => {
    const { client, room, records } = mangrove;
    const open = (options: object) => failureOf(() => client.room('another', options));
    return {
      encryptionKey: await open({ encryptionKey: new Uint8Array(32) }),
      staleness: await open({ staleness: { maxAgeMs: 1 } }),
      atLeast: await failureOf(() => records.get('a', { atLeast: 'x' })),
      maxAgeMs: await failureOf(() => records.get('a', { maxAgeMs: 1 })),
      consistency: await failureOf(() => records.get('a', { consistency: 'linearizable' })),
      proof: await failureOf(() => records.get('a', { proof: true })),
      resolver: await failureOf(() => room.collection('x', { resolver: { kind: 'manual' } as never })),
    };
  });
  for (const [option, failure] of Object.entries(failures)) {
    expect(failure, option).toMatchObject({ name: 'MangroveError', code: 'NOT_SUPPORTED', retryable: false });
    expect(failure?.message, option).toContain(option === 'resolver' ? 'manual' : option);
    expect(failure?.remedy, option).not.toBe('');
  }
});

test('one name is one handle, and other options for it are a conflict', async () => {
  const anna = await stage.arrive('Anna', { relay: false });
  const seen = await anna.page.evaluate(async () => {
    const { client, room, note, records } = mangrove;
    return {
      room: client.room(room.name) === room,
      note: room.document('note') === note,
      records: room.collection('records') === records,
      token: await failureOf(() => client.room(room.name, { token: 'other' })),
      resolver: await failureOf(() => room.collection('records', { resolver: { kind: 'lww' } })),
    };
  });
  expect(seen).toMatchObject({
    room: true,
    note: true,
    records: true,
    token: { code: 'ROOM_OPTIONS_CONFLICT' },
    resolver: { code: 'ROOM_OPTIONS_CONFLICT' },
  });
});

test('names and values that cannot be are refused with a code, a remedy and the facts, and change nothing', async () => {
  const anna = await stage.arrive('Anna', { relay: false });
  const before = await anna.status();
  const failures: [string, Failure | undefined][] = await anna.page.evaluate(async () => {
    const { client, room, records } = mangrove;
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const runs: [string, () => unknown][] = [
      ['NAME_INVALID', () => client.room('')],
      ['NAME_INVALID', () => client.room('.')],
      ['NAME_INVALID', () => room.document('')],
      ['NAME_INVALID', () => room.document('é'.repeat(257))],
      ['NAME_INVALID', () => room.document('\ud800')],
      ['NAME_INVALID', () => room.collection('')],
      ['NAME_INVALID', () => records.put('', 1)],
      ['NAME_INVALID', () => records.get('x'.repeat(513))],
      ['NAME_INVALID', () => records.delete(7 as never)],
      ['VALUE_INVALID', () => records.put('a', () => 1)],
      ['VALUE_INVALID', () => records.put('a', { deep: Number.NaN })],
      ['VALUE_INVALID', () => records.put('a', Symbol('s'))],
      ['VALUE_INVALID', () => records.put('a', circle)],
      ['VALUE_INVALID', () => records.put('a', document.createElement('p'))],
      ['VALUE_INVALID', () => records.put('a', undefined)],
      ['VALUE_TOO_LARGE', () => records.put('a', 'x'.repeat(65_537))],
      ['VALUE_TOO_LARGE', () => records.put('a', new Uint8Array(65_537))],
    ];
    return Promise.all(runs.map(async ([code, run]) => [code, await failureOf(run)] as [string, Failure | undefined]));
  });
  expect(failures.map(([, failure]) => failure?.code)).toEqual(failures.map(([code]) => code));
  for (const [code, failure] of failures) {
    expect(failure, code).toMatchObject({ name: 'MangroveError', retryable: false });
    expect(failure?.remedy, code).not.toBe('');
    expect(Object.keys(failure?.facts ?? {}), code).not.toEqual([]);
  }
  const after = await anna.status();
  expect(after.pending).toEqual(before.pending);
  expect(await anna.page.evaluate(() => mangrove.records.entries())).toEqual([]);
});

test('the longest names and the largest values are taken', async () => {
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  const sizes = await anna.page.evaluate(async () => {
    const id = 'é'.repeat(256);
    const value = 'x'.repeat(60_000);
    const collection = mangrove.room.collection('c'.repeat(512));
    const receipt = await collection.put(id, value);
    const other = mangrove.room.document('d'.repeat(512));
    other.ydoc.getText('content').insert(0, 'y'.repeat(1_000_000));
    await receipt.reached('relay');
    await other.reached('relay');
    return String((await collection.get(id))?.value).length;
  });
  expect(sizes).toBe(60_000);
});

test('[JS11] a value that no delta can carry is taken back where it was put, told by reached, and takes nothing along', async () => {
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  const failure = await anna.page.evaluate(async () => {
    const huge = mangrove.room.document('huge');
    await huge.ready;
    const map = huge.ydoc.getMap('map');
    map.set('picture', 'small');
    await huge.reached('disk');
    map.set('picture', new Uint8Array(9 * 1024 * 1024));
    return failureOf(() => huge.reached('disk'));
  });
  expect(failure).toMatchObject({ name: 'MangroveError', code: 'BODY_TOO_LARGE' });
  expect((await anna.status()).lastError).toMatchObject({ code: 'BODY_TOO_LARGE' });
  const stored = await anna.page.evaluate(async () => {
    const huge = mangrove.room.document('huge');
    huge.ydoc.getMap('map').set('later', true);
    await huge.reached('relay');
    return huge.ydoc.getMap('map').toJSON();
  });
  expect(stored).toEqual({ picture: 'small', later: true });
  await anna.write('Everything else goes on. ');
  await anna.page.evaluate(() => mangrove.note.reached('relay'));
  const bert = await stage.arrive('Bert');
  for (const person of [anna, bert]) {
    if (person === anna) await anna.reload();
    await person.waitUntilInSync();
    const read = await person.page.evaluate(async () => {
      const huge = mangrove.room.document('huge');
      await huge.ready;
      return huge.ydoc.getMap('map').toJSON();
    });
    expect(read).toEqual({ picture: 'small', later: true });
  }
});

test('[JS11] twenty megabytes of pasted text arrive, and what is typed behind them', async () => {
  const anna = await stage.arrive('Anna');
  const bert = await stage.arrive('Bert');
  await Promise.all([anna.waitUntilInSync(), bert.waitUntilInSync()]);
  const length = await anna.page.evaluate(async () => {
    const huge = mangrove.room.document('huge');
    await huge.ready;
    const text = huge.ydoc.getText('content');
    text.insert(0, 'pasted 😀 '.repeat(2 * 1024 * 1024));
    await huge.reached('disk');
    text.insert(text.length, 'typed');
    await huge.reached('relay');
    return text.length;
  });
  const read = await bert.page.evaluate(async (wanted) => {
    const huge = mangrove.room.document('huge');
    await huge.ready;
    const text = huge.ydoc.getText('content');
    while (text.length < wanted) await new Promise((resolve) => setTimeout(resolve, 50));
    return { length: text.length, end: text.toString().slice(-7) };
  }, length);
  expect(read).toEqual({ length, end: '\ude00 typed' });
  expect((await anna.status()).lastError).toBeNull();
});

test('everything goes with destroy, and nothing without its word', async () => {
  const anna = await stage.arrive('Anna', { relay: false });
  await anna.write('Soon gone. ');
  const refusal = await anna.page.evaluate(async () => {
    await mangrove.note.reached('disk');
    return failureOf(() => mangrove.client.destroy({} as never));
  });
  expect(refusal?.code).toBe('NOT_SUPPORTED');
  expect(await anna.text()).toBe('Soon gone. ');
  await anna.page.evaluate(() => mangrove.client.destroy({ deleteLocalData: true }));
  expect(await anna.page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name))).toEqual([]);
  await anna.reload();
  expect(await anna.text()).toBe('');
});

test('[FL15] the trash is listed and emptied through the worker, and what is not there cannot be recovered', async () => {
  const anna = await stage.arrive('Anna', { relay: false });
  const seen = await anna.page.evaluate(async () => {
    const { room } = mangrove;
    return {
      trash: await room.trash(),
      recover: await failureOf(() => room.recover({ id: 'nothing' })),
      after: await failureOf(() => room.trash({ after: { id: 'nothing' } })),
      empty: await failureOf(() => room.emptyTrash()),
      pending: room.status.pending.writes,
    };
  });
  expect(seen).toMatchObject({
    trash: [],
    recover: { name: 'MangroveError', code: 'NOT_IN_TRASH', retryable: false },
    after: { code: 'NOT_IN_TRASH' },
    pending: 0,
  });
  expect(seen.empty).toBeUndefined();
});
