import { deriveKeyId, FLAG, hlcFromMs, readQuarantine, readSiblings } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { type ClientWorld, type Profile, roomRef, setWorld } from '../../../../test/support/client-world.js';
import { Member, reaching } from '../../../../test/support/member.js';
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
