import { hlcFromMs, type KeyName, LinkMemory, recordPayloadToBytes, valueToBytes } from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import { type ClientWorld, messageFromRelay, type Profile, setWorld } from '../../../../test/support/client-world.js';
import { Member, reaching } from '../../../../test/support/member.js';
import { restoreFrom } from '../backup.js';
import type { Room } from '../room.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const record: KeyName = { kind: 'record', collection: 'todos', id: 'a' };
/** As far ahead as a relay takes. */
const AHEAD_MS = 290_000;
const payloadOf = (value: string): Uint8Array => recordPayloadToBytes({ value: valueToBytes(value) });

const put = (room: Room, value: string) => world.run(room.collection('todos').put('a', value));
const valuesOf = async (room: Room): Promise<unknown> =>
  (await world.run(room.collection('todos').get('a')))?.siblings.map(({ value }) => value);

async function join() {
  const profile = world.profile();
  const tab = profile.tab();
  const room = tab.room();
  await world.run(room.synced());
  return { profile, tab, room };
}

/** Two who have one value of a record. */
async function meet() {
  const [ann, bob] = [await join(), await join()];
  await put(ann.room, 'first');
  await world.run(ann.room.synced());
  await world.agree(ann.room, bob.room);
  return { ann, bob };
}

const cutOff = async ({ network }: Profile): Promise<void> => {
  network.isUp = false;
  await world.pass(2_000);
};

/** A put over all that these have written up to 290 seconds from now. */
async function swallow(...profiles: readonly Profile[]): Promise<Member> {
  const member = await Member.join(world);
  const hlc = hlcFromMs(world.nowMs + AHEAD_MS);
  const writers = profiles.map((profile) => profile.replica('team'));
  member.push({ name: record, payload: payloadOf('member'), hlc, context: reaching(writers, hlc) });
  await world.until('it to be taken', () => member.heard.some(({ kind }) => kind === 'ack'));
  return member;
}

describe('a context that reaches over what its writer never saw', () => {
  test('[CX10, CX4] scenario 27: what was written offline stands beside it, and its receipt is true', async () => {
    const { ann, bob } = await meet();
    await cutOff(bob.profile);
    const receipt = await put(bob.room, 'bob, offline');
    await swallow(ann.profile, bob.profile);
    bob.profile.network.isUp = true;
    await world.run(receipt.reached('relay'));
    await world.agree(ann.room, bob.room);
    const { room: late } = await join();
    for (const room of [ann.room, bob.room, late]) expect(await valuesOf(room)).toEqual(['member', 'bob, offline']);
    expect(bob.room.status.lastError?.code).toBe('COVERED_UNSEEN');
    await put(ann.room, 'ann, over both');
    await world.run(ann.room.synced());
    await world.agree(ann.room, bob.room);
    expect(await valuesOf(bob.room)).toEqual(['ann, over both']);
  });

  test('[CX10] of several writes of one record, of which nobody has any, the last stands again', async () => {
    const { ann, bob } = await meet();
    await cutOff(bob.profile);
    await put(bob.room, 'bob, once');
    await put(bob.room, 'bob, twice');
    const receipt = await put(bob.room, 'bob, thrice');
    await swallow(ann.profile, bob.profile);
    bob.profile.network.isUp = true;
    await world.run(receipt.reached('relay'));
    await world.agree(ann.room, bob.room);
    expect(await valuesOf(ann.room)).toEqual(['member', 'bob, thrice']);
    expect(bob.room.status.pending.writes).toBe(0);
  });

  test('[CX10] one that is passed on by an honest write swallows nothing either', async () => {
    const { ann, bob } = await meet();
    await cutOff(bob.profile);
    await put(bob.room, 'bob, offline');
    await swallow(ann.profile, bob.profile);
    await world.until('it to come', async () => JSON.stringify(await valuesOf(ann.room)) === '["member"]');
    await put(ann.room, 'ann, over it');
    await world.run(ann.room.synced());
    bob.profile.network.isUp = true;
    await world.run(bob.room.synced());
    await world.agree(ann.room, bob.room);
    expect(await valuesOf(ann.room)).toEqual(['ann, over it', 'bob, offline']);
  });

  test('[CX10] what its author pushes before it hears of it is refused, and not taken for seen', async () => {
    const { ann, bob } = await meet();
    // What the relay tells of others is held back, and its answers are not.
    const held: boolean[] = [];
    const heard = new LinkMemory();
    bob.profile.network.fromRelay = (frame) => {
      const isOfOthers = messageFromRelay(frame, heard).kind === 'deltas';
      if (isOfOthers) held.push(true);
      return isOfOthers ? undefined : frame;
    };
    await swallow(ann.profile, bob.profile);
    await world.until('it to be told', () => held.length > 0);
    const receipt = await put(bob.room, 'bob, at once');
    await world.until('the refusal', () => bob.room.status.lastError?.code === 'COVERED_UNSEEN');
    bob.profile.network.fromRelay = (frame) => frame;
    await cutOff(bob.profile);
    bob.profile.network.isUp = true;
    await world.run(receipt.reached('relay'));
    await world.agree(ann.room, bob.room);
    expect(await valuesOf(ann.room)).toEqual(['member', 'bob, at once']);
  });

  test('[CX10, SY6] a relay refuses its author what is covered before it came, and acknowledges what it had', async () => {
    const [seen, unseen] = [await Member.join(world), await Member.join(world)];
    const first = seen.push({ name: record, payload: payloadOf('seen') });
    await world.pass(100);
    const hlc = hlcFromMs(world.nowMs + 1_000);
    const by = await Member.join(world);
    by.push({
      name: record,
      payload: payloadOf('over both'),
      hlc,
      context: reaching([seen.replica, unseen.replica], hlc),
    });
    await world.pass(100);
    seen.repeat(first);
    const late = unseen.push({ name: record, payload: payloadOf('unseen') });
    const above = unseen.push({ name: record, payload: payloadOf('above'), hlc: hlcFromMs(world.nowMs + 2_000) });
    await world.pass(100);
    const acknowledged = ({ heard }: Member) =>
      heard.flatMap((message) => (message.kind === 'ack' ? message.seqs : []));
    const refused = ({ heard }: Member) =>
      heard.flatMap((message) => (message.kind === 'refused' ? [[message.seq, message.code]] : []));
    expect([acknowledged(seen), refused(seen)]).toEqual([[first.seq, first.seq], []]);
    expect([acknowledged(unseen), refused(unseen)]).toEqual([[above.seq], [[late.seq, 'COVERED_UNSEEN']]]);
  });
});

