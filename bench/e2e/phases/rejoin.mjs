import { now, sleep, within } from '../../support/clock.mjs';
import { countMessages } from '../mangrove-bytes.mjs';
import { difference, takeTaps } from './traffic.mjs';
import { checkTexts } from './typing.mjs';

const KNOCK_MS_MAX = 60_000;
const CONVERGE_MS_MAX = 60_000;

/**
 * The network is cut, both type, the network comes back.
 *
 * Measured region: from the moment the proxies let both browsers' new connections through, until both models have everything.
 * How long each client waits between its attempts is a setting, not a cost of syncing: it is told apart.
 */
export async function measureRejoin({ a, b, contestant, settings }) {
  const { offlineEdits, offlineEditEveryMs, tailMs } = settings;
  const people = [a, b];
  const startLength = await a.call('length');
  for (const person of people) await person.call('markStateVector');

  for (const { proxy } of people) proxy.cut();
  for (const person of people) await person.waitUntil('noticing the cut', 'isConnected', (is) => !is, 20_000);
  await Promise.all(people.map((p) => p.call('type', { count: offlineEdits, everyMs: offlineEditEveryMs })));
  await Promise.all(people.map((person) => person.call('kept')));
  const needed = await Promise.all(people.map((person) => person.call('neededBytes')));
  await sleep(500);

  const length = startLength + 2 * offlineEdits;
  const whole = Promise.all(people.map((person) => person.call('waitForLength', length)));
  const restoredMs = now();
  for (const { proxy } of people) proxy.taps = [];
  const before = people.map(({ proxy }) => proxy.count());
  await within(KNOCK_MS_MAX, 'connecting again', Promise.all(people.map(({ proxy }) => proxy.gate())));
  const startMs = now();
  for (const { proxy } of people) proxy.open();

  const reached = await within(CONVERGE_MS_MAX, 'converging', whole);
  const modelMs = people.map((person, i) => person.toOurs(reached[i]) - startMs);
  const inSync = contestant.id === 'mangrove' ? await waitInSync(people, startMs) : undefined;
  await sleep(tailMs);
  const bytes = difference(before, people);
  const taps = takeTaps(a, b);
  await checkTexts(a, b, length);

  return {
    offlineEdits,
    convergedMs: Math.max(...modelMs),
    modelMs,
    inSyncMs: inSync?.ms,
    root: inSync?.root,
    reconnectDelayMs: startMs - restoredMs,
    neededBytes: needed[0] + needed[1],
    bytesUp: bytes[0].up + bytes[1].up,
    bytesDown: bytes[0].down + bytes[1].down,
    upgradeBytesUp: bytes[0].upgradeUp + bytes[1].upgradeUp,
    messages: contestant.id === 'mangrove' ? countMessages(taps) : undefined,
  };
}

/** When the later of both began to say that it is in sync, at one root. */
async function waitInSync(people, startMs) {
  const endMs = Date.now() + CONVERGE_MS_MAX;
  while (Date.now() < endMs) {
    const [a, b] = await Promise.all(people.map((person) => person.call('standing')));
    if (a.sync === 'in-sync' && b.sync === 'in-sync' && a.root === b.root) {
      const times = [a, b].map(({ sinceMs }, i) => people[i].toOurs(sinceMs) - startMs);
      return { ms: Math.max(...times), root: a.root };
    }
    await sleep(50);
  }
  throw new Error('The roots did not become equal.');
}
