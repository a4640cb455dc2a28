import { countOutbox, readJournal, LinkMemory } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import { type ClientWorld, messageToRelay, type Profile, setWorld } from '../../../../test/support/client-world.js';
import type { Room } from '../room.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

async function todosOf(room: Room): Promise<Record<string, unknown>> {
  const entries = await world.run(room.collection('todos').entries());
  return Object.fromEntries(entries.map(([id, { value }]) => [id, value]));
}

const put = (room: Room, id: string, value: string | number) => world.run(room.collection('todos').put(id, value));
const journalOf = (profile: Profile) => profile.store('team').transact((tx) => readJournal(tx), { mode: 'read' });
/** The seqs of all deltas in the set, of one replica. */
const dotsOf = (profile: Profile): number =>
  profile.store('team').tables.table('dots').rows({ from: new Uint8Array() }).length;

describe('two tabs of one replica', () => {
  test('[JS3] the rows of both are sealed by the one that owns the replica, and both tell the same', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(), profile.tab()];
    await world.agree(first.room());
    await world.agree(second.room());
    const receipts = [await put(first.room(), 'a', 1), await put(second.room(), 'b', 2)];
    await world.run(Promise.all(receipts.map((receipt) => receipt.reached('relay'))));
    await world.agree(first.room(), second.room());
    expect(second.transports.size).toBe(0);
    expect(await todosOf(first.room())).toEqual({ a: 1, b: 2 });
    expect(first.room().status.pending).toEqual(second.room().status.pending);
    const bob = world.profile().tab().room();
    await world.agree(bob);
    expect(await todosOf(bob)).toEqual({ a: 1, b: 2 });
  });

  test('[JS3] offline, each tells what is pending of both', async () => {
    const profile = world.profile();
    profile.network.isUp = false;
    const [first, second] = [profile.tab(), profile.tab()];
    await put(first.room(), 'a', 1);
    await put(second.room(), 'b', 2);
    await world.until('both tell two', () => [first, second].every((tab) => tab.room().status.pending.writes === 2));
  });

  test('[SY5] synced in a tab that does not own the replica waits for its own edits', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(), profile.tab()];
    await world.agree(first.room());
    await world.agree(second.room());
    for (let i = 0; i < 5; i++) {
      void second.room().collection('todos').put('a', i);
      await world.run(second.room().synced());
      expect(await world.relay.root('team')).toBe(second.room().status.root);
      expect((await journalOf(profile)).length).toBe(0);
    }
  });

  test('[API] subscribers hear of writes here, in another tab and from afar, after each commit', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(), profile.tab()];
    const bob = world.profile().tab().room();
    const heard: string[] = [];
    first
      .room()
      .collection('todos')
      .subscribe((changes) => {
        for (const { id, entry, origin } of changes) heard.push(`${id} ${String(entry?.value)} ${origin}`);
      });
    await put(first.room(), 'a', 1);
    await put(second.room(), 'b', 2);
    await put(bob, 'c', 3);
    await world.agree(first.room(), second.room(), bob);
    await world.quiet();
    expect(heard).toEqual(['a 1 local', 'b 2 tab', 'c 3 remote']);
  });

  test('[SY12] a pause in one tab is a pause for all, also for those that come later', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(), profile.tab()];
    await world.agree(first.room());
    await world.agree(second.room());
    second.room().pause();
    await world.until('paused', () => [first, second].every((tab) => tab.room().status.connection === 'paused'));
    const third = profile.tab();
    await world.run(third.room().ready);
    await world.until('told', () => third.room().status.connection === 'paused');
    await world.run(first.close());
    await world.run(second.close());
    await put(third.room(), 'a', 1);
    await world.pass(5_000);
    expect(third.room().status.connection).toBe('paused');
    expect(third.transports.size).toBe(0);
    third.room().resume();
    await world.agree(third.room());
  });

  test('[ID2] tabs without common storage are replicas of their own, and none waits for another', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab({ memory: true }), profile.tab({ memory: true })];
    await put(first.room(), 'a', 1);
    await put(second.room(), 'b', 2);
    await world.agree(first.room(), second.room());
    expect(first.room().status.storage).toBe('memory');
    expect(await todosOf(first.room())).toEqual({ a: 1, b: 2 });
  });
});

