import {
  acceptAndLog,
  type Delta,
  deriveKeyId,
  type KeyName,
  type ReplicaId,
  type Right,
  LinkMemory,
} from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import {
  type ClientWorld,
  frameOf,
  messageFromRelay,
  messageToRelay,
  type Profile,
  roomRef,
  setWorld,
} from '../../../../test/support/client-world.js';
import { defaultRates } from '../../../relay/src/rates.js';
import { forgeRecord } from '../../../../test/support/forged-record.js';
import type { Room } from '../room.js';

const MINUTE_MS = 60_000;
const YEAR_MS = 365 * 24 * 60 * MINUTE_MS;

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const readValue = async (room: Room, id: string): Promise<unknown> =>
  (await world.run(room.collection('todos').get(id)))?.value;
const rowsOf = (profile: Profile, table: 'journal' | 'outbox' | 'quarantine' | 'deltas'): number =>
  profile.store('team').tables.table(table).rows({ from: new Uint8Array() }).length;
const known = (room: Room, code: string): Promise<void> =>
  world.until(code, () => room.status.lastError?.code === code);

describe('a clock that is wrong', () => {
  test('[SC23] a clock is at 2099 for a minute, then right: nothing is lost and nothing stays refused', async () => {
    const profile = world.profile();
    const [ann, bob] = [profile.tab().room(), world.profile().tab().room()];
    const note = ann.document('note');
    await world.run(note.ready);
    await world.agree(ann, bob);
    profile.skewMs = 73 * YEAR_MS;
    note.ydoc.getText('t').insert(0, 'from the future');
    const receipt = await world.run(ann.collection('todos').put('a', 1));
    const refused = expect(receipt.reached('relay')).rejects.toMatchObject({ code: 'CLOCK_AHEAD' });
    await known(ann, 'CLOCK_AHEAD');
    await world.run(refused);
    await world.pass(MINUTE_MS, 1_000);
    expect(ann.status).toMatchObject({ sync: 'syncing', pending: { writes: 2 } });
    expect(await readValue(ann, 'a')).toBe(1);
    profile.skewMs = 0;
    // The same receipt asks again, and waits for what its write became.
    await world.run(receipt.reached('relay'));
    await world.agree(ann, bob);
    expect(await readValue(bob, 'a')).toBe(1);
    const copy = bob.document('note');
    await world.run(copy.ready);
    expect(copy.ydoc.getText('t').toString()).toBe('from the future');
    expect(ann.status.pending.writes).toBe(0);
    await world.run(ann.collection('todos').put('a', 2));
    await world.agree(ann, bob);
    expect(await readValue(bob, 'a')).toBe(2);
  });

  test('[SC23] several writes of one record in that minute: the last one stands', async () => {
    const profile = world.profile();
    const [ann, bob] = [profile.tab().room(), world.profile().tab().room()];
    await world.run(ann.collection('todos').put('a', 0));
    await world.agree(ann, bob);
    profile.skewMs = 73 * YEAR_MS;
    profile.network.latencyMs = 50;
    for (let i = 1; i <= 4; i++) {
      await world.run(ann.collection('todos').put('a', i));
      // Some are sealed one by one and on their way together, some wait.
      await world.pass(20, 5);
    }
    await known(ann, 'CLOCK_AHEAD');
    await world.run(ann.collection('todos').put('a', 5));
    await world.pass(15_000);
    profile.skewMs = 0;
    profile.network.latencyMs = 0;
    await world.pass(15_000);
    await world.agree(ann, bob);
    for (const room of [ann, bob]) {
      expect(await world.run(room.collection('todos').get('a'))).toMatchObject({ value: 5, siblings: [{ value: 5 }] });
    }
    expect(rowsOf(profile, 'journal')).toBe(0);
    expect(ann.status.pending.writes).toBe(0);
  });

  test('[JS1] what was written after a refused write of the same record is not undone by it', async () => {
    const profile = world.profile();
    const ann = profile.tab().room();
    await world.agree(ann);
    world.relay.skewMs = -10 * MINUTE_MS;
    profile.network.latencyMs = 200;
    await world.run(ann.collection('todos').put('a', 'old'));
    await world.pass(100);
    await world.run(ann.collection('todos').put('a', 'new'));
    await known(ann, 'CLOCK_AHEAD');
    expect(await readValue(ann, 'a')).toBe('new');
    world.relay.skewMs = 0;
    await world.pass(15_000);
    await world.agree(ann);
    expect(await world.run(ann.collection('todos').get('a'))).toMatchObject({ siblings: [{ value: 'new' }] });
  });

  test('[HLC4] a clock that ran ahead while offline is set right before anything is sealed', async () => {
    const profile = world.profile({ skewMs: YEAR_MS });
    profile.network.isUp = false;
    const [ann, bob] = [profile.tab().room(), world.profile().tab().room()];
    await world.run(ann.collection('todos').put('a', 1));
    profile.skewMs = 0;
    await world.run(ann.collection('todos').put('b', 2));
    profile.network.isUp = true;
    await world.agree(ann, bob);
    expect(await readValue(bob, 'a')).toBe(1);
    expect(await readValue(bob, 'b')).toBe(2);
    expect(ann.status.lastError).toBeNull();
  });

  test('[HLC3] a delta from further ahead than a clock may be is left out, and taken when its time has come', async () => {
    const profile = world.profile({ skewMs: -10 * MINUTE_MS });
    const [late, ann] = [profile.tab().room(), world.profile().tab().room()];
    await world.run(ann.collection('todos').put('a', 1));
    await world.agree(ann);
    await world.run(late.ready);
    await known(late, 'CLOCK_AHEAD');
    expect(await readValue(late, 'a')).toBeUndefined();
    expect(late.status.sync).not.toBe('in-sync');
    profile.skewMs = 0;
    await world.pass(20_000);
    await world.agree(ann, late);
    expect(await readValue(late, 'a')).toBe(1);
  });
});

