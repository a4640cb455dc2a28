import {
  deriveKeyId,
  FLAG,
  hlcFromMs,
  isAnswer,
  type KeyName,
  readQuarantine,
  readSiblings,
  recordPayloadToBytes,
  valueToBytes,
} from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { type ClientWorld, type Profile, roomRef, setWorld } from '../../../../test/support/client-world.js';
import { type Claim, Member, reaching } from '../../../../test/support/member.js';
import { lww } from '../resolvers/resolver.js';
import type { Room } from '../room.js';
import { documentName } from './documents.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const ref = roomRef();
const name = documentName('note');
const NOTHING = Y.encodeStateAsUpdate(new Y.Doc());
/** As far ahead as a relay takes. */
const AHEAD_MS = 290_000;

async function open(room: Room) {
  const note = room.document('note');
  await world.run(note.ready);
  return note.ydoc.getText('t');
}

const read = async (room: Room): Promise<string> => (await open(room)).toString();

async function arrive(): Promise<Room> {
  const room = world.profile().tab().room();
  await world.run(room.synced());
  return room;
}

/** Two who have each written into one document, and have what the other wrote. */
async function meet() {
  const profiles = [world.profile(), world.profile()] as const;
  const tabs = [profiles[0].tab(), profiles[1].tab()] as const;
  const [ann, bob] = [tabs[0].room(), tabs[1].room()];
  (await open(ann)).insert(0, 'ann ');
  await world.run(ann.synced());
  (await open(bob)).insert(0, 'bob ');
  await world.run(bob.synced());
  await world.agree(ann, bob);
  return { profiles, tabs, rooms: [ann, bob] as const, written: await read(ann) };
}

const writersOf = (profiles: readonly Profile[]) => profiles.map((profile) => profile.replica('team'));

describe('an edit of a document that covers what others wrote', () => {
  const edits = {
    'says nothing': { payload: NOTHING },
    'cannot be read': { payload: Uint8Array.of(255, 255, 255) },
    'is a tombstone': { payload: new Uint8Array(), flags: FLAG.tombstone },
    'seems encrypted': { payload: NOTHING, flags: FLAG.encrypted },
    'is an import': { payload: NOTHING, flags: FLAG.import },
  };
  test.each(Object.entries(edits))(
    '[CP6, JS2, CX8] scenario 11: one that %s is set aside and answered',
    async (_, edit) => {
      const { profiles, rooms, written } = await meet();
      const [ann, bob] = rooms;
      const member = await Member.join(world);
      const hlc = hlcFromMs(world.nowMs);
      const forged = member.push({ name, hlc, context: reaching(writersOf(profiles), hlc), ...edit });
      await world.until('it to come', () => ann.status.quarantined + bob.status.quarantined === 2);
      expect([await read(profiles[0].tab().room()), await read(profiles[1].tab().room())]).toEqual([written, written]);
      await world.pass(60_000);
      await world.agree(ann, bob);
      const carl = await arrive();
      expect([await read(carl), carl.status.quarantined]).toEqual([written, 0]);
      const keyId = deriveKeyId(ref.hash, ref.roomId, name);
      const siblings = await world.relay.store('team').transact((tx) => readSiblings(tx, ref, keyId), { mode: 'read' });
      expect(siblings.map(({ id }) => id)).not.toContain(forged.id);
      (await open(carl)).insert(0, 'carl ');
      await world.run(carl.synced());
      expect(await read(await arrive())).toBe(`carl ${written}`);
    },
  );

  test('[CP6] the quarantine says of it that it is no checkpoint', async () => {
    const { profiles, rooms } = await meet();
    const member = await Member.join(world);
    const hlc = hlcFromMs(world.nowMs);
    const { id } = member.push({ name, payload: NOTHING, hlc, context: reaching(writersOf(profiles), hlc) });
    await world.until('it to come', () => rooms[0].status.quarantined === 1);
    const [held] = await profiles[0].store('team').transact((tx) => readQuarantine(tx, ref), { mode: 'read' });
    expect([held?.delta.id, held?.fault]).toEqual([id, 'CHECKPOINT_WRONG']);
    expect(rooms[0].status.lastError?.message).toContain('it covers what others wrote and is none');
  });

  test('[CP6, CX8] from ahead it swallows nothing that is written before it comes, nor what its writers never saw', async () => {
    const { profiles, rooms, written } = await meet();
    const [ann, bob] = rooms;
    const [text] = [await open(ann)];
    profiles[0].network.isUp = false;
    text.insert(0, 'offline ');
    await world.pass(5_000);
    const member = await Member.join(world);
    const hlc = hlcFromMs(world.nowMs + AHEAD_MS);
    member.push({ name, payload: NOTHING, hlc, context: reaching(writersOf(profiles), hlc) });
    await world.until('it to come', () => bob.status.quarantined === 1);
    profiles[0].network.isUp = true;
    await world.run(ann.synced());
    text.insert(0, 'later ');
    await world.run(ann.synced());
    await world.pass(60_000);
    await world.agree(ann, bob);
    expect(await read(await arrive())).toBe(`later offline ${written}`);
    expect(await read(bob)).toBe(`later offline ${written}`);
  });

  test('[CP6] one that came to a tab which ended before it could answer is answered by the next', async () => {
    const { profiles, tabs, rooms, written } = await meet();
    await world.run(tabs[1].close());
    const member = await Member.join(world);
    const hlc = hlcFromMs(world.nowMs);
    member.push({ name, payload: NOTHING, hlc, context: reaching(writersOf(profiles), hlc) });
    await world.until('it to come', () => rooms[0].status.quarantined === 1);
    tabs[0].crash();
    expect(await read(await arrive()), 'nobody has answered').toBe('');
    const again = profiles[0].tab().room();
    await world.run(again.synced());
    await world.pass(60_000);
    await world.agree(again);
    expect(await read(await arrive())).toBe(written);
  });

  test('[CP6] one that comes while a replica is catching up is answered once it is live', async () => {
    const { profiles, rooms, written } = await meet();
    for (const { network } of profiles) network.isUp = false;
    await world.pass(2_000);
    const member = await Member.join(world);
    const hlc = hlcFromMs(world.nowMs);
    member.push({ name, payload: NOTHING, hlc, context: reaching(writersOf(profiles), hlc) });
    await world.pass(1_000);
    expect(await read(await arrive())).toBe('');
    profiles[0].network.isUp = true;
    await world.until('it to come', () => rooms[0].status.quarantined === 1);
    await world.pass(60_000);
    await world.agree(rooms[0]);
    expect(await read(await arrive())).toBe(written);
  });
});

