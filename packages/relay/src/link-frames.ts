import { type Limits, type LinkMemory, type Message, messageToBytes, messageToFrames } from '@mangrove/protocol';

/**
 * Above the largest frame of the protocol, so that a frame which is somewhat too large is refused with a reason and the connection lives;
 * what is larger still is not looked at.
 */
export const FRAME_BYTES_READ_MAX = 1024 * 1024;

interface Encoded {
  /** What the frames depend on beside the message. */
  readonly context: readonly unknown[];
  readonly frames: readonly Uint8Array[];
}

const encodedByMessage = new WeakMap<Message, Encoded>();

/** A message that goes to many is one object, and is encoded once for all who were told the same before [SY21]. */
export function framesOf(message: Message, limits: Limits, told: LinkMemory): readonly Uint8Array[] {
  const context = told.contextOf(message);
  const encoded = encodedByMessage.get(message);
  if (encoded !== undefined && isSame(encoded.context, context)) {
    told.note(message);
    return encoded.frames;
  }
  const frames = messageToFrames(messageToBytes(message, told), limits);
  encodedByMessage.set(message, { context, frames });
  return frames;
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}
