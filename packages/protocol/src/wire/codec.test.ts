import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { replicaOf } from '../../../../test/interop/fixture.js';
import { anyMessage, goldenMessages, messages } from '../../../../test/interop/messages.js';
import { concatBytes, u64ToBytes, utf8ToBytes } from '../bytes.js';
import { isMangroveError } from '../errors.js';
import { defaultLimits } from '../limits.js';
import { SALT_BYTES } from '../merkle/cut.js';
import { bytesToRelayMessage, bytesToReplicaMessage, messageToBytes } from './codec.js';
import type { Message } from './messages.js';

const kinds = Object.keys(messages) as Message['kind'][];
const readers = [bytesToRelayMessage, bytesToReplicaMessage] as const;

/** The code with which bytes are refused, or the message they are. */
function tryRead(read: (bytes: Uint8Array) => Message, bytes: Uint8Array): Message | string {
  try {
    return read(bytes);
  } catch (error) {
    if (isMangroveError(error)) return error.code;
    throw error;
  }
}

/** Read by whichever side may hear it. */
function read(bytes: Uint8Array): Message | string {
  const [asRelay, asReplica] = readers.map((reader) => tryRead(reader, bytes));
  return (typeof asRelay === 'string' ? asReplica : asRelay) as Message | string;
}

const numberOf = (kind: Message['kind']): number =>
  messageToBytes(Object.values<Message>(goldenMessages[kind])[0] as Message)[0] as number;

/** `varUint` by hand. */
const varUint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varUint(Math.floor(value / 128))];