describe('the owner ends', () => {
  test('[JS3] when the owner closes, the other tab takes over', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(), profile.tab()];
    await world.agree(first.room());
    await world.agree(second.room());
    await put(second.room(), 'a', 1);
    await world.run(first.close());
    await put(second.room(), 'b', 2);
    await world.agree(second.room());
    expect(second.transports.size).toBe(1);
    const bob = world.profile().tab().room();
    await world.agree(bob);
    expect(await todosOf(bob)).toEqual({ a: 1, b: 2 });
  });

  test('[JS3] whenever the owner closes or crashes, nothing is lost, sealed twice or pending for ever', async () => {
    for (let turns = 0; turns < 60; turns += 3) {
      for (const end of ['close', 'crash'] as const) {
        const profile = world.profile();
        const [first, second] = [profile.tab(), profile.tab()];
        await world.agree(first.room());
        await world.agree(second.room());
        const before = await todosOf(second.room());
        const writes = [
          second.room().collection('todos').put(`${end} ${turns} a`, 1),
          second.room().collection('todos').put(`${end} ${turns} b`, 2),
        ];
        await world.quiet(turns);
        if (end === 'crash') first.crash();
        else void first.close();
        const receipts = await world.run(Promise.all(writes));
        await world.run(Promise.all(receipts.map((receipt) => receipt.reached('relay'))));
        await world.agree(second.room());
        expect(await todosOf(second.room())).toEqual({
          ...before,
          [`${end} ${turns} a`]: 1,
          [`${end} ${turns} b`]: 2,
        });
        expect(dotsOf(profile)).toBe(await todosCount(profile));
        await world.run(second.close());
      }
    }
  }, 60_000);

  test('[JS3] an owner that crashes after its seal and before it told of it leaves nothing pending for ever', async () => {
    const profile = world.profile();
    const [first, second, third] = [profile.tab(), profile.tab(), profile.tab()];
    for (const tab of [first, second, third]) await world.agree(tab.room());
    first.isMute = true;
    const receipt = await put(second.room(), 'a', 1);
    await world.until('sealed', async () => (await journalOf(profile)).length === 0);
    await world.quiet();
    first.crash();
    await world.run(receipt.reached('relay'));
    await world.agree(second.room(), third.room());
  });

  test('[JS4] what the former owner received and did not tell is shown by the next one', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(), profile.tab()];
    const bob = world.profile().tab().room();
    for (const room of [first.room(), second.room(), bob]) await world.agree(room);
    const [note, bobNote] = [second.room().document('note'), bob.document('note')];
    await world.run(Promise.all([note.ready, bobNote.ready]));
    const rootBefore = await world.relay.root('team');
    first.isMute = true;
    bobNote.ydoc.getText('t').insert(0, 'hello');
    await world.run(bob.synced());
    await world.until('received', async () => (await world.relay.root('team')) !== rootBefore);
    await world.quiet(200);
    expect(note.ydoc.getText('t').toString()).toBe('');
    first.crash();
    await world.agree(second.room(), bob);
    await world.until('shown', () => note.ydoc.getText('t').toString() === 'hello');
  });

  test('[SC20] a tab shows committed rows only: what another typed and could not commit before it crashed is nowhere', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(), profile.tab()];
    const [a, b] = [first.room().document('note'), second.room().document('note')];
    await world.run(Promise.all([a.ready, b.ready]));
    a.ydoc.getText('t').insert(0, 'kept ');
    await world.run(a.flush());
    await world.until('shown in both', () => b.ydoc.getText('t').toString() === 'kept ');
    // A's next transaction never ends.
    first.beforeTransact = ({ mode }) => (mode === 'write' ? new Promise(() => {}) : undefined);
    a.ydoc.getText('t').insert(5, 'lost');
    await world.pass(1_000);
    expect(b.ydoc.getText('t').toString()).toBe('kept ');
    first.crash();
    b.ydoc.getText('t').insert(5, 'and gone on');
    await world.agree(second.room());
    const bob = world.profile().tab().room();
    const copy = bob.document('note');
    await world.run(copy.ready);
    await world.agree(bob);
    expect(copy.ydoc.getText('t').toString()).toBe('kept and gone on');
    // Nothing hangs on what is not there.
    expect(copy.ydoc.store.pendingStructs).toBeNull();
  });

  test('[SC21] a frozen owner thaws with a seal in its hand: it writes nothing, and no seq is used twice', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(), profile.tab()];
    await world.agree(first.room());
    await world.agree(second.room());
    let thaw = (): void => {};
    first.beforeSign = () =>
      new Promise((resolve) => {
        thaw = resolve;
      });
    await put(first.room(), 'a', 1);
    await world.quiet(100);
    first.beforeSign = () => {};
    // The next owner has nobody to send to and seals nothing, so the epoch alone has moved.
    profile.network.isUp = false;
    first.loseLock();
    await world.until('the other owns', () => second.transports.size === 1);
    await world.quiet(100);
    thaw();
    await world.pass(1_000);
    expect(await journalOf(profile)).toHaveLength(1);
    expect(dotsOf(profile)).toBe(0);
    profile.network.isUp = true;
    await put(second.room(), 'b', 2);
    await world.agree(second.room());
    expect(dotsOf(profile)).toBe(2);
    const bob = world.profile().tab().room();
    await world.agree(bob);
    expect(await todosOf(bob)).toEqual({ a: 1, b: 2 });
  });
});

