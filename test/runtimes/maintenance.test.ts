import { existsSync } from 'node:fs';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Delta, hlcFromMs, makeContext } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { makeFolder, readRoomVersion, runCli, spawnRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

// The commands on a data folder, as an operator runs them.

/** A folder with two rooms that were written over a real relay, which is stopped. */
async function fill(): Promise<{ data: string; deltas: Delta[]; root: string }> {
  const data = join(await makeFolder(), 'data');
  const { url, child, exited } = await spawnRelay(data, '--log-level', 'silent');
  const client = await ProtocolClient.connect(url, new TestReplica('team 42'));
  const deltas = [...client.replica.drafts(30), client.replica.draft({ body: new Uint8Array(150_000) })];
  await client.pushed(deltas);
  const context = makeContext(new Map([[client.replica.id, hlcFromMs(Date.now() - 60_000)]]), []);
  await client.pushed([client.replica.draft({ document: 'other', context })]);
  const other = await ProtocolClient.connect(
    url,
    new TestReplica('full', { config: { history: 'full', encrypted: false } }),
  );
  await other.pushed(other.replica.drafts(5));
  const { root } = await readRoomVersion(url, 'team 42');
  child.kill('SIGTERM');
  await exited;
  return { data, deltas, root };
}

test('[MK2, SG1] inspect and verify tell what is there, and verify finds what was changed', async () => {
  const { data, root } = await fill();
  const inspected = await runCli('inspect', data);
  expect(inspected).toMatchObject({ code: 0, stderr: '' });
  expect(inspected.stdout).toContain(root);
  expect(inspected.stdout).toMatch(/ full {2}5 /);
  expect(await runCli('verify', data)).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringContaining('2 rooms and 37 deltas are what they should be'),
  });
  // A byte of a body, somewhere in the file: LMDB itself has no checksums.
  const file = join(data, 'data.mdb');
  const bytes = await readFile(file);
  let at = -1;
  for (let zeros = 0, i = 0; i < bytes.length; i++) {
    zeros = bytes[i] === 0 ? zeros + 1 : 0;
    if (zeros > 100_000) {
      at = i;
      break;
    }
  }
  bytes[at] = 1;
  await writeFile(file, bytes);
  const { code, stderr } = await runCli('verify', data);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^mangrove-relay: \d+ problems: room [0-9a-f]{64}: /),
  });
});

test('[BK5, BK7, BK9] what is exported is imported into another folder, once and twice, and comes to the same root', async () => {
  const { data, deltas, root } = await fill();
  const folder = await makeFolder();
  const file = join(folder, 'team.backup');
  expect(await runCli('export', data, '--room', 'team 42', '--out', file)).toMatchObject({ code: 0, stderr: '' });
  const copy = join(folder, 'copy');
  expect(await runCli('import', copy, file)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^3\d deltas /) });
  expect(await runCli('import', copy, file)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^0 deltas /) });
  expect(await runCli('verify', copy)).toMatchObject({ code: 0 });
  const { url } = await spawnRelay(copy, '--log-level', 'silent');
  expect((await readRoomVersion(url, 'team 42')).root).toBe(root);
  const reader = await ProtocolClient.connect(url, new TestReplica('team 42'));
  await reader.has(deltas);
  // The relay that has the folder now keeps others out.
  for (const command of ['inspect', 'verify', 'compact'])
    expect(await runCli(command, copy)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('another relay process uses'),
    });
});

test('[BK8] a backup that is cut or changed is taken up to there, and said so', async () => {
  const { data } = await fill();
  const folder = await makeFolder();
  const file = join(folder, 'team.backup');
  await runCli('export', data, '--room', 'team 42', '--out', file);
  expect(existsSync(`${file}.part`)).toBe(false);
  await truncate(file, (await stat(file)).size - 20);
  const cut = await runCli('import', join(folder, 'copy'), file);
  expect(cut).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/ends early.*deltas that came before that were taken/),
  });
  await writeFile(file, 'no backup');
  expect(await runCli('import', join(folder, 'copy'), file)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('not as it was written'),
  });
  expect(await runCli('verify', join(folder, 'copy'))).toMatchObject({ code: 0 });
});

test('compact leaves what is there, in no more space than before', async () => {
  const { data, root } = await fill();
  const before = (await stat(join(data, 'data.mdb'))).size;
  expect(await runCli('compact', data)).toMatchObject({ code: 0, stderr: '' });
  expect((await stat(join(data, 'data.mdb'))).size).toBeLessThanOrEqual(before);
  expect(await runCli('verify', data)).toMatchObject({ code: 0 });
  const { url } = await spawnRelay(data, '--log-level', 'silent');
  expect((await readRoomVersion(url, 'team 42')).root).toBe(root);
});

test('a folder that is none, or is damaged, is refused by one line and a code, and nothing is made', async () => {
  const folder = await makeFolder();
  const nowhere = join(folder, 'nowhere');
  for (const command of ['inspect', 'verify', 'compact'])
    expect(await runCli(command, nowhere)).toEqual({
      code: 3,
      stdout: '',
      stderr: `mangrove-relay: there is no data of a relay in ${nowhere}\n`,
    });
  expect(existsSync(nowhere)).toBe(false);
  const { data } = await fill();
  await writeFile(join(data, 'data.mdb'), new Uint8Array(100_000).fill(7));
  for (const command of ['inspect', 'verify', 'compact'])
    expect(await runCli(command, data)).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/^mangrove-relay: [^\n]*nothing was changed\n$/),
    });
  const wrong = [['verify'], ['verify', data, 'more'], ['export', data], ['import', data], ['inspect', '--data']];
  for (const args of wrong) expect((await runCli(...args)).code, args.join(' ')).toBe(2);
});
