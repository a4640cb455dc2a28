import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { encode, readVarUint } from '../codec.js';
import { MangroveError } from '../errors.js';
import type { Limits } from '../limits.js';

/**
 * Messages travel in frames of bounded size [SY13].
 *
 * frame := message | u8 254 • varUint messageBytes • first part | u8 255 • next part
 *
 * No message has these numbers, so that a whole one needs no byte beside it. Parts of one message follow each other; the message is
 * whole when `messageBytes` have come.
 */
const FIRST = 254;
const NEXT = 255;
const PART_OVERHEAD = 16;

export function messageToFrames(message: Uint8Array, limits: Pick<Limits, 'frameBytesMax'>): readonly Uint8Array[] {
  if (message.length <= limits.frameBytesMax) return [message];
  const partBytes = limits.frameBytesMax - PART_OVERHEAD;
  const frames: Uint8Array[] = [];
  for (let offset = 0; offset < message.length; offset += partBytes) {
    const part = message.subarray(offset, offset + partBytes);
    frames.push(offset === 0 ? frame(FIRST, part, message.length) : frame(NEXT, part));
  }
  return frames;
}

/** Joins frames into messages; holds at most one message of `messageBytesMax`. One for each connection and direction. */
export class FrameJoiner {
  readonly #limits: Pick<Limits, 'frameBytesMax' | 'messageBytesMax'>;
  /** What has come of a message in parts; grows with it, as its announced length is only a word. */
  #parts: Uint8Array | undefined;
  #filled = 0;
  #announced = 0;
  /** Bytes of a refused message that are still to come: they are passed over, so that the connection can live. */
  #skipping = 0;

  constructor(limits: Pick<Limits, 'frameBytesMax' | 'messageBytesMax'>) {
    this.#limits = limits;
  }

  /** Whether no message is in the middle of its frames. */
  get isWhole(): boolean {
    return this.#parts === undefined && this.#skipping <= 0;
  }

  /**
   * The message that this frame completes, if any.
   * Throws `FRAME_TOO_LARGE`, `BODY_TOO_LARGE` (a message in parts that is larger than any body) and `FRAME_MALFORMED`.
   */
  add(bytes: Uint8Array): Uint8Array | undefined {
    const { frameBytesMax } = this.#limits;
    if (bytes.length > frameBytesMax)
      throw new MangroveError('FRAME_TOO_LARGE', { frameBytes: bytes.length, frameBytesMax });
    if (bytes.length === 0) throw malformed('it is empty');
    switch (bytes[0]) {
      case FIRST:
        return this.#begin(bytes);
      case NEXT:
        return this.#append(bytes.subarray(1));
      default:
        return bytes;
    }
  }

  #begin(bytes: Uint8Array): Uint8Array | undefined {
    this.#parts = undefined;
    this.#skipping = 0;
    const decoder = decoding.createDecoder(bytes.subarray(1));
    let messageBytes: number;
    try {
      messageBytes = readVarUint(decoder);
    } catch {
      throw malformed('the length of a message in parts is missing');
    }
    const { messageBytesMax } = this.#limits;
    const part = decoder.arr.subarray(decoder.pos);
    if (messageBytes > messageBytesMax) {
      this.#skipping = messageBytes - part.length;
      throw new MangroveError('BODY_TOO_LARGE', { bodyBytes: messageBytes, bodyBytesMax: messageBytesMax });
    }
    this.#parts = new Uint8Array();
    this.#filled = 0;
    this.#announced = messageBytes;
    return this.#append(part);
  }

  #append(part: Uint8Array): Uint8Array | undefined {
    if (this.#skipping > 0) {
      this.#skipping -= part.length;
      return undefined;
    }
    if (this.#parts === undefined) throw malformed('a part without its first part');
    const filled = this.#filled + part.length;
    if (filled > this.#announced) {
      this.#parts = undefined;
      throw malformed('more parts than announced');
    }
    const parts = this.#roomFor(this.#parts, filled);
    parts.set(part, this.#filled);
    this.#filled = filled;
    this.#parts = filled < this.#announced ? parts : undefined;
    return filled < this.#announced ? undefined : parts;
  }

  /** Doubles, so that each byte is copied a bounded number of times; the last part finds exactly the announced length. */
  #roomFor(parts: Uint8Array, filled: number): Uint8Array {
    if (filled <= parts.length && (filled < this.#announced || parts.length === filled)) return parts;
    const grown = new Uint8Array(Math.min(this.#announced, Math.max(filled, 2 * parts.length)));
    grown.set(parts.subarray(0, this.#filled));
    return grown;
  }
}

function frame(kind: number, part: Uint8Array, messageBytes?: number): Uint8Array {
  return encode((encoder) => {
    encoding.writeUint8(encoder, kind);
    if (messageBytes !== undefined) encoding.writeVarUint(encoder, messageBytes);
    encoding.writeUint8Array(encoder, part);
  });
}

function malformed(reason: string): MangroveError {
  return new MangroveError('FRAME_MALFORMED', { reason });
}
