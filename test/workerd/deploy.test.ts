import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Miniflare } from 'miniflare';
import { expect, onTestFinished, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { makeFolder } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

const path = (relative: string): string => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const run = promisify(execFile);

test('the project in deploy/cloudflare, copied elsewhere, deploys, and what is deployed is a relay', async () => {
  const folder = join(await makeFolder(), 'relay');
  await cp(path('deploy/cloudflare'), folder, { recursive: true });
  await mkdir(join(folder, 'node_modules/@mangrove'), { recursive: true });
  await symlink(path('packages/relay'), join(folder, 'node_modules/@mangrove/relay'), 'junction');

  const wrangler = path('node_modules/wrangler/bin/wrangler.js');
  const env = { ...process.env, WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG_PATH: folder, NO_COLOR: '1' };
  const deployed = await run(process.execPath, [wrangler, 'deploy', '--dry-run', '--outdir', 'out'], {
    cwd: folder,
    env,
  });
  expect(deployed.stdout).toContain('env.ROOMS (MangroveRoom)');
  expect(deployed.stderr).toBe('');

  const configuration = await readFile(join(folder, 'wrangler.jsonc'), 'utf8');
  const date = /"compatibility_date": "([^"]+)"/.exec(configuration)?.[1] ?? '';
  const flags = /"compatibility_flags": (\[[^\]]*\])/.exec(configuration)?.[1] ?? '[]';
  const worker = new Miniflare({
    modules: [{ type: 'ESModule', path: 'index.js', contents: await readFile(join(folder, 'out/index.js'), 'utf8') }],
    compatibilityDate: date,
    compatibilityFlags: JSON.parse(flags) as string[],
    durableObjects: { ROOMS: { className: 'MangroveRoom', useSQLite: true } },
    bindings: { ALLOWED_ORIGINS: 'https://app.test,https://www.app.test' },
    host: '127.0.0.1',
    port: 0,
    cf: false,
  });
  onTestFinished(() => worker.dispose());
  const { origin: url } = await worker.ready;
  const replica = new TestReplica('room');
  const client = await ProtocolClient.connect(url, replica, { origin: 'https://www.app.test' });
  expect((await client.pushed(replica.drafts(3))).seqs).toEqual([1, 2, 3]);
  await expect(ProtocolClient.connect(url, replica, { origin: 'https://evil.test' })).rejects.toThrow('closed with');
});
