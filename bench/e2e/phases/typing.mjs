import { now, sleep, within } from '../../support/clock.mjs';
import { percentile } from '../../support/stats.mjs';
import { describePushes, explainBytes } from '../mangrove-bytes.mjs';
import { difference, splitTaps, takeTaps } from './traffic.mjs';

/**
 * A types, B watches its model.
 *
 * Measured region: from before the first key until {@link settings.tailMs} after the last has arrived. In it the driver calls no page.
 */
export async function measureTyping({ a, b, contestant, room, settings }) {
  const { keys: count, keyEveryMs, tailMs } = settings;
  const startLength = await a.call('length');
  await b.call('takeArrivals');
  const startMs = now();
  const before = [a, b].map(({ proxy }) => proxy.count());

  const arrived = b.call('waitForLength', startLength + count);
  const keys = await a.call('type', { count, everyMs: keyEveryMs });
  await within(30_000, 'the last key', arrived);
  await sleep(tailMs);

  const bytes = difference(before, [a, b]);
  const [earlier, taps] = splitTaps(takeTaps(a, b), startMs);
  const arrivals = (await b.call('takeArrivals')).map(([length, atMs]) => [length, b.toOurs(atMs)]);
  await checkTexts(a, b, startLength + count);

  const journeys = followKeys(
    keys.map(([length, atMs]) => [length, a.toOurs(atMs)]),
    arrivals,
    taps,
  );
  const perKey = (value) => value / count;
  const bytesPerKey = {
    aToServer: perKey(bytes[0].up),
    serverToA: perKey(bytes[0].down),
    serverToB: perKey(bytes[1].down),
    bToServer: perKey(bytes[1].up),
  };
  return {
    keys: count,
    latencyMs: summary(journeys.map(({ pressedMs, modelMs }) => modelMs - pressedMs)),
    /** Where the time goes, by the chunks the proxies saw. */
    legsMs: {
      keyToWire: summary(journeys.map(({ pressedMs, sentMs }) => sentMs - pressedMs)),
      server: summary(journeys.map(({ sentMs, passedOnMs }) => passedOnMs - sentMs)),
      wireToModel: summary(journeys.map(({ passedOnMs, modelMs }) => modelMs - passedOnMs)),
    },
    bytesPerKey: { ...bytesPerKey, total: Object.values(bytesPerKey).reduce((sum, value) => sum + value) },
    ...(contestant.id === 'mangrove'
      ? {
          explained: explainBytes(taps, { earlier, keys: count }),
          pushes: describePushes(taps, { earlier, room, keys: count }),
        }
      : {}),
  };
}

/** For each key: when it was pressed, left A, left the server towards B and was in B's model. */
function followKeys(keys, arrivals, taps) {
  const sent = taps.aToServer;
  const passedOn = taps.serverToB;
  return keys.map(([length, pressedMs]) => {
    const modelMs = arrivals.find(([arrivedLength]) => arrivedLength >= length)?.[1];
    if (modelMs === undefined) throw new Error(`The key that made ${length} characters never arrived.`);
    const sentMs = sent.find(({ atMs }) => atMs >= pressedMs)?.atMs ?? Number.NaN;
    const passedOnMs = passedOn.find(({ atMs }) => atMs >= sentMs)?.atMs ?? Number.NaN;
    return { pressedMs, sentMs, passedOnMs, modelMs };
  });
}

function summary(values) {
  const whole = values.filter(Number.isFinite);
  return {
    p50: percentile(whole, 0.5),
    p90: percentile(whole, 0.9),
    p99: percentile(whole, 0.99),
    max: Math.max(...whole),
  };
}

export async function checkTexts(a, b, length) {
  const [textOfA, textOfB] = await Promise.all([a.call('content'), b.call('content')]);
  if (textOfA !== textOfB) throw new Error('The texts differ.');
  if (textOfA.length !== length) throw new Error(`The text has ${textOfA.length} characters instead of ${length}.`);
}
