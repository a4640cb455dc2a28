import { bytesToU64, readOutboxEntries, removeDelta, readSiblings, deriveKeyId, LinkMemory } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import {
  type ClientWorld,
  messageToRelay,
  type Profile,
  roomRef,
  setWorld,
} from '../../../../test/support/client-world.js';
import type { Room } from '../room.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const textOf = async (room: Room): Promise<string> => {
  const note = room.document('note');
  await world.run(note.ready);
  return note.ydoc.getText('t').toString();
};

const deltasOf = (profile: Profile): number =>
  profile.store('team').tables.table('deltas').rows({ from: new Uint8Array() }).length;
const lastSeq = (profile: Profile): Promise<number> =>
  profile.store('team').transact(
    function* (tx) {
      const row = yield* tx.get('meta', new TextEncoder().encode('seq'));
      return row === undefined ? 0 : bytesToU64(row);
    },
    { mode: 'read' },
  );

describe('convergence', () => {
  test('[SY5] two replicas write documents and records at once: same content, equal roots, in sync', async () => {
    const profiles = [world.profile(), world.profile()];
    const [ann, bob] = profiles.map((profile) => profile.tab().room()) as [Room, Room];
    for (const [room, name] of [
      [ann, 'ann '],
      [bob, 'bob '],
    ] as const) {
      const note = room.document('note');
      await world.run(note.ready);
      note.ydoc.getText('t').insert(0, name);
      await world.run(room.collection('todos').put(name, { by: name }));
    }
    for (const profile of profiles) profile.network.isUp = false;
    await world.run(ann.collection('todos').put('both', 'ann'));
    await world.run(bob.collection('todos').put('both', 'bob'));
    for (const profile of profiles) profile.network.isUp = true;
    await world.run(Promise.all([ann.synced(), bob.synced()]));
    await world.agree(ann, bob);
    expect(await textOf(ann)).toBe(await textOf(bob));
    expect((await textOf(ann)).length).toBe(8);
    const [fromAnn, fromBob] = [ann, bob].map((room) => room.collection('todos').entries());
    expect(await world.run(fromAnn as Promise<unknown>)).toEqual(await world.run(fromBob as Promise<unknown>));
    expect((await world.run(ann.collection('todos').get('both')))?.siblings).toHaveLength(2);
  });

  test('[SY3] a replica that comes later gets everything', async () => {
    const ann = world.profile().tab().room();
    for (let i = 0; i < 40; i++) await world.run(ann.collection('todos').put(`${i}`, i));
    await world.run(ann.synced());
    const bob = world.profile().tab().room();
    await world.run(bob.synced());
    await world.agree(ann, bob);
    expect(await world.run(bob.collection('todos').entries())).toHaveLength(40);
  });

  test('[SC5] a delete beside an edit: both are there, the edit is the value', async () => {
    const [annProfile, bobProfile] = [world.profile(), world.profile()];
    const [ann, bob] = [annProfile.tab().room(), bobProfile.tab().room()];
    await world.run(ann.collection('todos').put('a', 1));
    await world.run(ann.synced());
    await world.run(bob.synced());
    annProfile.network.isUp = false;
    bobProfile.network.isUp = false;
    await world.run(ann.collection('todos').delete('a'));
    await world.run(bob.collection('todos').put('a', 2));
    annProfile.network.isUp = true;
    bobProfile.network.isUp = true;
    await world.agree(ann, bob);
    for (const room of [ann, bob]) {
      const entry = await world.run(room.collection('todos').get('a'));
      expect(entry?.value).toBe(2);
      expect(entry?.siblings.map(({ value }) => value).sort()).toEqual([2, undefined]);
    }
  });
});

