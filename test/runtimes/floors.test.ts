import { defaultLimits } from '@mangrove/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { openLmdb } from '../../packages/relay/dist/storage/lmdb-store.js';
import { canGauge, MemoryGauge } from '../support/memory-gauge.js';
import { NodeReplica } from '../support/node-replica.js';
import { RelayProcess } from '../support/relay-process.js';
import { until } from '../support/until.js';
import { WorkerdProcess } from '../support/workerd/workerd-process.js';

const isLong = process.env.MANGROVE_TEST_LONG !== undefined;
const { floorTombstonesMin } = defaultLimits;
const ROOM = 'team';
const RECORDS = 2 * floorTombstonesMin;
/** Made and deleted in waves that go on while floors are written: what is there at once does not depend on how many they are in the end. */
const KEYS = isLong ? 100_000 : 4_000;
const WAVE = 2_000;
const TOMBSTONES_MAX = 4 * WAVE;
/** With what waits for the garbage collector: it depends neither on how many keys there were nor on how many floors. */
const RELAY_BYTES_MAX = 600_000_000;
/** A look that came too early is made again after half a minute. */
const WAIT_MS_MAX = 120_000;

const RUNTIME = process.env.MANGROVE_RELAY ?? 'node';

async function startRelay(): Promise<RelayProcess | WorkerdProcess> {
  const relay =
    RUNTIME === 'node'
      ? await RelayProcess.start()
      : await WorkerdProcess.start({ forgetful: RUNTIME === 'workerd-forgetful' });
  onTestFinished(() => relay.stop());
  return relay;
}

async function open({ url }: { readonly url: string }): Promise<NodeReplica> {
  const replica = await NodeReplica.open(url, ROOM);
  onTestFinished(() => replica.close());
  return replica;
}

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${prefix} ${n}`);

/** One root, everywhere, and nothing on its way. */
async function agree(relay: RelayProcess | WorkerdProcess, ...replicas: readonly NodeReplica[]): Promise<void> {
  await until(
    'one root and in sync',
    async () => {
      const root = (await relay.version(ROOM).catch(() => undefined))?.root;
      return replicas.every(({ status }) => status.sync === 'in-sync' && status.root === root);
    },
    { withinMs: WAIT_MS_MAX },
  );
}

/** All but what is too little for a floor; what else is there is the record that was kept and the floor. */
const isCollected = (replica: NodeReplica): boolean =>
  replica.count('tombstones') < floorTombstonesMin && replica.count('deltas') === replica.count('tombstones') + 2;

const collected = (replicas: readonly NodeReplica[]): Promise<void> =>
  until('what was deleted is collected', () => replicas.every(isCollected), { withinMs: WAIT_MS_MAX });

/** Resolves as soon as one of them has fewer tombstones than it had. */
async function begunToCollect(replicas: readonly NodeReplica[]): Promise<void> {
  const most = replicas.map(() => 0);
  const hasSwept = (replica: NodeReplica, i: number): boolean => {
    const count = replica.count('tombstones');
    most[i] = Math.max(most[i] ?? 0, count);
    return count < (most[i] as number);
  };
  await until('a floor is written', () => replicas.some(hasSwept), { withinMs: WAIT_MS_MAX, everyMs: 1 });
}

/** What a set is made of, the same at a relay as at a replica. */
const SET = ['deltas', 'tombstones', 'contexts', 'dots', 'nodes'] as const;

/** How many rows of the room a relay that was killed has on its disk. */
async function countRows(relay: RelayProcess | WorkerdProcess, { roomId }: NodeReplica): Promise<readonly number[]> {
  if (relay instanceof WorkerdProcess) {
    await relay.start();
    const counts = await relay.countRows(ROOM, SET);
    await relay.kill();
    return counts;
  }
  const { dataDir } = relay;
  const environment = openLmdb(dataDir);
  try {
    return await environment.room(roomId).transact(
      function* (tx) {
        const counts: number[] = [];
        for (const table of SET) counts.push((yield* tx.keys(table, { from: new Uint8Array() })).length);
        return counts;
      },
      { mode: 'read' },
    );
  } finally {
    await environment.close();
  }
}

test(`[FL4, FL10] ${RECORDS} records made and deleted twice leave one floor at a relay that is killed meanwhile, and one root everywhere`, {
  timeout: 5 * WAIT_MS_MAX,
}, async () => {
  const relay = await startRelay();
  const replicas = [await open(relay), await open(relay)] as const;
  const [ann, bob] = replicas;
  await ann.put(['kept'], 1);
  await agree(relay, ...replicas);
  for (const [round, writer, other] of [
    [1, ann, bob],
    [2, bob, ann],
  ] as const) {
    const gone = names(`gone ${round}`, RECORDS);
    await writer.put(gone, round);
    await agree(relay, ...replicas);
    const begun = begunToCollect(replicas);
    const removed = other.remove(gone);
    // Whether the relay has the floor by then or not.
    await begun;
    await relay.kill();
    await relay.start();
    await removed;
    await collected(replicas);
    await agree(relay, ...replicas);
  }
  const before = await relay.version(ROOM);
  await relay.kill();
  expect(await countRows(relay, ann)).toEqual(SET.map((table) => ann.count(table)));
  await relay.start();
  expect((await relay.version(ROOM))?.root).toBe(before?.root);
  // Who has seen nothing of it agrees as well.
  const newcomer = await open(relay);
  await agree(relay, ...replicas, newcomer);
  for (const replica of [...replicas, newcomer]) {
    expect(replica.status.root).toBe(before?.root);
    expect(await replica.read()).toEqual(['kept']);
  }
});

test(`[FL10, FL11] ${KEYS} keys made and deleted leave one floor at the relay, in bounded memory`, {
  timeout: isLong ? 60 * 60_000 : 4 * WAIT_MS_MAX,
  skip: RUNTIME !== 'node',
}, async () => {
  const relay = await RelayProcess.start();
  onTestFinished(() => relay.stop());
  const gauge = MemoryGauge.ofProcess(relay.pid);
  onTestFinished(() => gauge.stop());
  const replicas = [await open(relay), await open(relay)] as const;
  const [ann] = replicas;
  await ann.put(['kept'], 1);
  for (let made = 0; made < KEYS; made += WAVE) {
    const gone = names(`gone ${made}`, WAVE);
    await ann.put(gone, made);
    await ann.remove(gone);
    const isWithin = (replica: NodeReplica): boolean => replica.count('tombstones') <= TOMBSTONES_MAX;
    await until('floors keep up', () => replicas.every(isWithin), { withinMs: WAIT_MS_MAX });
  }
  await collected(replicas);
  await agree(relay, ...replicas);
  for (const replica of replicas) {
    expect(await replica.read()).toEqual(['kept']);
    const areForgotten = (): boolean => replica.count('names') === 1 + replica.count('tombstones');
    await until('the names of what is gone are forgotten', areForgotten, { withinMs: WAIT_MS_MAX });
  }
  gauge.stop();
  if (canGauge) expect(gauge.peakBytes).toBeLessThan(RELAY_BYTES_MAX);
  await relay.kill();
  expect(await countRows(relay, ann)).toEqual(SET.map((table) => ann.count(table)));
});
