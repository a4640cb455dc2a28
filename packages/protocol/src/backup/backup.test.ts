import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeDelta, record, replicaOf, room, sha256 } from '../../../../test/interop/fixture.js';
import { historySteps, makeHistory } from '../../../../test/interop/history.js';
import { deltasIn, effectsOf, framesOf, framesToFile, tablesOf } from '../../../../test/support/backups.js';
import { bytesToHex, compareBytes, concatBytes } from '../bytes.js';
import { bytesToDelta, type Delta, trieKeyOf } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { readRoot } from '../merkle/trie.js';
import { retain } from '../room/set-rows.js';
import { MemoryTables } from '../store/memory-store.js';
import { type BackupFrame, payloadToFrame } from './frame.js';
import { type BackupMark, bytesToMark, markToBytes, markToText, textToMark } from './mark.js';

const SMALL = { stepMax: 2, lastNewsMax: 1 };
const rootOf = (tables: MemoryTables): string => bytesToHex(tables.transact(readRoot).result.root);
const codeOf = (error: unknown): unknown => (isMangroveError(error) ? error.code : error);
const endOf = (frames: readonly BackupFrame[]) => frames.at(-1) as Extract<BackupFrame, { kind: 'end' }>;

/** Some deltas of records, of several writers; `n` above about 600 make more than one step. */
function manyDeltas(count: number, text = ''): Delta[] {
  return Array.from({ length: count }, (_, i) =>
    makeDelta({
      replica: replicaOf(i % 3),
      seq: Math.floor(i / 3) + 1,
      hlc: 1_000 + i,
      name: record(`r${i}`),
      text: `${text}${i}`,
    }),
  );
}

const historyWithBatches = fc.record({
  steps: historySteps,
  /** How many deltas there are before the backup, and how many come after each of its steps. */
  before: fc.nat(24),
  batch: fc.integer({ min: 1, max: 3 }),
  pick: fc.array(fc.nat(), { minLength: 24, maxLength: 24 }),
});

