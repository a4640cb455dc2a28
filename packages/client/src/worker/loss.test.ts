import { describe, expect, test } from 'vitest';
import { type ClientWorld, type Profile, setWorld } from '../../../../test/support/client-world.js';
import type { Room } from '../room.js';
import { lossOf, type Opening } from './loss.js';

const MARK = { writes: 3, atMs: 5 };
const OPENINGS: readonly (readonly [string, Partial<Opening>, object | undefined])[] = [
  ['a new user', {}, undefined],
  ['emptied', { mark: MARK }, { writes: 3, markedAtMs: 5 }],
  ['discarded, and the page remembers', { mark: MARK, wasDiscarded: true }, { writes: 3, markedAtMs: 5 }],
  ['discarded, and nobody remembers', { wasDiscarded: true }, {}],
  ['all is there', { mark: MARK, isNew: false }, undefined],
  ['another room of a discarded database, opened again', { wasDiscarded: true, isNew: false }, undefined],
  ['a bucket stands in for it', { mark: MARK, place: 'bucket' }, undefined],
  ['denied', { mark: MARK, place: 'memory' }, undefined],
];

test.each(OPENINGS)('[JS8] an emptied database is told from a new one: %s', (_, opening, facts) => {
  const loss = lossOf({ place: 'main', isNew: true, wasDiscarded: false, mark: undefined, ...opening });
  expect(loss?.facts).toEqual(facts);
  if (loss !== undefined) expect(loss.code).toBe('STORAGE_LOST');
});

describe('[JS8] a database that was emptied between two visits', () => {
  let world: ClientWorld;
  setWorld((fresh) => (world = fresh));

  const put = (room: Room, id: string) => world.run(room.collection('todos').put(id, id));
  const idsOf = async (room: Room): Promise<string> =>
    (await world.run(room.collection('todos').entries())).map(([id]) => id).join();

  /** One record at the relay, `unsent` of them only on this device. */
  async function visit(profile: Profile, unsent: number): Promise<void> {
    const tab = profile.tab();
    const room = tab.room();
    await put(room, 'sent');
    await world.agree(room);
    profile.network.isUp = false;
    for (let i = 0; i < unsent; i++) await put(room, `unsent-${i}`);
    await world.pass(2_000);
    await world.run(tab.close());
  }

  test('is told with what was at stake, in all tabs, and what the relay has comes back', async () => {
    const profile = world.profile();
    await visit(profile, 2);
    profile.loseData();
    const [first, second] = [profile.tab(), profile.tab()];
    await world.run(first.room().ready);
    await world.run(second.room().ready);
    for (const tab of [first, second]) {
      await world.until('told', () => tab.room().status.lastError?.code === 'STORAGE_LOST');
      expect(tab.room().status.lastError?.message).toContain(': 2.');
      expect(tab.room().status.storage).toBe('indexeddb');
    }
    profile.network.isUp = true;
    await world.agree(first.room(), second.room());
    expect(await idsOf(first.room())).toBe('sent');
    for (const tab of [first, second]) {
      expect(tab.room().metrics().storage).toMatchObject({ place: 'main', lostWrites: 2 });
      expect(tab.room().health().reasons).toContain('writes-lost');
    }
  });

  test('with nothing at stake is told as well, and only once', async () => {
    const profile = world.profile();
    await visit(profile, 0);
    profile.loseData();
    profile.network.isUp = true;
    const tab = profile.tab();
    await world.agree(tab.room());
    expect(tab.room().status.lastError?.message).toContain(': 0.');
    expect(tab.room().health()).toEqual({ score: 1, reasons: [] });
    await world.run(tab.close());
    const again = profile.tab().room();
    await world.agree(again);
    expect(again.status.lastError).toBeNull();
  });

  test('is not seen where all is there, by a new user, or after a deletion on purpose', async () => {
    const profile = world.profile();
    await visit(profile, 1);
    const back = profile.tab();
    await world.run(back.room().ready);
    await world.pass(2_000);
    expect(back.room().status.lastError).toBeNull();
    await world.run(back.close());
    const fresh = world.profile().tab().room();
    await world.agree(fresh);
    expect(fresh.status.lastError).toBeNull();
  });

  test('a database that is lost while a room is open is not told again at the next visit, once all of it is at the relay', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    const room = tab.room();
    await put(room, 'sent');
    await world.agree(room);
    profile.network.isUp = false;
    await put(room, 'unsent');
    profile.keys.clear();
    tab.loseDatabase('deleted');
    await world.until('moved', () => room.status.storage === 'lost');
    profile.network.isUp = true;
    await world.agree(room);
    await world.pass(2_000);
    expect(room.metrics().storage).toMatchObject({ place: 'memory', lostWrites: 0 });
    await world.run(tab.close());
    const again = profile.tab().room();
    await world.agree(again);
    expect(await idsOf(again)).toBe('sent,unsent');
    expect(again.status.lastError).toBeNull();
  });
});
