import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRelay } from '@mangrove/relay/node';
import { serve } from '../../demo/server.mjs';
import { openProfile } from '../support/chromium.mjs';
import { spreadOf } from '../support/stats.mjs';
import { ENDS } from './ends.mjs';

const OPEN_MS_MAX = 30_000;

/** Of each way to end: so many tries, one after the other in one browser. Each try's heir is the next one's owner. */
export async function measure(tries) {
  const folder = await mkdtemp(join(tmpdir(), 'mangrove-failover-'));
  const relay = createRelay({ storage: join(folder, 'relay') });
  const { url: relayUrl } = await relay.listen({ port: 0, host: '127.0.0.1' });
  const site = await serve({ port: 0, relay: false });
  const browser = await openProfile(folder);
  try {
    const context = browser.page.context();
    const address = `${site.url}/?${new URLSearchParams({ room: 'failover', relay: relayUrl.replace('http', 'ws') })}`;
    const openTab = async () => {
      const page = await context.newPage();
      await page.goto(address);
      await page.waitForFunction(() => globalThis.mangrove?.room.status.sync === 'in-sync', undefined, {
        timeout: OPEN_MS_MAX,
      });
      return page;
    };
    let owner = await openTab();
    const times = Object.fromEntries(Object.keys(ENDS).map((how) => [how, []]));
    const promised = [];
    for (let i = 0; i < tries; i++) {
      for (const [how, end] of Object.entries(ENDS)) {
        const heir = await openTab();
        const id = `${how} ${i}`;
        // What the owner was told is on the relay's disk, and what it had no time to send, must both be there at the end.
        await owner.evaluate(write, [`${id} of the owner`, 'relay']);
        await owner.evaluate(write, [`${id} unsent`, 'disk']);
        const ending = await end.prepare(owner);
        const beganMs = performance.now();
        await ending();
        await heir.evaluate(write, [id, 'relay']);
        times[how].push(performance.now() - beganMs);
        promised.push(`${id} of the owner`, `${id} unsent`, id);
        await owner.close().catch(() => {});
        owner = heir;
      }
    }
    await owner.waitForFunction(() => globalThis.mangrove.room.status.sync === 'in-sync');
    const kept = new Set(await owner.evaluate(async () => (await mangrove.records.entries()).map(([id]) => id)));
    const lost = promised.filter((id) => !kept.has(id));
    if (lost.length > 0) throw new Error(`${lost.length} writes are lost, the first of them “${lost[0]}”`);
    const ways = Object.entries(times).map(([how, ms]) => ({ how, ...spreadOf(ms), max: Math.max(...ms) }));
    return { tries, writes: promised.length, ways, browser: await browser.version() };
  } finally {
    await browser.close();
    await site.close();
    await relay.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** In a page. */
async function write([id, rung]) {
  const receipt = await globalThis.mangrove.records.put(id, { title: id, done: false });
  await receipt.reached(rung);
}
