import { randomBytes } from 'node:crypto';
import { defaultLimits, type Delta } from '@mangrove/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as Y from 'yjs';
import { ForgingRelay } from '../support/forging-relay.js';
import type { Person } from '../support/person.js';
import { RemoteAuthor } from '../support/remote-author.js';
import { setStage } from '../support/stage.js';
import { TestReplica } from '../support/test-replica.js';
import { until } from '../support/until.js';

const stage = setStage();
let relay: ForgingRelay;
let victim: Person;
let author: RemoteAuthor;

beforeEach(async () => {
  relay = await ForgingRelay.open(stage.relay.url);
  victim = await stage.arrive('Anna', { relay: relay.url });
  victim.expectNetworkTrouble();
  await victim.waitUntilInSync();
  author = await RemoteAuthor.join(stage.relay.url, stage.room);
  await author.client.pushed([author.write('Honest. ')]);
  await victim.waitForText('Honest. ');
  await victim.waitUntilInSync();
});

afterEach(async () => {
  await author.close();
  await relay.close();
});

test('[E2E5] [SY10] a forged delta changes no content; it is counted, its author is named, and the relay is told', async () => {
  const { root } = await victim.status();
  const forged = author.write('Forged. ', { forged: true });
  sayDeltas([forged]);

  const status = await victim.waitForStatus('quarantining', ({ quarantined }) => quarantined > 0);
  expect(status.quarantined).toBe(1);
  expect(status.lastError).toMatchObject({ code: 'SIGNATURE_INVALID', retryable: false });
  expect(status.lastError?.message).toContain(author.replica.id);
  expect(status.root).toBe(root);
  expect(await victim.text()).toBe('Honest. ');
  await until('the report', () => relay.heard.some(({ kind }) => kind === 'report'));

  // The same again is the same one.
  sayDeltas([forged]);
  await until('the second report', () => relay.heard.filter(({ kind }) => kind === 'report').length === 2);
  expect((await victim.status()).quarantined).toBe(1);
  await expectHonestWorkGoesOn();

  await victim.reload();
  expect((await victim.status()).quarantined).toBe(1);
  expect(await victim.text()).toContain('Still honest. ');

  // It is told of in its place, and can be taken out of there as it came.
  await until('the place', () => victim.page.evaluate(() => document.getElementById('set-aside')?.hidden === false));
  await victim.page.click('#set-aside-summary');
  const listed = () => victim.page.evaluate(() => document.getElementById('set-aside-list')?.textContent ?? '');
  await until('the list', async () => (await listed()).includes('not signed by whom it names'));
  const saved = await victim.page.evaluate(async () => {
    const link = new Promise<string>((resolve) => {
      HTMLAnchorElement.prototype.click = function () {
        resolve(this.href);
      };
    });
    document.querySelector<HTMLButtonElement>('#set-aside-list button')?.click();
    const [entry] = await mangrove.room.quarantine.list();
    return { download: await link, exported: [...((entry && (await mangrove.room.quarantine.export(entry))) ?? [])] };
  });
  expect(saved.download).toMatch(/^blob:/);
  expect(saved.exported).toEqual([...forged.bytes]);
});

test('[E2E5] a delta that was signed for another room changes nothing', async () => {
  const { root } = await victim.status();
  const elsewhere = new TestReplica(`${stage.room}-elsewhere`);
  const sameKeyElsewhere = new TestReplica(`${stage.room}-elsewhere`, { keys: author.replica.keys });
  const update = updateOf('Elsewhere. ');
  sayDeltas([
    elsewhere.draft({ document: 'note', body: update }),
    // Its author is admitted here, but has signed it for there.
    sameKeyElsewhere.draft({ document: 'note', body: update, replica: author.replica.id }),
  ]);
  const status = await victim.waitForStatus('refusing', ({ lastError }) => lastError !== null);
  expect(['UNCERTIFIED', 'SIGNATURE_INVALID', 'WRONG_ROOM']).toContain(status.lastError?.code);
  expect(await victim.text()).toBe('Honest. ');
  expect((await victim.status()).root).toBe(root);
  await expectHonestWorkGoesOn();
});