describe('backing up', () => {
  test('[BK3, BK5] a room at rest: its set in order, each section with its root, and the room’s root at the end', () => {
    const deltas = manyDeltas(1_500);
    const tables = tablesOf(deltas);
    const frames = framesOf(tables);
    expect(frames[0]).toMatchObject({ kind: 'header', room: 'team', since: undefined });
    expect(frames[1]).toMatchObject({ kind: 'certificates', certificates: [{ issuedAtMs: 7 }] });
    const written = deltasIn(frames).map(trieKeyOf);
    expect(written.map(bytesToHex)).toEqual(deltas.map(trieKeyOf).sort(compareBytes).map(bytesToHex));
    expect(endOf(frames)).toMatchObject({ kind: 'end', count: 1_500, deltas: 1_500 });
    expect(bytesToHex(endOf(frames).root)).toBe(rootOf(tables));
    // In memory there is a step at a time.
    for (const frame of frames) if (frame.kind === 'deltas') expect(frame.deltas.length).toBeLessThanOrEqual(1_024);
  });

  test('[BK3] large bodies make short frames and short sections', () => {
    const deltas = manyDeltas(40, 'x'.repeat(200_000));
    const frames = framesOf(tablesOf(deltas));
    const sizes = frames.flatMap((frame) => (frame.kind === 'deltas' ? [frame.deltas.length] : []));
    expect(sizes).toEqual(Array(40).fill(1));
    expect(frames.filter(({ kind }) => kind === 'section').length).toBe(2);
    expect(effectsOf(framesToFile(frames)).error).toBeUndefined();
  });

  test('[BK5] whatever comes while it is made, in whatever order: what it holds comes to the root at its end', () => {
    fc.assert(
      fc.property(historyWithBatches, ({ steps, before, batch, pick }) => {
        const all = makeHistory(steps).map(({ delta }) => delta);
        const inOrder = all.toSorted((a, b) => (pick[a.hlc % 24] as number) - (pick[b.hlc % 24] as number));
        const coming = inOrder.slice(before);
        const tables = tablesOf(inOrder.slice(0, before));
        const frames = framesOf(tables, undefined, () => void tablesOf(coming.splice(0, batch), tables), SMALL);
        const { effects, error } = effectsOf(framesToFile(frames));
        expect(error).toBeUndefined();
        const restored = tablesOf(deltasIn(frames));
        expect(rootOf(restored)).toBe(bytesToHex(endOf(frames).root));
        expect(effects.at(-1)).toMatchObject({ kind: 'finish', isWhole: true });
      }),
      { numRuns: 150 },
    );
  });

  test('[BK6] a chain of backups, each after the mark of the one before, comes to the same root and repeats little', () => {
    fc.assert(
      fc.property(historyWithBatches, fc.integer({ min: 1, max: 4 }), ({ steps, pick }, rounds) => {
        const all = makeHistory(steps).map(({ delta }) => delta);
        const inOrder = all.toSorted((a, b) => (pick[a.hlc % 24] as number) - (pick[b.hlc % 24] as number));
        const size = Math.ceil(inOrder.length / rounds);
        const tables = new MemoryTables();
        const restored = new MemoryTables();
        const seen = new Set<string>();
        let mark: BackupMark | undefined;
        for (let round = 0; round < rounds; round++) {
          tablesOf(inOrder.slice(round * size, (round + 1) * size), tables);
          const frames = framesOf(tables, mark, undefined, SMALL);
          const text = markToText(endOf(frames).mark as BackupMark);
          mark = textToMark(text, room.roomId);
          for (const delta of deltasIn(frames)) {
            expect(seen.has(delta.id), 'what an earlier one had').toBe(false);
            seen.add(delta.id);
          }
          tablesOf(deltasIn(frames), restored);
          expect(rootOf(restored)).toBe(rootOf(tables));
        }
        expect(deltasIn(framesOf(tables, mark))).toEqual([]);
      }),
      { numRuns: 80 },
    );
  });

  test('[BK6] one that broke off anywhere is gone on with from the mark of its last section, though the set has changed', () => {
    fc.assert(
      fc.property(historyWithBatches, fc.nat(), ({ steps, before, batch, pick }, cut) => {
        const all = makeHistory(steps).map(({ delta }) => delta);
        const inOrder = all.toSorted((a, b) => (pick[a.hlc % 24] as number) - (pick[b.hlc % 24] as number));
        const coming = inOrder.slice(before);
        const tables = tablesOf(inOrder.slice(0, before));
        const change = (): void => void tablesOf(coming.splice(0, batch), tables);
        const bounds = { stepMax: 1, lastNewsMax: 1 };
        const first = framesOf(tables, undefined, change, bounds);
        const { effects } = effectsOf(framesToFile(first).slice(0, cut % framesToFile(first).length));
        const taken = effects.filter((effect) => effect.kind === 'take');
        const mark = taken.at(-1)?.mark;
        const rest = framesOf(tables, mark, change, bounds);
        const had = taken.flatMap(({ deltas }) => deltas.map((bytes) => bytesToDelta(sha256, room.roomId, bytes)));
        expect(rootOf(tablesOf([...had, ...deltasIn(rest)]))).toBe(bytesToHex(endOf(rest).root));
      }),
      { numRuns: 120 },
    );
  });

  test('[BK6] what comes late, below what was held, is in the next backup; a number that is nobody’s keeps nothing', () => {
    const [first, late, ...others] = manyDeltas(300).filter(({ replica }) => replica === replicaOf(0)) as Delta[];
    const tables = tablesOf([first as Delta, ...others]);
    const mark = endOf(framesOf(tables)).mark as BackupMark;
    expect(mark.held.get(replicaOf(0))).toEqual({ upTo: 1, above: [{ from: 3, to: 100 }] });
    expect(deltasIn(framesOf(tables, mark))).toEqual([]);
    tablesOf([late as Delta], tables);
    expect(deltasIn(framesOf(tables, mark)).map(({ seq }) => seq)).toEqual([2]);
  });

  test('[BK5, CX8] superseded bytes that are still read are in it, once', () => {
    const [kept, ...others] = manyDeltas(9) as [Delta, ...Delta[]];
    const tables = tablesOf(others);
    tables.transact(function* (tx) {
      retain(tx, kept, 5);
      retain(tx, kept, 6);
    });
    const ids = deltasIn(framesOf(tables)).map(({ id }) => id);
    // Before the set and after it, as it may move from one to the other.
    expect(ids.filter((id) => id === kept.id)).toHaveLength(2);
    expect(effectsOf(framesToFile(framesOf(tables))).error).toBeUndefined();
  });
});

