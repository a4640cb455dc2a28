import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { SocketTime } from '../../../../test/support/socket-time.js';
import { StandIn } from '../../../../test/support/stand-in-relay.js';
import { connectSocket } from './socket-transport.js';
import type { Transport } from './transport.js';

let relay: StandIn;
let transport: Transport | undefined;
let events: string[];
let frames: string[];
let time: SocketTime;

beforeEach(async () => {
  vi.stubGlobal('WebSocket', WebSocket);
  events = [];
  frames = [];
  time = new SocketTime();
  relay = new StandIn();
  await relay.listen();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
});

afterEach(async () => {
  transport?.close();
  transport = undefined;
  vi.useRealTimers();
  vi.unstubAllGlobals();
  await relay.close();
});

function connect(url = `ws://127.0.0.1:${relay.port}`, room = 'team', random = () => 0.5): void {
  transport = connectSocket(
    url,
    room,
    {
      connecting: () => events.push('connecting'),
      opened: () => events.push('opened'),
      frame: (bytes) => frames.push(Buffer.from(bytes).toString('hex')),
      closed: ({ code, final }) => events.push(`closed ${code}${final ? ' final' : ''}`),
    },
    random,
  );
}

const until = (what: string, isSo: () => boolean): Promise<void> => time.until(what, isSo, () => events.join(', '));
const pass = (ms: number): Promise<void> => time.pass(ms);

const opened = (times = 1): Promise<void> =>
  until(`opened ${times} times`, () => events.filter((event) => event === 'opened').length === times);

test('[SY1] the room is the last segment of the path, encoded, under the base of the relay', async () => {
  connect(`ws://127.0.0.1:${relay.port}/some/base/`, 'a room/with ü?#&');
  await opened();
  expect(relay.paths[0]?.split('?')[0]).toBe(`/some/base/parties/relay/${encodeURIComponent('a room/with ü?#&')}`);
});

test('[SY13] frames come and go whole and in order; a text is none', async () => {
  connect(`http://127.0.0.1:${relay.port}`);
  await opened();
  for (let i = 0; i < 5; i++) {
    transport?.send(Uint8Array.of(1, i));
    relay.last.send(Uint8Array.of(2, i));
    relay.last.send('pong');
  }
  await until('all there', () => frames.length === 5 && relay.received.length === 5);
  expect(frames).toEqual(['0200', '0201', '0202', '0203', '0204']);
  expect(relay.received).toEqual(['binary 0100', 'binary 0101', 'binary 0102', 'binary 0103', 'binary 0104']);
});

test('[SY6] what is sent while there is no connection is dropped, and not said on the next one', async () => {
  connect();
  transport?.send(Uint8Array.of(1));
  await opened();
  relay.last.close(1001);
  await until('closed', () => events.includes('closed 1001'));
  transport?.send(Uint8Array.of(2));
  await opened(2);
  transport?.send(Uint8Array.of(3));
  await until('said', () => relay.received.length > 0);
  expect(relay.received).toEqual(['binary 03']);
});

test.each([1000, 1001, 1006, 1008, 1011, 1013, 4000, 4399, 4500])(
  '[SY1] after code %i it comes again by itself',
  async (code) => {
    connect();
    await opened();
    if (code === 1006) relay.last.terminate();
    else relay.last.close(code);
    await opened(2);
    expect(events.filter((event) => event !== 'connecting')).toEqual(['opened', `closed ${code}`, 'opened']);
  },
);

test.each([4400, 4401, 4403, 4409, 4429, 4499])('[SY1] code %i is final: it does not come again', async (code) => {
  connect();
  await opened();
  relay.last.close(code);
  await until('closed', () => events.some((event) => event.startsWith('closed')));
  await pass(60_000);
  expect(events.at(-1)).toBe(`closed ${code} final`);
  expect(relay.sockets).toHaveLength(1);
});

test('[SY1] a relay that is not there is asked again, more and more seldom, until it is', async () => {
  const { port } = relay;
  await relay.close();
  connect(`ws://127.0.0.1:${port}`);
  const attempts: number[] = [];
  let seen = 0;
  for (let i = 0; i < 1_200; i++) {
    await pass(50);
    const attempted = events.filter((event) => event === 'connecting').length;
    if (attempted > seen) attempts.push(time.nowMs);
    seen = attempted;
  }
  const pauses = attempts.slice(1).map((at, i) => at - (attempts[i] as number));
  expect(pauses.length).toBeGreaterThan(10);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(5_100);
  expect(pauses.at(-1)).toBeGreaterThan(2_000);
  // Between two attempts it is offline.
  expect(events.at(-1) === 'connecting' || events.at(-1)?.startsWith('closed')).toBe(true);
  relay = new StandIn();
  vi.useRealTimers();
  await relay.listen(port);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  transport?.close();
  connect();
  await opened();
});