describe('offline', () => {
  test('[JS2] 1,000 offline edits of a document become one delta', async () => {
    const profile = world.profile();
    profile.network.isUp = false;
    const ann = profile.tab().room();
    const note = ann.document('note');
    await world.run(note.ready);
    for (let i = 0; i < 1_000; i++) {
      note.ydoc.getText('t').insert(i, String.fromCharCode(97 + (i % 26)));
      if (i % 50 === 0) await world.quiet(1);
    }
    await world.run(note.flush());
    await world.until('all of it journaled', () => ann.status.pending.writes > 10);
    profile.network.isUp = true;
    await world.run(ann.synced());
    expect(await lastSeq(profile)).toBe(1);
    expect(deltasOf(profile)).toBe(1);
    const bob = world.profile().tab().room();
    await world.run(bob.synced());
    expect(await textOf(bob)).toBe(note.ydoc.getText('t').toString());
  });

  test('[JS2] 50 offline writes of one record become one delta with the last value', async () => {
    const profile = world.profile();
    profile.network.isUp = false;
    const ann = profile.tab().room();
    const receipts = [];
    for (let i = 0; i < 50; i++) receipts.push(await world.run(ann.collection('todos').put('a', i)));
    await world.until('50 pending', () => ann.status.pending.writes === 50);
    profile.network.isUp = true;
    await world.run(Promise.all(receipts.map((receipt) => receipt.reached('relay'))));
    await world.run(ann.synced());
    expect(await lastSeq(profile)).toBe(1);
    const bob = world.profile().tab().room();
    await world.run(bob.synced());
    expect(await world.run(bob.collection('todos').get('a'))).toMatchObject({ value: 49, siblings: [{ value: 49 }] });
    expect(ann.status.pending).toEqual({ writes: 0, bytes: 0, oldestAgeMs: null });
  });

  test('[SY3] a connection that is cut again and again loses nothing and doubles nothing', async () => {
    const profiles = [world.profile(), world.profile()];
    const rooms = profiles.map((profile) => profile.tab().room());
    for (let round = 0; round < 12; round++) {
      const profile = profiles[round % 2] as Profile;
      const room = rooms[round % 2] as Room;
      const writes = [0, 1, 2].map((i) => room.collection('todos').put(`${round}-${i}`, i));
      await world.quiet(round * 3);
      profile.network.isUp = false;
      await world.run(Promise.all(writes));
      await world.quiet(5);
      profile.network.isUp = true;
      await world.pass(150);
    }
    await world.agree(...rooms);
    for (const room of rooms) expect(await world.run(room.collection('todos').entries())).toHaveLength(36);
    expect(rooms.map(({ status }) => status.lastError)).toEqual([null, null]);
  });

  test('[SY15] what an old connection set off is not said on the next one', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    const [ann, bob] = [tab.room(), world.profile().tab().room()];
    await world.agree(ann, bob);
    // A slow disk: the connection is another one before what came on the last is done.
    tab.beforeTransact = () => new Promise((resolve) => setTimeout(resolve, 70));
    for (let round = 0; round < 20; round++) {
      void ann.collection('todos').put('a', round);
      void bob.collection('todos').put('b', round);
      await world.pass(round * 20, 10);
      profile.network.isUp = false;
      profile.network.isUp = true;
      await world.pass(230, 10);
    }
    tab.beforeTransact = () => {};
    await world.agree(ann, bob);
    expect(ann.status.lastError).toBeNull();
  });
});