describe('an honest context', () => {
  test('[CX10, SY24] what was pushed, seen and replaced while its acknowledgement was lost does not come back', async () => {
    const { ann, bob } = await meet();
    const heard = new LinkMemory();
    bob.profile.network.fromRelay = (frame) => (messageFromRelay(frame, heard).kind === 'ack' ? undefined : frame);
    await put(bob.room, 'bob, seen');
    await world.until('it to be seen', async () => JSON.stringify(await valuesOf(ann.room)) === '["bob, seen"]');
    await cutOff(bob.profile);
    bob.profile.network.fromRelay = (frame) => frame;
    expect(bob.room.status.pending.writes).toBe(1);
    await put(ann.room, 'ann, over it');
    await world.run(ann.room.synced());
    bob.profile.network.isUp = true;
    await world.run(bob.room.synced());
    await world.agree(ann.room, bob.room);
    expect([await valuesOf(ann.room), await valuesOf(bob.room)]).toEqual([['ann, over it'], ['ann, over it']]);
    expect(bob.room.status.lastError).toBeNull();
  });

  async function carry(from: Room, to: Awaited<ReturnType<typeof join>>): Promise<void> {
    const stream = await world.run(from.backup());
    const file = await world.run(new Response(stream).blob());
    await world.run(restoreFrom(file.stream(), to.tab.engine));
  }

  test('[CX10, BK5] what was carried in a backup, seen and replaced does not come back', async () => {
    const { ann, bob } = await meet();
    await cutOff(bob.profile);
    await cutOff(ann.profile);
    await put(bob.room, 'bob, carried');
    await carry(bob.room, ann);
    expect(await valuesOf(ann.room)).toEqual(['bob, carried']);
    await put(ann.room, 'ann, over it');
    await carry(ann.room, bob);
    expect(await valuesOf(bob.room)).toEqual(['ann, over it']);
    await put(bob.room, 'bob, after that');
    bob.profile.network.isUp = true;
    ann.profile.network.isUp = true;
    await world.run(Promise.all([ann.room.synced(), bob.room.synced()]));
    await world.agree(ann.room, bob.room);
    expect(await valuesOf(ann.room)).toEqual(['bob, after that']);
  });

  test('[CX10, BK7] what a backup covers that cannot have been seen stands beside it', async () => {
    const { ann, bob } = await meet();
    await cutOff(bob.profile);
    const receipt = await put(bob.room, 'bob, offline');
    await swallow(ann.profile, bob.profile);
    await world.until('it to come', async () => JSON.stringify(await valuesOf(ann.room)) === '["member"]');
    await carry(ann.room, bob);
    expect(await valuesOf(bob.room)).toEqual(['member', 'bob, offline']);
    bob.profile.network.isUp = true;
    await world.run(receipt.reached('relay'));
    await world.agree(ann.room, bob.room);
    expect(await valuesOf(ann.room)).toEqual(['member', 'bob, offline']);
  });
});