describe('rights', () => {
  test('[SY7] without the right to write, writes stay in the journal, and are sealed when it is given', async () => {
    let rights: Right[] = ['read', 'write'];
    world.relay.authenticate = async () => ({ rights });
    const [annProfile, bobProfile] = [world.profile(), world.profile()];
    const bob = bobProfile.tab().room();
    // Only who may write begins a room.
    await world.agree(bob);
    rights = ['read'];
    const ann = annProfile.tab().room();
    const note = ann.document('note');
    await world.run(note.ready);
    note.ydoc.getText('t').insert(0, 'hello');
    await world.run(ann.collection('todos').put('a', 1));
    await world.until('connected', () => ann.status.connection === 'connected');
    await world.pass(30_000);
    expect(ann.status).toMatchObject({ sync: 'syncing', pending: { writes: 2 }, lastError: null });
    expect(rowsOf(annProfile, 'journal')).toBe(2);
    rights = ['read', 'write'];
    annProfile.network.isUp = false;
    annProfile.network.isUp = true;
    await world.agree(ann, bob);
    expect(await readValue(bob, 'a')).toBe(1);
  });

  test('[ID1] who may only read waits for a room that nobody has begun, is told why, and comes in by itself', async () => {
    let rights: Right[] = ['read'];
    world.relay.authenticate = async () => ({ rights });
    const ann = world.profile().tab().room();
    await world.run(ann.ready);
    await world.until('told', () => ann.status.lastError !== null);
    expect(ann.status).toMatchObject({ lastError: { code: 'ROOM_NOT_BEGUN', retryable: true } });
    expect(ann.status.connection).not.toBe('refused');
    rights = ['read', 'write'];
    const bob = world.profile().tab().room();
    await world.run(bob.collection('todos').put('a', 1));
    await world.agree(ann, bob);
    expect(await readValue(ann, 'a')).toBe(1);
  });

  test('[SY25] who may only write sees its own alone, is in sync when it is acknowledged, and asks for nothing', async () => {
    const annProfile = world.profile();
    const ann = annProfile.tab().room();
    await world.run(ann.collection('todos').put('a', 1));
    await world.agree(ann);
    let rights: Right[] = ['write'];
    world.relay.authenticate = async () => ({ rights });
    const sensorProfile = world.profile();
    const sensor = sensorProfile.tab().room();
    const note = sensor.document('note');
    await world.run(note.ready);
    note.awareness.setLocalState({ name: 'sensor' });
    for (let n = 0; n < 3; n++) await world.run(sensor.collection('todos').put(`s${n}`, n));
    await world.run(sensor.synced());
    await world.pass(120_000);
    expect(sensor.status).toMatchObject({ connection: 'connected', sync: 'in-sync', lastError: null });
    expect(await readValue(ann, 's2')).toBe(2);
    expect(await readValue(sensor, 'a')).toBeUndefined();
    expect(world.relay.counters.get('probes'), 'but for those of ann').toBeLessThan(12);
    rights = ['read', 'write'];
    sensorProfile.network.isUp = false;
    sensorProfile.network.isUp = true;
    await world.agree(ann, sensor);
    expect(await readValue(sensor, 'a')).toBe(1);
  });

  test('[SY7] a right that is taken away leaves sealed deltas unsent, and nothing is lost', async () => {
    let rights: Right[] = ['read', 'write'];
    world.relay.authenticate = async () => ({ rights });
    const profile = world.profile();
    const ann = profile.tab().room();
    await world.agree(ann);
    profile.network.isStalled = true;
    await world.run(ann.collection('todos').put('a', 1));
    await world.pass(100);
    expect(rowsOf(profile, 'outbox')).toBe(1);
    rights = ['read'];
    profile.network.isUp = false;
    profile.network.isStalled = false;
    profile.network.isUp = true;
    await world.pass(20_000);
    expect(ann.status).toMatchObject({ connection: 'connected', sync: 'syncing', pending: { writes: 1 } });
    rights = ['read', 'write'];
    profile.network.isUp = false;
    profile.network.isUp = true;
    await world.agree(ann);
  });

  test('[SY1] who is not allowed is told so, does not try again by itself, and works on alone', async () => {
    world.relay.authenticate = async () => null;
    const tab = world.profile().tab();
    const ann = tab.room();
    await world.run(ann.collection('todos').put('a', 1));
    await world.until('refused', () => ann.status.connection === 'refused');
    expect(ann.status).toMatchObject({ sync: 'local', lastError: { code: 'UNAUTHORIZED' } });
    await world.pass(60_000);
    expect([...tab.transports].map(({ attempts }) => attempts)).toEqual([1]);
    expect(await readValue(ann, 'a')).toBe(1);
    // The application has done something about it.
    world.relay.authenticate = undefined;
    ann.pause();
    ann.resume();
    await world.agree(ann);
  });

  test('[SY1] a token that takes its time, fails, or never comes holds up nothing but its connection', async () => {
    const asked: string[] = [];
    world.relay.authenticate = async ({ token }) => (token === 'good' ? { rights: ['read', 'write'] } : null);
    let answer: () => Promise<string> = () => new Promise(() => {});
    const profile = world.profile();
    const ann = profile.tab().room('team', {
      token: () => {
        asked.push('token');
        return answer();
      },
    });
    await world.run(ann.ready);
    await world.until('asked', () => asked.length === 1);
    answer = () => Promise.reject(new Error('no token today'));
    profile.network.isUp = false;
    profile.network.isUp = true;
    await world.until('asked again', () => asked.length === 2);
    await world.until('told', () => ann.status.lastError?.message.includes('no token today') === true);
    await world.pass(10_000);
    // A fault of the application is tried again, but not at once and for ever.
    expect(asked.length).toBeGreaterThan(2);
    expect(asked.length).toBeLessThan(10);
    answer = async () => 'good';
    await world.agree(ann);
    world.bugs.length = 0;
  });
});