describe('receipts', () => {
  test('[SY6] [SY11] a receipt climbs the ladder: disk, relay, one replica, all known ones', async () => {
    const [annProfile, bobProfile, carolProfile] = [world.profile(), world.profile(), world.profile()];
    const [ann, bob, carol] = [annProfile, bobProfile, carolProfile].map((profile) => profile.tab().room()) as [
      Room,
      Room,
      Room,
    ];
    await world.run(bob.collection('todos').put('b', 1));
    await world.run(carol.collection('todos').put('c', 1));
    await world.run(ann.collection('todos').put('a', 1));
    await world.agree(ann, bob, carol);
    // Everybody has told a head.
    await world.pass(1_000);
    annProfile.network.isUp = false;
    bobProfile.network.isUp = false;
    carolProfile.network.isUp = false;
    const receipt = await world.run(ann.collection('todos').put('a', 2));
    expect(receipt.rung).toBe('disk');
    const rungs: string[] = [];
    const climb = (['applied', 'disk', 'relay', 'replicas', 'all'] as const).map((rung) =>
      receipt.reached(rung).then(() => rungs.push(rung)),
    );
    await world.pass(1_000);
    expect(rungs).toEqual(['applied', 'disk']);
    annProfile.network.isUp = true;
    await world.pass(2_000);
    expect(rungs).toEqual(['applied', 'disk', 'relay']);
    bobProfile.network.isUp = true;
    await world.pass(2_000);
    expect(rungs).toEqual(['applied', 'disk', 'relay', 'replicas']);
    carolProfile.network.isUp = true;
    await world.run(Promise.all(climb));
    expect(rungs).toEqual(['applied', 'disk', 'relay', 'replicas', 'all']);
  });

  test('[SY11] what a replica said of itself is no other replica', async () => {
    const profile = world.profile();
    const ann = profile.tab().room();
    const receipt = await world.run(ann.collection('todos').put('a', 1));
    await world.run(ann.synced());
    await world.pass(1_000);
    let isReached = false;
    const reached = receipt.reached('replicas').then(() => {
      isReached = true;
    });
    // The relay tells who comes back all heads it has.
    profile.network.isUp = false;
    profile.network.isUp = true;
    await world.pass(2_000);
    expect(isReached).toBe(false);
    const bob = world.profile().tab().room();
    await world.run(bob.synced());
    await world.run(reached);
  });

  test('[SY11] heads of others are remembered: a receipt of the next session asks nobody anew', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    await world.run(tab.room().collection('todos').put('a', 1));
    const bob = world.profile().tab().room();
    await world.agree(tab.room(), bob);
    await world.pass(1_000);
    await world.run(tab.close());
    profile.network.isUp = false;
    const again = profile.tab().room();
    await world.run(again.reached('replicas'));
    expect(again.status.pending.writes).toBe(0);
  });

  test('[SY6] a write that was replaced before it was sent is at the relay when what replaced it is', async () => {
    const profile = world.profile();
    const ann = profile.tab().room();
    await world.run(ann.synced());
    // Sealed, and sent into the void.
    profile.network.isStalled = true;
    const first = await world.run(ann.collection('todos').put('a', 1));
    await world.pass(100);
    const second = await world.run(ann.collection('todos').put('a', 2));
    await world.pass(100);
    expect(await profile.store('team').transact(readOutboxEntries, { mode: 'read' })).toHaveLength(2);
    const reached: number[] = [];
    const waits = [first, second].map((receipt, i) => receipt.reached('relay').then(() => reached.push(i)));
    // Back again, with pushes that do not get through: the first has nothing to be sent any more.
    let pushes = 0;
    const told = new LinkMemory();
    profile.network.toRelay = (frame) =>
      messageToRelay(frame, told).kind === 'push' && ++pushes > 0 ? undefined : frame;
    profile.network.isUp = false;
    profile.network.isStalled = false;
    profile.network.isUp = true;
    await world.pass(2_000);
    expect(pushes).toBeGreaterThan(0);
    expect(reached).toEqual([]);
    profile.network.toRelay = (frame) => frame;
    profile.network.isUp = false;
    profile.network.isUp = true;
    await world.run(Promise.all(waits));
    await world.agree(ann);
    expect(ann.status.pending.writes).toBe(0);
  });
});

