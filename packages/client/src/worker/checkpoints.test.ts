import {
  type Delta,
  defaultLimits,
  deriveKeyId,
  FLAG,
  hasFlag,
  hlcFromMs,
  LinkMemory,
  readClock,
  readRetainedOf,
  readSiblings,
  updateOfDelta,
  writeNumber,
} from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import {
  type ClientWorld,
  messageToRelay,
  type Profile,
  roomRef,
  setWorld,
} from '../../../../test/support/client-world.js';
import type { Room } from '../room.js';
import { documentName } from './documents.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const ref = roomRef();
const keyId = deriveKeyId(ref.hash, ref.roomId, documentName('note'));
const siblingsOf = (profile: Profile): Promise<readonly Delta[]> =>
  profile.store('team').transact((tx) => readSiblings(tx, ref, keyId), { mode: 'read' });
const checkpointsOf = async (profile: Profile): Promise<readonly Delta[]> =>
  (await siblingsOf(profile)).filter((delta) => hasFlag(delta, FLAG.checkpoint));
const { checkpointTailBytesMin, checkpointStepMs } = defaultLimits;
/** Longer than any of a few replicas waits. */
const SETTLED_MS = 6 * checkpointStepMs;

async function open(room: Room) {
  const note = room.document('note');
  await world.run(note.ready);
  return { note, text: note.ydoc.getText('t') };
}

/** Types until the deltas of this writer weigh so much, each key a delta of its own. */
async function type(room: Room, bytes: number): Promise<void> {
  const { text } = await open(room);
  for (let typed = 0; typed < bytes; typed += 150) {
    text.insert(text.length, `${text.length % 10}`);
    await world.run(room.synced());
  }
}

