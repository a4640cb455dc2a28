import { spreadOf } from '../support/stats.mjs';
import { Stage } from './stage.mjs';

/** One contestant with an empty profile: records put in three ways, and read in a browser that has just been started. */
export async function runRecordRound({ contestant, settings, site, dataFolder }) {
  const { records: count, oneByOneSecondsMax: secondsMax } = settings;
  const options = { contestant: contestant.id, count };
  const stage = await Stage.open({ dataFolder, site, settings });
  const inNewPage = async (name, argument) => {
    await stage.visit();
    return stage.call(name, argument);
  };
  try {
    await stage.restart();
    const chromium = await stage.version();
    const oneByOne = await inNewPage('putOneByOne', { ...options, secondsMax });
    const atOnce = await inNewPage('putAtOnce', options);
    const bulk = await inNewPage('putInBulk', options);

    await stage.restart();
    const { getMs, isRight, ...read } = await inNewPage('readRecords', options);
    assertRight(isRight, 'put at once');
    const put = oneByOne.putMs.length;
    // A run that was cut short has only the first of them, which are no records of the same seed.
    if (put === count) await checkStored(inNewPage, { ...options, name: 'one-by-one' });
    if (bulk !== undefined) await checkStored(inNewPage, { ...options, name: 'bulk' });
    return {
      chromium,
      oneByOne: { put, perSecond: (put / oneByOne.ms) * 1_000, ...spreadOf(oneByOne.putMs) },
      atOncePerSecond: (count / atOnce.ms) * 1_000,
      ...(bulk && { bulkPerSecond: (count / bulk.ms) * 1_000 }),
      read: { ...read, get: spreadOf(getMs) },
    };
  } finally {
    await stage.close();
  }
}

async function checkStored(inNewPage, options) {
  assertRight(await inNewPage('checkRecords', options), options.name);
}

function assertRight(isRight, how) {
  if (!isRight) throw new Error(`not every record was read back as it was put, ${how}`);
}
