/** One WebSocket message of a stream of bytes. */
export interface WebSocketMessage {
  readonly isBinary: boolean;
  readonly payload: Uint8Array;
  /** Where the message ends in the stream, the HTTP upgrade included. */
  readonly end: number;
}

const HEADERS_END = Buffer.from('\r\n\r\n');

/** Reads one direction of a WebSocket connection along: the upgrade, then frames (RFC 6455, without extensions). */
export class WebSocketReader {
  #bytes: Buffer = Buffer.alloc(0);
  #offset = 0;
  #isUpgraded = false;
  #parts: Buffer[] = [];
  #isBinary = false;

  read(chunk: Buffer): readonly WebSocketMessage[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    if (!this.#isUpgraded) {
      const end = this.#bytes.indexOf(HEADERS_END);
      if (end < 0) return [];
      this.#isUpgraded = true;
      this.#skip(end + HEADERS_END.length);
    }
    const messages: WebSocketMessage[] = [];
    for (;;) {
      const frame = parseFrame(this.#bytes);
      if (frame === undefined) return messages;
      this.#skip(frame.length);
      // Pings, pongs and closes stand between the frames of a message.
      if (frame.opcode >= 8) continue;
      if (frame.opcode !== 0) this.#isBinary = frame.opcode === 2;
      this.#parts.push(frame.payload);
      if (!frame.isLast) continue;
      messages.push({
        isBinary: this.#isBinary,
        payload: new Uint8Array(Buffer.concat(this.#parts)),
        end: this.#offset,
      });
      this.#parts = [];
    }
  }

  #skip(count: number): void {
    this.#bytes = this.#bytes.subarray(count);
    this.#offset += count;
  }
}

interface Frame {
  readonly opcode: number;
  readonly isLast: boolean;
  readonly payload: Buffer;
  /** Of the whole frame. */
  readonly length: number;
}

function parseFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined;
  const [first, second] = [bytes.readUInt8(0), bytes.readUInt8(1)];
  const short = second & 0x7f;
  const isMasked = (second & 0x80) !== 0;
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const start = 2 + lengthBytes + (isMasked ? 4 : 0);
  if (bytes.length < start) return undefined;
  const size = lengthBytes === 8 ? Number(bytes.readBigUInt64BE(2)) : lengthBytes === 2 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < start + size) return undefined;
  const payload = Buffer.from(bytes.subarray(start, start + size));
  if (isMasked) {
    const mask = bytes.subarray(start - 4, start);
    for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] as number) ^ (mask[i % 4] as number);
  }
  return { opcode: first & 0x0f, isLast: (first & 0x80) !== 0, payload, length: start + size };
}
