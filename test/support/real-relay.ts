import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRelay, type Relay, type RelayOptions } from '@mangrove/relay/node';
import { onTestFinished } from 'vitest';
import { startWorkerd } from './workerd/workerd-relay.js';

const RUNTIME = process.env.MANGROVE_RELAY ?? 'node';
const CLI = fileURLToPath(new URL('../../packages/relay/dist/cli.js', import.meta.url));

/** A folder that is gone when the test is over. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mangrove-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface RunningRelay {
  readonly relay: Pick<Relay, 'close' | 'revoke' | 'drain'>;
  readonly url: string;
  readonly faults: readonly unknown[];
}

/**
 * A relay over a disk and real sockets; closed when the test is over. In this process, or in workerd where the environment says so: what is
 * tested here holds for both.
 */
export async function startRelay(options: RelayOptions = {}): Promise<RunningRelay> {
  const faults: unknown[] = [];
  const storage = 'storage' in options ? options.storage : await makeFolder();
  const withFaults = { onFault: (error: unknown) => faults.push(error), ...options, storage };
  if (RUNTIME !== 'node') {
    const relay = await startWorkerd(withFaults, { forgetful: RUNTIME === 'workerd-forgetful' });
    onTestFinished(() => relay.close());
    const missing = () => Promise.reject(new Error('there is no such thing on Cloudflare'));
    return { relay: { close: relay.close, revoke: missing, drain: missing }, url: relay.url, faults };
  }
  const relay = createRelay(withFaults);
  onTestFinished(() => relay.close());
  const { url } = await relay.listen({ port: 0 });
  return { relay, url, faults };
}

export interface SpawnedRelay {
  readonly child: ChildProcess;
  readonly url: string;
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals | null>;
}

/** The relay as it is shipped, as a process of its own; killed when the test is over. */
export async function spawnRelay(data: string, ...args: readonly string[]): Promise<SpawnedRelay> {
  const child = spawn(process.execPath, [CLI, '--port', '0', '--data', data, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exited = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
  const url = await new Promise<string>((resolve, reject) => {
    let output = '';
    child.stdout?.on('data', (text: Buffer) => {
      output += text.toString();
      const found = /ready at (\S+)\n/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    });
    exited.then((code) => reject(new Error(`the relay exited with ${code} before it was ready: ${output}`)));
  });
  return { child, url, exited };
}

/** Runs the command to its end. */
export async function runCli(
  ...args: readonly string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  return await new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

export interface RoomFigures {
  readonly room: string;
  readonly offset: number;
  readonly vector: Readonly<Record<string, number>>;
  readonly root: string;
}

export async function readRoomVersion(url: string, room: string): Promise<RoomFigures> {
  const response = await fetch(`${url}/rooms/${encodeURIComponent(room)}/version`);
  if (!response.ok) throw new Error(`version of ${room}: ${response.status} ${await response.text()}`);
  return (await response.json()) as RoomFigures;
}
