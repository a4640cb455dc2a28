// A process of its own, which floods a room from one socket until it is killed: `flooder.mjs <url> <room> <what> <messages a second>`.
// It prints what it has sent every second, and what it was told.
import { randomBytes } from 'node:crypto';
import { Peer } from './peer.mjs';

const TICK_MS = 10;
/** What the relay does not read waits here, as it would in a kernel: a flooder that grows itself to death is none. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

const [url, room, what, rate] = process.argv.slice(2);
const perTick = Math.round((Number(rate) * TICK_MS) / 1_000);

const send = {
  presence: (peer) => peer.presence(),
  deltas: (peer) => peer.push(),
  garbage: (peer) => peer.frame(new Uint8Array(randomBytes(60))),
  pings: (peer) => peer.ping(),
}[what];

let peer;
let sent = 0;
let connections = 0;
let told = 0;

async function join() {
  peer = await Peer.join(url, room);
  connections++;
  peer.onMessage = (message) => {
    if (message.kind === 'fault' && message.code === 'RATE_LIMITED') told++;
  };
  // Whoever floods comes back at once.
  peer.closed.then(join);
}

await join();
process.stdout.write('flooding\n');
setInterval(() => {
  for (let i = 0; i < perTick && peer.waitingBytes < WAITING_BYTES_MAX; i++, sent++) send(peer);
}, TICK_MS);
setInterval(() => process.stdout.write(`${JSON.stringify({ sent, connections, told })}\n`), 500);
