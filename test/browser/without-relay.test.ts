import { expect, test } from 'vitest';
import { setStage, waitUntilEqual } from '../support/stage.js';

const stage = setStage({ isRelayRunning: false });

test('[E2E4] with the relay gone from the start the app works, keeps everything, and syncs when the relay comes', async () => {
  const profile = await stage.newProfile();
  const anna = await stage.arrive('Anna', { profile });

  await anna.type('Written before there was a relay.');
  await anna.addRecord('Start the relay');
  await anna.addRecord('Water the mangroves');
  await anna.page.evaluate(() => mangrove.room.reached('disk'));
  const waiting = await anna.waitForStatus(
    'offline with edits waiting',
    ({ connection, pending }) => ['offline', 'connecting'].includes(connection) && pending.writes >= 3,
  );
  expect(waiting).toMatchObject({ sync: 'local', storage: 'indexeddb' });
  await anna.waitForStatus('offline', ({ connection }) => connection === 'offline');
  // The words lag behind the status by two seconds at most.
  const words = async (): Promise<string> => (await anna.shownStatus()).words;
  await expect.poll(words, { timeout: 10_000 }).toMatch(/^(Offline|Connecting): \d+ edits waiting/);

  await anna.reload();
  expect(await anna.readEditor()).toBe('Written before there was a relay.');
  await expect.poll(() => anna.records()).toEqual(['Start the relay', 'Water the mangroves']);
  expect((await anna.status()).pending.writes).toBe(waiting.pending.writes);

  await profile.close();
  const again = await stage.arrive('Anna', { profile });
  expect(await again.text()).toBe('Written before there was a relay.');
  await expect.poll(() => again.records()).toEqual(['Start the relay', 'Water the mangroves']);
  await again.type('And still: ');

  await stage.relay.start();
  const { root } = await again.waitUntilInSync();
  expect((await stage.relay.version(stage.room))?.root).toBe(root);
  const ben = await stage.arrive('Ben');
  const { text } = await waitUntilEqual([again, ben]);
  expect(text).toBe('And still: Written before there was a relay.');
  await expect.poll(() => ben.records()).toEqual(['Start the relay', 'Water the mangroves']);
});

test('[E2E4] without any relay the app is local only, and says so', async () => {
  const profile = await stage.newProfile();
  const anna = await stage.arrive('Anna', { profile, relay: false });
  await anna.type('Only mine.');
  await anna.page.evaluate(() => mangrove.note.reached('disk'));
  expect(await anna.status()).toMatchObject({ connection: 'none', sync: 'local', storage: 'indexeddb' });
  expect((await anna.shownStatus()).words).toMatch(/^Local only/);
  expect(await anna.page.evaluate(() => mangrove.note.provider.synced)).toBe(true);
  await profile.close();
  const again = await stage.arrive('Anna', { profile, relay: false });
  expect(await again.readEditor()).toBe('Only mine.');
});
