import { monitorEventLoopDelay } from 'node:perf_hooks';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { COUNTERS, type Counters, type CounterName, HISTOGRAMS, type HistogramName } from '../counters.js';
import type { PeerFigures } from '../federation/peer-figures.js';
import { type Figures, healthOf, REASONS } from '../health.js';

const LAG_RESOLUTION_MS = 20;
const NS_PER_MS = 1e6;

/** What a relay measures at the moment. */
export type Standing = Omit<Figures, 'eventLoopLagMs' | 'failed' | 'holes'> & {
  readonly connections: number;
  readonly rooms: number;
  readonly catchingUp: number;
  readonly pushesWaiting: number;
};

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  close(): void;
}

/** The metrics of one relay in a registry of its own: two relays in one process do not count together. */
export function createMetrics(counters: Counters, stand: () => Standing, peers?: PeerFigures): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  lag.enable();
  const recent = new Recent(counters);

  for (const name of Object.keys(COUNTERS) as CounterName[]) {
    new Counter({
      name: `mangrove_${name}_total`,
      help: COUNTERS[name],
      registers,
      collect() {
        this.reset();
        this.inc(counters.get(name));
      },
    });
  }
  new Counter({
    name: 'mangrove_refusals_total',
    help: 'Deltas that were refused, by the code that their author was told.',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      for (const [code, count] of counters.refusals) this.inc({ code }, count);
    },
  });
  const histograms = new Map<HistogramName, Histogram>();
  for (const [name, { help, buckets }] of Object.entries(HISTOGRAMS))
    histograms.set(
      name as HistogramName,
      new Histogram({ name: `mangrove_${name}`, help, buckets: [...buckets], registers }),
    );
  counters.observer = (name, value) => histograms.get(name)?.observe(value);

  const measure = (): Figures & Standing => {
    const eventLoopLagMs = Math.max(0, lag.percentile(99) / NS_PER_MS - LAG_RESOLUTION_MS);
    return { ...stand(), eventLoopLagMs, ...recent.look() };
  };
  let measured = measure();
  const gauge = (name: string, help: string, value: (now: Figures & Standing) => number) =>
    new Gauge({
      name: `mangrove_${name}`,
      help,
      registers,
      collect() {
        this.set(value(measured));
      },
    });
  gauge('connections', 'Connections that are open.', ({ connections }) => connections);
  gauge('rooms', 'Rooms that are in use.', ({ rooms }) => rooms);
  gauge('connections_catching_up', 'Connections that are still told what was there before.', (now) => now.catchingUp);
  gauge('sync_lag_seconds', 'How long the connection that is furthest behind has been so.', (now) => now.lagMs / 1_000);
  gauge('pushes_waiting', 'Pushes that wait for a transaction.', (now) => now.pushesWaiting);
  gauge(
    'queued_bytes',
    'Bytes that wait at the relay for somebody to read them, or for their turn.',
    (now) => now.queuedBytes,
  );
  gauge(
    'fleet_engine_silent_seconds',
    'How long nothing was heard of the engine of the fleet; 0 without one.',
    (now) => now.engineSilentMs / 1_000,
  );
  gauge(
    'health_score',
    'From 1, all is well, to 0; the reasons are in mangrove_health_reason.',
    (now) => healthOf(now).score,
  );
  new Gauge({
    name: 'mangrove_health_reason',
    help: '1 for each reason why the score is below 1.',
    labelNames: ['reason'],
    registers,
    collect() {
      const { reasons } = healthOf(measured);
      for (const reason of REASONS) this.set({ reason }, reasons.includes(reason) ? 1 : 0);
    },
  });
  if (peers !== undefined) measurePeers(peers, registers);
  return {
    contentType: registry.contentType,
    async text() {
      measured = measure();
      lag.reset();
      return await registry.metrics();
    },
    close() {
      lag.disable();
      counters.observer = undefined;
      registry.clear();
    },
  };
}

/** By the URL of each peer, which is of the operator and of nobody else. */
function measurePeers(peers: PeerFigures, registers: Registry[]): void {
  const gauge = (name: string, help: string, value: (url: string) => number) =>
    new Gauge({
      name: `mangrove_peer_${name}`,
      help,
      labelNames: ['peer'],
      registers,
      collect() {
        for (const peer of peers.urls) this.set({ peer }, value(peer));
      },
    });
  gauge('rooms', 'Rooms that are connected to a peer.', (url) => peers.of(url).rooms);
  gauge('rooms_settled', 'Of these, rooms that were equal at the last look.', (url) => peers.of(url).settled);
  gauge(
    'lag_seconds',
    'How long the room that has differed from the one at a peer for longest has done so.',
    (url) => peers.lagMs(url, Date.now()) / 1_000,
  );
  new Counter({
    name: 'mangrove_peer_failures_total',
    help: 'Connections to a peer that could not be made, or have ended.',
    labelNames: ['peer'],
    registers,
    collect() {
      this.reset();
      for (const peer of peers.urls) this.inc({ peer }, peers.of(peer).failures);
    },
  });
}

/** What has happened in about the last minute, whoever asks how often. */
class Recent {
  readonly #counters: Counters;
  #before: { atMs: number; failed: number; holes: number }[] = [];

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  look(): Pick<Figures, 'failed' | 'holes'> {
    const atMs = performance.now();
    const now = {
      atMs,
      failed: this.#counters.get('connections_failed') + this.#counters.get('commits_failed'),
      holes: this.#counters.get('holes_found'),
    };
    const [oldest = { failed: 0, holes: 0 }] = (this.#before = this.#before.filter((one) => atMs - one.atMs < 60_000));
    this.#before.push(now);
    return { failed: now.failed - oldest.failed, holes: now.holes - oldest.holes };
  }
}