describe('synced', () => {
  test('[SY5] synced waits for edits that were handed over before it', async () => {
    const ann = world.profile().tab().room();
    const note = ann.document('note');
    await world.run(note.ready);
    await world.run(ann.synced());
    for (let i = 0; i < 10; i++) {
      note.ydoc.getText('t').insert(0, 'x');
      await world.run(ann.synced());
      expect(ann.status.pending.writes).toBe(0);
      expect(ann.status.sync).toBe('in-sync');
    }
    const bob = world.profile().tab().room();
    await world.run(bob.synced());
    expect(await textOf(bob)).toBe('xxxxxxxxxx');
  });

  test('[SY5] synced waits for records that were handed over before it, also while their room still opens', async () => {
    const ann = world.profile().tab().room();
    ann.collection('todos').subscribe(() => {});
    void ann.collection('todos').put('a', 1);
    await world.run(ann.synced());
    const bob = world.profile().tab().room();
    await world.run(bob.synced());
    expect((await world.run(bob.collection('todos').get('a')))?.value).toBe(1);
  });

  test('[SY5] synced offline waits, can be aborted, and ends with the room', async () => {
    const profile = world.profile();
    profile.network.isUp = false;
    const ann = profile.tab().room();
    const abort = new AbortController();
    const outcomes: string[] = [];
    const note = (wait: Promise<void>): void => {
      wait.then(
        () => outcomes.push('synced'),
        (error: { code: string }) => outcomes.push(error.code),
      );
    };
    note(ann.synced({ signal: abort.signal }));
    note(ann.synced());
    await world.pass(5_000);
    expect(outcomes).toEqual([]);
    abort.abort();
    await world.pass(100);
    expect(outcomes).toEqual(['ABORTED']);
    ann.close();
    await world.pass(100);
    expect(outcomes).toEqual(['ABORTED', 'CLOSED']);
  });

  test('[SY5] without a relay everything is local, and waiting for one is NO_RELAY', async () => {
    const room = world.profile().tab({ relays: [] }).room();
    const receipt = await world.run(room.collection('todos').put('a', 1));
    expect(room.status).toMatchObject({ connection: 'none', sync: 'local' });
    await world.run(receipt.reached('disk'));
    await expect(world.run(receipt.reached('relay'))).rejects.toMatchObject({ code: 'NO_RELAY' });
    await expect(world.run(room.synced())).rejects.toMatchObject({ code: 'NO_RELAY' });
    expect((await world.run(room.collection('todos').get('a')))?.value).toBe(1);
  });
});

describe('staleness', () => {
  test('[SY5] when it was last in sync is known to a session that begins offline, also in a room that began empty', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    await world.agree(tab.room());
    await world.run(tab.room().collection('todos').put('a', 1));
    await world.agree(tab.room());
    await world.pass(1_000);
    const syncedAtMs = world.nowMs;
    await world.run(tab.close());
    profile.network.isUp = false;
    await world.pass(60_000);
    const again = profile.tab().room();
    await world.run(again.ready);
    expect(again.status).toMatchObject({ sync: 'behind', pending: { writes: 0 } });
    const { lastSyncedAtMs } = again.status.staleness;
    expect(lastSyncedAtMs).toBeGreaterThan(syncedAtMs - 2_000);
    expect(lastSyncedAtMs).toBeLessThanOrEqual(syncedAtMs);
  });
});

describe('pause', () => {
  test('[SY5] a paused room works on alone, says so, and goes on when it is resumed', async () => {
    const profile = world.profile();
    const ann = profile.tab().room();
    await world.run(ann.synced());
    ann.pause();
    await world.until('paused', () => ann.status.connection === 'paused');
    await world.run(ann.collection('todos').put('a', 1));
    await world.pass(20_000);
    expect(ann.status).toMatchObject({ connection: 'paused', sync: 'behind', pending: { writes: 1 } });
    ann.resume();
    await world.run(ann.synced());
    await world.agree(ann);
  });
});

