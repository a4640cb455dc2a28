import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../bytes.js';
import { isMangroveError } from '../errors.js';
import { defaultLimits } from '../limits.js';
import { FrameJoiner, messageToFrames } from './frames.js';

const small = { frameBytesMax: 40, messageBytesMax: 500 };
const bytes = (length: number, seed = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 255);
const messageBytes = fc.oneof(
  fc.integer({ min: 1, max: small.messageBytesMax }),
  fc.constantFrom(1, 23, 24, 25, 38, 39, 40, 41, 48, 72, small.messageBytesMax),
);

/** What comes out of a joiner, frame by frame: a message, nothing, or the code of a refusal. */
function createJoiner(limits = small) {
  const joiner = new FrameJoiner(limits);
  return (frame: Uint8Array): Uint8Array | string | undefined => {
    try {
      return joiner.add(frame);
    } catch (error) {
      if (isMangroveError(error)) return error.code;
      throw error;
    }
  };
}

const first = (announced: number, part: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(254, ...(announced < 128 ? [announced] : [(announced % 128) + 128, announced >> 7])), part);
const next = (part: Uint8Array): Uint8Array => concatBytes(Uint8Array.of(255), part);

describe('frames', () => {
  test('[SY13] joining undoes splitting, and no frame is too large', () => {
    fc.assert(
      fc.property(fc.array(messageBytes, { minLength: 1, maxLength: 5 }), (lengths) => {
        const add = createJoiner();
        for (const [seed, length] of lengths.entries()) {
          const message = bytes(length, seed);
          const frames = messageToFrames(message, small);
          for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(small.frameBytesMax);
          const out = frames.map(add);
          expect(out.slice(0, -1).every((part) => part === undefined)).toBe(true);
          expect(out.at(-1)).toEqual(message);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('[SY13] with the real limits a message of 8 MiB comes through', () => {
    const { frameBytesMax, messageBytesMax } = defaultLimits;
    const message = bytes(messageBytesMax);
    const frames = messageToFrames(message, defaultLimits);
    expect(frames.length).toBe(Math.ceil(messageBytesMax / (frameBytesMax - 16)));
    const add = createJoiner(defaultLimits);
    const out = frames.map(add);
    expect(Buffer.compare(out.at(-1) as Uint8Array, message)).toBe(0);
  });

  test('[SY13] a message is whole in one frame as long as it fits', () => {
    expect(messageToFrames(bytes(40), small)).toEqual([bytes(40)]);
    expect(messageToFrames(bytes(41), small)).toHaveLength(2);
  });

  test('[SY13] whole messages may stand between the parts of another', () => {
    const add = createJoiner();
    const message = bytes(100);
    const [head, ...rest] = messageToFrames(message, small) as [Uint8Array, ...Uint8Array[]];
    expect(add(head)).toBeUndefined();
    let last: Uint8Array | string | undefined;
    for (const frame of rest) {
      expect(add(messageToFrames(bytes(3), small)[0] as Uint8Array)).toEqual(bytes(3));
      last = add(frame);
    }
    expect(last).toEqual(message);
  });

  test('[SY13] a first part ends what was there before it', () => {
    const add = createJoiner();
    expect(add(first(60, bytes(20)))).toBeUndefined();
    expect(add(first(4, bytes(2)))).toBeUndefined();
    expect(add(next(bytes(2)))).toEqual(concatBytes(bytes(2), bytes(2)));
    expect(add(next(bytes(2)))).toBe('FRAME_MALFORMED');
  });

  test('[SY13] a frame over the limit is FRAME_TOO_LARGE and the stream lives', () => {
    const add = createJoiner();
    expect(add(bytes(41))).toBe('FRAME_TOO_LARGE');
    expect(add(bytes(40))).toEqual(bytes(40));
  });

  test('[SY13] a message over the limit is refused once, its parts are passed over, and the stream lives', () => {
    const add = createJoiner();
    const frames = messageToFrames(bytes(small.messageBytesMax + 1), small);
    const out = frames.map(add);
    expect(out[0]).toBe('BODY_TOO_LARGE');
    expect(out.slice(1).every((part) => part === undefined)).toBe(true);
    for (const frame of messageToFrames(bytes(90), small).slice(0, -1)) expect(add(frame)).toBeUndefined();
    expect(add(messageToFrames(bytes(90), small).at(-1) as Uint8Array)).toEqual(bytes(90));
    // The refused one has ended with its last byte: a part more belongs to nothing.
    frames.map(add);
    expect(add(next(bytes(1)))).toBe('FRAME_MALFORMED');
  });

  test('[SY13] whole messages come through while a refused one is passed over', () => {
    const add = createJoiner();
    const [head, part] = messageToFrames(bytes(1_000), small) as [Uint8Array, Uint8Array];
    expect([add(head), add(Uint8Array.of(5)), add(part)]).toEqual(['BODY_TOO_LARGE', Uint8Array.of(5), undefined]);
  });

  test('[SY13] more parts than announced are FRAME_MALFORMED', () => {
    const add = createJoiner();
    expect(add(first(4, bytes(3)))).toBeUndefined();
    expect(add(next(bytes(2)))).toBe('FRAME_MALFORMED');
    expect(add(next(bytes(1)))).toBe('FRAME_MALFORMED');
    expect(add(first(1, bytes(2)))).toBe('FRAME_MALFORMED');
    expect(add(Uint8Array.of(1))).toEqual(Uint8Array.of(1));
  });

  test('[SY14] what is no frame is FRAME_MALFORMED', () => {
    const wrong = [[], [255, 1], [254], [254, 128], [255], [254, ...Array<number>(9).fill(255)], [254, 129, 0]];
    for (const frame of wrong) {
      const add = createJoiner();
      expect(add(Uint8Array.from(frame)), String(frame)).toBe('FRAME_MALFORMED');
      expect(add(Uint8Array.of(9))).toEqual(Uint8Array.of(9));
    }
  });

  test('[SY14] a message in parts takes memory as it comes, whatever it announces', () => {
    const allocated: number[] = [];
    const Original = globalThis.Uint8Array;
    const joiner = new FrameJoiner(defaultLimits);
    const announced = Uint8Array.of(254, 128, 128, 96, 7);
    const part = Uint8Array.of(255, 8);
    globalThis.Uint8Array = new Proxy(Original, {
      construct(target, args: unknown[], newTarget) {
        if (typeof args[0] === 'number') allocated.push(args[0]);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
    try {
      joiner.add(announced);
      for (let i = 0; i < 20; i++) joiner.add(part);
    } finally {
      globalThis.Uint8Array = Original;
    }
    expect(Math.max(0, ...allocated)).toBeLessThan(100);
  });

  test('[SY14] any frames in any order give messages or typed errors', () => {
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 45 }),
      fc.tuple(fc.nat(600), fc.nat(30)).map(([announced, length]) => first(announced, bytes(length))),
      fc.nat(30).map((length) => next(bytes(length))),
    );
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 20 }), (frames) => {
        const add = createJoiner();
        for (const out of frames.map(add)) {
          if (typeof out === 'string') expect(['FRAME_MALFORMED', 'FRAME_TOO_LARGE', 'BODY_TOO_LARGE']).toContain(out);
          else if (out !== undefined) expect(out.length).toBeLessThanOrEqual(small.messageBytesMax);
        }
        expect(add(Uint8Array.of(1, 2))).toEqual(Uint8Array.of(1, 2));
      }),
      { numRuns: 1_000 },
    );
  });
});
