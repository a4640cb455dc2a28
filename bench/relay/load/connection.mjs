import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const BINARY = 0x82;
const PONG = 0x8a;
const PING = 0x9;
const CLOSE = 0x8;

/**
 * A WebSocket client that does no more than it must, so that what is measured is the server: frames are made beforehand and masked with zeros, and
 * what comes is cut into frames and handed on unread.
 */
export class Connection {
  /** Each whole message of the server. */
  onMessage = () => {};
  onClose = () => {};
  #socket;
  #rest;
  /** Fragments of a message that is not whole. */
  #fragments = [];
  #isCorked = false;

  /** Resolves when the server has accepted the upgrade. */
  static open(port, path) {
    const connection = new Connection();
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      connection.#socket = socket;
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the server has closed a connection')));
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
      );
      let head = Buffer.alloc(0);
      const onHead = (chunk) => {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        if (!head.toString('latin1', 0, 13).startsWith('HTTP/1.1 101'))
          return reject(new Error(`refused: ${head.toString('latin1', 0, 80)}`));
        socket.off('data', onHead);
        socket.off('error', reject);
        socket.on('error', () => {});
        socket.on('close', () => connection.onClose());
        // What came with the answer is read once the handler is in its place.
        socket.pause();
        if (head.length > end + 4) socket.unshift(head.subarray(end + 4));
        socket.on('data', (bytes) => connection.#read(bytes));
        setImmediate(() => socket.resume());
        resolve(connection);
      };
      socket.on('data', onHead);
    });
  }

  /** Bytes that the server has not taken yet. */
  get waitingBytes() {
    return this.#socket.writableLength;
  }

  send(message) {
    this.sendFrame(frameOf(message));
  }

  /** All frames of one turn go out in one write. */
  sendFrame(frame) {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame);
  }

  end() {
    this.onClose = () => {};
    this.#socket.destroy();
  }

  #read(chunk) {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      if (bytes.length - at < 2) break;
      let length = bytes[at + 1] & 0x7f;
      let head = 2;
      if (length === 126) {
        head = 4;
        if (bytes.length - at < head) break;
        length = bytes.readUInt16BE(at + 2);
      } else if (length === 127) {
        head = 10;
        if (bytes.length - at < head) break;
        length = Number(bytes.readBigUInt64BE(at + 2));
      }
      const end = at + head + length;
      if (bytes.length < end) break;
      this.#take(bytes[at], bytes.subarray(at + head, end));
      at = end;
    }
    this.#rest = at === bytes.length ? undefined : bytes.subarray(at);
  }

  #take(first, payload) {
    const opcode = first & 0x0f;
    const isLast = (first & 0x80) !== 0;
    if (opcode === PING) this.#socket.write(frameOf(payload, PONG));
    else if (opcode === CLOSE) this.#socket.end();
    else if (opcode > CLOSE) return;
    else if (isLast && this.#fragments.length === 0) this.onMessage(payload);
    else {
      this.#fragments.push(payload);
      if (!isLast) return;
      const whole = Buffer.concat(this.#fragments);
      this.#fragments = [];
      this.onMessage(whole);
    }
  }
}

/** A message as it is written to the socket. */
export function frameOf(message, first = BINARY) {
  const { length } = message;
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.alloc(head + 4 + length);
  frame[0] = first;
  if (head === 2) frame[1] = 0x80 | length;
  else if (head === 4) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.set(message, head + 4);
  return frame;
}
