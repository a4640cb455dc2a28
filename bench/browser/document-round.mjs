import { createHash } from 'node:crypto';
import { sleep } from '../support/clock.mjs';
import { median, spreadOf } from '../support/stats.mjs';
import { applyEdits } from '../support/trace.mjs';
import { Stage } from './stage.mjs';
import { typedEdits } from './typed-edits.mjs';

/** One contestant from an empty profile to a document that was filled, opened, typed in and opened again. */
export async function runDocumentRound({ contestant, round, settings, site, dataFolder, text }) {
  const stage = await Stage.open({ dataFolder, site, settings });
  try {
    await stage.restart();
    const chromium = await stage.version();
    await stage.openDocument(contestant);
    const filling = await stage.call('fill', { count: settings.edits });
    await sleep(settings.restMs);
    await assertText(stage, text, 'after filling');

    await stage.stop();
    const diskBytes = await stage.diskBytes();
    await stage.restart();
    await stage.visit();
    const stored = { ...(await stage.call('storedBytes')), diskBytes };

    const cold = await openCold(stage, contestant, text, settings);
    const warm = await openWarm(stage, contestant, text, settings);
    const memory = await stage.call('memory');
    const typing = await typeAndBurst(stage, contestant, round, settings, text);
    return { chromium, fillMs: filling.ms, stored, cold, warm, memory, typing };
  } finally {
    await stage.close();
  }
}

/** Each time in a browser that has just been started. */
async function openCold(stage, contestant, text, { coldOpens }) {
  const opens = [];
  for (let i = 0; i < coldOpens; i++) {
    await stage.restart();
    opens.push(await stage.openDocument(contestant));
    await assertText(stage, text, 'opened cold');
  }
  return summarizeOpens(opens);
}

async function openWarm(stage, contestant, text, { warmOpens }) {
  const opens = [];
  for (let i = 0; i < warmOpens; i++) {
    opens.push(await stage.openDocument(contestant));
    await assertText(stage, text, 'opened warm');
  }
  return summarizeOpens(opens);
}

function summarizeOpens(opens) {
  return Object.fromEntries(
    ['loadedMs', 'readableMs', 'visibleMs'].map((name) => [name, median(opens.map((open) => open[name]))]),
  );
}

/** Types into the document as it was opened, and then opens it once more: everything typed must be there. */
async function typeAndBurst(stage, contestant, round, settings, text) {
  const { typed, typedToDisk, typedEveryMs: everyMs, tailMs, burst, bursts } = settings;
  let expected = text;
  let seed = 1_000 * round;
  const next = (count) => {
    seed++;
    expected = applyEdits(expected, typedEdits({ length: expected.length, count, seed }));
    return { count, everyMs, seed };
  };

  await stage.call('type', next(Math.ceil(typed / 10)));
  await sleep(tailMs);
  let typing;
  const options = next(typed);
  const cpuMs = await stage.mainThreadMs(async () => {
    typing = await stage.call('type', options);
    await sleep(tailMs);
  });
  const figures = {
    returned: spreadOf(typing.returnedMs),
    task: spreadOf(typing.taskMs),
    cpuMsPerEdit: cpuMs / typed,
  };
  if (contestant.storesEdits) figures.disk = spreadOf((await stage.call('typeToDisk', next(typedToDisk))).diskMs);
  const burstsMade = [];
  for (let i = 0; i < bursts; i++) {
    await sleep(tailMs);
    burstsMade.push(await stage.call('burst', next(burst)));
  }
  figures.burstTaskMs = median(burstsMade.map(({ taskMs }) => taskMs));
  if (contestant.storesEdits) figures.burstDiskMs = median(burstsMade.map(({ diskMs }) => diskMs));

  await stage.call('settle');
  await stage.restart();
  await stage.openDocument(contestant);
  await assertText(stage, expected, 'after typing');
  return figures;
}

async function assertText(stage, text, when) {
  const { length, hash } = await stage.call('textDigest');
  if (hash === createHash('sha256').update(text).digest('hex')) return;
  throw new Error(`another text ${when}: ${length} characters, expected ${text.length}`);
}
