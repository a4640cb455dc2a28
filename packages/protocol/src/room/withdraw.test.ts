import { expect, test } from 'vitest';
import { makeDelta, record, replicaOf, room, signStub } from '../../../../test/interop/fixture.js';
import { bytesToBody, recordPayloadToBytes } from '../body.js';
import { utf8ToBytes } from '../bytes.js';
import { covers } from '../context.js';
import { type Delta, bytesToDelta, trieKeyOf } from '../delta.js';
import { hlcFromMs, msAhead } from '../hlc.js';
import type { ReplicaId } from '../ids.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Plan } from '../store/plan.js';
import { acceptDeltas } from './accept.js';
import { takeIdentity } from './identity.js';
import { appendToJournal, readJournal } from './journal.js';
import { readClock, writeNumber } from './meta.js';
import { acknowledge, commitSeal, draftSeal, type SealedDraft } from './seal.js';
import { readVectorRows } from './vector.js';
import { dropSettled } from './unsent.js';
import { resetClock, withdrawRefused } from './withdraw.js';

const [me, other, renewed] = [0, 1, 2].map(replicaOf) as [ReplicaId, ReplicaId, ReplicaId];
const NOW = 1_000_000_000;
/** A clock that is a little too far ahead: relays refuse what is made by it, and a second later they would not. */
const AHEAD = NOW + 300_500;
const LATER = NOW + 1_000;
/** A clock that is wrong. */
const FUTURE = NOW + 3_600_000;

function createReplica() {
  const tables = new MemoryTables();
  let id = me;
  const run = <Result>(plan: Plan<Result>): Result => tables.transact(plan).result;
  run((tx) => takeIdentity(tx, room, id));
  const self = {
    run,
    put: (text: string, nowMs: number) => {
      const payload = recordPayloadToBytes({ value: utf8ToBytes(text) });
      run((tx) => appendToJournal(tx, room, [{ name: record('a'), flags: 0, nonces: [], payload }], nowMs));
    },
    sign: (nowMs: number): SealedDraft[] => {
      const options = {
        ...{ replica: id, nowMs, deflate: (bytes: Uint8Array) => bytes },
        mergeUpdates: ([update]: readonly Uint8Array[]) => update as Uint8Array,
      };
      const drafts = run((tx) => draftSeal(tx, room, options));
      return drafts.map(({ unsigned, rows }) => ({ delta: signStub(unsigned), rows }));
    },
    commit: (sealed: readonly SealedDraft[]) => run((tx) => commitSeal(tx, room, sealed, 0, NOW)),
    seal: (nowMs: number): Delta => {
      const sealed = self.sign(nowMs);
      expect(self.commit(sealed)).toBeDefined();
      return sealed[0]?.delta as Delta;
    },
    /** A relay refused it because of its stamp, and the clock is right again. */
    refuse: (delta: Delta) =>
      run(function* (tx) {
        const facts = { aheadMs: msAhead(delta.hlc, NOW) };
        return (yield* withdrawRefused(tx, room, id, { seq: delta.seq, code: 'CLOCK_AHEAD', facts }, NOW)).rows;
      }),
    renew: () => {
      id = renewed;
      run((tx) => takeIdentity(tx, room, id));
    },
    texts: () => run((tx) => readJournal(tx)).map(({ payload }) => new TextDecoder().decode(payload.subarray(1))),
  };
  return self;
}

test('[JS5] deltas of one key that are refused one after the other leave the next to follow what stands', () => {
  const replica = createReplica();
  replica.put('standing', NOW - 1_000);
  const standing = replica.seal(NOW - 1_000);
  replica.run((tx) => acknowledge(tx, room, me, [standing.seq]));
  replica.put('one', AHEAD);
  const first = replica.seal(AHEAD);
  replica.put('two', AHEAD);
  const second = replica.seal(AHEAD);

  expect(replica.refuse(first), 'its bytes are gone: the second replaced it').toEqual([]);
  expect(replica.refuse(second)).toHaveLength(1);
  const delta = replica.seal(LATER);
  expect(new TextDecoder().decode(bytesToBody(delta.body).payload.subarray(1))).toBe('two');
  expect(delta.prev, 'of the one that stands').toBe(standing.hlc);
  expect(delta.context.stamps).toEqual(new Map([[me, standing.hlc]]));
  expect(delta.hlc).toBeGreaterThan(second.hlc);
  expect(bytesToDelta(room.hash, room.roomId, delta.bytes).id).toBe(delta.id);
});