const framed = (kind: Message['kind'], ...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array =>
  concatBytes(Uint8Array.of(numberOf(kind)), ...parts.map((part) => Uint8Array.from(part)));

describe('codec', () => {
  test.each(kinds)('[SY14] decoding undoes encoding: %s', (kind) => {
    fc.assert(
      fc.property(messages[kind] as fc.Arbitrary<Message>, (message) => {
        expect(read(messageToBytes(message))).toEqual(message);
      }),
      { numRuns: 60 },
    );
  });

  test('[SY14] what is read shares no memory with the frame it came in', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bytes = messageToBytes(message);
        const before = read(bytes);
        bytes.fill(0xaa);
        expect(before).toEqual(message);
      }),
      { numRuns: 150 },
    );
  });

  test('[SY14] every truncation and every byte more is FRAME_MALFORMED, also inside a larger buffer', () => {
    for (const kind of kinds) {
      for (const message of Object.values<Message>(goldenMessages[kind])) {
        const bytes = messageToBytes(message);
        const longer = concatBytes(bytes, new Uint8Array(64));
        for (let length = 0; length < bytes.length; length++)
          expect(read(longer.subarray(0, length)), `${kind}, ${length} bytes`).toBe('FRAME_MALFORMED');
        expect(read(longer.subarray(0, bytes.length + 1)), kind).toBe('FRAME_MALFORMED');
      }
    }
  });

  test('[SY14] a message is refused from the side that may not say it', () => {
    const fromBoth = ['certificates', 'diff', 'presence', 'want', 'part', 'credit'];
    const fromReplica = ['hello', 'push', 'pull', 'head', 'report', 'probe'];
    for (const kind of kinds) {
      const bytes = messageToBytes(Object.values<Message>(goldenMessages[kind])[0] as Message);
      const isRead = readers.map((reader) => typeof tryRead(reader, bytes) !== 'string');
      expect(isRead, kind).toEqual([
        !fromReplica.includes(kind),
        fromReplica.includes(kind) || fromBoth.includes(kind),
      ]);
    }
    for (const number of [0, kinds.length + 1, 255]) expect(read(Uint8Array.of(number))).toBe('FRAME_MALFORMED');
  });

  test('[SY14] 20,000 random and mutated frames give a message or a typed refusal, and messages that are read again', () => {
    const golden = kinds.flatMap((kind) =>
      Object.values<Message>(goldenMessages[kind]).map((message) => messageToBytes(message)),
    );
    const noise = fc
      .tuple(fc.integer({ min: 0, max: kinds.length + 1 }), fc.uint8Array({ maxLength: 120 }))
      .map(([number, rest]) => concatBytes(Uint8Array.of(number), rest));
    const mutated = fc
      .tuple(fc.constantFrom(...golden), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([bytes, edits]) => {
        const copy = bytes.slice();
        for (const [at, byte] of edits) copy[at % copy.length] = byte;
        return copy;
      });
    const spliced = fc
      .tuple(fc.constantFrom(...golden), fc.nat(), fc.uint8Array({ maxLength: 12 }), fc.nat(12))
      .map(([bytes, at, insert, drop]) => {
        const i = at % (bytes.length + 1);
        return concatBytes(bytes.subarray(0, i), insert, bytes.subarray(i + drop));
      });
    let messagesRead = 0;
    fc.assert(
      fc.property(fc.oneof(noise, mutated, spliced), (bytes) => {
        for (const reader of readers) {
          const result = tryRead(reader, bytes);
          if (result === 'FRAME_MALFORMED' || result === 'BASE_UNKNOWN') continue;
          if (typeof result === 'string') throw new Error(`refused with ${result}`);
          messagesRead++;
          expect(tryRead(reader, messageToBytes(result))).toEqual(result);
        }
      }),
      { numRuns: 20_000 },
    );
    expect(messagesRead).toBeGreaterThan(1_000);
  }, 120_000);

  test('[SY14] a count or a length that the frame cannot hold fails before anything is allocated', () => {
    const huge = [1, 10_000, 2 ** 31, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER].map(varUint);
    const tooLarge = [
      varUint(2 ** 53),
      varUint(2 ** 55),
      [...Array<number>(150).fill(128), 0],
      Array<number>(9).fill(255),
    ];
    const zeros = (length: number): Uint8Array => new Uint8Array(length);
    for (const count of [...huge, ...tooLarge]) {
      const frames = [
        framed('certificates', count),
        framed('push', count, zeros(1)),
        framed('push', [2, 0], count),
        framed('deltas', count, zeros(1)),
        framed('deltas', [4, 0], count),
        framed('ack', count, zeros(1)),
        framed('pull', count, zeros(8)),
        framed('vector', count),
        framed('caught-up', zeros(41), count),
        framed('diff', zeros(36), count, zeros(1)),
        framed('diff', zeros(36), [1, 1, 0], count),
        framed('head', zeros(74), count, zeros(64)),
        framed('heads', count, zeros(74)),
        framed('heads', [1, 0], zeros(73), count, zeros(64)),
        framed('presence', zeros(25), count),
        framed('fault', [1], count),
        framed('hello', [1], zeros(65), [1], count),
        framed('want', count, zeros(1)),
        framed('part', zeros(65), count),
      ];
      for (const frame of frames) expect(read(frame), `message ${frame[0]}, count ${count}`).toBe('FRAME_MALFORMED');
    }
  });

  test('[SY14] a number over 2^53 - 1, or in more bytes than it needs, is FRAME_MALFORMED', () => {
    const seqs = (...seq: readonly number[]): Uint8Array => framed('ack', [5], seq, [0], new Uint8Array(41));
    expect(read(seqs(...varUint(Number.MAX_SAFE_INTEGER)))).toMatchObject({ seqs: [Number.MAX_SAFE_INTEGER] });
    for (const seq of [varUint(2 ** 53), [0x80, 0], [0x81, 0x80, 0], [...Array<number>(160).fill(128), 0]])
      expect(read(seqs(...seq)), String(seq)).toBe('FRAME_MALFORMED');
  });

  test('[SY14] a run of acknowledged numbers is bounded as a list of them would be', () => {
    const { deltasPerMessageMax: max } = defaultLimits;
    const run = (...run: readonly number[]): Uint8Array => framed('ack', run, new Uint8Array(41));
    expect(read(run(5, 5, ...varUint(max - 1)))).toMatchObject({ seqs: Array.from({ length: max }, (_, i) => 5 + i) });
    expect(read(run(5, 5, ...varUint(max)))).toBe('FRAME_MALFORMED');
    expect(read(run(9, 5, ...varUint(max - 1), 2, 0))).toBe('FRAME_MALFORMED');
    expect(read(run(5, ...varUint(Number.MAX_SAFE_INTEGER), 1))).toBe('FRAME_MALFORMED');
    expect(read(run(9, 5, 1, 2, 0))).toMatchObject({ seqs: [5, 6, 8] });
    expect(read(run(9, 5, 1, 1, 0)), 'one run in two').toBe('FRAME_MALFORMED');
  });

  test('[SY14] limits hold where the bytes would be there', () => {
    const { deltasPerMessageMax, replicasPerKeyMax, awarenessBytesMax } = defaultLimits;
    const presence = { kind: 'presence', replica: replicaOf(0), tab: 1, keyId: 'c'.repeat(32) as never } as const;
    const sized = (length: number): Message => ({ ...presence, state: new Uint8Array(length) });
    expect(read(messageToBytes(sized(awarenessBytesMax)))).toEqual(sized(awarenessBytesMax));
    expect(read(messageToBytes(sized(awarenessBytesMax + 1)))).toBe('FRAME_MALFORMED');

    const push = (count: number): Message => ({
      kind: 'push',
      repair: false,
      deltas: Array(count).fill(new Uint8Array()),
    });
    expect(read(messageToBytes(push(deltasPerMessageMax)))).toEqual(push(deltasPerMessageMax));
    expect(read(messageToBytes(push(deltasPerMessageMax + 1)))).toBe('FRAME_MALFORMED');

    const pull = (count: number): Message => ({
      kind: 'pull',
      vector: new Map(Array.from({ length: count }, (_, i) => [idOf(i), 1])),
    });
    expect(read(messageToBytes(pull(replicasPerKeyMax)))).toEqual(pull(replicasPerKeyMax));
    const tooLong = Array.from({ length: replicasPerKeyMax + 1 }, (_, i) =>
      concatBytes(u64ToBytes(i), Uint8Array.of(1)),
    );
    expect(read(framed('pull', varUint(tooLong.length), ...tooLong))).toBe('FRAME_MALFORMED');
    // Whoever knows of more tells the first of them: what is not told counts as 0.
    expect(read(messageToBytes(pull(replicasPerKeyMax + 1)))).toEqual(pull(replicasPerKeyMax));
  });

  test('[SY14] facts are short texts and numbers by name; anything else is left out or refused', () => {
    const fault = (json: string): Message | string => {
      const bytes = utf8ToBytes(json);
      return read(framed('fault', [6], varUint(bytes.length), bytes));
    };
    const facts = '{"a":1,"b":"x","c":null,"d":[1],"e":{"f":1},"g":true,"with space":1,"__proto__":"own","":2}';
    const message = fault(facts) as Extract<Message, { kind: 'fault' }>;
    expect(message.code).toBe('FRAME_MALFORMED');
    expect(Object.entries(message.facts)).toEqual([
      ['a', 1],
      ['b', 'x'],
      ['__proto__', 'own'],
    ]);
    expect(Object.getPrototypeOf(message.facts)).toBe(Object.prototype);
    for (const bad of ['', 'null', '1', '"x"', '{', `{"a":"${'x'.repeat(4_096)}"}`, `${'['.repeat(2_000)}`])
      expect(fault(bad), bad.slice(0, 20)).toBe('FRAME_MALFORMED');
  });

  test('[SY14] facts that a reader would refuse are not sent: long texts are cut, what does not fit is left out', () => {
    const written = (facts: Record<string, unknown>) =>
      (
        read(messageToBytes({ kind: 'fault', code: 'INTERNAL', facts: facts as never })) as Extract<
          Message,
          { kind: 'fault' }
        >
      ).facts;
    expect(written({ reason: 'x'.repeat(100_000) })).toEqual({ reason: 'x'.repeat(600) });
    const many = written(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`f${i}`, '\0'.repeat(50)])));
    expect(Object.keys(many)).toHaveLength(13);
    expect(written({ a: 1, b: { c: 1 }, 'no word': 1, n: Number.NaN, ok: 'é' })).toEqual({ a: 1, ok: 'é' });
  });

  test('[SY14] a slot in a diff shares as many nibbles with the one before as it can, or it is FRAME_MALFORMED', () => {
    const wants = (...second: number[]) =>
      read(framed('diff', new Uint8Array(SALT_BYTES + 32), [2], [2, 2, 0xab], second));
    expect(wants(2 + 8 * 2, 1, 0xc0)).toMatchObject({ entries: [{ slot: 'ab' }, { slot: 'abc' }] });
    expect(wants(2 + 8 * 1, 2, 0xbc)).toBe('FRAME_MALFORMED');
    expect(wants(2, 3, 0xab, 0xc0)).toBe('FRAME_MALFORMED');
  });

  test('[SY14] rights that nobody knows are FRAME_MALFORMED', () => {
    expect(read(framed('admitted', [7, 0, 0, 0, 0, 0]))).toMatchObject({ rights: ['read', 'write', 'admin'] });
    expect(read(framed('admitted', [8, 0, 0, 0, 0, 0]))).toBe('FRAME_MALFORMED');
  });

  test('[SY14] text that is no UTF-8 is FRAME_MALFORMED', () => {
    const hello = messageToBytes(goldenMessages.hello.whole as Message);
    const at = hello.indexOf(0xc3);
    hello[at] = 0xff;
    expect(read(hello)).toBe('FRAME_MALFORMED');
  });

  test('[SY14] flags are 0 or 1, slots end in zeros, entries are known', () => {
    const id = u64ToBytes(7);
    expect(read(framed('peer', id, [1]))).toMatchObject({ kind: 'peer', present: true });
    expect(read(framed('peer', id, [2]))).toBe('FRAME_MALFORMED');
    const diff = (...entry: number[]): Message | string => read(framed('diff', new Uint8Array(40), [1], entry));
    expect(diff(2, 1, 0xa0)).toMatchObject({ entries: [{ kind: 'want', slot: 'a' }] });
    for (const entry of [
      [2, 1, 0xa1],
      [2, 3, 0xab],
      [5, 0],
      [7, 0],
      [0, 0, 0, 0],
      [1, 0, 33],
      // A slot that shares a nibble with nothing before it.
      [2 + 8, 0],
      [2 + 8 * 31, 0, 0],
    ])
      expect(diff(...entry), String(entry)).toBe('FRAME_MALFORMED');
  });
});

function idOf(n: number): ReturnType<typeof replicaOf> {
  return n.toString(16).padStart(16, '0') as ReturnType<typeof replicaOf>;
}
