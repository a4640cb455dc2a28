import PartySocket from 'partysocket';
import { Liveness } from './liveness.js';
import type { Transport, TransportEvents } from './transport.js';

const LOOK_EVERY_MS = 500;
/** Reconnection delays: short at first, as most cuts are short, with a random part, as a relay's restart cuts everybody at once. */
const DELAY_MIN_MS = 200;
const DELAY_MAX_MS = 5_000;
const JITTER = 0.5;
/** How long an attempt may take; where another relay may be there, less. */
const ATTEMPT_MS_MAX = 8_000;
const ATTEMPT_ONCE_MS_MAX = 4_000;

/** Close codes from 4400 to 4499 say that trying again will not help. */
const isFinal = (code: number): boolean => code >= 4400 && code <= 4499;

/** One room at a relay through a WebSocket that reconnects by itself; or `once`: then it is for the caller to try again after `closed`, and to close it. */
export function connectSocket(
  relay: string,
  room: string,
  events: TransportEvents,
  random: () => number = Math.random,
  manner: 'again' | 'once' = 'again',
): Transport {
  const isOnce = manner === 'once';
  const jitter = 1 - JITTER * random();
  let isClosed = false;
  let hasGained = false;
  let soon: ReturnType<typeof setTimeout> | undefined;
  const url = new URL(relay);
  const socket = new PartySocket({
    host: url.host,
    protocol: url.protocol === 'wss:' || url.protocol === 'https:' ? 'wss' : 'ws',
    basePath: `${url.pathname.replace(/^\/|\/$/g, '')}/parties/relay/${encodeURIComponent(room)}`.replace(/^\//, ''),
    disableNameValidation: true,
    // What is not acknowledged is sent again from the outbox; a second buffer here would only send it twice.
    maxEnqueuedMessages: 0,
    minReconnectionDelay: DELAY_MIN_MS * jitter,
    maxReconnectionDelay: DELAY_MAX_MS * jitter,
    reconnectionDelayGrowFactor: 1.6,
    minUptime: 1_000,
    connectionTimeout: isOnce ? ATTEMPT_ONCE_MS_MAX : ATTEMPT_MS_MAX,
    startClosed: true,
    // Asked for when an attempt really begins, after its delay; until then we are offline.
    protocols: () => {
      // An attempt whose delay was under way when we closed gets this far, and no further.
      if (!isClosed) events.connecting();
      return null;
    },
    // Its own delays grow with every connection that ends within a second, which may be all that a weak link ever gives.
    shouldReconnectOnClose: (event) => !isFinal(event.code) && !hasGained && !isOnce,
  });
  socket.binaryType = 'arraybuffer';

  let liveness = new Liveness(performance.now());
  let isOpen = false;
  const look = setInterval(() => {
    if (!isOpen) return;
    const due = liveness.look(performance.now());
    if (due === 'ping') socket.send('ping');
    else if (due === 'give-up') reconnect();
  }, LOOK_EVERY_MS);

  socket.addEventListener('open', () => {
    isOpen = true;
    hasGained = false;
    liveness = new Liveness(performance.now());
    events.opened();
  });
  socket.addEventListener('message', (event) => {
    liveness.heard(performance.now());
    if (event.data instanceof ArrayBuffer) events.frame(new Uint8Array(event.data));
  });
  socket.addEventListener('close', (event) => {
    isOpen = false;
    if (isClosed) return;
    const final = isFinal(event.code);
    if (hasGained && !final && !isOnce) {
      hasGained = false;
      soon = setTimeout(reconnect, DELAY_MIN_MS * jitter);
    }
    events.closed({ code: event.code, reason: event.reason, final });
  });
  const reconnect = (): void => {
    clearTimeout(soon);
    hasGained = false;
    socket.reconnect();
  };
  const hurry = (): void => {
    if (!isOpen && !isClosed && !isOnce) reconnect();
  };
  const doubt = (): void => {
    if (!isOpen) return;
    liveness.doubted(performance.now());
    socket.send('ping');
  };
  globalThis.addEventListener?.('online', hurry);
  globalThis.addEventListener?.('offline', doubt);
  events.connecting();
  socket.reconnect();

  return {
    send: (frame) => {
      if (isOpen && socket.readyState === 1) socket.send(frame as Uint8Array<ArrayBuffer>);
    },
    gained: () => {
      hasGained = isOpen;
    },
    reconnect,
    close: () => {
      isClosed = true;
      clearTimeout(soon);
      clearInterval(look);
      globalThis.removeEventListener?.('online', hurry);
      globalThis.removeEventListener?.('offline', doubt);
      socket.close();
    },
  };
}