describe('a write of a record that cannot be used and covers others', () => {
  const record: KeyName = { kind: 'record', collection: 'todos', id: 'a' };
  const keyId = deriveKeyId(ref.hash, ref.roomId, record);
  const valuesOf = async (room: Room): Promise<unknown> => {
    const entry = await world.run(room.collection('todos').get('a'));
    return entry?.siblings.map(({ value }) => value);
  };
  const siblingsAt = (profile: { store: Profile['store'] }) =>
    profile.store('team').transact((tx) => readSiblings(tx, ref, keyId), { mode: 'read' });

  /** Two who have written one record at the same time. */
  async function differ() {
    const profiles = [world.profile(), world.profile()] as const;
    const tabs = [profiles[0].tab(), profiles[1].tab()] as const;
    const rooms = [tabs[0].room(), tabs[1].room()] as const;
    const [ann, bob] = rooms;
    await world.run(Promise.all([ann.synced(), bob.synced()]));
    for (const { network } of profiles) network.isUp = false;
    await world.pass(2_000);
    await world.run(ann.collection('todos').put('a', 'of ann'));
    await world.pass(10);
    await world.run(bob.collection('todos').put('a', 'of bob'));
    for (const { network } of profiles) network.isUp = true;
    await world.run(Promise.all([ann.synced(), bob.synced()]));
    await world.agree(ann, bob);
    return { profiles, tabs, rooms };
  }

  async function cover(profiles: readonly Profile[], claim: Partial<Claim> = {}) {
    const member = await Member.join(world);
    const hlc = claim.hlc ?? hlcFromMs(world.nowMs);
    const payload = Uint8Array.of(0, 123);
    const forged = member.push({ name: record, payload, hlc, context: reaching(writersOf(profiles), hlc), ...claim });
    return { member, forged };
  }

  const BOTH = ['of bob', 'of ann'];
  const forgeries = {
    'holds no value': { payload: Uint8Array.of(0, 123) },
    'holds nothing at all': { payload: new Uint8Array() },
    'calls itself a checkpoint': { payload: recordPayloadToBytes({ value: valueToBytes(1) }), flags: FLAG.checkpoint },
    'is a tombstone with content': { payload: Uint8Array.of(7), flags: FLAG.tombstone },
    'seems encrypted': { payload: Uint8Array.of(1), flags: FLAG.encrypted },
    'is of another record': {
      name: { ...record, id: 'b' },
      keyId,
      payload: recordPayloadToBytes({ value: valueToBytes(1) }),
    },
  };
  test.each(Object.entries(forgeries))(
    '[CP9, CX8] scenario 11: where one %s, what it covers is read, and comes back to all',
    async (_, forgery) => {
      const { profiles, tabs, rooms } = await differ();
      const { forged } = await cover(profiles, forgery);
      for (const room of rooms) await world.until('it to come', () => room.status.quarantined === 1);
      for (const room of rooms) expect(await valuesOf(room), 'nothing is lost meanwhile').toEqual(BOTH);
      await world.pass(60_000);
      await world.agree(...rooms);
      const late = world.profile();
      const carl = late.tab().room();
      await world.run(carl.synced());
      expect([await valuesOf(carl), carl.status.quarantined]).toEqual([BOTH, 0]);
      expect(await world.run(carl.collection('todos').entries())).toHaveLength(1);
      expect((await siblingsAt(late)).map(({ id }) => id)).not.toContain(forged.id);
      for (const tab of tabs) expect(await valuesOf(tab.room())).toEqual(BOTH);
      await world.run(carl.collection('todos').put('a', 'of carl'));
      await world.run(carl.synced());
      await world.agree(carl, ...rooms);
      for (const room of [carl, ...rooms]) expect(await valuesOf(room)).toEqual(['of carl']);
      expect(await siblingsAt(late), 'nor does what answered stay').toHaveLength(1);
    },
  );

  test('[CP9] two that answer at once do no harm', async () => {
    const { profiles, rooms } = await differ();
    await cover(profiles);
    for (const room of rooms) await world.until('it to come', () => room.status.quarantined === 1);
    for (const { network } of profiles) network.isStalled = true;
    const answersOf = async (profile: Profile) => (await siblingsAt(profile)).filter(isAnswer);
    for (const profile of profiles) await world.until('an answer', async () => (await answersOf(profile)).length > 0);
    for (const { network } of profiles) network.isStalled = false;
    await world.pass(60_000);
    await world.agree(...rooms);
    const late = world.profile();
    const carl = late.tab().room();
    await world.run(carl.synced());
    for (const room of [carl, ...rooms]) expect(await valuesOf(room)).toEqual(BOTH);
    expect(await answersOf(late)).toHaveLength(2);
    const newest = late.tab().room().collection('todos', { resolver: lww() });
    expect(await world.run(newest.get('a')), 'nor is one the newest write').toMatchObject({ value: 'of bob' });
  });

  test('[CP9] what was deleted stays so', async () => {
    const { profiles, rooms } = await differ();
    await world.run(rooms[0].collection('todos').delete('a'));
    await world.run(rooms[0].synced());
    await world.agree(...rooms);
    await cover(profiles);
    await world.pass(60_000);
    await world.agree(...rooms);
    for (const room of [await arrive(), ...rooms]) expect(await valuesOf(room)).toBeUndefined();
  });

  test('[CX4, CX8] who writes beside it covers what was read, and nothing that only it claims', async () => {
    const { profiles, rooms } = await differ();
    const [ann, bob] = rooms;
    profiles[0].network.isUp = false;
    await world.pass(2_000);
    await world.run(ann.collection('todos').put('a', 'again of ann'));
    await world.pass(2_000);
    await cover(profiles, { hlc: hlcFromMs(world.nowMs + AHEAD_MS) });
    await world.until('it to come', () => bob.status.quarantined === 1);
    await world.run(bob.collection('todos').put('a', 'again of bob'));
    await world.run(bob.synced());
    profiles[0].network.isUp = true;
    await world.run(ann.synced());
    await world.pass(60_000);
    await world.agree(...rooms);
    for (const room of [await arrive(), ...rooms])
      expect(await valuesOf(room)).toEqual(['again of bob', 'again of ann']);
  });

  test('[CP8, CP9] an answer that a relay refuses leaves no trace, and is given again over the next connection', async () => {
    const { profiles, rooms } = await differ();
    profiles[1].network.isUp = false;
    await world.pass(2_000);
    await cover(profiles);
    await world.until('it to come', () => rooms[0].status.quarantined === 1);
    world.relay.skewMs = -3_600_000;
    await world.pass(30_000);
    expect(rooms[0].status.lastError?.code).toBe('CLOCK_AHEAD');
    expect(await valuesOf(rooms[0])).toEqual(BOTH);
    world.relay.skewMs = 0;
    profiles[0].network.isUp = false;
    await world.pass(2_000);
    profiles[0].network.isUp = true;
    await world.pass(60_000);
    await world.agree(rooms[0]);
    expect(await valuesOf(await arrive())).toEqual(BOTH);
  });
});

test('[SY8, HLC4] two who are one put nothing years ahead under a number of theirs that is covered', async () => {
  const ann = world.profile().tab().room();
  await world.run(ann.synced());
  const [member, accomplice] = [await Member.join(world), await Member.join(world)];
  const write = { name: { kind: 'record', collection: 'todos', id: 'a' }, payload: new Uint8Array([0, 48]) } as const;
  const first = member.push(write);
  await world.pass(1_000);
  const hlc = hlcFromMs(world.nowMs);
  member.push({ ...write, hlc, context: reaching([member.replica], hlc) });
  await world.pass(1_000);
  const yearsAhead = hlcFromMs(world.nowMs + 50 * 365 * 86_400_000);
  accomplice.repeat(member.push({ ...write, name: { ...write.name, id: 'b' }, seq: first.seq, hlc: yearsAhead }));
  await world.until('the refusal', () => accomplice.heard.some(({ kind }) => kind === 'refused'));
  await world.pass(60_000);
  await world.agree(ann);
  expect([ann.status.sync, ann.status.lastError]).toEqual(['in-sync', null]);
});
