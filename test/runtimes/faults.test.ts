import { randomBytes } from 'node:crypto';
import { open, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LoopDisk, whyNoLoopDisk } from '../support/faults/loop-disk.js';
import { someTime, triesOf } from '../support/faults/tries.js';
import { ProtocolClient } from '../support/protocol-client.js';
import { Pushers } from '../support/pushers.js';
import { makeFolder, readRoomVersion, runCli, spawnRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

// What befalls the machine of a relay: its process, its power, its disk. What it has acknowledged is there afterwards.

const KILLS = triesOf({ usually: 5, long: 100 });
const CUTS = triesOf({ usually: 3, long: 20 });
const FLIPS = triesOf({ usually: 5, long: 40 });
const BAD_FRAMES = process.env.MANGROVE_TEST_LONG === undefined ? 5_000 : 100_000;
const TRY_MS_MAX = 30_000;

test(
  `[SY6] ${KILLS} times kill -9 in the middle of pushing: nothing that was acknowledged is lost`,
  async () => {
    const data = await makeFolder();
    const pushers = new Pushers(3);
    for (let i = 0; i < KILLS; i++) {
      const { child, url, exited } = await spawnRelay(data, '--log-level', 'silent');
      await pushers.begin(url);
      await someTime(500);
      child.kill('SIGKILL');
      expect(await exited).toBe('SIGKILL');
      await pushers.ended();
    }
    const { url } = await spawnRelay(data, '--log-level', 'silent');
    expect(pushers.acknowledged.length).toBeGreaterThan(KILLS * 3);
    expect(await pushers.missingAt(url)).toEqual([]);
    // The log begins nothing anew: a cursor from before the last crash still counts.
    const returned = await ProtocolClient.open(url, pushers.replicas[0] as TestReplica);
    expect(await returned.hello({ cursor: pushers.cursor as NonNullable<typeof pushers.cursor> })).toMatchObject({
      resumed: true,
    });
    console.log(`kill -9: ${KILLS} times, ${pushers.acknowledged.length} acknowledged, none lost`);
  },
  KILLS * TRY_MS_MAX,
);

const whyNot = whyNoLoopDisk();
const why = whyNot === undefined ? '' : ` [${whyNot}]`;

describe.skipIf(whyNot !== undefined)(`on a disk of its own${why}`, () => {
  async function makeDisk(megabytes?: number): Promise<LoopDisk> {
    const disk = await LoopDisk.create(megabytes);
    onTestFinished(() => disk.remove());
    return disk;
  }

  test(
    `[SY6] ${CUTS} times the power is cut in the middle of pushing: nothing that was acknowledged is lost, and the store is whole`,
    async () => {
      const disk = await makeDisk();
      const data = join(disk.folder, 'data');
      const pushers = new Pushers(3, 400);
      for (let i = 0; i < CUTS; i++) {
        const { child, url, exited } = await spawnRelay(data, '--log-level', 'silent');
        await pushers.begin(url);
        await someTime(3_000);
        child.kill('SIGKILL');
        await exited;
        await pushers.ended();
        await disk.cutPower();
        expect(await runCli('verify', data)).toMatchObject({ code: 0, stderr: '' });
      }
      const { url, child, exited } = await spawnRelay(data, '--log-level', 'silent');
      expect(await pushers.missingAt(url)).toEqual([]);
      child.kill('SIGTERM');
      await exited;
      console.log(`power cut: ${CUTS} times, ${pushers.acknowledged.length} acknowledged, none lost`);
    },
    CUTS * TRY_MS_MAX,
  );

  test('[SY6] a disk that fills up: nothing is acknowledged that is not on it, the relay stays, and goes on when there is room', async () => {
    const disk = await makeDisk(32);
    const data = join(disk.folder, 'data');
    const ballast = join(disk.folder, 'ballast');
    const { url, child, exited } = await spawnRelay(data, '--log-level', 'silent');
    const pushers = new Pushers(2, 2_000);
    const reader = new TestReplica('room');
    expect(await pushers.missingAt(url, reader)).toEqual([]);
    await pushers.begin(url);
    await fill(ballast, disk.folder);
    // They are told to come back later; who is known and only reads goes on. A newcomer cannot be certified.
    expect(await pushers.letGo()).toEqual([1013, 1013]);
    await pushers.ended();
    expect(await pushers.missingAt(url, reader)).toEqual([]);
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^mangrove_commits_failed_total [1-9]/m);

    await rm(ballast);
    await pushers.begin(url);
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    await pushers.ended();
    const again = await spawnRelay(data, '--log-level', 'silent');
    expect(await pushers.missingAt(again.url)).toEqual([]);
    again.child.kill('SIGTERM');
    await again.exited;
  });
});