describe('reading a backup', () => {
  const file = framesToFile(framesOf(tablesOf(manyDeltas(50)), undefined, undefined, { stepMax: 8, lastNewsMax: 4 }));
  const whole = effectsOf(file);

  test('[BK1] pieces of any size give the same; several backups may follow each other', () => {
    for (const size of [1, 7, 64, 4_096]) expect(effectsOf(file, size)).toEqual(whole);
    const twice = effectsOf(concatBytes(file, file), 1_000);
    expect(twice.error).toBeUndefined();
    expect(twice.effects).toEqual([...whole.effects, ...whole.effects]);
  });

  test('[BK8] one that ends early is BACKUP_CUT wherever it ends, and the sections before are whole', () => {
    for (let end = 0; end < file.length; end += 31) {
      const { effects, error } = effectsOf(file.subarray(0, end));
      expect(codeOf(error), `at ${end}`).toBe('BACKUP_CUT');
      expect(whole.effects.slice(0, effects.length)).toEqual(effects);
    }
  });

  test('[BK8] a bit that has changed is BACKUP_DAMAGED, or an end that is missing, and nothing of its section is taken', () => {
    for (let at = 0; at < file.length; at += 17) {
      const spoiled = file.slice();
      spoiled[at] = (spoiled[at] as number) ^ (1 << (at % 8));
      const { effects, error } = effectsOf(spoiled);
      expect(['BACKUP_DAMAGED', 'BACKUP_CUT', 'VERSION_UNSUPPORTED'], `at ${at}`).toContain(codeOf(error));
      expect(whole.effects.slice(0, effects.length)).toEqual(effects);
    }
  });

  test('[BK1] a length that lies is refused before anything of it is there', () => {
    const lying = concatBytes(file.subarray(0, 16), Uint8Array.of(3, 0xff, 0xff, 0xff, 0xff));
    expect(codeOf(effectsOf(lying).error)).toBe('BACKUP_DAMAGED');
    expect(codeOf(effectsOf(new Uint8Array(1)).error)).toBe('BACKUP_DAMAGED');
  });

  const frames = framesOf(tablesOf(manyDeltas(20)));
  const [header, certificates, deltas, section, end] = frames as [
    BackupFrame,
    BackupFrame,
    BackupFrame & { kind: 'deltas' },
    BackupFrame & { kind: 'section' },
    BackupFrame & { kind: 'end' },
  ];
  const otherMark: BackupMark = {
    roomId: bytesToHex(new Uint8Array(32)) as never,
    held: new Map(),
    through: undefined,
  };
  test.each<[string, BackupFrame[]]>([
    ['no header', [certificates, deltas, section, end]],
    ['two headers', [header, header, deltas, section, end]],
    ['certificates behind deltas', [header, deltas, certificates, section, end]],
    ['deltas in no section', [header, deltas, end]],
    ['a section of nothing', [header, section, end]],
    ['a delta twice', [header, { kind: 'deltas', deltas: [deltas.deltas[0]!, deltas.deltas[0]!] }, section, end]],
    ['deltas out of order', [header, { kind: 'deltas', deltas: deltas.deltas.toReversed() }, section, end]],
    ['a delta left out', [header, { kind: 'deltas', deltas: deltas.deltas.slice(1) }, { ...section, count: 19 }, end]],
    ['a count that is not so', [header, deltas, { ...section, count: 19 }, end]],
    ['a root that is not so', [header, deltas, { ...section, root: end.root.toReversed() }, end]],
    ['an end of other deltas', [header, deltas, section, { ...end, deltas: 21 }]],
    ['what is no delta', [header, { kind: 'deltas', deltas: [new Uint8Array(9)] }, section, end]],
    ['a mark of another room', [header, deltas, { ...section, mark: otherMark }, end]],
    ['a room without a name', [{ ...header, room: '' } as BackupFrame, deltas, section, end]],
  ])('[BK1, BK3] frames that do not belong together are BACKUP_DAMAGED: %s', (_, wrong) => {
    const { effects, error } = effectsOf(framesToFile(wrong));
    expect(codeOf(error)).toBe('BACKUP_DAMAGED');
    expect(effects.some(({ kind }) => kind === 'finish')).toBe(false);
  });

  test('[BK2] another version is named, and what nobody knows is BACKUP_DAMAGED', () => {
    expect(codeOf(attempt(() => payloadToFrame(1, Uint8Array.of(2))))).toBe('VERSION_UNSUPPORTED');
    expect(codeOf(attempt(() => payloadToFrame(1, Uint8Array.of(1, 1, 97, 4, 0, 0))))).toBe('BACKUP_DAMAGED');
    expect(codeOf(attempt(() => payloadToFrame(9, new Uint8Array())))).toBe('BACKUP_DAMAGED');
  });
});

describe('marks', () => {
  const seqs = fc.array(fc.integer({ min: 2, max: 9 }), { maxLength: 8 });
  const marks = fc.record({
    held: fc.uniqueArray(fc.nat(50), { maxLength: 6 }).chain((replicas) =>
      fc.tuple(...replicas.map((n) => fc.tuple(fc.constant(replicaOf(n)), fc.nat(2 ** 40), seqs))).map(
        (entries) =>
          new Map(
            entries.map(([replica, upTo, gaps]) => {
              let last = upTo;
              const above = gaps.map((gap) => {
                const from = last + gap;
                last = from + (gap % 3);
                return { from, to: last };
              });
              return [replica, { upTo, above }] as const;
            }),
          ),
      ),
    ),
    through: fc.option(fc.uint8Array({ minLength: 64, maxLength: 64 }), { nil: undefined }),
  });

  test('[BK4] what is written is read, in the one encoding', () => {
    fc.assert(
      fc.property(marks, ({ held, through }) => {
        const inOrder = new Map([...held].sort(([a], [b]) => (a < b ? -1 : 1)));
        const mark: BackupMark = { roomId: room.roomId, held: inOrder, through };
        expect(bytesToMark(markToBytes(mark))).toEqual(mark);
        expect(textToMark(markToText(mark), room.roomId)).toEqual(mark);
      }),
    );
  });

  test('[BK6] an application’s text that is no mark, or of another room, is OPTION_INVALID', () => {
    const mark: BackupMark = { roomId: room.roomId, held: new Map(), through: undefined };
    for (const text of ['', 'x', 'AAAA', markToText(mark).slice(0, -4), 7 as never])
      expect(codeOf(attempt(() => textToMark(text, room.roomId)))).toBe('OPTION_INVALID');
    const other = bytesToHex(sha256(new Uint8Array())) as typeof room.roomId;
    expect(codeOf(attempt(() => textToMark(markToText(mark), other)))).toBe('OPTION_INVALID');
  });
});

function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
