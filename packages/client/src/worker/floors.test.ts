import {
  type Delta,
  defaultLimits,
  deriveFloorKeyId,
  deriveKeyId,
  floorOf,
  type HeadStatement,
  readSiblings,
  type Reach,
  type ReplicaId,
  type TABLES,
} from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import { type ClientWorld, type Profile, roomRef, setWorld } from '../../../../test/support/client-world.js';
import { forgeFloor } from '../../../../test/support/forged-floor.js';
import type { Room } from '../room.js';
import { recordName } from './records.js';

/** A few deleted records are worth a floor: they are many beside what stands. */
const FEW = 40;
const limits = { floorTombstonesMin: FEW };
const { checkpointStepMs, replicaExpiryMs, retainSupersededMs, trashMs } = defaultLimits;
/** Longer than heads, the line of those who wait, and another look. */
const SETTLED_MS = 60_000 + 8 * checkpointStepMs;

let world: ClientWorld;
setWorld((fresh) => (world = fresh), limits);

const ref = roomRef();
const floorKeyId = deriveFloorKeyId(ref.hash, ref.roomId);
const countOf = (store: Pick<Profile, 'store'>, table: (typeof TABLES)[number]): number =>
  store.store('team').tables.table(table).size;
const floorsOf = (profile: Profile): Promise<readonly Delta[]> =>
  profile.store('team').transact((tx) => readSiblings(tx, ref, floorKeyId), { mode: 'read' });

async function put(room: Room, ids: readonly string[]): Promise<void> {
  await world.run(Promise.all(ids.map((id) => room.collection('notes').put(id, { id }))));
}

async function remove(room: Room, ids: readonly string[]): Promise<void> {
  await world.run(Promise.all(ids.map((id) => room.collection('notes').delete(id))));
}

async function read(room: Room): Promise<string[]> {
  const entries = await world.run(room.collection('notes').entries());
  return entries.map(([id]) => id);
}

const keyOf = (id: string) => deriveKeyId(ref.hash, ref.roomId, recordName('notes', id));

/** A statement that its replica has not signed. */
const lie = (replica: ReplicaId): HeadStatement => ({
  replica,
  timeMs: world.nowMs,
  root: new Uint8Array(32),
  headsRoot: new Uint8Array(32),
  vector: new Map([[replica, 9]]),
  signature: new Uint8Array(64).fill(1),
});

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