test('[E2E5] [CX8] a signed delta that nobody can decode is quarantined, and all others go on', async () => {
  const delta = author.draft(new Uint8Array(randomBytes(64)));
  await author.client.pushed([delta]);
  const status = await victim.waitForStatus('quarantining', ({ quarantined }) => quarantined > 0);
  expect(status.quarantined).toBe(1);
  expect(status.lastError).toMatchObject({ code: 'UNDECODABLE' });
  expect(status.lastError?.message).toContain(author.replica.id);
  expect(await victim.text()).toBe('Honest. ');
  // It was validly signed, so it is part of the set, and roots agree.
  const { root } = await victim.waitUntilInSync();
  expect((await stage.relay.version(stage.room))?.root).toBe(root);
  await expectHonestWorkGoesOn();
});

test('[E2E5] an update with operations of another writer is quarantined before Yjs sees it', async () => {
  const clientId = await victim.page.evaluate(() => mangrove.note.ydoc.clientID);
  const ydoc = Object.assign(new Y.Doc(), { clientID: clientId });
  ydoc.getText('content').insert(0, 'In the name of Anna. ');
  await author.client.pushed([author.draft(Y.encodeStateAsUpdate(ydoc))]);
  const status = await victim.waitForStatus('quarantining', ({ quarantined }) => quarantined > 0);
  expect(status.lastError).toMatchObject({ code: 'UNDECODABLE' });
  expect(await victim.text()).toBe('Honest. ');
  await victim.write('Anna herself. ');
  expect(await victim.text()).toBe('Honest. Anna herself. ');
  await expectHonestWorkGoesOn();
});

test('[E2E5] [SY14] garbage from the relay changes nothing; the page, its worker and the connection live', async () => {
  const { root } = await victim.status();
  for (let i = 0; i < 20; i++) relay.sayBytes(new Uint8Array(randomBytes(1 + i * 7)));
  relay.sayBytes(new Uint8Array());
  relay.sayBytes('a text');
  // A message in parts that claims more bytes than any may have, and one that never ends.
  relay.sayBytes(Uint8Array.of(1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3));
  relay.sayBytes(Uint8Array.of(1, 0x80, 0x80, 0x04, 1, 2, 3));
  relay.sayBytes(new Uint8Array(defaultLimits.frameBytesMax + 1));
  // Deltas that are none, in a message that is one.
  relay.say({ kind: 'deltas', position: undefined, deltas: [new Uint8Array(randomBytes(300)), new Uint8Array()] });

  const status = await victim.waitForStatus('told of garbage', ({ lastError }) => lastError !== null);
  expect(['FRAME_MALFORMED', 'FRAME_TOO_LARGE', 'BODY_TOO_LARGE', 'DELTA_MALFORMED']).toContain(status.lastError?.code);
  expect(await victim.text()).toBe('Honest. ');
  expect((await victim.status()).root).toBe(root);
  expect((await victim.status()).connection).toBe('connected');
  await expectHonestWorkGoesOn();
});

test('[E2E5] [SY8] a replayed delta changes nothing', async () => {
  const again = author.write('Once. ');
  await author.client.pushed([again]);
  await victim.waitForText('Once. Honest. ');
  const { root } = await victim.waitUntilInSync();
  sayDeltas([again, again]);
  await author.client.pushed([again]);
  await expectHonestWorkGoesOn();
  expect((await victim.text()).match(/Once/g)).toHaveLength(1);
  expect((await victim.status()).quarantined).toBe(0);
  expect((await victim.status()).lastError).toBe(null);
  expect((await victim.status()).root).not.toBe(root);
});

function sayDeltas(deltas: readonly Delta[]): void {
  relay.say({ kind: 'deltas', position: undefined, deltas: deltas.map(({ bytes }) => bytes) });
}

/** Both ways, and to the end: what others write is shown, what is written here arrives, and roots are equal. */
async function expectHonestWorkGoesOn(): Promise<void> {
  const ben = await stage.arrive('Ben');
  await ben.waitForStatus('in sync', ({ sync }) => sync === 'in-sync');
  await ben.write('Still honest. ');
  await until('Anna to see what Ben wrote', async () => (await victim.text()).includes('Still honest. '));
  await victim.write('Anna answers. ');
  await until('Ben to see what Anna wrote', async () => (await ben.text()).includes('Anna answers. '));
  const [mine, theirs] = await Promise.all([victim.waitUntilInSync(), ben.waitUntilInSync()]);
  expect(mine.root).toBe(theirs.root);
  expect(await victim.text()).toBe(await ben.text());
}

function updateOf(text: string): Uint8Array {
  const ydoc = new Y.Doc();
  ydoc.getText('content').insert(0, text);
  return Y.encodeStateAsUpdate(ydoc);
}
