import { describe, expect, test } from 'vitest';
import { defaultLimits } from '../limits.js';
import { addFetches, advance, arrived, type Flow, fetchOfPart, partCame, partKept, startFlow } from './flow.js';

const { wantedPartsMax } = defaultLimits;
const [a, b] = [1, 2].map((byte) => new Uint8Array(64).fill(byte)) as [Uint8Array, Uint8Array];
const fetchOf = (trieKey: Uint8Array, have = 0) => ({ trieKey, parts: 40, have, bodyBytes: 40 * 65_536 });
const partOf = (trieKey: Uint8Array, index: number, bytes = 1) =>
  ({ kind: 'part', trieKey, index, bytes: new Uint8Array(bytes) }) as const;

function step(flow: Flow): { readonly flow: Flow; readonly asked: number } {
  const { flow: next, messages } = advance(flow, defaultLimits);
  const wanted = messages.flatMap((message) => (message.kind === 'want' ? message.wanted : []));
  return { flow: next, asked: wanted.reduce((sum, { count }) => sum + count, 0) };
}

/** Two deltas of many parts; as many parts as may be of the first are on their way. */
function asking(): Flow {
  const { flow, asked } = step(addFetches(startFlow(1_000), [fetchOf(a), fetchOf(b)]));
  expect(asked).toBe(wantedPartsMax);
  return flow;
}

describe('parts on their way', () => {
  test.each<[string, (flow: Flow) => Flow]>([
    ['which another link has brought whole', (flow) => arrived(flow, [a])],
    ['more of which another link has brought', (flow) => partKept(flow, a, 20)],
    ['of which one was not what the stub says', (flow) => partKept(partCame(flow, partOf(a, 0)), a, 0)],
  ])('[SY18] are as many as before of a delta %s', (_, change) => {
    let { flow, asked } = step(change(asking()));
    let left = wantedPartsMax - flow.runs.reduce((sum, { next, end }) => sum + end - next, 0);
    expect([asked, left]).toEqual([0, expect.toBeOneOf([0, 1])]);
    for (let index = flow.runs[0]?.next ?? 0; index < wantedPartsMax; index++) {
      ({ flow, asked } = step(partCame(flow, partOf(a, index))));
      left += 1 - asked;
      expect(left).toBeGreaterThanOrEqual(0);
      expect(left, 'what has come is made up for').toBeLessThanOrEqual(wantedPartsMax / 2);
    }
  });

  test('[SY18] one that comes twice makes no room twice', () => {
    const flow = [0, 0, 0, 1, 1, 0].reduce((before, index) => partCame(before, partOf(a, index)), asking());
    expect(flow.runs).toEqual([{ trieKey: a, next: 2, end: wantedPartsMax }]);
  });

  test('[SY18] one without bytes is the last of what was asked for in a row', () => {
    const before = partCame(asking(), partOf(a, 0, 0));
    expect(fetchOfPart(before, partOf(a, 0, 0))).toBeDefined();
    const { flow, asked } = step(partKept(before, a, undefined));
    expect([asked, flow.fetches.map(({ trieKey }) => trieKey)]).toEqual([wantedPartsMax, [b]]);
  });
});
