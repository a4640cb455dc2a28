import { deriveRoomId, type Plan } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { openLmdb } from '../../packages/relay/dist/storage/lmdb-store.js';
import { hash } from '../support/keys.js';
import type { Person } from '../support/person.js';
import { setStage, waitUntilEqual } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = setStage();

const RECORDS = 2_000;
const HEALED_WITHIN_MS = 60_000;
/** A pass says where, about a kilobyte a leaf; the rest is what was lost. */
const BYTES_PER_LOST_MAX = 4;

/** Writes records in one tab, each a delta of its own, and waits until the relay has them. */
async function writeRecords(person: Person, count: number): Promise<void> {
  await person.page.evaluate(async (count) => {
    for (let i = 0; i < count; i += 50) {
      const some = Array.from({ length: Math.min(50, count - i) }, (_, j) => i + j);
      await Promise.all(some.map((n) => mangrove.records.put(`r${n}`, { title: `record ${n}`, n })));
    }
    await mangrove.room.reached('relay');
  }, count);
}

const repairsOf = (person: Person) => person.page.evaluate(() => mangrove.room.metrics().repairs);

const countRecords = (person: Person): Promise<number> =>
  person.page.evaluate(async () => (await mangrove.records.entries()).length);

/** In all rooms of the profile, of which a test has one. */
function countRows(person: Person, table: string): Promise<number> {
  return person.page.evaluate(async (table) => {
    const done = <Result>(request: IDBRequest<Result>): Promise<Result> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const db = await done(indexedDB.open('mangrove-demo'));
    const count = await done(db.transaction(table).objectStore(table).count());
    db.close();
    return count;
  }, table);
}