describe('forgeries', () => {
  const _keyOf = (name: KeyName) => deriveKeyId(roomRef().hash, roomRef().roomId, name);
  const name: KeyName = { kind: 'record', collection: 'todos', id: 'a' };

  /** A delta that the replica did not sign. */
  const forge = (replica: ReplicaId, value: string): Delta => forgeRecord(replica, name, value, world.nowMs);

  /** The last byte is one of the signature. */
  function spoil(delta: Uint8Array): Uint8Array {
    const spoiled = delta.slice();
    spoiled[spoiled.length - 1] = (spoiled.at(-1) as number) ^ 1;
    return spoiled;
  }

  /** The relay has it, and tells it to whoever comes. */
  async function plant(...deltas: Delta[]): Promise<void> {
    await world.relay
      .store('team')
      .transact(
        (tx) => acceptAndLog(tx, roomRef(), deltas, { nowMs: world.nowMs, from: 'others', retain: () => false }),
        { mode: 'write' },
      );
  }

  test('[SC16] [SY10] a forged (V, 1) arrives before the real one: quarantined, reported, evicted, and the real one counts', async () => {
    const [annProfile, victimProfile] = [world.profile(), world.profile()];
    const victim = victimProfile.tab().room();
    await world.agree(victim);
    await plant(forge(victimProfile.replica('team'), 'forged'));
    const ann = annProfile.tab().room();
    await world.run(ann.ready);
    await world.until('quarantined', () => ann.status.quarantined === 1);
    await known(ann, 'SIGNATURE_INVALID');
    expect(await readValue(ann, 'a')).toBeUndefined();
    await world.agree(ann, victim);
    expect(world.relay.counters.get('deltas_evicted')).toBe(1);
    await world.run(victim.collection('todos').put('a', 'real'));
    await world.agree(ann, victim);
    expect(await readValue(ann, 'a')).toBe('real');
    expect(annProfile.replica('team')).not.toBe(victimProfile.replica('team'));
  });

  test('[SY10] a replica that sends its own deltas spoiled is found out, and its true ones are taken', async () => {
    const [annProfile, malloryProfile] = [world.profile(), world.profile()];
    const [ann, mallory] = [annProfile.tab().room(), malloryProfile.tab().room()];
    await world.agree(ann, mallory);
    let spoiled = 0;
    const told = new LinkMemory();
    malloryProfile.network.toRelay = (frame) => {
      const message = messageToRelay(frame, told);
      if (spoiled > 0 || message.kind !== 'push') return frame;
      spoiled++;
      return frameOf({ ...message, deltas: message.deltas.map(spoil) });
    };
    await world.run(mallory.collection('todos').put('a', 'hello'));
    await world.until('found out', () => world.relay.counters.get('deltas_evicted') === 1);
    await known(ann, 'SIGNATURE_INVALID');
    await world.pass(40_000);
    await world.agree(ann, mallory);
    expect(await readValue(ann, 'a')).toBe('hello');
    expect(ann.status.quarantined).toBe(0);
  });

  test('[SY10] an honest delta that is spoiled on the way comes again, and is shown after a reload too', async () => {
    const [annProfile, bobProfile] = [world.profile(), world.profile()];
    const tab = annProfile.tab();
    const [ann, bob] = [tab.room(), bobProfile.tab().room()];
    const note = bob.document('note');
    await world.run(note.ready);
    await world.agree(ann, bob);
    let isSpoiling = true;
    const heard = new LinkMemory();
    annProfile.network.fromRelay = (frame) => {
      const message = messageFromRelay(frame, heard);
      if (!isSpoiling || message.kind !== 'deltas' || message.deltas.length === 0) return frame;
      isSpoiling = false;
      return frameOf({ ...message, deltas: message.deltas.map(spoil) });
    };
    note.ydoc.getText('t').insert(0, 'hello');
    await world.run(bob.synced());
    await world.pass(20_000);
    await world.agree(ann, bob);
    expect(isSpoiling).toBe(false);
    await world.run(tab.close());
    const again = annProfile.tab().room().document('note');
    await world.run(again.ready);
    expect(again.ydoc.getText('t').toString()).toBe('hello');
  });

  test('[SG3] a delta of a replica without a certificate is refused, and tells its name', async () => {
    const ann = world.profile().tab().room();
    await world.agree(ann);
    await plant(forge('00000000000000ff' as ReplicaId, 'uncertified'));
    const bob = world.profile().tab().room();
    await world.run(bob.ready);
    await known(bob, 'UNCERTIFIED');
    expect(await readValue(bob, 'a')).toBeUndefined();
    expect(bob.status.quarantined).toBe(0);
  });

  test('[CX8] a validly signed delta that cannot be decoded is part of the set and hides nothing', async () => {
    const profile = world.profile();
    const tab = profile.tab();
    const [ann, bob] = [world.profile().tab().room(), tab.room()];
    await world.run(ann.collection('todos').put('a', 1));
    await world.agree(ann, bob);
    await world.run(tab.engine.put('team', 'todos', 'a', Uint8Array.of(0, 123)));
    await world.agree(ann, bob);
    await world.until('quarantined', () => ann.status.quarantined === 1);
    expect(ann.status.lastError?.code).toBe('UNDECODABLE');
    expect(await readValue(ann, 'a'), 'what it covers is still read').toBe(1);
  });
});

