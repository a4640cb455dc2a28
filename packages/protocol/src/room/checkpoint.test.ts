import { describe, expect, test } from 'vitest';
import {
  contextOf,
  document,
  dumpOf,
  keyIdOf,
  makeDelta,
  replicaOf,
  room,
  signStub,
} from '../../../../test/interop/fixture.js';
import { bytesToBody, bytesToCheckpointPayload } from '../body.js';
import { bytesToHex } from '../bytes.js';
import { covers } from '../context.js';
import { bytesToDelta, type Delta, FLAG } from '../delta.js';
import type { ErrorCode } from '../errors.js';
import type { ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { MemoryTables } from '../store/memory-store.js';
import type { Plan } from '../store/plan.js';
import type { Table } from '../store/table.js';
import {
  checkpointDelayMs,
  checkpointDue,
  commitCheckpoint,
  coverageOf,
  draftCheckpoint,
  readableSiblings,
  readCheckpointSources,
  readDocumentDeltas,
  type Tail,
  updatesOf,
} from './checkpoint.js';
import { readJournal } from './journal.js';
import type { Arrival } from './arrival.js';
import { receiveDeltas } from './receive.js';
import { acknowledge } from './seal.js';
import { withdrawDelta } from './withdraw.js';

const [me, a, b] = [0, 1, 2].map(replicaOf) as [ReplicaId, ReplicaId, ReplicaId];
const doc = document('d');
const NOW = 1_000;
const EVERYTHING = { from: new Uint8Array() };
const SET: readonly Table[] = ['deltas', 'contexts', 'nodes', 'dots'];
const limits = { ...defaultLimits, checkpointTailBytesMin: 1, checkpointRatio: 0, checkpointDotsMax: 3 };
/** A document here is the set of the letters of its bodies. */
const letters = (updates: readonly Uint8Array[]): string =>
  [...new Set(updates.map((update) => new TextDecoder().decode(update)).join(''))].sort().join('');
const merge = (updates: readonly Uint8Array[]): Uint8Array => new TextEncoder().encode(letters(updates));
const compare = (update: Uint8Array, covered: readonly Uint8Array[], isExact: boolean): string | undefined => {
  const merged = letters(covered);
  const claimed = letters([update]);
  if ([...merged].some((letter) => !claimed.includes(letter))) return 'it leaves something out';
  return isExact && claimed !== merged ? 'it adds something' : undefined;
};

const edit = (replica: ReplicaId, seq: number, text: string, prev = seq - 1): Delta =>
  makeDelta({ replica, seq, hlc: seq * 10, prev: prev * 10, name: doc, text });

function createReplica(id = me) {
  const tables = new MemoryTables();
  const run = <Result>(plan: Plan<Result>): Result => tables.transact(plan).result;
  const self = {
    tables,
    run,
    take: (deltas: readonly Delta[], fault?: ErrorCode) => {
      const arrivals = deltas.map((delta): Arrival => ({ delta, name: doc, fault }));
      const options = { nowMs: NOW, cursor: undefined, replica: id, compare };
      return run((tx) => receiveDeltas(tx, room, arrivals, [], options));
    },
    sources: (with_ = limits) => run((tx) => readCheckpointSources(tx, room, id, keyIdOf(doc), with_)).sources,
    draft: (merged?: Uint8Array): Delta => {
      const sources = self.sources();
      if (sources === undefined) throw new Error('none is due');
      const update = merged ?? merge(updatesOf(sources));
      return signStub(run((tx) => draftCheckpoint(tx, room, id, sources, update, (bytes) => bytes, NOW)));
    },
    checkpoint: (): Delta => {
      const sources = self.sources();
      const delta = self.draft();
      expect(sources && run((tx) => commitCheckpoint(tx, room, delta, sources, 0, NOW))).toBeDefined();
      return delta;
    },
    held: (): Delta[] =>
      tables
        .table('deltas')
        .rows(EVERYTHING)
        .map(([, row]) => bytesToDelta(room.hash, room.roomId, row)),
    reads: (): string => letters(updatesOf({ merged: run((tx) => readDocumentDeltas(tx, room, keyIdOf(doc))) })),
    size: (table: Table): number => tables.table(table).size,
  };
  return self;
}

const idsOf = (deltas: readonly Delta[]): string[] => deltas.map(({ id }) => id).sort();

describe('when', () => {
  const tail = (part: Partial<Tail>): Tail => ({ count: 100, bytes: 0, checkpoints: 0, checkpointBytes: 0, ...part });
  const due = (part: Partial<Tail>): boolean => checkpointDue(tail(part), defaultLimits);
  const { checkpointTailBytesMin: least, checkpointTailCountMax: most } = defaultLimits;

  test('[CP3] a tail that has outgrown the last checkpoint in bytes or is too many deltas, and never less', () => {
    expect(due({ bytes: least })).toBe(true);
    expect(due({ bytes: least - 1 })).toBe(false);
    expect(due({ bytes: 4 * least, checkpoints: 1, checkpointBytes: 5 * least })).toBe(false);
    expect(due({ bytes: 5 * least, checkpoints: 1, checkpointBytes: 5 * least })).toBe(true);
    expect(due({ count: most, bytes: 1, checkpoints: 1, checkpointBytes: 5 * least })).toBe(true);
  });

  test('[CP3] scenario 14: checkpoints alone are never merged; with new edits two become one', () => {
    expect(due({ count: 0, checkpoints: 4, checkpointBytes: 1e6 })).toBe(false);
    expect(due({ bytes: least, checkpoints: 2, checkpointBytes: 1e6 })).toBe(true);
    expect(due({ count: 1, bytes: 1e6 }), 'one delta is one already').toBe(false);
  });

  test('[CP3] rewriting costs at most about what was written, however long it goes on', () => {
    for (const kept of [0, 0.1, 0.5, 1]) {
      let [checkpoint, waiting, edits, rewritten] = [0, 0, 0, 0];
      for (let i = 0; i < 200_000; i++) {
        edits += 180;
        waiting += 180;
        if (!due({ bytes: waiting, checkpoints: checkpoint > 0 ? 1 : 0, checkpointBytes: checkpoint })) continue;
        checkpoint = Math.min(8e6, checkpoint + kept * waiting);
        rewritten += checkpoint;
        waiting = 0;
      }
      expect(rewritten / edits, `${kept} of each edit stays`).toBeLessThanOrEqual(2);
    }
  });

  test('[CP4] the lowest id first, and each later one a step after it', () => {
    const ids = [me, a, b].sort();
    const delays = ids.map((id) => checkpointDelayMs(id, ids, 0.9, 2_000));
    expect(delays.map((ms) => Math.floor(ms / 2_000))).toEqual([0, 1, 2]);
    expect(checkpointDelayMs(ids[2] as ReplicaId, [], 0, 2_000)).toBe(0);
  });
});

describe('what it covers', () => {
  test('[CP1, CX4] exactly what was merged: the context, the hash and the content say the same', () => {
    const replica = createReplica();
    const edits = [edit(a, 1, 'x'), edit(a, 2, 'y'), edit(b, 1, 'z'), edit(b, 3, 'w')];
    replica.take(edits);
    const checkpoint = replica.checkpoint();
    expect(idsOf(replica.held())).toEqual([checkpoint.id]);
    const { coverage, update } = bytesToCheckpointPayload(bytesToBody(checkpoint.body).payload);
    expect(letters([update])).toBe('wxyz');
    expect(coverage).toEqual(coverageOf(room, checkpoint.keyId, edits.toReversed()));
    expect(coverage).not.toEqual(coverageOf(room, checkpoint.keyId, edits.slice(1)));
    expect(checkpoint.context).toEqual(
      contextOf(
        [
          [a, 20],
          [b, 10],
        ],
        [[b, 30]],
      ),
    );
    expect(covers(checkpoint.context, edit(b, 2, 'unseen'))).toBe(false);
  });

  test('[CP2] never what is quarantined: it stays, and so does a gap in the context', () => {
    const replica = createReplica();
    replica.take([edit(a, 1, 'x'), edit(a, 3, 'z'), edit(b, 1, 'y')]);
    const garbage = edit(a, 2, '?');
    replica.take([garbage], 'UNDECODABLE');
    const checkpoint = replica.checkpoint();
    expect(idsOf(replica.held())).toEqual(idsOf([checkpoint, garbage]));
    expect(checkpoint.context).toEqual(
      contextOf(
        [
          [a, 10],
          [b, 10],
        ],
        [[a, 30]],
      ),
    );
    replica.run((tx) => acknowledge(tx, room, me, [1]));
    expect(replica.sources(), 'what cannot be covered calls for nothing').toBeUndefined();
  });

  test('[CP2] above a gap no more than a context may name; the rest stays beside it and calls for nothing', () => {
    const replica = createReplica();
    replica.take([1, 3, 4, 5, 6, 7].map((seq) => edit(a, seq, `${seq}`)));
    const checkpoint = replica.checkpoint();
    expect(checkpoint.context.dots.map(({ hlc }) => hlc)).toEqual([30, 40, 50]);
    expect(replica.reads()).toBe('134567');
    replica.run((tx) => acknowledge(tx, room, me, [1]));
    expect(replica.sources()).toBeUndefined();
  });

  test('[CP2] never what only this replica has', () => {
    const replica = createReplica();
    replica.take([edit(a, 1, 'x'), edit(a, 2, 'y')]);
    const first = replica.checkpoint();
    replica.take([edit(b, 1, 'z'), edit(b, 2, 'w')]);
    expect(replica.sources()?.merged.map(({ id }) => id)).not.toContain(first.id);
    replica.run((tx) => acknowledge(tx, room, me, [1]));
    expect(replica.sources()?.merged.map(({ id }) => id)).toContain(first.id);
  });

  test('[JS3] nothing is written when what it was made of has moved', () => {
    const replica = createReplica();
    replica.take([edit(a, 1, 'x'), edit(a, 2, 'y')]);
    const sources = replica.sources();
    const late = replica.draft();
    const other = createReplica(b);
    other.take([edit(a, 1, 'x'), edit(a, 2, 'y')]);
    replica.take([other.checkpoint()]);
    const before = replica.tables.dump();
    expect(sources && replica.run((tx) => commitCheckpoint(tx, room, late, sources, 0, NOW))).toBeUndefined();
    expect(sources && replica.run((tx) => commitCheckpoint(tx, room, late, sources, 7, NOW))).toBeUndefined();
    expect(replica.tables.dump()).toEqual(before);
  });

  test('[CP5] scenario 4: beside a delete of all that it merged it is not read', () => {
    const checkpoint = makeDelta({
      replica: a,
      seq: 5,
      hlc: 50,
      name: doc,
      flags: FLAG.checkpoint,
      context: contextOf([
        [a, 20],
        [b, 10],
      ]),
    });
    const remove = (context: Delta['context']): Delta =>
      makeDelta({ replica: b, seq: 9, hlc: 90, prev: 10, name: doc, flags: FLAG.tombstone, context });
    const all = remove(
      contextOf([
        [a, 20],
        [b, 10],
      ]),
    );
    const part = remove(contextOf([[a, 20]]));
    const beside = edit(a, 6, 'later', 5);
    expect(readableSiblings([checkpoint, all, beside])).toEqual([all, beside]);
    expect(readableSiblings([checkpoint, part, beside])).toEqual([checkpoint, part, beside]);
    const dots = remove(
      contextOf(
        [[b, 10]],
        [
          [a, 10],
          [a, 20],
        ],
      ),
    );
    expect(readableSiblings([checkpoint, dots]), 'dots are not all below a stamp').toEqual([checkpoint, dots]);
  });
});

describe('when it is refused', () => {
  test('[CP8] all that it covered is in the set again, as if it had never been', () => {
    const replica = createReplica();
    replica.take([edit(a, 1, 'x'), edit(a, 2, 'y'), edit(b, 1, 'z')]);
    const before = dumpOf(replica.tables, SET);
    const { seq } = replica.checkpoint();
    expect(replica.run((tx) => withdrawDelta(tx, room, me, seq))).toEqual([]);
    expect(dumpOf(replica.tables, SET)).toEqual(before);
    expect([replica.size('retained'), replica.size('journal')]).toEqual([0, 0]);
  });

  test('[CP8] what is not there any more is sealed again from its own content', () => {
    const replica = createReplica();
    replica.take([edit(a, 1, 'x'), edit(a, 2, 'y')]);
    const { seq } = replica.checkpoint();
    for (const [key] of replica.tables.table('retained').rows(EVERYTHING)) replica.tables.table('retained').delete(key);
    replica.run((tx) => withdrawDelta(tx, room, me, seq));
    const [row] = replica.run((tx) => readJournal(tx));
    expect([row?.flags, letters([row?.payload ?? new Uint8Array()])]).toEqual([FLAG.import, 'xy']);
  });

  test('[CP8] once a relay has it, what it covered goes', () => {
    const replica = createReplica();
    replica.take([edit(a, 1, 'x'), edit(a, 2, 'y')]);
    replica.checkpoint();
    expect(replica.size('retained')).toBe(2);
    replica.run((tx) => acknowledge(tx, room, me, [1]));
    expect(replica.size('retained')).toBe(0);
    expect(replica.reads()).toBe('xy');
  });
});

describe('whom to believe', () => {
  const edits = [edit(a, 1, 'x'), edit(a, 2, 'y'), edit(b, 1, 'z')];
  const forger = replicaOf(7);
  /** Validly made of these edits, but for what it says. */
  const forge = (text: string): Delta => {
    const replica = createReplica(forger);
    replica.take(edits);
    return replica.draft(new TextEncoder().encode(text));
  };

  test.each([
    ['leaves something out', 'xy'],
    ['adds something', 'wxyz'],
  ])('[CP6] scenario 11: one that %s is found out by who has what it covers, and answered', (_, text) => {
    const replica = createReplica();
    replica.take(edits);
    const wrong = forge(text);
    const { judgement } = replica.take([wrong]);
    expect(judgement.arrivals[0]?.fault).toBe('CHECKPOINT_WRONG');
    expect(replica.reads(), 'nothing is lost meanwhile').toBe('xyz');
    const answer = replica.checkpoint();
    expect(covers(answer.context, wrong)).toBe(true);
    expect(replica.reads()).toBe('xyz');
    const witness = createReplica(b);
    witness.take(edits);
    witness.take([wrong]);
    expect(witness.take([answer]).judgement.proven.size, 'who has them finds the answer right').toBe(1);
    expect(witness.reads()).toBe('xyz');
  });

  test('[CP6, CX8] scenario 11: one that cannot be read is answered too, and its reach ends with it', () => {
    const replica = createReplica();
    replica.take(edits);
    const garbage = makeDelta({
      replica: forger,
      seq: 1,
      hlc: 400,
      name: doc,
      flags: FLAG.checkpoint,
      context: contextOf([
        [a, 390],
        [b, 390],
      ]),
    });
    replica.take([garbage], 'UNDECODABLE');
    const late = edit(a, 3, 'w');
    replica.take([late]);
    expect(replica.reads(), 'superseded on arrival, and kept').toBe('wxyz');
    const answer = replica.checkpoint();
    expect(letters([bytesToCheckpointPayload(bytesToBody(answer.body).payload).update])).toBe('wxyz');
    replica.take([edit(b, 2, 'v')]);
    expect(replica.held()).toHaveLength(2);
    expect(replica.reads()).toBe('vwxyz');
  });

  test('[CP6, JS2] an edit that covers others is wrong whatever it says, also where it would cost too much to try', () => {
    for (const fault of [undefined, 'UPDATE_TOO_COSTLY'] as const) {
      const replica = createReplica();
      replica.take(edits);
      const context = contextOf([
        [a, 390],
        [b, 390],
      ]);
      const covering = makeDelta({ replica: forger, seq: 1, hlc: 400, name: doc, text: 'xyz', context });
      expect(replica.take([covering], fault).judgement.arrivals[0]?.fault).toBe('CHECKPOINT_WRONG');
      expect(replica.reads()).toBe('xyz');
      const answer = replica.checkpoint();
      expect(covers(answer.context, covering)).toBe(true);
      expect(replica.reads()).toBe('xyz');
    }
  });

  test('[CP7] who has not what it covers takes its word and says so, until it is merged with what is proven', () => {
    const replica = createReplica();
    const honest = forge('xyz');
    expect(replica.take([honest]).judgement.vouched.size).toBe(1);
    expect(replica.size('vouched')).toBe(1);
    replica.take([edit(a, 3, 'w')]);
    const next = replica.checkpoint();
    expect(
      replica.tables
        .table('vouched')
        .rows(EVERYTHING)
        .map(([id]) => bytesToHex(id)),
    ).toEqual([next.id]);
    const witness = createReplica(b);
    witness.take([...edits, honest]);
    expect(witness.size('vouched')).toBe(0);
  });

  test('[CP7] a partial view finds what is left out, and no fault in what it cannot know', () => {
    const replica = createReplica();
    replica.take(edits.slice(0, 1));
    expect(replica.take([forge('xyz')]).judgement.arrivals[0]?.fault).toBeUndefined();
    const other = createReplica();
    other.take(edits.slice(0, 1));
    expect(other.take([forge('yz')]).judgement.arrivals[0]?.fault).toBe('CHECKPOINT_WRONG');
  });

  test('[CP7] word against word comes to an end', () => {
    const newcomer = createReplica();
    // The same operation with another content: nobody can have both.
    const forged = forge('Xyz');
    newcomer.take([forged]);
    const witness = createReplica(b);
    witness.take(edits);
    witness.take([forged]);
    const answer = witness.checkpoint();
    expect(newcomer.take([answer]).judgement.arrivals[0]?.fault).toBe('CHECKPOINT_WRONG');
    const reply = newcomer.checkpoint();
    witness.take([reply]);
    expect(witness.sources(), 'who can prove it insists').toBeDefined();
    const last = witness.checkpoint();
    expect(newcomer.take([last]).judgement.arrivals[0]?.fault).toBeUndefined();
    expect(newcomer.sources()).toBeUndefined();
    expect([newcomer.reads(), witness.reads()]).toEqual(['xyz', 'xyz']);
    expect(dumpOf(newcomer.tables, ['deltas'])).toEqual(dumpOf(witness.tables, ['deltas']));
  });
});