/** All that is left of a file system. */
async function fill(file: string, folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const handle = await open(file, 'w');
  const chunk = randomBytes(256 * 1024);
  try {
    for (let left = bavail * bsize; left > 0; left -= chunk.length) await handle.write(chunk);
    for (;;) await handle.write(chunk.subarray(0, 4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await handle.close();
  }
}

test(
  `[SY9, SG4] ${FLIPS} times a damaged store: it is refused in one line, or serves what it has, and the replicas fill a new one`,
  async () => {
    for (let i = 0; i < FLIPS; i++) {
      const data = await makeFolder();
      const first = await spawnRelay(data, '--log-level', 'silent');
      const writer = await ProtocolClient.connect(first.url, new TestReplica('room'));
      const deltas = writer.replica.drafts(200);
      await writer.pushed(deltas);
      const { root } = await readRoomVersion(first.url, 'room');
      first.child.kill('SIGTERM');
      await first.exited;

      await scribble(join(data, 'data.mdb'), i);
      const verified = await runCli('verify', data);
      if (verified.code !== 0)
        expect(verified, `flip ${i}`).toMatchObject({ stderr: expect.stringMatching(/^mangrove-relay: [^\n]+\n$/) });

      // What the operator is told to do.
      for (const file of await readdir(data)) await rm(join(data, file));
      const { url, child, exited } = await spawnRelay(data, '--log-level', 'silent');
      const back = await ProtocolClient.connect(url, writer.replica);
      await back.pushed(deltas);
      expect((await readRoomVersion(url, 'room')).root).toBe(root);
      child.kill('SIGTERM');
      await exited;
    }
  },
  FLIPS * TRY_MS_MAX,
);

/** In turns: the first pages, the middle, the end cut off, nothing but noise. */
async function scribble(file: string, turn: number): Promise<void> {
  const { size } = await stat(file);
  if (turn % 5 === 4) return await writeFile(file, randomBytes(size));
  const handle = await open(file, 'r+');
  try {
    if (turn % 5 === 0) await handle.write(randomBytes(64), 0, 64, 16);
    else if (turn % 5 === 1) await handle.write(randomBytes(64), 0, 64, 4096 + 16);
    else if (turn % 5 === 2)
      for (let at = 8192; at < size; at += 4096) await handle.write(randomBytes(16), 0, 16, at + 100);
    else await handle.truncate(Math.floor(size / 2));
  } finally {
    await handle.close();
  }
}

test(`[SY13, SY14] ${BAD_FRAMES} frames of noise and of damaged messages: each connection is let go with a reason, the relay stays, and others go on`, async () => {
  const { url } = await spawnRelay(await makeFolder(), '--log-level', 'silent');
  const honest = await ProtocolClient.connect(url, new TestReplica('room'));
  await honest.pushed(honest.replica.drafts(3));
  const before = await readRoomVersion(url, 'room');
  for (let sent = 0, round = 0; sent < BAD_FRAMES; round++) {
    const enter = round % 2 === 0 ? ProtocolClient.connect : ProtocolClient.open;
    const hostile = await enter.call(ProtocolClient, url, new TestReplica('room'));
    // Some are taken for the beginning of something, so how many it takes is not certain.
    for (; hostile.closeCode === undefined; sent++) {
      hostile.sendFrame(badFrame(sent));
      if (sent % 25 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(hostile.closeCode).not.toBe(1006);
  }
  expect(await readRoomVersion(url, 'room')).toEqual(before);
  await honest.pushed(honest.replica.drafts(3));
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
}, 600_000);

/** A length and a kind that may be right, and noise after them. */
function badFrame(turn: number): Uint8Array {
  const frame = randomBytes(1 + (turn % 300));
  if (turn % 3 === 0) frame[0] = 0;
  if (turn % 3 === 1) frame[0] = 1;
  if (frame.length > 1 && turn % 2 === 0) frame[1] = turn % 32;
  return frame;
}