describe('notices cross', () => {
  test('[JS3] a row that is sealed before its tab has told of it is pending no longer than it takes', async () => {
    const profile = world.profile();
    const [first, second, third] = [profile.tab(), profile.tab(), profile.tab()];
    for (const tab of [first, second, third]) await world.agree(tab.room());
    second.isMute = true;
    const receipt = await put(second.room(), 'b', 1);
    // The owner finds it when it seals something of its own.
    await put(first.room(), 'a', 1);
    await world.until('all sealed', async () => (await journalOf(profile)).length === 0);
    await world.pass(500);
    second.isMute = false;
    await world.run(receipt.reached('relay'));
    await world.agree(first.room(), second.room(), third.room());
  });

  test('[JS3] a tab that opens while others write begins with the right figures', async () => {
    const profile = world.profile();
    const first = profile.tab();
    await world.agree(first.room());
    const later = [];
    for (let i = 0; i < 12; i++) {
      void first.room().collection('todos').put(`${i}`, i);
      await world.quiet(i * 2);
      const tab = profile.tab();
      later.push(tab);
      void tab.room().ready;
      void first.room().collection('todos').put('x', i);
      await world.quiet(i);
    }
    await world.agree(first.room(), ...later.map((tab) => tab.room()));
  });
});

describe('the journal', () => {
  test('[SC22] a row that is written while the owner signs is sealed with the next delta, not deleted', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    await world.agree(tab.room());
    let sign = (): void => {};
    const signing = new Promise<void>((resolve) => {
      tab.beforeSign = () => {
        resolve();
        return new Promise((go) => {
          sign = go;
        });
      };
    });
    const first = await put(tab.room(), 'a', 1);
    await world.run(signing);
    const second = await put(tab.room(), 'a', 2);
    const third = await put(tab.room(), 'b', 3);
    expect(await journalOf(profile)).toHaveLength(3);
    tab.beforeSign = () => {};
    sign();
    await world.run(Promise.all([first, second, third].map((receipt) => receipt.reached('relay'))));
    await world.agree(tab.room());
    const bob = world.profile().tab().room();
    await world.agree(bob);
    expect(await todosOf(bob)).toEqual({ a: 2, b: 3 });
  });

  test('[SC3] [CX5] written offline on v1, then v2 is pulled, then sealed: v2 and the write are siblings', async () => {
    const [profile, bobProfile] = [world.profile(), world.profile()];
    const [ann, bob] = [profile.tab().room(), bobProfile.tab().room()];
    await put(bob, 'k', 'v1');
    await world.agree(ann, bob);
    profile.network.isUp = false;
    await put(ann, 'k', 'written on v1');
    await put(bob, 'k', 'v2');
    await world.agree(bob);
    // What ann pushes is held up until v2 has come.
    profile.network.latencyMs = 20;
    profile.network.isUp = true;
    await world.agree(ann, bob);
    for (const room of [ann, bob]) {
      const entry = await world.run(room.collection('todos').get('k'));
      expect(entry?.siblings.map(({ value }) => value).sort()).toEqual(['v2', 'written on v1']);
    }
  });

  test('[SC3] [CX5] the same where the row waits for the right to write while v2 comes', async () => {
    const [profile, bobProfile] = [world.profile(), world.profile()];
    let rights: ('read' | 'write')[] = ['read', 'write'];
    const late = profile.replica('team');
    world.relay.authenticate = async ({ replica }) => ({ rights: replica === late ? rights : ['read', 'write'] });
    const [ann, bob] = [profile.tab().room(), bobProfile.tab().room()];
    await put(bob, 'k', 'v1');
    await world.agree(ann, bob);
    rights = ['read'];
    profile.network.isUp = false;
    await put(ann, 'k', 'written on v1');
    await put(bob, 'k', 'v2');
    profile.network.isUp = true;
    await world.until(
      'v2 has come',
      async () => (await world.run(ann.collection('todos').get('k')))?.siblings.length === 2,
    );
    expect(await journalOf(profile)).toHaveLength(1);
    rights = ['read', 'write'];
    profile.network.isUp = false;
    profile.network.isUp = true;
    await world.agree(ann, bob);
    const entry = await world.run(bob.collection('todos').get('k'));
    expect(entry?.siblings.map(({ value }) => value).sort()).toEqual(['v2', 'written on v1']);
  });

  test('[JS4] nothing is sent before its sealing transaction is behind a strict barrier', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    await world.agree(tab.room());
    const events: string[] = [];
    tab.beforeTransact = ({ mode, durability }) => {
      if (mode === 'write' && durability !== 'relaxed') events.push(`strict ${outbox}`);
    };
    let outbox = 0;
    const told = new LinkMemory();
    profile.network.toRelay = (frame) => {
      const message = messageToRelay(frame, told);
      if (message.kind === 'push') events.push('push');
      return frame;
    };
    await put(tab.room(), 'a', 1);
    await world.agree(tab.room());
    outbox = await profile.store('team').transact(countOutbox, { mode: 'read' });
    expect(events.slice(0, 2), 'the row shares the barrier of its seal').toEqual(['strict 0', 'push']);
  });

  test('[JS1] a disk that is full for a while costs no edit: what was typed meanwhile is kept when there is room', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    const note = tab.room().document('note');
    await world.run(note.ready);
    await world.agree(tab.room());
    note.ydoc.getText('t').insert(0, 'before ');
    await world.agree(tab.room());
    let isFull = true;
    tab.beforeTransact = ({ mode }) => {
      if (isFull && mode === 'write') throw Object.assign(new Error('no room'), storageFull);
    };
    note.ydoc.getText('t').insert(7, 'while full ');
    await world.until('told', () => tab.room().status.lastError?.code === 'STORAGE_FULL');
    expect(tab.room().status.sync).not.toBe('in-sync');
    expect(tab.room().status.pending.writes).toBeGreaterThan(0);
    note.ydoc.getText('t').insert(18, 'still ');
    await world.pass(20_000);
    isFull = false;
    note.ydoc.getText('t').insert(24, 'after');
    await world.pass(20_000);
    await world.agree(tab.room());
    const bob = world.profile().tab().room();
    const copy = bob.document('note');
    await world.run(copy.ready);
    await world.agree(bob);
    expect(copy.ydoc.getText('t').toString()).toBe('before while full still after');
  });

  test('[SY15] a store that fails while something is received: it comes again, and nothing is passed over', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    const bob = world.profile().tab().room();
    await world.agree(tab.room(), bob);
    let failures = 3;
    tab.beforeTransact = ({ mode }) => {
      if (mode === 'write' && failures-- > 0) throw Object.assign(new Error('no room'), storageFull);
    };
    for (let i = 0; i < 10; i++) await put(bob, `${i}`, i);
    await world.pass(20_000);
    await world.agree(tab.room(), bob);
    expect(Object.keys(await todosOf(tab.room()))).toHaveLength(10);
    // By the log, and not only by the roots: the cursor was not moved over what had failed.
    expect(tab.transports.size).toBe(1);
  });
});

