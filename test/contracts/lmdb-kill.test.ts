import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bytesToU64, type Plan, utf8ToBytes } from '@mangrove/protocol';
import { afterAll, describe, expect, test } from 'vitest';
import { openLmdb } from '../../packages/relay/src/storage/lmdb-store.js';
import { room, ROWS_PER_BATCH } from './lmdb-kill-writer.js';

const ROUNDS = 5;
const path = mkdtempSync(join(tmpdir(), 'mangrove-lmdb-kill-'));
afterAll(() => rmSync(path, { recursive: true, force: true }));

// A killed process proves atomicity and order; the page cache outlives it. That an acknowledged write is on the disk too
// shows in the system calls: `strace -f -e fdatasync,write` has the sync before every printed number.
describe('lmdb, killed while it writes', () => {
  let next = 0;

  test.each(Array.from({ length: ROUNDS }, (_, round) => round + 1))(
    '[ST4] [ST9] round %i of killing: nothing acknowledged is missing and no batch is partial',
    { timeout: 60_000 },
    async () => {
      const acknowledged = await runAndKill(next, 20 + Math.random() * 500);
      expect(acknowledged.length, 'batches acknowledged before the kill').toBeGreaterThan(0);

      const environment = openLmdb(path);
      const { last, rows } = await environment.room(room).transact(readAll, { mode: 'read' });
      await environment.close();
      expect(last).toBeGreaterThanOrEqual(Math.max(...acknowledged));
      expect(rows.length).toBe(last + 1);
      expect(rows.filter((count) => count !== ROWS_PER_BATCH)).toEqual([]);
      next = last + 1;
    },
  );
});

const readAll: Plan<{ readonly last: number; readonly rows: readonly number[] }> = function* (tx) {
  const last = yield* tx.get('meta', utf8ToBytes('last'));
  const rows: number[] = [];
  for (const [key, value] of yield* tx.rows('log', { from: new Uint8Array() })) {
    const batch = bytesToU64(key);
    const isIntact = value.length === 300 && value.every((byte) => byte === (batch & 0xff));
    rows[batch] = (rows[batch] ?? 0) + (isIntact ? 1 : 0);
  }
  return { last: last === undefined ? -1 : bytesToU64(last), rows };
};

/** The batches that were acknowledged until the kill, which comes some time after the first of them. */
async function runAndKill(first: number, afterMs: number): Promise<readonly number[]> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', CHILD, path, String(first)], {
    cwd: at('../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const acknowledged: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (acknowledged.length === 0) setTimeout(() => child.kill('SIGKILL'), afterMs);
    acknowledged.push(Number(line));
  }
  await exited;
  return acknowledged;
}

/** Runs the writer from its source, as the tests do. */
const CHILD = `
  import { runnerImport } from 'vite';
  const alias = { '@mangrove/protocol': ${JSON.stringify(at('../../packages/protocol/src/index.ts'))} };
  const { module } = await runnerImport(${JSON.stringify(at('lmdb-kill-writer.ts'))}, {
    configFile: false,
    logLevel: 'error',
    resolve: { alias },
  });
  await module.writeUntilKilled(process.argv[1], Number(process.argv[2]));
`;

function at(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}
