import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spreadOf } from '../support/stats.mjs';
import { Peer } from './peer.mjs';

const CLI = fileURLToPath(new URL('../../packages/relay/dist/cli.js', import.meta.url));
const FLOODER = fileURLToPath(new URL('./flooder.mjs', import.meta.url));
const KINDS = ['deltas', 'presence', 'garbage', 'pings'];
const WRITERS = 4;
const WRITE_EVERY_MS = 50;
const MESSAGES_PER_SECOND = 10_000;

/** For each kind of flood a relay of its own: some honest writers in one room, first alone, then beside the flooder, then alone again. */
export async function measure({ calmMs, floodMs }) {
  const kinds = [];
  for (const what of KINDS) kinds.push({ what, ...(await measureKind(what, { calmMs, floodMs })) });
  return {
    writers: WRITERS,
    writeEveryMs: WRITE_EVERY_MS,
    messagesPerSecond: MESSAGES_PER_SECOND,
    calmMs,
    floodMs,
    kinds,
  };
}

async function measureKind(what, { calmMs, floodMs }) {
  const folder = await mkdtemp(join(tmpdir(), 'mangrove-flood-'));
  const relay = await startRelay(folder);
  try {
    const writers = await Promise.all(Array.from({ length: WRITERS }, () => Peer.join(relay.url, 'flood')));
    const clock = new Latencies(writers);
    await clock.during(calmMs / 2);
    const before = await clock.during(calmMs);
    const rssBefore = rssOf(relay.child);
    const flooder = spawn(process.execPath, [FLOODER, relay.url, 'flood', what, String(MESSAGES_PER_SECOND)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let last = '{}';
    flooder.stdout.setEncoding('utf8').on('data', (text) => (last = text.trim().split('\n').at(-1)));
    await new Promise((resolve) => flooder.stdout.once('data', resolve));
    const during = await clock.during(floodMs, () => rssOf(relay.child));
    flooder.kill('SIGKILL');
    const after = await clock.during(calmMs);
    clock.stop();
    for (const writer of writers) writer.end();
    const { sent, connections, told } = JSON.parse(last);
    const rssMiB = Math.max(...during.samples) - rssBefore;
    return {
      before: before.spread,
      during: during.spread,
      after: after.spread,
      ratio: during.spread.p99 / before.spread.p99,
      rssMiB,
      sent,
      connections,
      told,
    };
  } finally {
    relay.child.kill('SIGTERM');
    await relay.exited;
    await rm(folder, { recursive: true, force: true });
  }
}

/** From a push until each of the other writers has it. */
class Latencies {
  #pushedAt = new Map();
  #times = [];
  #timers;

  constructor(writers) {
    for (const writer of writers) {
      writer.onDelta = (id) => {
        const at = this.#pushedAt.get(id);
        if (at !== undefined) this.#times.push(performance.now() - at);
      };
    }
    this.#timers = writers.map((writer) =>
      setInterval(() => {
        const at = performance.now();
        this.#pushedAt.set(writer.push(), at);
      }, WRITE_EVERY_MS),
    );
  }

  async during(ms, sample = () => 0) {
    this.#times = [];
    const samples = [];
    for (let passed = 0; passed < ms; passed += 500) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      samples.push(sample());
    }
    return { spread: { ...spreadOf(this.#times), max: Math.max(...this.#times), count: this.#times.length }, samples };
  }

  stop() {
    for (const timer of this.#timers) clearInterval(timer);
  }
}

async function startRelay(folder) {
  const child = spawn(process.execPath, [CLI, '--port', '0', '--data', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const url = await new Promise((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
      const found = /ready at (http[^\s"]+)/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    });
    exited.then((code) => reject(new Error(`the relay ended with ${code}: ${output}`)));
  });
  return { child, url, exited };
}

function rssOf(child) {
  const kiB = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
  return Number(kiB) / 1024;
}