describe('a relay that has enough', () => {
  test('[SY27] a full room: its author is told, keeps what was written, and sends it when there is room', async () => {
    const [annProfile, bobProfile] = [world.profile(), world.profile()];
    world.relay.quota = { bytesMax: Number.POSITIVE_INFINITY, deltasMax: 3 };
    const [ann, bob] = [annProfile.tab().room(), bobProfile.tab().room()];
    for (let i = 0; i < 3; i++) await world.run(ann.collection('todos').put(`a${i}`, i));
    await world.agree(ann, bob);
    const note = ann.document('note');
    await world.run(note.ready);
    note.ydoc.getText('t').insert(0, 'kept');
    const receipt = await world.run(ann.collection('todos').put('b', 'kept'));
    const refused = expect(receipt.reached('relay')).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      retryable: true,
      facts: { what: 'deltas', used: 3, max: 3 },
    });
    await known(ann, 'QUOTA_EXCEEDED');
    // What was refused first holds up what is sealed after it.
    await world.pass(70_000, 1_000);
    await world.run(refused);
    expect(ann.status).toMatchObject({ connection: 'connected', lastError: { retryable: true } });
    expect(ann.status.pending.writes).toBe(2);
    expect(await readValue(ann, 'b')).toBe('kept');
    // What others write into it is refused as well, and what is there is read as ever.
    await world.run(bob.collection('todos').put('c', 'of bob'));
    await known(bob, 'QUOTA_EXCEEDED');
    expect(await readValue(bob, 'a2')).toBe(2);
    await world.pass(150_000, 1_000);
    expect(ann.status.pending.writes).toBe(2);
    world.relay.quota = { bytesMax: Number.POSITIVE_INFINITY, deltasMax: 10 };
    await world.run(receipt.reached('relay'));
    await world.agree(ann, bob);
    expect(await readValue(bob, 'b')).toBe('kept');
    expect(await readValue(ann, 'c')).toBe('of bob');
    const copy = bob.document('note');
    await world.run(copy.ready);
    expect(copy.ydoc.getText('t').toString()).toBe('kept');
    expect([rowsOf(annProfile, 'journal'), rowsOf(annProfile, 'outbox')]).toEqual([0, 0]);
  });

  test('[SY27] in a full room a record can be deleted', async () => {
    world.relay.quota = { bytesMax: Number.POSITIVE_INFINITY, deltasMax: 2 };
    const [ann, bob] = [world.profile().tab().room(), world.profile().tab().room()];
    for (let i = 0; i < 2; i++) await world.run(ann.collection('todos').put(`a${i}`, i));
    await world.agree(ann, bob);
    const receipt = await world.run(bob.collection('todos').delete('a0'));
    await world.run(receipt.reached('relay'));
    await world.agree(ann, bob);
    expect(await readValue(ann, 'a0')).toBeUndefined();
    expect(bob.status.lastError).toBeNull();
  });

  test('[SY26] who sends too fast is told, and all of it arrives', async () => {
    const rates = { messages: 2, bytes: 1e9, deltas: 1e9, presenceBytes: 1e9 };
    world.relay.rates = { connection: rates, replica: rates, room: { ...defaultRates.room } };
    const [ann, bob] = [world.profile().tab().room(), world.profile().tab().room()];
    await world.agree(ann, bob);
    for (let i = 0; i < 60; i++) {
      await world.run(ann.collection('todos').put(`a${i}`, i));
      await world.pass(40, 10);
    }
    await known(ann, 'RATE_LIMITED');
    expect(ann.status.lastError).toMatchObject({ retryable: true });
    await world.agree(ann, bob);
    for (let i = 0; i < 60; i++) expect(await readValue(bob, `a${i}`)).toBe(i);
    expect(ann.status.pending.writes).toBe(0);
  });

  test('[SY26] a room has only so many places, and who waits for one comes in by itself', async () => {
    world.relay.rates = { ...defaultRates, room: { ...defaultRates.room, sockets: 1 } };
    const annProfile = world.profile();
    const ann = annProfile.tab().room();
    await world.agree(ann);
    const bob = world.profile().tab().room();
    await world.run(bob.ready);
    await known(bob, 'RATE_LIMITED');
    expect(bob.status.connection).not.toBe('refused');
    ann.close();
    await world.agree(bob);
  });
});