test('[JS5, DL7] a row that saw a delta which was refused is sealed when the clock is right', () => {
  const replica = createReplica();
  replica.put('one', AHEAD);
  const first = replica.seal(AHEAD);
  replica.put('two', AHEAD);
  replica.refuse(first);
  expect(replica.texts(), 'the newer row saw it').toEqual(['two']);
  const delta = replica.seal(LATER);
  expect(delta.context.stamps).toEqual(new Map());
  expect(delta.prev).toBe(0);
  expect(delta.hlc).toBeGreaterThan(first.hlc);
});

test('[JS5] a row keeps a context that names an own delta which was sealed after it was written', () => {
  const replica = createReplica();
  replica.put('one', NOW - 5_000);
  const drafts = replica.sign(NOW - 1_000);
  replica.put('two', NOW - 4_000);
  expect(replica.commit(drafts)).toBeDefined();
  const first = drafts[0]?.delta as Delta;
  replica.run((tx) => acknowledge(tx, room, me, [first.seq]));
  const second = replica.seal(NOW);
  expect(second.writtenAt).toBeLessThan(first.hlc);
  const [row] = replica.refuse(second) ?? [];
  expect(row?.context.stamps).toEqual(new Map([[me, first.hlc]]));
  expect(replica.run((tx) => readJournal(tx))).toEqual([row]);
});

test('[JS3] drafts that come after a delta which was withdrawn are not committed', () => {
  const replica = createReplica();
  replica.put('one', AHEAD);
  const first = replica.seal(AHEAD);
  replica.put('two', AHEAD);
  const drafts = replica.sign(AHEAD);
  replica.refuse(first);
  expect(replica.commit(drafts)).toBeUndefined();
  expect(replica.seal(LATER).prev).toBe(0);
});

test('[HLC4, DL7] a delta that names what lies ahead of a clock which was set back waits for its time', () => {
  const replica = createReplica();
  const ahead = makeDelta({ replica: other, seq: 1, name: record('a'), hlc: hlcFromMs(NOW + 200_000) });
  replica.run((tx) => acceptDeltas(tx, room, [ahead], { nowMs: NOW, from: 'others', retain: () => false }));
  replica.put('one', FUTURE);
  replica.refuse(replica.seal(FUTURE));
  replica.renew();
  const delta = replica.seal(NOW);
  expect(delta.context.stamps).toEqual(new Map([[other, ahead.hlc]]));
  expect(delta.hlc).toBeGreaterThan(ahead.hlc);
});

test('[JS5, DL6] nothing is sealed below a stamp that another relay may have taken', () => {
  const replica = createReplica();
  const at = NOW + 400_000;
  replica.put('one', at);
  const given = replica.seal(at);
  replica.refuse(given);
  expect(() => replica.seal(NOW)).toThrow(expect.objectContaining({ code: 'CLOCK_AHEAD' }));
  expect(replica.seal(NOW + 101_000).hlc).toBeGreaterThan(given.hlc);
});

test('[JS5] a stamp that no relay can have taken holds up nothing', () => {
  const replica = createReplica();
  replica.put('one', FUTURE);
  const given = replica.seal(FUTURE);
  replica.refuse(given);
  expect(replica.seal(NOW).hlc).toBeLessThan(given.hlc);
});

test('[JS5, HLC4] what was superseded unsent goes with what had superseded it, and holds up nothing', () => {
  const replica = createReplica();
  replica.put('one', FUTURE);
  const first = replica.seal(FUTURE);
  replica.put('two', FUTURE + 1_000);
  const second = replica.seal(FUTURE + 1_000);
  expect(second.prev).toBe(first.hlc);
  replica.refuse(second);
  expect(replica.run((tx) => tx.keys('outbox', { from: new Uint8Array() }))).toEqual([]);
  const again = replica.seal(NOW);
  expect(again.hlc).toBeLessThan(first.hlc);
  expect(again).toMatchObject({ prev: 0, context: { stamps: new Map(), dots: [] } });
});

