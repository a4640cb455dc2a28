import { type Hlc, type ReplicaId, utf8ToBytes, type Value } from '@mangrove/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import type { Conflict } from '../../../packages/lambda/src/conflict.js';
import type { LambdaSpec } from '../../../packages/lambda/src/lambda.js';
import { openSandbox, type Sandbox, type SandboxOptions } from '../../../packages/lambda/src/sandbox.js';
import type { StartWorker } from '../../../packages/lambda/src/worker/sandbox-worker.js';
import { describeLambdas } from '../../contracts/lambda-contract.js';
import { fetchRaw } from '../../support/lambda/fetch-raw.js';

describeLambdas('this browser', { readEngine: fetchRaw, readRust: () => fetchRaw('rust') });

describe('a sandbox in a worker of its own', () => {
  const opened: Sandbox[] = [];
  afterEach(() => {
    for (const sandbox of opened.splice(0)) sandbox.close();
  });
  const open = async (
    source: string,
    options: SandboxOptions = {},
    spec: Partial<LambdaSpec> = {},
  ): Promise<Sandbox> => {
    const code = new Uint8Array(utf8ToBytes(source));
    const sandbox = await openSandbox({ kind: 'js', code, ...spec }, { startWorker, ...options });
    opened.push(sandbox);
    return sandbox;
  };

  test('[LB8] merges, and falls back to the newest write where the lambda fails as it does everywhere', async () => {
    const sandbox = await open(
      'function merge({ id, siblings }) { if (id === "bad") for (;;); return siblings.map((s) => s.value); }',
    );
    expect(await sandbox.merge(conflictOf('good', ['new', 'old']))).toEqual({ by: 'lambda', value: ['new', 'old'] });
    const bad = await sandbox.merge(conflictOf('bad', ['new', 'old']));
    expect(bad).toMatchObject({ by: 'fallback', value: 'new', error: { code: 'FUEL_OUT' } });
  });

  test('[LB8] a watchdog ends a worker that takes too long, decides nothing, and goes on in another', async () => {
    const sandbox = await open('function merge({ id }) { return id; }', { watchdogMs: 3_000 });
    const merges = [conflictOf('stuck', [1, 2]), conflictOf('next', [1, 2])].map((conflict) => sandbox.merge(conflict));
    expect(await merges[0]).toMatchObject({ by: 'nobody', error: { code: 'TIMED_OUT' } });
    expect(await merges[1]).toEqual({ by: 'lambda', value: 'next' });
  });

  test('[LB7] a lambda that is another than the pinned one is refused', async () => {
    const sandbox = await open('function merge() { return 1; }');
    await expect(open('function merge() { return 2; }', {}, { id: sandbox.id })).rejects.toMatchObject({
      code: 'LAMBDA_INVALID',
    });
    await expect(open('function merge() { return 1; }', {}, { id: sandbox.id })).resolves.toBeDefined();
  });

  test('[LB8] a worker that cannot start says so, and a sandbox that is closed decides nothing', async () => {
    const missing: StartWorker = (events) => startAt(new URL('./there-is-no-such-file.js', import.meta.url), events);
    await expect(open('', { startWorker: missing })).rejects.toMatchObject({ code: 'LAMBDA_UNAVAILABLE' });
    const sandbox = await open('function merge() { return 1; }');
    sandbox.close();
    expect(await sandbox.merge(conflictOf('x', [1, 2]))).toMatchObject({
      by: 'nobody',
      error: { code: 'UNAVAILABLE' },
    });
  });
});

const startWorker: StartWorker = ({ onMessage, onFailure }) => {
  const worker = new Worker(new URL('../../support/lambda/worker.ts', import.meta.url), { type: 'module' });
  return connect(worker, { onMessage, onFailure });
};

function startAt(url: URL, events: Parameters<StartWorker>[0]): ReturnType<StartWorker> {
  return connect(new Worker(url, { type: 'module' }), events);
}

function connect(worker: Worker, { onMessage, onFailure }: Parameters<StartWorker>[0]): ReturnType<StartWorker> {
  worker.onmessage = ({ data }) => onMessage(data);
  worker.onerror = (event) => onFailure(event.message || 'its file could not be loaded');
  return { post: (message) => worker.postMessage(message), terminate: () => worker.terminate() };
}

/** The first value is the newest. */
function conflictOf(id: string, values: readonly Value[]): Conflict {
  const siblings = values.map((value, i) => ({
    value,
    replica: `${i}`.padStart(16, '0') as ReplicaId,
    writtenAt: (1_000 - i) as Hlc,
    bytes: new Uint8Array(),
  }));
  return { collection: 'todos', id, siblings };
}
