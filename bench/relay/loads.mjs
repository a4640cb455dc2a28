import { sleep } from '../support/clock.mjs';
import { median, spreadOf } from '../support/stats.mjs';

/**
 * What a server is put under, each on a server and with clients of its own: `run(server, clients, settings)` gives the figures, or undefined where the
 * contestant has no such thing.
 */
export const loads = {
  /** Rooms of ten, as fast as it goes. */
  rooms: (one, settings) => saturate(one, settings, settings.rooms),
  /** All in one room. */
  crowd: (one, settings) => saturate(one, settings, settings.crowd),

  async paced({ contestant, server, clients }, { paced: { rooms, clients: each, perSecond, ms, warmUpMs } }) {
    await clients.ask('join', { protocol: contestant.protocol, port: server.port, rooms, clients: each });
    const deltas = Math.ceil((perSecond * (ms + 2 * warmUpMs)) / 1_000 / rooms / each) + 1;
    await clients.ask('prepare', { deltas });
    await clients.ask('pace', { perSecond, ms: warmUpMs });
    const { latencies } = await clients.ask('pace', { perSecond, ms });
    const wanted = Math.floor((ms * perSecond) / 1_000) * (each - 1);
    if (latencies.length < 0.99 * wanted) throw new Error(`${latencies.length} of ${wanted} deliveries`);
    return { ...spreadOf(latencies), deliveries: latencies.length };
  },

  async idle({ contestant, server, clients }, { idle: { steps, clients: each, restMs } }) {
    const empty = await server.residentKiB();
    const perConnection = {};
    let open = 0;
    for (const connections of steps) {
      const rooms = (connections - open) / each;
      await clients.ask('join', { protocol: contestant.protocol, port: server.port, rooms, clients: each });
      open = connections;
      await sleep(restMs);
      perConnection[connections] = ((await server.residentKiB()) - empty) / connections;
    }
    return { emptyMiB: empty / 1_024, kiBPerConnection: perConnection };
  },

  /** One writes, one reads, one delta a message; then others come. */
  async intake({ contestant, server, clients }, { intake: { deltas, window, joins } }) {
    const taken = await pour({ contestant, server, clients }, { deltas, window, perMessage: 1 });
    const { late, lateCpu } = await lateJoins(server, clients, joins);
    const figures = { ...taken, lateMs: late, lateCpuSeconds: lateCpu, rssMiB: (await server.residentKiB()) / 1_024 };
    if (!contestant.checkpoints) return figures;
    await clients.ask('checkpoint');
    const after = await lateJoins(server, clients, joins);
    return {
      ...figures,
      lateAfterCheckpointMs: after.late,
      lateAfterCheckpointCpuSeconds: after.lateCpu,
      rssAfterCheckpointMiB: (await server.residentKiB()) / 1_024,
    };
  },

  /** As who comes back sends what was written offline. */
  intakeBatched: (one, { intake: { deltas, window, perMessage } }) =>
    pour(one, { deltas, window: Math.ceil(window / perMessage), perMessage }),
};

async function saturate({ contestant, server, clients }, { window, warmUpMs }, { rooms, clients: each, ms, deltas }) {
  await clients.ask('join', { protocol: contestant.protocol, port: server.port, rooms, clients: each });
  await clients.ask('prepare', { deltas });
  await clients.ask('saturate', { ms: warmUpMs, window });
  const before = server.cpuSeconds();
  const { ms: took, deliveries } = await clients.ask('saturate', { ms, window });
  const cpuSeconds = server.cpuSeconds() - before;
  await clients.ask('settle');
  return { deliveriesPerSecond: (deliveries * 1_000) / took, cpuPerMillion: (cpuSeconds * 1e6) / deliveries, ms: took };
}

async function pour({ contestant, server, clients }, { deltas, window, perMessage }) {
  await clients.ask('join', { protocol: contestant.protocol, port: server.port, rooms: 1, clients: 2 });
  await clients.ask('prepare', { deltas, perMessage });
  const before = server.cpuSeconds();
  const beganMs = performance.now();
  await clients.ask('pour', { window });
  return { ms: performance.now() - beganMs, cpuSeconds: server.cpuSeconds() - before };
}

async function lateJoins(server, clients, joins) {
  const times = [];
  const before = server.cpuSeconds();
  for (let i = 0; i < joins; i++) times.push((await clients.ask('late')).ms);
  return { late: median(times), lateCpu: (server.cpuSeconds() - before) / joins };
}
