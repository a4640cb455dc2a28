import { describe, expect, test } from 'vitest';
import { runFuzzChild } from '../../scripts/lib/fuzz-child.mjs';

const isLong = process.env.MANGROVE_TEST_LONG === '1';
const FRAMES = isLong ? 2_000_000 : 200_000;
const SEED = 1;
const RUN_MS_MAX = isLong ? 60 * 60_000 : 15 * 60_000;

/** What has to happen often enough in a run for its silence to say something. */
const HAPPENS: Readonly<Record<string, number>> = {
  'backup frame read': 1_000,
  'backup with checks read': 50,
  'backup with checks refused': 1_000,
  'bytesToDelta read': 2_000,
  'bytesToDelta refused': 2_000,
  'bytesToRelayMessage read': 2_000,
  'bytesToReplicaMessage read': 1_000,
  'bytesToReplicaMessage refused': 2_000,
  'proof judged': FRAMES / 5,
  'relay frame refused': 1_000,
  'relay frame taken': 5_000,
  'replica frame refused': 1_000,
  'replica frame taken': 5_000,
  'step comparing': 50,
  'step refused': 1_000,
};

// The longer target is `npm run fuzz -- --frames 5000000 --seed 7`; what it finds becomes a test beside the code that was wrong.
describe('hostile bytes', () => {
  test(`[SY14] [SY7] [MK6] ${FRAMES} mutated frames: no crash, no hang, nothing large, no change by what is refused, no false proof`, {
    timeout: RUN_MS_MAX,
  }, async () => {
    const args = ['--frames', String(FRAMES), '--proofs', String(FRAMES / 2), '--seed', String(SEED)];
    const outcome = await runFuzzChild({ args });
    expect(outcome.death, `seed ${SEED}`).toBeUndefined();
    const report = outcome.report as NonNullable<typeof outcome.report>;
    expect(report.findings.map(({ number, text }) => `case ${number} of seed ${SEED}: ${text}`)).toEqual([]);
    expect(report.frames).toBeGreaterThanOrEqual(FRAMES);
    expect(report.proofs).toBeGreaterThanOrEqual(FRAMES / 2);
    for (const [what, count] of Object.entries(HAPPENS)) expect(report.tally[what], what).toBeGreaterThan(count);
  });

  test('a seed and a number make a case again: two runs of one seed are the same', {
    timeout: RUN_MS_MAX,
  }, async () => {
    const run = async (...args: string[]) =>
      (await runFuzzChild({ args: ['--frames', '1500', '--seed', ...args] })).report;
    const [one, again, other] = [
      await run('5', '--proofs', '0'),
      await run('5', '--proofs', '0'),
      await run('6', '--proofs', '0'),
    ];
    expect(again).toEqual(one);
    expect(other?.tally).not.toEqual(one?.tally);
  });

  test('a process that dies of a case is told by the number of the case', { timeout: RUN_MS_MAX }, async () => {
    const { death } = await runFuzzChild({ args: ['--frames', '500', '--seed', '1', '--die-at', '40'] });
    expect(death).toMatchObject({ how: 'ended with SIGKILL', number: 40 });
  });
});