describe('floors', () => {
  test('[FL10, FL11] scenario 26: a room where much was made and deleted is small again, at all replicas and at the relay', async () => {
    const profiles = [world.profile(), world.profile(), world.profile()] as const;
    const rooms = profiles.map((profile) => profile.tab().room()) as [Room, Room, Room];
    await put(rooms[0], ['kept']);
    await world.agree(...rooms);
    for (let round = 0; round < 3; round++) {
      const gone = names(`gone ${round} `, FEW);
      await put(rooms[round % 3] as Room, gone);
      await world.agree(...rooms);
      await remove(rooms[(round + 1) % 3] as Room, gone);
      await world.pass(SETTLED_MS);
      await world.agree(...rooms);
    }
    for (const store of [...profiles, world.relay]) {
      expect(countOf(store, 'tombstones')).toBe(0);
      expect(countOf(store, 'deltas')).toBe(2);
    }
    // Nothing is left of what was deleted, not even a name.
    for (const profile of profiles) {
      expect(countOf(profile, 'names')).toBe(1);
      expect(countOf(profile, 'previous')).toBeLessThanOrEqual(2);
    }
    // Those who wrote floors keep no tombstones once the relay has them.
    for (const profile of profiles) expect(countOf(profile, 'trash')).toBe(0);
    const [floor] = await floorsOf(profiles[0]);
    expect(floorOf(floor as Delta)?.reach.size).toBe(3);
    const root = await world.relay.root('team');
    await world.pass(3 * SETTLED_MS);
    expect(await world.relay.root('team')).toBe(root);
    for (const room of rooms) expect(await read(room)).toEqual(['kept']);
    // The relay lets go of what it kept for a while, as it is written to.
    world.nowMs += Math.max(retainSupersededMs, trashMs);
    for (let n = 0; n < FEW / 2; n++) {
      await put(rooms[0], ['kept']);
      await world.run(rooms[0].synced());
    }
    await world.pass(SETTLED_MS);
    expect(countOf(world.relay, 'trash')).toBe(0);
    expect(countOf(world.relay, 'log')).toBeLessThan(3 * FEW);
  });

  test('[FL11] scenario 9: with one of the replicas away none is written; it is as soon as that one has caught up', async () => {
    const profiles = [world.profile(), world.profile()] as const;
    const [ann, bob] = profiles.map((profile) => profile.tab().room()) as [Room, Room];
    const gone = names('gone ', FEW);
    await put(ann, gone);
    await world.agree(ann, bob);
    await world.pass(SETTLED_MS);
    profiles[1].network.isUp = false;
    await remove(ann, gone);
    await world.pass(3 * SETTLED_MS);
    expect(countOf(profiles[0], 'tombstones')).toBe(FEW);
    expect(await floorsOf(profiles[0])).toEqual([]);
    profiles[1].network.isUp = true;
    await world.pass(SETTLED_MS);
    await world.agree(ann, bob);
    for (const profile of profiles) expect(countOf(profile, 'deltas')).toBe(1);
  });

  test('[FL5, FL8] scenario 10: who comes back after it has expired keeps what stands and loses nothing of its own', async () => {
    const [here, away] = [world.profile(), world.profile()];
    const [ann, bob] = [here.tab().room(), away.tab().room()];
    const gone = names('gone ', FEW);
    await put(ann, [...gone, 'kept']);
    await world.pass(SETTLED_MS);
    await world.agree(ann, bob);
    away.network.isUp = false;
    await put(bob, ['written away', 'kept', 'gone 0']);
    await remove(ann, gone);
    await world.pass(SETTLED_MS);
    world.nowMs += replicaExpiryMs;
    await world.pass(3 * SETTLED_MS);
    expect(countOf(here, 'tombstones')).toBe(0);
    const seen: string[] = [];
    bob.collection('notes').subscribe((changes) => {
      for (const { id, entry } of changes) if (entry === undefined) seen.push(id);
    });
    away.network.isUp = true;
    await world.pass(SETTLED_MS);
    await world.agree(ann, bob);
    for (const room of [ann, bob]) expect(await read(room)).toEqual(['gone 0', 'kept', 'written away']);
    // The page that shows what was deleted meanwhile hears that it is gone.
    expect(seen.sort()).toEqual(gone.filter((id) => id !== 'gone 0').sort());
    expect(bob.status.pending.writes).toBe(0);
    // What had content lies in the trash, for a month.
    expect(countOf(away, 'trash')).toBeGreaterThanOrEqual(2 * (FEW - 1));
    world.nowMs += trashMs;
    await world.pass(3_600_000 + SETTLED_MS, 60_000);
    expect(countOf(away, 'trash')).toBe(0);
  });

  test('[CP4] one of those who are there writes it', async () => {
    const profiles = names('', 4).map(() => world.profile());
    const rooms = profiles.map((profile) => profile.tab().room());
    const gone = names('gone ', FEW);
    await put(rooms[0] as Room, gone);
    await world.agree(...rooms);
    await remove(rooms[0] as Room, gone);
    await world.pass(2 * SETTLED_MS);
    await world.agree(...rooms);
    const log = world.relay.store('team').tables.table('retained').rows({ from: new Uint8Array() });
    const superseded = log.filter(([key]) => Buffer.from(key).toString('hex').includes(floorKeyId));
    expect(superseded).toEqual([]);
    expect(await floorsOf(profiles[0] as Profile)).toHaveLength(1);
  });

  test.each([1, 2, 5])(
    '[FL11] a room of %i that is written to without a pause is collected all the same, by one at a time',
    async (count) => {
      const profiles = names('', count).map(() => world.profile());
      const rooms = profiles.map((profile) => profile.tab().room());
      const [writer] = rooms as [Room];
      await world.agree(...rooms);
      // Never as long as one waits for one's turn.
      const gapMs = checkpointStepMs / 10;
      let most = 0;
      for (const id of names('gone ', 5 * FEW)) {
        await put(writer, [id]);
        await world.pass(gapMs, 25);
        await remove(writer, [id]);
        await world.pass(gapMs, 25);
        most = Math.max(most, (await floorsOf(profiles[0] as Profile)).length);
      }
      expect(most).toBe(1);
      for (const profile of profiles) {
        expect(await floorsOf(profile)).toHaveLength(1);
        expect(countOf(profile, 'tombstones')).toBeLessThan(3 * FEW);
      }
    },
  );

  test('[CP4] of several whose time came while the relay was away one writes when it is back', async () => {
    const profiles = names('', 4).map(() => world.profile());
    const rooms = profiles.map((profile) => profile.tab().room());
    const gone = names('gone ', FEW);
    await put(rooms[0] as Room, gone);
    await world.agree(...rooms);
    await world.pass(SETTLED_MS);
    await remove(rooms[0] as Room, gone);
    await world.agree(...rooms);
    for (const { network } of profiles) network.isUp = false;
    await world.pass(SETTLED_MS);
    for (const { network } of profiles) network.isUp = true;
    await world.pass(SETTLED_MS);
    await world.agree(...rooms);
    expect(await floorsOf(profiles[0] as Profile)).toHaveLength(1);
    expect(countOf(profiles[0] as Profile, 'deltas')).toBe(1);
  });

  test('[JS3] an owner whose lock another tab has taken writes none', async () => {
    const profile = world.profile();
    const frozen = profile.tab();
    const room = frozen.room();
    await put(room, names('gone ', FEW));
    await world.run(room.synced());
    await remove(room, names('gone ', FEW));
    await world.run(room.synced());
    let isThawed = false;
    frozen.beforeSign = async () => {
      frozen.beforeSign = async () => {};
      frozen.loseLock();
      await profile.tab().room().ready;
      await world.quiet(200);
      isThawed = true;
    };
    await world.until('it is about to sign', () => isThawed);
    await world.quiet(200);
    expect(await floorsOf(profile)).toEqual([]);
    await world.pass(SETTLED_MS);
    expect(await floorsOf(profile)).toHaveLength(1);
    expect(frozen.isGone).toBe(false);
    expect(countOf(profile, 'tombstones')).toBe(0);
  });

  test('[FL5, FL6] a floor of a member who lies is in force and shown, and unsent edits under it are sealed anew', async () => {
    const [here, mallory] = [world.profile(), world.profile()];
    const liar = mallory.tab();
    const [ann, evil] = [here.tab().room(), liar.room()];
    await put(ann, ['sent']);
    await put(evil, ['evil']);
    await world.pass(SETTLED_MS);
    await world.agree(ann, evil);
    const { replica } = here.identity(ref.roomId);
    // Sealed, and never acknowledged.
    here.network.toRelay = () => undefined;
    await put(ann, ['unsent']);
    await world.until('it is sealed', () => countOf(here, 'outbox') === 1);
    const [unsent] = await here
      .store('team')
      .transact((tx) => readSiblings(tx, ref, keyOf('unsent')), { mode: 'read' });
    const reach: Reach = new Map([[replica, { seq: 9, hlc: (unsent as Delta).hlc }]]);
    await world.run(liar.close());
    await forgeFloor(mallory, { reach, standing: new Uint8Array(), witnesses: [lie(replica)] });
    const again = mallory.tab().room();
    await world.run(again.ready);
    await world.until('the floor is here', async () => (await floorsOf(here)).length > 0);
    await world.until('it is shown', () => ann.status.lastError?.code === 'WITNESS_INVALID');
    expect(ann.status.pending.writes).toBe(1);
    expect(await read(ann)).toEqual(['evil', 'unsent']);
    here.network.toRelay = (frame) => frame;
    here.network.isUp = false;
    here.network.isUp = true;
    await world.pass(SETTLED_MS);
    await world.agree(ann, again);
    for (const room of [ann, again]) expect(await read(room)).toEqual(['evil', 'unsent']);
    expect(ann.status.pending.writes).toBe(0);
  });
});