describe('a copied profile', () => {
  test('[SC8] both copies go online and edit: the fork is noticed, one copy takes a new identity, no edit is lost', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    await put(tab.room(), 'before', 0);
    await world.agree(tab.room());
    await world.run(tab.close());
    const copy = profile.copy();
    const [first, second] = [profile.tab(), copy.tab()];
    profile.network.isUp = false;
    copy.network.isUp = false;
    await put(first.room(), 'first', 1);
    await put(second.room(), 'second', 2);
    profile.network.isUp = true;
    await world.agree(first.room());
    copy.network.isUp = true;
    await world.pass(5_000);
    await world.agree(first.room(), second.room());
    await put(second.room(), 'later', 3);
    await world.agree(first.room(), second.room());
    for (const room of [first.room(), second.room()])
      expect(await todosOf(room)).toEqual({ before: 0, first: 1, second: 2, later: 3 });
    expect(profile.replica('team')).not.toBe(copy.replica('team'));
  });

  test('[SC8, SY24] two copies are online: the one that was there first takes a new identity at once, and neither disturbs the other again', async () => {
    const profile = world.profile();
    const first = profile.tab();
    await put(first.room(), 'before', 0);
    await world.agree(first.room());
    const copy = profile.copy();
    const spent = profile.replica('team');
    const second = copy.tab();
    await world.agree(first.room(), second.room());
    await world.until('a new identity', () => profile.replica('team') !== spent);
    expect(copy.replica('team'), 'the newcomer goes on').toBe(spent);
    expect(first.room().status.lastError).toMatchObject({ code: 'DOT_REUSED' });
    // Both write one record at once: nobody's write is replaced unseen.
    await Promise.all([put(first.room(), 'both', 'first'), put(second.room(), 'both', 'second')]);
    await world.agree(first.room(), second.room());
    for (const room of [first.room(), second.room()]) {
      const entry = await world.run(room.collection('todos').get('both'));
      expect(entry?.siblings.map(({ value }) => value).sort()).toEqual(['first', 'second']);
    }
    const displaced = world.relay.counters.get('connections_displaced');
    await world.pass(120_000);
    expect(world.relay.counters.get('connections_displaced'), 'no more').toBe(displaced);
    expect(second.room().status.lastError).toBeNull();
  });
});

const storageFull = { name: 'MangroveError', code: 'STORAGE_FULL', remedy: '', retryable: true, facts: {} };

async function todosCount(profile: Profile): Promise<number> {
  return profile.store('team').tables.table('names').rows({ from: new Uint8Array() }).length;
}
