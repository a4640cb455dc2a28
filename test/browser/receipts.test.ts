import { expect, test } from 'vitest';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();

declare global {
  var reachedRungs: string[];
  var heardEvents: unknown[];
}

test('[E2E1] a receipt climbs the ladder: applied, disk, relay, replicas, all', async () => {
  const [anna, ben] = await stage.arriveTogether();
  const rungs = await anna.page.evaluate(async () => {
    const receipt = await mangrove.records.put('milk', { title: 'Milk', done: false });
    const climbed: string[] = [];
    for (const rung of ['applied', 'disk', 'relay', 'replicas', 'all'] as const) {
      await receipt.reached(rung);
      climbed.push(rung);
    }
    await mangrove.room.reached('all');
    return { climbed, version: receipt.version, first: receipt.rung };
  });
  expect(rungs.climbed).toEqual(['applied', 'disk', 'relay', 'replicas', 'all']);
  expect(['applied', 'disk']).toContain(rungs.first);
  const there = await ben.page.evaluate(() => mangrove.records.get('milk'));
  expect(there).toMatchObject({ value: { title: 'Milk', done: false } });
  expect(there?.siblings.map(({ version }) => version)).toEqual([rungs.version]);
});

test('rung relay waits for the relay, rung replicas for somebody else; a signal ends the waiting and not the write', async () => {
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  anna.network.hold('up');
  await anna.page.evaluate(async () => {
    globalThis.reachedRungs = [];
    const receipt = await mangrove.records.put('milk', 1);
    await receipt.reached('disk');
    for (const rung of ['relay', 'replicas'] as const)
      void receipt.reached(rung).then(
        () => reachedRungs.push(rung),
        () => {},
      );
  });
  const aborted = await anna.page.evaluate(() => {
    const receipt = mangrove.records.put('milk', 2);
    return failureOf(async () => (await receipt).reached('relay', { signal: AbortSignal.timeout(200) }));
  });
  expect(aborted).toMatchObject({ name: 'MangroveError', code: 'ABORTED' });
  const abortedBefore = await anna.page.evaluate(() =>
    failureOf(() => mangrove.room.reached('relay', { signal: AbortSignal.abort() })),
  );
  expect(abortedBefore?.code).toBe('ABORTED');
  expect(await anna.page.evaluate(() => reachedRungs)).toEqual([]);

  anna.network.release('up');
  await until('the relay', () => anna.page.evaluate(() => reachedRungs.includes('relay')));
  await anna.waitUntilInSync();
  // One replica alone is nobody else, also when its own statement has come back to it.
  await anna.reload();
  await anna.waitUntilInSync();
  const alone = await anna.page.evaluate(() =>
    failureOf(() => mangrove.room.reached('replicas', { signal: AbortSignal.timeout(1_500) })),
  );
  expect(alone?.code).toBe('ABORTED');

  await stage.arrive('Ben');
  await anna.page.evaluate(() => mangrove.room.reached('replicas'));
  const twoOthers = await anna.page.evaluate(() =>
    failureOf(() => mangrove.room.reached('replicas', { count: 2, signal: AbortSignal.timeout(1_500) })),
  );
  expect(twoOthers?.code).toBe('ABORTED');
  expect(await anna.page.evaluate(async () => (await mangrove.records.get('milk'))?.value)).toBe(2);
});

test('a write that a later one replaced resolves with that one', async () => {
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  anna.network.cut();
  await anna.waitForStatus('offline', ({ connection }) => connection === 'offline');
  await anna.page.evaluate(async () => {
    globalThis.reachedRungs = [];
    for (let i = 0; i < 50; i++) {
      const receipt = await mangrove.records.put('counter', i);
      void receipt.reached('relay').then(() => reachedRungs.push(String(i)));
    }
  });
  const offset = (await stage.relay.version(stage.room))?.offset ?? 0;
  anna.network.heal();
  await until('all fifty', () => anna.page.evaluate(() => reachedRungs.length === 50));
  // Offline writes of one record are one delta.
  expect((await stage.relay.version(stage.room))?.offset).toBe(offset + 1);
});

test('without a relay the rungs above disk reject with NO_RELAY, and so does waiting for sync', async () => {
  const anna = await stage.arrive('Anna', { relay: false });
  const failures = await anna.page.evaluate(async () => {
    const receipt = await mangrove.records.put('milk', 1);
    await receipt.reached('disk');
    await mangrove.room.reached('disk');
    const runs = [
      () => receipt.reached('relay'),
      () => receipt.reached('all'),
      () => mangrove.note.reached('replicas'),
      () => mangrove.room.synced(),
    ];
    return Promise.all(runs.map((run) => failureOf(run)));
  });
  for (const failure of failures) {
    expect(failure).toMatchObject({ name: 'MangroveError', code: 'NO_RELAY', retryable: false });
    expect(failure?.remedy).toContain('relay');
  }
});

test('what waits when a room is closed is told CLOSED, and so is what comes after', async () => {
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  anna.network.cut();
  const failures = await anna.page.evaluate(async () => {
    const { room, records } = mangrove;
    const receipt = await records.put('milk', 1);
    const waiting = [failureOf(() => receipt.reached('relay')), failureOf(() => room.synced())];
    await receipt.reached('disk');
    room.close();
    return Promise.all([
      ...waiting,
      failureOf(() => receipt.reached('disk')),
      failureOf(() => records.put('milk', 2)),
      failureOf(() => records.get('milk')),
      failureOf(() => room.document('other')),
      failureOf(() => room.synced()),
    ]);
  });
  expect(failures.map((failure) => failure?.code)).toEqual(failures.map(() => 'CLOSED'));
});

