import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { acknowledgements, conversation, tellings, TYPED } from '../../../../test/interop/vectors-told.js';
import { anyMessage } from '../../../../test/interop/messages.js';
import { isMangroveError } from '../errors.js';
import { bytesToRelayMessage, bytesToReplicaMessage, messageToBytes } from './codec.js';
import { BASE_BYTES_MAX, partsOfDelta } from './delta-parts.js';
import { BASE_VECTOR_MAX, LinkMemory, SLOTS } from './link-memory.js';
import type { ReplicaId } from '../ids.js';
import type { Message } from './messages.js';

/** More of them than keys can be made for. */
const replicaNamed = (n: number): ReplicaId => n.toString(16).padStart(16, '0') as ReplicaId;
const push = (...deltas: Uint8Array[]): Message => ({ kind: 'push', repair: false, deltas });
const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    if (isMangroveError(error)) return error.code;
    throw error;
  }
};

describe('what a link was told before', () => {
  test('[SY21] a reader that heard all of it makes the very bytes of each delta and statement', () => {
    for (const [messages, read] of [
      [conversation, bytesToReplicaMessage],
      [acknowledgements, bytesToRelayMessage],
      [tellings, bytesToRelayMessage],
    ] as const) {
      const [written, heard] = [new LinkMemory(), new LinkMemory()];
      for (const message of messages) expect(read(messageToBytes(message, written), heard)).toEqual(message);
    }
  });

  test('[SY21] a typed letter is told in few bytes beside its signature', () => {
    const memory = new LinkMemory();
    const whole = messageToBytes(push(TYPED.first.bytes), memory).length;
    expect(messageToBytes(push(TYPED.next.bytes), memory).length - 64).toBeLessThan(20);
    expect(whole - 64).toBeGreaterThan(70);
  });

  test('[SY21] any messages in any order are read as they were said', () => {
    const deltas = Object.values(TYPED).map(({ bytes }) => bytes);
    const typing = fc.array(fc.constantFrom(...deltas), { maxLength: 4 }).map((each) => push(...each));
    const heads = fc.constantFrom(...conversation.filter(({ kind }) => kind === 'head'), ...tellings);
    fc.assert(
      fc.property(fc.array(fc.oneof(typing, heads, anyMessage), { maxLength: 12 }), (messages) => {
        const [written, heard] = [new LinkMemory(), new LinkMemory()];
        for (const message of messages) {
          const bytes = messageToBytes(message, written);
          const isFromReplica = ['hello', 'push', 'pull', 'head', 'report', 'probe'].includes(message.kind);
          expect((isFromReplica ? bytesToReplicaMessage : bytesToRelayMessage)(bytes, heard)).toEqual(message);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('[SY21] links that were told different things before are each told what they can read, whoever is told first', () => {
    const deltas = Object.values(TYPED).map(({ bytes }) => bytes);
    const missing = fc.array(fc.subarray(deltas), { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(missing, fc.shuffledSubarray(deltas, { minLength: deltas.length }), (own, said) => {
        const links = own.map((left) => ({ left, written: new LinkMemory(), heard: new LinkMemory() }));
        for (const delta of said)
          for (const { left, written, heard } of links) {
            if (left.includes(delta)) continue;
            const message = push(delta);
            expect(bytesToReplicaMessage(messageToBytes(message, written), heard)).toEqual(message);
          }
      }),
    );
  });

  test('[SY21] who has forgotten what it told tells the whole, and is understood', () => {
    const [written, heard] = [new LinkMemory(), new LinkMemory()];
    for (const message of conversation) {
      written.forget();
      expect(bytesToReplicaMessage(messageToBytes(message, written), heard)).toEqual(message);
    }
  });

  test('[SY21] a reader that has missed something says BASE_UNKNOWN until the whole comes', () => {
    const [written, heard] = [new LinkMemory(), new LinkMemory()];
    const read = (message: Message) => bytesToReplicaMessage(messageToBytes(message, written), heard);
    read(push(TYPED.first.bytes));
    heard.forget();
    expect(codeOf(() => read(push(TYPED.next.bytes)))).toBe('BASE_UNKNOWN');
    written.forget();
    expect(read(push(TYPED.next.bytes))).toEqual(push(TYPED.next.bytes));
  });

  test('[SY21] a message noted is remembered as one written, and where contexts are equal bytes are', () => {
    const [one, other, third] = [new LinkMemory(), new LinkMemory(), new LinkMemory()];
    for (const message of [...conversation, ...tellings]) {
      expect(one.contextOf(message)).toEqual(other.contextOf(message));
      const bytes = messageToBytes(message, one);
      other.note(message);
      expect(messageToBytes(message, third)).toEqual(bytes);
    }
    expect(one.contextOf(push(TYPED.imported.bytes))).toEqual(other.contextOf(push(TYPED.imported.bytes)));
  });

  test('[SY21] mutated bytes give a message or a typed refusal, and nothing larger than what may be told so', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        fc.nat(6),
        (edits, cut) => {
          const [written, heard] = [new LinkMemory(), new LinkMemory()];
          for (const message of conversation) {
            const bytes = messageToBytes(message, written);
            const spoiled = bytes.slice(0, bytes.length - (cut === 0 ? 1 : 0));
            for (const [at, byte] of edits) spoiled[at % spoiled.length] = byte;
            const code = codeOf(() => bytesToReplicaMessage(spoiled, heard));
            if (code !== undefined) {
              expect(['FRAME_MALFORMED', 'BASE_UNKNOWN']).toContain(code);
              heard.forget();
            }
            for (let slot = 0; slot < SLOTS; slot++) {
              const base = heard.delta(slot);
              if (base === undefined) continue;
              expect(base.bytes.length).toBeLessThanOrEqual(BASE_BYTES_MAX);
              // What is remembered is what its bytes say, or the next one would be made of something else.
              expect(partsOfDelta(base.bytes.slice())).toEqual(base);
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('[SY23] those who hold the same are told in little more than their names and signatures, however many replicas they name', () => {
    const vector = new Map(Array.from({ length: 1_000 }, (_, n) => [replicaNamed(n), n + 1] as const));
    const [root, headsRoot, signature] = [new Uint8Array(32), new Uint8Array(32), new Uint8Array(64)];
    const statements = Array.from({ length: 100 }, (_, n) => {
      return { replica: replicaNamed(n), timeMs: 9 * n, root, headsRoot, vector: new Map(vector), signature };
    });
    const bytes = messageToBytes({ kind: 'heads', statements });
    expect(bytesToRelayMessage(bytes)).toEqual({ kind: 'heads', statements });
    const one = messageToBytes({ kind: 'heads', statements: statements.slice(0, 1) });
    expect((bytes.length - one.length) / 99).toBeLessThan(64 + 8 + 4);
  });

  test('[SY23] what a reader makes of a message of heads is bounded by what it was told', () => {
    const written = new LinkMemory();
    const vector = (count: number) => new Map(Array.from({ length: count }, (_, n) => [replicaNamed(n), 1] as const));
    const [root, signature] = [new Uint8Array(32), new Uint8Array(64)];
    const said = (count: number, of: number) => {
      return {
        replica: replicaNamed(of),
        timeMs: of,
        root,
        headsRoot: root.map(() => of),
        vector: vector(count),
        signature,
      };
    };
    const lengthOf = (count: number) =>
      messageToBytes({ kind: 'heads', statements: [said(count, 0), said(count, 1)] }, written).length;
    expect(lengthOf(BASE_VECTOR_MAX)).toBeLessThan(10 * BASE_VECTOR_MAX + 500);
    expect(lengthOf(BASE_VECTOR_MAX + 1)).toBeGreaterThan(18 * BASE_VECTOR_MAX);
  });

  test('[SY21] a statement of many replicas is told whole, and so is the one after it', () => {
    const memory = new LinkMemory();
    const statement = (count: number, timeMs: number): Message => {
      const vector = new Map(Array.from({ length: count }, (_, n) => [replicaNamed(n), 1] as const));
      const bytes = (length: number): Uint8Array => new Uint8Array(length);
      return {
        kind: 'head',
        statement: {
          replica: replicaNamed(0),
          timeMs,
          root: bytes(32),
          headsRoot: bytes(32),
          vector,
          signature: bytes(64),
        },
      };
    };
    const most = BASE_VECTOR_MAX;
    for (const count of [most + 1, most + 1]) expect(messageToBytes(statement(count, 9), memory)[1]).toBe(0);
    expect(messageToBytes(statement(most, 9), memory)[1]).toBe(0);
    expect(messageToBytes(statement(most, 10), memory)[1]).not.toBe(0);
  });
});
