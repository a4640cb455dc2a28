import { expect, test } from 'vitest';
import { needs } from '../support/engines/abilities.js';
import type { Person } from '../support/person.js';
import type { Profile } from '../support/profile.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();
const devtools = needs('devtools');

/** A text and a record that the relay has, and as many that this device alone has. Resolves to how many writes those are. */
async function visit(profile: Profile): Promise<number> {
  const anna = await stage.arrive('Anna', { profile });
  await anna.type('At the relay. ');
  await anna.addRecord('sent');
  await anna.waitUntilInSync();
  anna.network.cut();
  await anna.goToEnd();
  await anna.type('Only here. ');
  await anna.addRecord('unsent');
  await anna.page.evaluate(() => mangrove.room.reached('disk'));
  const { pending } = await anna.status();
  const marked = (): Promise<string[]> =>
    anna.page.evaluate(() => Object.entries(localStorage).map(([key, value]) => `${key} ${String(value)}`));
  await until('the mark', async () => (await marked()).some((mark) => mark.includes(` ${pending.writes} `)), {
    explain: async () => `${(await marked()).join()} for ${pending.writes}`,
  });
  await profile.close();
  return pending.writes;
}

/** The loss is told, what the relay has comes back, and the next visit finds nothing to tell. */
async function findLoss(profile: Profile, writes: number): Promise<Person> {
  const anna = await stage.arrive('Anna', { profile });
  const status = await anna.waitForStatus('told', ({ lastError }) => lastError?.code === 'STORAGE_LOST');
  expect(status.lastError?.message).toContain(`: ${writes}.`);
  expect(status.storage).toBe('indexeddb');
  await anna.waitUntilInSync();
  const known = await anna.page.evaluate(() => [mangrove.room.metrics().storage, mangrove.room.health().reasons]);
  expect(known).toEqual([expect.objectContaining({ place: 'main', lostWrites: writes }), ['writes-lost']]);
  expect((await anna.page.evaluate(() => document.body.innerText)).toString()).toContain(`: ${writes}.`);
  const ben = await stage.arrive('Ben');
  const { text } = await waitUntilEqual([anna, ben], 30_000);
  expect(text).toBe('At the relay. ');
  await until('the record', async () => (await anna.records()).join() === 'sent');
  await anna.reload();
  await anna.waitUntilInSync();
  expect((await anna.status()).lastError).toBeNull();
  return anna;
}

test.skipIf(devtools.isLacking)(
  `[JS8] the database is gone between two visits: the loss is told with what was at stake, and the rest comes back${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const writes = await visit(profile);
    expect(writes).toBeGreaterThan(1);
    await profile.forgetDatabases();
    await findLoss(profile, writes);
  },
);

test.skipIf(devtools.isLacking)(
  `[JS8] one bit of the database is wrong, and the browser throws it away: the loss is told all the same${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    const writes = await visit(profile);
    await profile.spoilDatabases();
    await findLoss(profile, writes);
  },
);

test.skipIf(devtools.isLacking)(
  `[JS8] a database that was thrown away is told of also where nothing is remembered of it, without a number${devtools.why}`,
  async () => {
    const profile = await stage.newProfile();
    await visit(profile);
    await profile.spoilDatabases();
    await profile.forgetLocalStorage();
    const anna = await stage.arrive('Anna', { profile });
    const status = await anna.waitForStatus('told', ({ lastError }) => lastError?.code === 'STORAGE_LOST');
    expect(status.lastError?.message).toContain(': unknown.');
    await anna.waitUntilInSync();
    expect(await anna.text()).toBe('At the relay. ');
  },
);

test.skipIf(devtools.isLacking)(`[JS8] what is deleted on purpose is no loss${devtools.why}`, async () => {
  const profile = await stage.newProfile();
  const anna = await stage.arrive('Anna', { profile });
  await anna.type('Deleted. ');
  await anna.waitUntilInSync();
  await anna.page.evaluate(() => mangrove.client.destroy({ deleteLocalData: true }));
  expect(await anna.page.evaluate(() => Object.keys(localStorage).join())).not.toContain('mangrove-mark');
  await anna.reload();
  await anna.waitUntilInSync();
  expect(await anna.text()).toBe('Deleted. ');
  expect((await anna.status()).lastError).toBeNull();
});
