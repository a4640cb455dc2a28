import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Connection } from '../ports.js';
import type { RelayRoom } from '../room.js';

/** A browser's pages cannot send WebSocket pings, so a text frame stands in for one. */
const PING = 'ping';
const PONG = 'pong';

/** Ties a socket to a room until one of them lets go. `stream`: what it was upgraded from. */
export function attachSocket(socket: WebSocket, stream: Duplex, room: RelayRoom, origin: string | undefined): void {
  const link = room.connect(new SocketConnection(socket, stream, origin));
  // A frame that `ws` cannot read ends its connection by itself; unheard, the error would end the process.
  socket.on('error', () => {});
  socket.on('close', () => link.closed());
  const holdBack = (ready: Promise<void> | undefined): void => {
    if (ready === undefined) return;
    socket.pause();
    ready.then(() => socket.resume());
  };
  // `ws` answers it.
  socket.on('ping', (data: Buffer) => holdBack(link.heard(data.length)));
  socket.on('message', (data: RawData, isBinary) => {
    const bytes = bytesOfSocket(data);
    if (isBinary || !isPing(bytes)) return holdBack(link.receive(bytes));
    socket.send(PONG, { binary: false });
    holdBack(link.heard(bytes.length));
  });
}

function isPing(bytes: Uint8Array): boolean {
  return bytes.length === PING.length && Buffer.from(bytes).toString('latin1') === PING;
}

/** `ws` gives one Buffer for a message; plain bytes, because a Buffer's `slice` does not copy. */
export function bytesOfSocket(data: RawData): Uint8Array {
  const buffer = Array.isArray(data) ? Buffer.concat(data) : data;
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer)
    : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** A socket of `ws` as a room sees it. */
class SocketConnection implements Connection {
  readonly origin: string | undefined;
  readonly #socket: WebSocket;
  readonly #stream: Duplex;
  #isCorked = false;
  #waiting: { readonly bytesMax: number; readonly resolve: () => void }[] = [];

  constructor(socket: WebSocket, stream: Duplex, origin: string | undefined) {
    this.#socket = socket;
    this.#stream = stream;
    this.origin = origin;
    socket.once('close', () => this.#wake(Number.NEGATIVE_INFINITY));
  }

  /** What is sent in one turn of the event loop, such as deltas and the acknowledgement behind them, is one write of the kernel. */
  send(frame: Uint8Array): void {
    if (!this.#isOpen) return;
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#stream.cork();
      process.nextTick(this.#uncork);
    }
    this.#socket.send(frame, this.#sent);
  }

  close(code: number, reason: string): void {
    // Its answer is read like anything else.
    this.#socket.resume();
    this.#socket.close(code, reason);
    this.#wake(Number.NEGATIVE_INFINITY);
  }

  bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  drained(bytesMax: number): Promise<void> {
    if (!this.#isOpen || this.bufferedBytes() <= bytesMax) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ bytesMax, resolve });
    });
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  readonly #uncork = (): void => {
    this.#isCorked = false;
    this.#stream.uncork();
  };

  readonly #sent = (): void => {
    if (this.#waiting.length > 0) this.#wake(this.bufferedBytes());
  };

  #wake(bufferedBytes: number): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ bytesMax }) => bufferedBytes > bytesMax);
    for (const { bytesMax, resolve } of waiting) if (bufferedBytes <= bytesMax) resolve();
  }
}
