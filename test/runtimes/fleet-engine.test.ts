import { randomUUID } from 'node:crypto';
import { MemoryEngine, MemoryLogs } from '../../packages/relay/dist/fleet/memory-engine.js';
import { openEngine } from '../../packages/relay/dist/fleet/open-engine.js';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { describeEngine } from '../support/fleet/engine-contract.js';
import { hasNats, hasPostgres, startNats, startNatsCluster, startPostgres } from '../support/fleet/servers.js';

const nameOf = (): string => `t${randomUUID().replaceAll('-', '').slice(0, 20)}`;

describeEngine('memory', async () => {
  const logs = new MemoryLogs();
  return { open: async () => new MemoryEngine(logs) };
});

describe.skipIf(!hasNats)('NATS', () => {
  describeEngine('one server of NATS', async () => {
    const server = await startNats();
    const options = { url: server.url, name: nameOf() };
    return { open: () => openEngine(options), server };
  });

  let starting: ReturnType<typeof startNatsCluster> | undefined;
  describeEngine('three servers of NATS', async () => {
    const { servers, url } = await (starting ??= startNatsCluster(afterAll));
    // What is asked of them is asked of the old ones of Debian too, on which a compare-and-set has two winners.
    const options = { url, name: nameOf(), replicas: 3, acceptsOldServer: true };
    return { open: () => openEngine(options), server: servers[0] };
  });

  test('[RF9] a cluster of servers whose compare-and-set is broken is refused, and so is what keeps less than was asked for', async () => {
    const { url } = await (starting ??= startNatsCluster(afterAll));
    const name = nameOf();
    await expect(openEngine({ url, name, replicas: 3 })).rejects.toMatchObject({
      code: 'ENGINE_UNSUITABLE',
      message: expect.stringContaining('compare-and-set'),
    });
    const first = await openEngine({ url, name, replicas: 1, acceptsOldServer: true });
    onTestFinished(() => first.close());
    await expect(openEngine({ url, name, replicas: 3, acceptsOldServer: true })).rejects.toMatchObject({
      code: 'ENGINE_UNSUITABLE',
      message: expect.stringContaining('1 replicas'),
    });
  });
});

describe.skipIf(!hasPostgres)('PostgreSQL', () => {
  let starting: ReturnType<typeof startPostgres> | undefined;
  describeEngine('PostgreSQL', async () => {
    const server = await (starting ??= startPostgres(afterAll));
    const options = { url: server.url, name: nameOf() };
    return { open: () => openEngine(options), server };
  });
});

test('[RF9] an address that names no engine, or where nobody answers, is told as what it is', async () => {
  await expect(openEngine({ url: 'redis://127.0.0.1:1' })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  await expect(openEngine({ url: 'nats://127.0.0.1:1', name: 'A b' })).rejects.toMatchObject({
    code: 'OPTION_INVALID',
  });
  for (const url of ['nats://127.0.0.1:1', 'postgres://127.0.0.1:1/nobody'])
    await expect(openEngine({ url, withinMs: 100 })).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
});