test('room.synced waits for what was written before it; pause and resume are the network, both ways', async () => {
  const [anna, ben] = await stage.arriveTogether();
  const written = await anna.page.evaluate(async () => {
    mangrove.note.ydoc.getText('content').insert(0, 'One. ');
    await mangrove.room.synced();
    return mangrove.room.status;
  });
  expect(written).toMatchObject({ sync: 'in-sync', pending: { writes: 0, oldestAgeMs: null } });
  expect((await stage.relay.version(stage.room))?.root).toBe(written.root);

  // Ben writes behind what Anna wrote only once he has it.
  await waitUntilEqual([anna, ben]);
  await anna.page.evaluate(() => mangrove.room.pause());
  await anna.waitForStatus('paused', ({ connection }) => connection === 'paused');
  await ben.write('From Ben. ');
  await ben.waitUntilInSync();
  await anna.page.evaluate(() => {
    globalThis.reachedRungs = [];
    mangrove.note.ydoc.getText('content').insert(0, 'Two. ');
    void mangrove.room.synced().then(() => reachedRungs.push('synced'));
    return mangrove.note.reached('disk');
  });
  expect(await anna.text()).toBe('Two. One. ');
  expect((await anna.status()).pending.writes).toBe(1);
  expect(await anna.page.evaluate(() => reachedRungs)).toEqual([]);

  await anna.page.evaluate(() => mangrove.room.resume());
  const { text } = await waitUntilEqual([anna, ben]);
  expect(text).toBe('Two. One. From Ben. ');
  await until('synced', () => anna.page.evaluate(() => reachedRungs.includes('synced')));
});

test('the provider says what a Yjs binding asks: status, sync and synced', async () => {
  const anna = await stage.arrive('Anna');
  await anna.waitUntilInSync();
  anna.network.cut();
  await anna.waitForStatus('offline', ({ connection }) => connection === 'offline');
  await anna.page.evaluate(async () => {
    globalThis.heardEvents = [];
    const { provider } = mangrove.room.document('other');
    provider.on('status', (event) => heardEvents.push(event));
    provider.on('sync', (isSynced) => heardEvents.push({ sync: isSynced }));
    provider.once('synced', (isSynced) => heardEvents.push({ synced: isSynced }));
    heardEvents.push(provider.synced);
    await mangrove.room.document('other').ready;
  });
  anna.network.heal();
  await anna.waitUntilInSync();
  const events = await anna.page.evaluate(() => heardEvents);
  expect(events[0]).toBe(false);
  expect(events).toContainEqual({ status: 'connecting' });
  expect(events.filter((event) => JSON.stringify(event) === '{"status":"connected"}')).toHaveLength(1);
  expect(events.slice(-2)).toEqual([{ sync: true }, { synced: true }]);
  expect(await anna.page.evaluate(() => mangrove.room.document('other').provider.synced)).toBe(true);
});

test('provider.disconnect acts on its document alone, and connect brings what was missed', async () => {
  const [anna, ben] = await stage.arriveTogether();
  await Promise.all([openOther(anna), openOther(ben)]);
  await anna.page.evaluate(() => {
    globalThis.heardEvents = [];
    mangrove.note.provider.on('status', (event) => heardEvents.push(event));
    mangrove.note.provider.disconnect();
  });
  await ben.page.evaluate(() => {
    mangrove.note.ydoc.getText('content').insert(0, 'Unheard. ');
    mangrove.room.document('other').ydoc.getText('content').insert(0, 'Heard. ');
  });
  await until('the other document to go on', async () => (await readOther(anna)) === 'Heard. ');
  expect(await anna.text()).toBe('');
  expect(await anna.page.evaluate(() => heardEvents)).toEqual([{ status: 'disconnected' }]);
  // The room goes on: only what is shown waits.
  expect((await anna.status()).connection).toBe('connected');

  await anna.page.evaluate(() => mangrove.note.provider.connect());
  await anna.waitForText('Unheard. ');
  expect(await anna.page.evaluate(() => heardEvents)).toEqual([{ status: 'disconnected' }, { status: 'connected' }]);
});

test('a foreign Yjs update is imported, vouched for, and seen by others; nonsense is refused', async () => {
  const [anna, ben] = await stage.arriveTogether();
  const { Doc, encodeStateAsUpdate } = await import('yjs');
  const foreign = new Doc();
  foreign.getText('content').insert(0, 'From another world. ');
  const update = [...encodeStateAsUpdate(foreign)];
  await anna.write('Before. ');
  await anna.page.evaluate(async (update) => {
    const receipt = await mangrove.note.import(Uint8Array.from(update));
    await receipt.reached('replicas');
  }, update);
  const { text } = await waitUntilEqual([anna, ben]);
  expect(text).toContain('From another world. ');
  expect(text).toContain('Before. ');
  expect((await ben.status()).quarantined).toBe(0);

  const refusal = await anna.page.evaluate(() => failureOf(() => mangrove.note.import(Uint8Array.of(7, 7, 7, 7))));
  expect(refusal).toMatchObject({ name: 'MangroveError', code: 'UNDECODABLE' });
  expect(await anna.text()).toBe(text);
});

function openOther({ page }: Person): Promise<void> {
  return page.evaluate(() => mangrove.room.document('other').ready);
}

function readOther({ page }: Person): Promise<string> {
  return page.evaluate(() => mangrove.room.document('other').ydoc.getText('content').toString());
}
