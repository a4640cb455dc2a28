import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { makeFolder, runCli, spawnRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

// There is no Docker and no Kubernetes here: what they would be told is looked at, and run where it can be.

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const dockerfile = read('deploy/Dockerfile');
const manifest = read('deploy/kubernetes/relay.yaml');

test('the image is made of files that exist, and starts what the package ships', () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
    ([, paths]) => paths?.split(' ') ?? [],
  );
  expect(copied.length).toBeGreaterThan(5);
  for (const path of copied) expect(existsSync(join(root, path)), path).toBe(true);
  const { bin, files } = JSON.parse(read('packages/relay/package.json')) as {
    bin: Record<string, string>;
    files: string[];
  };
  expect(dockerfile).toContain(
    `ENTRYPOINT ["node", "node_modules/@mangrove/relay/${bin['mangrove-relay']?.slice(2)}"]`,
  );
  expect(files).toContain('dist');
  const workspaces = [...dockerfile.matchAll(/-w (\S+)/g)].map(([, path]) => path as string);
  for (const path of workspaces) expect(existsSync(join(root, path, 'package.json')), path).toBe(true);
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
  expect(Number(/^FROM node:(\d+)-bookworm-slim$/m.exec(dockerfile)?.[1])).toBeGreaterThanOrEqual(
    Number(/>=(\d+)/.exec(engines.node)?.[1]),
  );
});

test('every variable of the image and the manifest is an option of the command, and the times fit into each other', async () => {
  const { stdout } = await runCli('--help');
  const options = new Set([...stdout.matchAll(/^ {2}--(\S+)/gm)].map(([, name]) => name));
  const variables = new Set(
    [...`${dockerfile}\n${manifest}`.matchAll(/\bMANGROVE_([A-Z_]+)\b/g)].map(([, name]) => name as string),
  );
  expect(variables.size).toBeGreaterThan(6);
  for (const name of variables) expect(options, name).toContain(name.toLowerCase().replaceAll('_', '-'));
  const grace = Number(/terminationGracePeriodSeconds: (\d+)/.exec(manifest)?.[1]);
  const drain = Number(/MANGROVE_DRAIN_SECONDS\n\s+value: "(\d+)"/.exec(manifest)?.[1]);
  expect(grace).toBeGreaterThan(drain + 5 + 10);
  expect(manifest).toContain('replicas: 1\n');
  for (const path of ['/readyz', '/healthz']) expect(manifest).toContain(`path: ${path}`);
});

test('[SY6] what preStop runs drains the relay, and SIGTERM after it ends with 0', async () => {
  const script = /preStop:[\s\S]+?- >-\n\s+(\S.*)\n/.exec(manifest)?.[1] as string;
  const folder = await makeFolder();
  const token = join(folder, 'admin-token');
  await writeFile(token, 'a-secret-of-the-operators\n');
  const { url, child, exited } = await spawnRelay(
    join(folder, 'data'),
    '--admin-token-file',
    token,
    '--drain-seconds',
    '15',
  );
  const client = await ProtocolClient.connect(url, new TestReplica('room'));
  for (const delta of client.replica.drafts(300)) client.push([delta]);
  await client.next('ack');
  const env = { ...process.env, MANGROVE_PORT: new URL(url).port, MANGROVE_ADMIN_TOKEN_FILE: token };
  const hook = spawn(process.execPath, ['-e', script], { env, stdio: 'inherit' });
  expect(await new Promise((resolve) => hook.once('exit', resolve))).toBe(0);
  expect(await client.closed).toBe(1001);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  const again = await spawnRelay(join(folder, 'data'));
  const acknowledged = client.messages.flatMap((message) => (message.kind === 'ack' ? message.seqs : []));
  const reader = await ProtocolClient.connect(again.url, new TestReplica('room'));
  await reader.next('caught-up');
  expect(new Set([...reader.deltasById.values()].map(({ seq }) => seq))).toEqual(new Set(acknowledged));
});

test('[SY6] a peer that never answers holds up no stop beyond its deadline, and the exit code is 0', async () => {
  const data = await makeFolder();
  const { url, child, exited } = await spawnRelay(data, '--drain-seconds', '2');
  const stuck = await ProtocolClient.connect(url, new TestReplica('room'));
  await stuck.pushed(stuck.replica.drafts(1));
  stuck.pause();
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  stuck.terminate();
});
