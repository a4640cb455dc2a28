import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { encode, readVarUint } from '../codec.js';
import { MangroveError } from '../errors.js';
import type { Limits } from '../limits.js';

/**
 * Messages travel in frames of bounded size [SY13].
 *
 * frame := u8 0 • message | u8 1 • varUint messageBytes • first part | u8 2 • next part
 *
 * Parts of one message follow each other; the message is whole when `messageBytes` have come.
 */
const WHOLE = 0;
const FIRST = 1;
const NEXT = 2;
const PART_OVERHEAD = 16;

export function messageToFrames(message: Uint8Array, limits: Pick<Limits, 'frameBytesMax'>): readonly Uint8Array[] {
  if (message.length < limits.frameBytesMax) return [frame(WHOLE, message)];
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
  #parts: Uint8Array | undefined;
  #filled = 0;
  /** Bytes of a refused message that are still to come: they are passed over, so that the connection can live. */
  #skipping = 0;

  constructor(limits: Pick<Limits, 'frameBytesMax' | 'messageBytesMax'>) {
    this.#limits = limits;
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
      case WHOLE:
        return bytes.subarray(1);
      case FIRST:
        return this.#begin(bytes);
      case NEXT:
        return this.#append(bytes.subarray(1));
      default:
        throw malformed('its first byte is unknown');
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
    this.#parts = new Uint8Array(messageBytes);
    this.#filled = 0;
    return this.#append(part);
  }

  #append(part: Uint8Array): Uint8Array | undefined {
    if (this.#skipping > 0) {
      this.#skipping -= part.length;
      return undefined;
    }
    const parts = this.#parts;
    if (parts === undefined) throw malformed('a part without its first part');
    if (this.#filled + part.length > parts.length) {
      this.#parts = undefined;
      throw malformed('more parts than announced');
    }
    parts.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled < parts.length) return undefined;
    this.#parts = undefined;
    return parts;
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