describe('checkpoints', () => {
  test('[CP3, CP4] a long tail becomes one checkpoint, made by one of those who are there, and then there is silence', async () => {
    const profiles = [world.profile(), world.profile(), world.profile()] as const;
    const rooms = profiles.map((profile) => profile.tab().room());
    const [ann] = rooms as [Room];
    for (const room of rooms) await open(room);
    await type(ann, 1.2 * checkpointTailBytesMin);
    const written = (await open(ann)).text.toString();
    await world.pass(SETTLED_MS);
    await world.agree(...rooms);
    const root = await world.relay.root('team');
    for (const profile of profiles) {
      const siblings = await siblingsOf(profile);
      expect(siblings.filter((delta) => hasFlag(delta, FLAG.checkpoint))).toHaveLength(1);
      expect(siblings.length).toBeLessThan(20);
    }
    await world.pass(10 * SETTLED_MS);
    expect(await world.relay.root('team')).toBe(root);
    for (const room of rooms) expect((await open(room)).text.toString()).toBe(written);
    for (const room of rooms) expect(room.status.vouched).toBe(0);
    expect(ann.status.pending).toEqual({ writes: 0, bytes: 0, oldestAgeMs: null });
  });

  test('[CP4, SY12] those who come back at once know of each other: one of them makes what is due, and each shows itself once', async () => {
    const profiles = [0, 1, 2, 3, 4].map(() => world.profile());
    const rooms = profiles.map((profile) => profile.tab().room());
    for (const room of rooms) await open(room);
    await type(rooms[0] as Room, 0.9 * checkpointTailBytesMin);
    await world.agree(...rooms);
    const shown = profiles.map(() => 0);
    for (const [i, { network }] of profiles.entries()) {
      network.isUp = false;
      const told = new LinkMemory();
      network.toRelay = (frame) => {
        if (messageToRelay(frame, told).kind === 'presence') shown[i] = (shown[i] as number) + 1;
        return frame;
      };
    }
    const { text } = await open(rooms[0] as Room);
    text.insert(0, Buffer.from(world.bytes(checkpointTailBytesMin)).toString('base64'));
    await world.pass(20);
    for (const { network } of profiles) network.isUp = true;
    await world.pass(2 * SETTLED_MS);
    await world.agree(...rooms);
    const made = await world.relay.store('team').transact(
      function* (tx) {
        return [...(yield* readRetainedOf(tx, ref, keyId)), ...(yield* readSiblings(tx, ref, keyId))];
      },
      { mode: 'read' },
    );
    expect(made.filter((delta) => hasFlag(delta, FLAG.checkpoint))).toHaveLength(1);
    for (const count of shown) expect(count).toBeGreaterThan(0);
    for (const count of shown) expect(count).toBeLessThanOrEqual(2);
  });

  test('[HLC4] it is made though the clock ran ahead once and nobody writes any more', async () => {
    const [profile, other] = [world.profile(), world.profile()];
    const [ann, bob] = [profile.tab().room(), other.tab().room()];
    const { text } = await open(bob);
    await type(bob, 1_000);
    await world.agree(ann, bob);
    // What is left of a floor or a checkpoint that was refused while it did.
    const ahead = hlcFromMs(world.nowMs + 365 * 24 * 3_600_000);
    await profile.store('team').transact(
      function* (tx) {
        writeNumber(tx, 'clock', Math.max(yield* readClock(tx), ahead));
      },
      { mode: 'write' },
    );
    text.insert(0, Buffer.from(world.bytes(2 * checkpointTailBytesMin)).toString('base64'));
    await world.pass(20);
    await world.until('all is there', () => ann.status.root === bob.status.root);
    other.network.isUp = false;
    await world.pass(60_000);
    expect(await checkpointsOf(profile)).toHaveLength(1);
    await world.agree(ann);
  });

  test('[CP1] what it says is what its tail said, and what was deleted weighs nothing', async () => {
    const profile = world.profile();
    const room = profile.tab().room();
    const { note, text } = await open(room);
    await type(room, checkpointTailBytesMin / 2);
    text.delete(0, text.length);
    await type(room, checkpointTailBytesMin);
    await world.pass(SETTLED_MS);
    await world.agree(room);
    const [checkpoint] = await checkpointsOf(profile);
    const merged = new Y.Doc();
    for (const delta of await siblingsOf(profile)) Y.applyUpdate(merged, updateOfDelta(delta));
    expect(merged.getText('t').toString()).toBe(text.toString());
    expect(Y.encodeStateVector(merged)).toEqual(Y.encodeStateVector(note.ydoc));
    expect(checkpoint?.bytes.length).toBeLessThan(1_000);
  });

  test('[CP7] who comes later opens the document from it, and tells that it is somebody’s word', async () => {
    const ann = world.profile().tab().room();
    await type(ann, 1.2 * checkpointTailBytesMin);
    await world.pass(SETTLED_MS);
    const lateProfile = world.profile();
    const late = lateProfile.tab().room();
    await world.run(late.synced());
    await world.agree(ann, late);
    expect((await open(late)).text.toString()).toBe((await open(ann)).text.toString());
    expect(late.status.vouched).toBe(1);
    expect(ann.status.vouched).toBe(0);
    expect(await checkpointsOf(lateProfile)).toHaveLength(1);
  });

  test('[CP8] what it covers is kept until the relay has it, also over a tab that ends', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    const room = tab.room();
    const weight = async (): Promise<number> =>
      (await siblingsOf(profile)).reduce((sum, { bytes }) => sum + bytes.length, 0);
    const { text } = await open(room);
    while ((await weight()) < checkpointTailBytesMin) {
      text.insert(text.length, `${text.length % 10}`);
      await world.pass(20, 20);
    }
    profile.network.isStalled = true;
    const written = (await open(room)).text.toString();
    expect(await checkpointsOf(profile)).toEqual([]);
    await world.until('a checkpoint', async () => (await checkpointsOf(profile)).length > 0);
    const retained = (): Promise<number> =>
      profile.store('team').transact(
        function* (tx) {
          return (yield* readRetainedOf(tx, ref, keyId)).length;
        },
        { mode: 'read' },
      );
    expect(await retained()).toBeGreaterThan(50);
    tab.crash();
    profile.network.isStalled = false;
    const again = profile.tab().room();
    expect((await open(again)).text.toString()).toBe(written);
    await world.run(again.synced());
    await world.agree(again);
    expect(await retained()).toBe(0);
  });

  test('[CP2] typing goes on while one is made: nothing is lost, and what came meanwhile is not covered', async () => {
    const [annProfile, bobProfile] = [world.profile(), world.profile()];
    const [ann, bob] = [annProfile.tab().room(), bobProfile.tab().room()];
    const [a, b] = [await open(ann), await open(bob)];
    for (let i = 0; i < 3 * (checkpointTailBytesMin / 150); i++) {
      a.text.insert(a.text.length, 'a');
      b.text.insert(0, 'b');
      await world.pass(20, 20);
    }
    const counted = (text: string): number[] => ['a', 'b'].map((letter) => text.split(letter).length - 1);
    await world.pass(SETTLED_MS);
    await world.agree(ann, bob);
    expect(a.text.toString()).toBe(b.text.toString());
    const typed = 3 * Math.ceil(checkpointTailBytesMin / 150);
    for (const count of counted(a.text.toString())) expect(Math.abs(count - typed)).toBeLessThan(3);
    expect((await siblingsOf(annProfile)).length).toBeLessThan(typed);
    expect(ann.status.quarantined + bob.status.quarantined).toBe(0);
  });
});