test.each([
  ['over which something was gained are followed at once', true],
  ['that brought nothing are followed more and more seldom', false],
])('[SY1] short connections %s', async (_, isOfUse) => {
  connect();
  const pauses: number[] = [];
  let cutAtMs = 0;
  for (let times = 1; times <= 8; times++) {
    await opened(times);
    if (times > 1) pauses.push(time.nowMs - cutAtMs);
    if (isOfUse) transport?.gained();
    await pass(300);
    cutAtMs = time.nowMs;
    relay.last.terminate();
  }
  if (isOfUse) expect(Math.max(...pauses)).toBeLessThan(400);
  else expect(Math.max(...pauses)).toBeGreaterThan(1_000);
});

test('[SY1] those who were cut off together do not all come back in the same moment', async () => {
  const pauseOf = async (random: number): Promise<number> => {
    events = [];
    connect(undefined, 'team', () => random);
    await opened();
    const cutAtMs = time.nowMs;
    relay.last.close(1001);
    await opened(2);
    transport?.close();
    return time.nowMs - cutAtMs;
  };
  const [early, late] = [await pauseOf(1), await pauseOf(0)];
  expect(late).toBeGreaterThan(early + 50);
});

test('[SY15] a connection that fell silent is noticed and ended, and the next one is tried', async () => {
  connect();
  await opened();
  relay.answersPings = false;
  await pass(12_600);
  expect(relay.received).toEqual(['ping']);
  expect(events.at(-1)).toBe('opened');
  await opened(2);
  expect(time.nowMs).toBeLessThan(30_000);
});

test('[SY15] where the browser says that it is offline, a relay that does not answer is given up in two seconds', async () => {
  const platform = new EventTarget();
  vi.stubGlobal('addEventListener', platform.addEventListener.bind(platform));
  vi.stubGlobal('removeEventListener', platform.removeEventListener.bind(platform));
  connect();
  await opened();
  platform.dispatchEvent(new Event('offline'));
  await pass(5_000);
  expect(relay.received).toEqual(['ping']);
  expect(events.filter((event) => event !== 'connecting')).toEqual(['opened']);
  relay.answersPings = false;
  const atMs = time.nowMs;
  platform.dispatchEvent(new Event('offline'));
  await until('closed', () => events.some((event) => event.startsWith('closed')));
  expect(time.nowMs - atMs).toBeLessThan(2_200);
});

test('[SY15] a quiet connection that answers stays', async () => {
  connect();
  await opened();
  await pass(120_000);
  expect(events.filter((event) => event !== 'connecting')).toEqual(['opened']);
  expect(relay.received.length).toBeGreaterThan(5);
  expect(new Set(relay.received)).toEqual(new Set(['ping']));
});

test('[SY15] while frames come nobody is asked', async () => {
  connect();
  await opened();
  for (let i = 0; i < 20; i++) {
    relay.last.send(Uint8Array.of(i));
    await pass(4_000);
  }
  expect(relay.received).toEqual([]);
  expect(frames).toHaveLength(20);
});

test('[SY15] reconnect ends the connection and tries again at once', async () => {
  connect();
  await opened();
  const atMs = time.nowMs;
  transport?.reconnect();
  await opened(2);
  expect(events.filter((event) => event !== 'connecting')).toEqual(['opened', 'closed 1000', 'opened']);
  expect(time.nowMs - atMs).toBeLessThan(150);
  await until('the first is gone', () => relay.sockets[0]?.readyState === WebSocket.CLOSED);
});

test.each(['at once', 'when open', 'between two attempts'])(
  '[SY15] after close nothing more is told and nothing is tried: %s',
  async (when) => {
    connect();
    if (when !== 'at once') await opened();
    if (when === 'between two attempts') {
      relay.last.close(1001);
      await until('closed', () => events.includes('closed 1001'));
    }
    const told = events.length;
    const { length } = relay.sockets;
    transport?.close();
    await pass(30_000);
    expect(events.slice(told)).toEqual([]);
    expect(relay.sockets.length).toBe(length);
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1);
  },
);