describe('repair', () => {
  const todo = (profile: Profile, id: string) => {
    const room = roomRef();
    const keyId = deriveKeyId(room.hash, room.roomId, { kind: 'record', collection: 'todos', id });
    return { store: profile.store('team'), room, keyId };
  };

  test('[SY4] a hole in the store of a client is found by the next look at the roots, and filled', async () => {
    const profile = world.profile();
    const [ann, bob] = [profile.tab().room(), world.profile().tab().room()];
    for (let i = 0; i < 20; i++) await world.run(bob.collection('todos').put(`${i}`, i));
    await world.agree(ann, bob);
    const { store, room, keyId } = todo(profile, '7');
    await store.transact(
      function* (tx) {
        for (const delta of yield* readSiblings(tx, room, keyId)) yield* removeDelta(tx, room, delta);
      },
      { mode: 'write' },
    );
    expect(await world.run(ann.collection('todos').get('7'))).toBeUndefined();
    await world.pass(20_000);
    await world.agree(ann, bob);
    expect((await world.run(ann.collection('todos').get('7')))?.value).toBe(7);
  });

  test('[SY4] a hole in the store of the relay is found and filled by whoever holds what is missing', async () => {
    const profile = world.profile();
    const [ann, bob] = [profile.tab().room(), world.profile().tab().room()];
    for (let i = 0; i < 20; i++) await world.run(bob.collection('todos').put(`${i}`, i));
    await world.agree(ann, bob);
    bob.close();
    await world.pass(100);
    const { room, keyId } = todo(profile, '7');
    await world.relay.store('team').transact(
      function* (tx) {
        for (const delta of yield* readSiblings(tx, room, keyId)) yield* removeDelta(tx, room, delta);
      },
      { mode: 'write' },
    );
    expect(await world.relay.root('team')).not.toBe(ann.status.root);
    // A write makes the relay tell its root.
    await world.run(ann.collection('todos').put('x', 1));
    await world.pass(20_000);
    await world.agree(ann);
  });

  test('[SC10] a relay that comes back with an empty disk loses nothing: all comes from the replicas', async () => {
    const [annProfile, bobProfile, carolProfile] = [world.profile(), world.profile(), world.profile()];
    const [ann, bob, carol] = [annProfile, bobProfile, carolProfile].map((profile) => profile.tab().room()) as [
      Room,
      Room,
      Room,
    ];
    await world.run(ann.collection('todos').put('a', 'ann'));
    await world.run(bob.collection('todos').put('b', 'bob'));
    await world.run(carol.collection('todos').put('c', 'carol'));
    await world.agree(ann, bob, carol);
    // One of them is away, so others have to bring its deltas.
    carolProfile.network.isUp = false;
    const root = ann.status.root;
    world.restartRelay();
    await world.pass(2_000);
    await world.agree(ann, bob);
    expect(ann.status.root).toBe(root);
    const dave = world.profile().tab().room();
    await world.run(dave.synced());
    expect(await world.run(dave.collection('todos').entries())).toHaveLength(3);
    carolProfile.network.isUp = true;
    await world.agree(ann, bob, carol, dave);
    expect([ann, bob, carol, dave].map(({ status }) => status.lastError)).toEqual([null, null, null, null]);
  });

  test('[SC24] a relay restored from an old copy gets back what came after it', async () => {
    const [ann, bob] = [world.profile().tab().room(), world.profile().tab().room()];
    await world.run(ann.collection('todos').put('a', 1));
    await world.agree(ann, bob);
    const copy = world.relay.disk.copy();
    for (let i = 0; i < 10; i++) await world.run(bob.collection('todos').put(`${i}`, i));
    await world.agree(ann, bob);
    const root = ann.status.root;
    world.restartRelay(copy);
    await world.agree(ann, bob);
    expect(await world.relay.root('team')).toBe(root);
    await world.run(ann.collection('todos').put('a', 2));
    await world.agree(ann, bob);
    expect((await world.run(bob.collection('todos').get('a')))?.value).toBe(2);
  });
});
