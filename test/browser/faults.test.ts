import { expect, test } from 'vitest';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';
import { missingFrom, Writer } from '../support/writer.js';

const stage = setStage();
const isLong = process.env.MANGROVE_TEST_LONG !== undefined;

/** A client comes back within seconds by itself, and this machine may be busy. */
const HEALED_WITHIN_MS = 30_000;

test('[E2E3] the relay is killed while two people write, and started again: nothing they were told of is lost', async () => {
  const [anna, ben] = await stage.arriveTogether();
  for (const person of [anna, ben]) person.expectNetworkTrouble();
  const writers = await Promise.all([Writer.start(anna, 'a'), Writer.start(ben, 'b')]);

  for (let round = 0; round < (isLong ? 10 : 2); round++) {
    await Promise.all(writers.map((writer) => writer.until('relay', 10)));
    await stage.relay.kill();
    await Promise.all(writers.map((writer) => writer.until('disk', 10)));
    await stage.relay.start();
  }
  await Promise.all(writers.map((writer) => writer.stop()));

  const { text, root } = await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
  for (const writer of writers) expect(missingFrom(text, writer.written)).toEqual([]);
  expect((await stage.relay.version(stage.room))?.root).toBe(root);
});

test('[E2E3] [SY6] what reached the relay is there after a SIGKILL, also when its author never comes back', async () => {
  const anna = await stage.arrive('Anna');
  anna.expectNetworkTrouble();
  await anna.waitUntilInSync();
  const writer = await Writer.start(anna, 'a', 5);
  await writer.until('relay', 30);
  await stage.relay.kill();
  await anna.session.close();
  const promised = new Set(writer.relay);
  await stage.relay.start();

  const ben = await stage.arrive('Ben');
  await ben.waitUntilInSync();
  expect(missingFrom(await ben.text(), promised)).toEqual([]);
});

test('[E2E3] the network is cut while two people type by hand: both texts come together by themselves', async () => {
  const [anna, ben] = await stage.arriveTogether();
  await Promise.all([anna.type('Before. '), ben.type('Vorher. ')]);
  await waitUntilEqual([anna, ben]);

  anna.network.cut();
  ben.network.cut();
  const during = ['Anna goes on without a network. ', 'Ben as well, at the same time. '] as const;
  await Promise.all([anna.type(during[0], { delayMs: 80 }), ben.type(during[1], { delayMs: 80 })]);
  for (const person of [anna, ben]) {
    const shown = await person.shownStatus();
    expect(shown.sync).toBe('behind');
    expect(shown.pending).toBeGreaterThan(0);
  }
  anna.network.heal();
  ben.network.heal();

  const { text } = await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
  for (const part of [...during, 'Before. ', 'Vorher. ']) expect(text).toContain(part.trim());
  expect(text.length).toBe('Before. Vorher. '.length + during[0].length + during[1].length);
  // Neither moves, and yet each sees where the other stands.
  await until('both cursors to be seen again', async () => {
    const seen = await Promise.all([anna.cursorsOfOthers(), ben.cursorsOfOthers()]);
    return seen.flat().sort().join() === 'Anna,Ben';
  });
});

test('[E2E3] a network that stalls without closing anything delays, and loses nothing', async () => {
  const [anna, ben] = await stage.arriveTogether();
  const writers = await Promise.all([Writer.start(anna, 'a'), Writer.start(ben, 'b')]);
  await Promise.all(writers.map((writer) => writer.until('relay', 5)));
  for (const direction of ['up', 'down'] as const) {
    anna.network.hold(direction);
    await Promise.all(writers.map((writer) => writer.until('disk', 20)));
    anna.network.release(direction);
    await Promise.all(writers.map((writer) => writer.until('relay', 5)));
  }
  anna.network.delay(200);
  await Promise.all(writers.map((writer) => writer.until('relay', 20)));
  await Promise.all(writers.map((writer) => writer.stop()));

  const { text } = await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
  for (const writer of writers) expect(missingFrom(text, writer.written)).toEqual([]);
});

test.runIf(isLong)('[E2E3] a connection that fell silent for good is noticed and made anew', async () => {
  const [anna, ben] = await stage.arriveTogether();
  anna.network.hold('down');
  anna.network.hold('up');
  await ben.write('Are you there? ');
  const before = anna.network.connections;
  await anna.waitForStatus('told of the silence', ({ connection }) => connection !== 'connected', 40_000);
  anna.network.release('up');
  anna.network.release('down');
  await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
  expect(anna.network.connections).toBeGreaterThan(before);
  expect(await anna.text()).toBe('Are you there? ');
});

test('[SY15] a page that hears that it is offline asks its silent relay at once, and says so in seconds', async () => {
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  anna.network.hold('down');
  anna.network.hold('up');
  const atMs = Date.now();
  await anna.page.evaluate(() => void dispatchEvent(new Event('offline')));
  await anna.waitForStatus('told of it', ({ connection }) => connection !== 'connected');
  expect(Date.now() - atMs, 'well before a silence is noticed by itself').toBeLessThan(8_000);
  anna.network.release('up');
  anna.network.release('down');
  await anna.waitUntilInSync();
});

test('[E2E3] [JS1] a tab is closed in the middle of typing and opened again: what was on disk is there', async () => {
  const profile = await stage.newProfile();
  const [anna, ben] = [await stage.arrive('Anna', { profile }), await stage.arrive('Ben')];
  await Promise.all([anna.waitUntilInSync(), ben.waitUntilInSync()]);
  // With the network cut, what comes back can only come from this device.
  const writer = await Writer.start(anna, 'a', 10);
  await writer.until('relay', 20);
  anna.network.cut();
  await writer.until('disk', 40);
  await anna.page.close();
  const promised = new Set([...writer.disk, ...writer.relay]);

  await anna.openTab();
  expect(missingFrom(await anna.text(), promised)).toEqual([]);
  anna.network.heal();
  const { text } = await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
  expect(missingFrom(text, promised)).toEqual([]);
});

test('[E2E3] [JS1] the browser is closed in the middle of typing and started again: what was on disk is there', async () => {
  const profile = await stage.newProfile();
  const anna = await stage.arrive('Anna', { profile });
  await anna.waitUntilInSync();
  const writer = await Writer.start(anna, 'a', 10);
  await writer.until('disk', 40);
  await profile.close();
  const promised = new Set([...writer.disk, ...writer.relay]);

  const again = await stage.arrive('Anna', { profile });
  expect(missingFrom(await again.text(), promised)).toEqual([]);
  await again.waitUntilInSync(HEALED_WITHIN_MS);
});