/** Deletes every so-manieth row of a table in the browser's database, as a page of the same origin can. */
async function deleteRows(person: Person, table: string, every: number): Promise<number> {
  return await person.page.evaluate(
    async ({ table, every }) => {
      const done = <Result>(request: IDBRequest<Result>): Promise<Result> =>
        new Promise((resolve, reject) => {
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
      let deleted = 0;
      for (const { name } of await indexedDB.databases()) {
        const db = await done(indexedDB.open(name as string));
        if (db.objectStoreNames.contains(table)) {
          const store = db.transaction(table, 'readwrite', { durability: 'strict' }).objectStore(table);
          for (const [i, key] of (await done(store.getAllKeys())).entries()) {
            if (i % every !== 0) continue;
            await done(store.delete(key));
            deleted++;
          }
        }
        db.close();
      }
      return deleted;
    },
    { table, every },
  );
}

test(`[AE1] [AE3] [AE5] a relay whose disk lost a tenth of ${RECORDS} deltas is filled again by two clients, with what it lost`, async () => {
  const [anna, ben] = await stage.arriveTogether();
  await writeRecords(anna, RECORDS);
  await ben.waitForStatus('in sync', ({ sync }) => sync === 'in-sync');
  const before = await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
  const { offset } = (await stage.relay.version(stage.room)) ?? { offset: 0 };
  expect(offset).toBeGreaterThanOrEqual(RECORDS);

  for (const person of [anna, ben]) person.network.cut();
  await stage.relay.kill();
  const lost = await punch(stage.relay.dataDir, stage.room);
  expect(lost.count).toBeGreaterThanOrEqual(RECORDS / 10);
  let up = 0;
  for (const person of [anna, ben]) {
    person.network.tap = (direction, chunk) => {
      if (direction === 'up') up += chunk.length;
    };
    person.network.heal();
  }
  await stage.relay.start();

  await until(
    'the relay to be whole',
    async () => {
      const metrics = await readMetrics(stage.relay.url);
      return metrics.deltas_repaired === lost.count && (await stage.relay.version(stage.room))?.root === before.root;
    },
    { withinMs: HEALED_WITHIN_MS, explain: async () => JSON.stringify(await readMetrics(stage.relay.url)) },
  );
  await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
  const metrics = await readMetrics(stage.relay.url);
  expect(metrics).toMatchObject({ holes_found: lost.count, deltas_repaired: lost.count, rows_unreadable: 0 });
  const repairs = await Promise.all([repairsOf(anna), repairsOf(ben)]);
  const sent = repairs.reduce((sum, { deltasSent }) => sum + deltasSent, 0);
  expect(sent).toBeGreaterThanOrEqual(lost.count);
  for (const { passes } of repairs) expect(passes).toBeLessThanOrEqual(3);
  expect(up).toBeLessThan(BYTES_PER_LOST_MAX * lost.bytes);
  console.log(`lost ${lost.count} deltas of ${lost.bytes} bytes; up ${up} bytes; ${JSON.stringify(repairs)}`);
});

test('[AE1] [AE3] rows of deltas deleted behind a closed client come back from the relay, counted', async () => {
  const anna = await stage.arrive('Anna', { profile: await stage.newProfile() });
  await anna.waitUntilInSync();
  await writeRecords(anna, 300);
  const { root } = await anna.waitUntilInSync();
  const lost = await closed(anna, () => deleteRows(anna, 'deltas', 7));
  expect(lost).toBeGreaterThan(30);
  await healed(anna, root, lost);
  expect(await countRecords(anna)).toBe(300);
});

test('[AE1] Merkle nodes deleted behind a closed client are made anew, and nothing is fetched', async () => {
  const anna = await stage.arrive('Anna', { profile: await stage.newProfile() });
  await anna.waitUntilInSync();
  await writeRecords(anna, 300);
  const { root } = await anna.waitUntilInSync();
  expect(await closed(anna, () => deleteRows(anna, 'nodes', 3))).toBeGreaterThan(5);
  await until('the index to be mended', async () => (await repairsOf(anna)).rowsMended > 0, { withinMs: 30_000 });
  expect((await anna.waitUntilInSync()).root).toBe(root);
  expect(await repairsOf(anna)).toMatchObject({ deltasFetched: 0, deltasSent: 0, rowsUnreadable: 0 });
});

test('[AE3] rows of deltas deleted behind an open client: the next write goes through, and they come back', async () => {
  const anna = await stage.arrive('Anna', { profile: await stage.newProfile() });
  await anna.waitUntilInSync();
  await writeRecords(anna, 300);
  await until('a first look', async () => (await repairsOf(anna)).rowsScrubbed > 300, { withinMs: 30_000 });
  await anna.waitUntilInSync();
  const lost = await deleteRows(anna, 'deltas', 2);
  await writeRecords(anna, 20);
  await until('all to be back', async () => (await repairsOf(anna)).deltasFetched >= lost - 20, { withinMs: 30_000 });
  await anna.waitUntilInSync();
  expect(await countRecords(anna)).toBe(300);
  expect((await stage.relay.version(stage.room))?.root).toBe((await anna.status()).root);
});

test('[AE7] an own write that the disk loses before any relay has it is told, and what the page shows is written anew', async () => {
  const anna = await stage.arrive('Anna', { profile: await stage.newProfile() });
  await anna.type('Kept. ');
  await writeRecords(anna, 5);
  await anna.waitUntilInSync();
  const before = await countRows(anna, 'deltas');
  anna.network.hold('up');
  await anna.page.evaluate(async () => {
    const receipt = await mangrove.records.put('lost', { title: 'lost' });
    const end = receipt.reached('relay').then(
      () => 'arrived',
      (error: { code: string }) => error.code,
    );
    Object.assign(globalThis, { end });
  });
  await anna.write('Shown. ');
  await anna.page.evaluate(() => mangrove.note.reached('disk'));
  await until('both to be sealed', async () => (await countRows(anna, 'deltas')) >= before + 2);
  // Those that the relay has come back, the others do not.
  await deleteRows(anna, 'deltas', 1);
  anna.network.cut();
  anna.network.release('up');
  anna.network.heal();
  await anna.waitForStatus('told', ({ lastError }) => lastError?.code === 'DELTA_LOST', HEALED_WITHIN_MS);
  const code = await anna.page.evaluate(() => (globalThis as unknown as { end: Promise<string> }).end);
  expect(code).toBe('DELTA_LOST');
  await anna.waitUntilInSync(HEALED_WITHIN_MS);
  expect((await anna.page.evaluate(() => mangrove.room.health())).reasons).toEqual(['writes-lost']);
  const ben = await stage.arrive('Ben');
  const { text } = await waitUntilEqual([anna, ben], HEALED_WITHIN_MS);
  expect(text).toBe('Kept. Shown. ');
  expect(await countRecords(ben)).toBe(5);
});

/** What happens while no client has the database open. */
async function closed<Result>(person: Person, run: () => Promise<Result>): Promise<Result> {
  await person.page.evaluate(() => mangrove.client.close());
  const result = await run();
  await person.page.close();
  await person.openTab();
  return result;
}

async function healed(person: Person, root: string, lost: number): Promise<void> {
  await until('what was lost to be back', async () => (await repairsOf(person)).deltasFetched >= lost, {
    withinMs: 30_000,
    explain: async () => JSON.stringify([lost, await repairsOf(person), await person.status()]),
  });
  expect((await person.waitUntilInSync()).root).toBe(root);
  const { holesFound, deltasFetched, deltasSent, passes } = await repairsOf(person);
  expect({ holesFound, deltasFetched, deltasSent }).toEqual({ holesFound: lost, deltasFetched: lost, deltasSent: 0 });
  expect(passes).toBeLessThanOrEqual(3);
}

/** Deletes each tenth row of `deltas` from the relay's database. */
async function punch(dataDir: string, room: string): Promise<{ count: number; bytes: number }> {
  const roomId = deriveRoomId(hash, room, { history: 'current', encrypted: false });
  const environment = openLmdb(dataDir);
  const plan: Plan<{ count: number; bytes: number }> = function* (tx) {
    const rows = yield* tx.rows('deltas', { from: new Uint8Array() });
    const gone = rows.filter((_, i) => i % 10 === 0);
    for (const [key] of gone) tx.delete('deltas', key);
    return { count: gone.length, bytes: gone.reduce((sum, [, row]) => sum + row.length, 0) };
  };
  try {
    return await environment.room(roomId).transact(plan, { mode: 'write' });
  } finally {
    await environment.close();
  }
}

async function readMetrics(url: string): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.matchAll(/^mangrove_(\w+?)(?:_total)? (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}