test('[JS5] what was acknowledged falsely and lies in the future is taken back when it is refused; what a relay can have had is not', () => {
  const replica = createReplica();
  replica.put('soon', NOW + 400_000);
  const soon = replica.seal(NOW + 400_000);
  replica.run((tx) => acknowledge(tx, room, me, [soon.seq]));
  expect(replica.refuse(soon), 'another relay may have it').toBeUndefined();
  expect(replica.texts()).toEqual([]);
  replica.put('far', FUTURE);
  const far = replica.seal(FUTURE);
  replica.run((tx) => acknowledge(tx, room, me, [far.seq]));
  expect(replica.refuse(far)).toHaveLength(1);
  expect(replica.texts()).toEqual(['far']);
  expect(replica.run((tx) => tx.keys('outbox', { from: new Uint8Array() }))).toEqual([]);
  expect(replica.seal(NOW + 500_000)).toMatchObject({ prev: soon.hlc });
});

test('[SY6, JS5] what was superseded unsent is not settled by a delta that was withdrawn', () => {
  const replica = createReplica();
  // So little ahead that a relay might have taken it, and its acknowledgement was lost.
  const at = NOW + 400_000;
  replica.put('one', at);
  const first = replica.seal(at);
  replica.put('two', at + 1);
  replica.refuse(replica.seal(at + 1));
  expect(replica.run((tx) => dropSettled(tx, room, me))).toEqual([]);
  const again = replica.seal(NOW + 200_000);
  expect(again.prev, 'it may be held, so it is covered').toBe(first.hlc);
  expect(replica.run((tx) => acknowledge(tx, room, me, [again.seq]))).toBeUndefined();
  expect(replica.run((tx) => dropSettled(tx, room, me))).toEqual([first.seq]);
});

test('[HLC4, DL6] a clock that is set back stays at what was given and is lost', () => {
  const replica = createReplica();
  replica.put('lost', LATER);
  const lost = replica.seal(LATER);
  const clock = replica.run(function* (tx) {
    yield* acknowledge(tx, room, me, [lost.seq]);
    tx.delete('deltas', trieKeyOf(lost));
    writeNumber(tx, 'clock', hlcFromMs(FUTURE));
    yield* resetClock(tx, NOW);
    return yield* readClock(tx);
  });
  expect(clock).toBe(lost.hlc);
});

test('[JS2, SY24] under another identity a row still names the own delta that it comes after', () => {
  const replica = createReplica();
  replica.put('one', NOW);
  const sealed = replica.sign(NOW);
  replica.put('two', NOW + 1);
  expect(replica.commit(sealed)).toBeDefined();
  const one = sealed[0]?.delta as Delta;
  replica.run((tx) => acknowledge(tx, room, me, [one.seq]));
  replica.renew();
  const two = replica.seal(NOW + 2);
  expect([two.replica, two.seq, covers(two.context, one)]).toEqual([renewed, 1, true]);
});

test('[CX7, JS5] what a copy of this profile sealed under the same dot is not taken back with it', () => {
  const replica = createReplica();
  replica.put('mine', NOW);
  const mine = replica.seal(NOW);
  const theirs = makeDelta({ replica: me, seq: mine.seq, name: record('b'), hlc: hlcFromMs(NOW + 5) });
  replica.run((tx) => acceptDeltas(tx, room, [theirs], { nowMs: NOW, from: 'others', retain: () => false }));
  replica.renew();
  expect(replica.texts()).toEqual(['mine']);
  expect(replica.run((tx) => tx.keys('deltas', { from: new Uint8Array() }))).toEqual([trieKeyOf(theirs)]);
});

test('[SY3] the vector claims nothing that only a withdrawn delta had covered', () => {
  const replica = createReplica();
  const theirs = makeDelta({ replica: other, seq: 1, name: record('a'), hlc: hlcFromMs(NOW) });
  replica.run((tx) => acceptDeltas(tx, room, [theirs], { nowMs: NOW, from: 'others', retain: () => false }));
  replica.put('one', FUTURE);
  const delta = replica.seal(FUTURE);
  expect(replica.run(readVectorRows)).toEqual(
    new Map([
      [me, 1],
      [other, 1],
    ]),
  );
  replica.refuse(delta);
  expect(replica.run(readVectorRows)).toEqual(new Map());
});
