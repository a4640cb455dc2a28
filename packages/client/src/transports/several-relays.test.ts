import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { SocketTime } from '../../../../test/support/socket-time.js';
import { StandIn } from '../../../../test/support/stand-in-relay.js';
import { connectRelays } from './several-relays.js';
import type { Transport } from './transport.js';

const WELCOME = Uint8Array.of(1, 7);
let relays: StandIn[];
let transport: Transport | undefined;
let events: string[];
let frames: string[];
let time: SocketTime;

async function standIn(port = 0): Promise<StandIn> {
  const relay = new StandIn();
  relay.firstWord = WELCOME;
  await relay.listen(port);
  return relay;
}

beforeEach(async () => {
  vi.stubGlobal('WebSocket', WebSocket);
  events = [];
  frames = [];
  time = new SocketTime();
  relays = [await standIn(), await standIn()];
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
});

afterEach(async () => {
  transport?.close();
  transport = undefined;
  vi.useRealTimers();
  vi.unstubAllGlobals();
  for (const relay of relays) await relay.close();
});

function connect(): void {
  transport = connectRelays(
    relays.map(({ port }) => `ws://127.0.0.1:${port}`),
    'team',
    {
      connecting: () => {},
      opened: () => events.push('opened'),
      frame: (bytes) => frames.push(Buffer.from(bytes).toString('hex')),
      closed: ({ code, final }) => events.push(`closed ${code}${final ? ' final' : ''}`),
    },
    () => 0.5,
  );
}

const until = (what: string, isSo: () => boolean): Promise<void> => time.until(what, isSo, () => events.join(', '));
const pass = (ms: number): Promise<void> => time.pass(ms);

/** A process that comes back at the port that it had. */
async function restart(index: number): Promise<void> {
  relays[index] = await standIn((relays[index] as StandIn).port);
}

const at = (index: number): StandIn => relays[index] as StandIn;
const hasOpen = (index: number): boolean => at(index).sockets.some(({ readyState }) => readyState === WebSocket.OPEN);

test('[FD2] it goes to the first relay, and to no other while that is there', async () => {
  connect();
  await until('opened', () => events.includes('opened'));
  await pass(120_000);
  expect(at(0).sockets).toHaveLength(1);
  expect(at(1).sockets).toHaveLength(0);
});

test('[FD2] where the first is not there it goes to the next', async () => {
  await at(0).close();
  connect();
  await until('opened', () => hasOpen(1));
  transport?.send(Uint8Array.of(9));
  await until('said', () => at(1).received.length > 0);
  expect(at(1).received).toEqual(['binary 09']);
});

test('[FD2] a relay that goes is left at once', async () => {
  connect();
  await until('opened', () => events.includes('opened'));
  transport?.gained();
  const atMs = time.nowMs;
  at(0).last.close(1001);
  await until('opened elsewhere', () => hasOpen(1));
  expect(time.nowMs - atMs).toBeLessThan(200);
  expect(events).toEqual(['opened', 'closed 1001', 'opened']);
});

test('[FD2] a connection that is cut is opened again where it was', async () => {
  connect();
  await until('opened', () => events.includes('opened'));
  transport?.gained();
  at(0).last.terminate();
  await until('opened again', () => events.filter((event) => event === 'opened').length === 2);
  expect(at(0).sockets).toHaveLength(2);
  expect(at(1).sockets).toHaveLength(0);
});

test('[FD2] a relay that has fallen silent is left', async () => {
  connect();
  await until('opened', () => events.includes('opened'));
  transport?.gained();
  at(0).answersPings = false;
  await until('opened elsewhere', () => hasOpen(1));
});

test.each([4401, 4403, 4409, 4406, 4429])('[FD2] what one says for good (%i) counts for all', async (code) => {
  connect();
  await until('opened', () => events.includes('opened'));
  at(0).last.close(code);
  await until('closed', () => events.includes(`closed ${code} final`));
  await pass(60_000);
  expect(at(1).sockets).toHaveLength(0);
  expect(at(0).sockets).toHaveLength(1);
});

test('[FD3] it returns when the first is there again, over one connection at a time, and what that said first counts', async () => {
  await at(0).close();
  connect();
  await until('opened', () => hasOpen(1));
  await restart(0);
  frames = [];
  events = [];
  await until('returned', () => hasOpen(0) && events.includes('opened'));
  expect(events).toEqual(['closed 1000', 'opened']);
  expect(frames).toEqual(['0107']);
  expect(time.nowMs).toBeGreaterThan(15_000);
  await until('the other is let go', () => !hasOpen(1));
  transport?.send(Uint8Array.of(9));
  await until('said', () => at(0).received.includes('binary 09'));
  await pass(300_000);
  expect(events).toEqual(['closed 1000', 'opened']);
});

test('[FD3] a first relay that takes connections and says nothing is not returned to, and what is in use goes on', async () => {
  await at(0).close();
  connect();
  await until('opened', () => hasOpen(1));
  await restart(0);
  at(0).firstWord = undefined;
  events = [];
  await pass(120_000);
  expect(at(0).sockets.length).toBeGreaterThan(0);
  expect(events).toEqual([]);
  expect(hasOpen(1)).toBe(true);
});

test('[FD2] after close nothing more is told and nothing is tried', async () => {
  await at(0).close();
  connect();
  await until('opened', () => hasOpen(1));
  const told = events.length;
  transport?.close();
  await restart(0);
  await pass(120_000);
  expect(events).toHaveLength(told);
  expect(at(0).sockets).toHaveLength(0);
});
