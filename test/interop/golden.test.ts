import { describe, expect, test } from 'vitest';
import { readdirSync } from 'node:fs';
import { bytesToHex, hexToBytes } from '../../packages/protocol/src/bytes.js';
import { bytesToRelayMessage, bytesToReplicaMessage, messageToBytes } from '../../packages/protocol/src/wire/codec.js';
import type { Message } from '../../packages/protocol/src/wire/messages.js';
import { PROTOCOL_VERSION } from '../../packages/protocol/src/wire/version.js';
import { goldenFolder, grammarLines, makeGolden, readGolden, schemaHash } from './golden.js';
import { goldenMessages } from './messages.js';

/**
 * One line a version. When this fails, the bytes or the grammar of the wire have changed: bump PROTOCOL_VERSION with its line of
 * history, and add the new hash here.
 */
const SCHEMAS: Readonly<Record<number, string>> = {
  1: 'bb5304fa244a6653eac5d7f5a9ab2168a55586a519a165f0be725760a139ce28',
};

const kinds = Object.keys(goldenMessages) as Message['kind'][];

/** Whichever side may say it; of both, what either makes of it. */
function decode(bytes: Uint8Array): Message {
  try {
    return bytesToReplicaMessage(bytes);
  } catch {
    return bytesToRelayMessage(bytes);
  }
}

describe('golden bytes', () => {
  test.each(kinds)('[SY14] %s is written and read as its golden bytes', (kind) => {
    const golden = readGolden(kind);
    expect(makeGolden(kind)).toEqual(golden);
    for (const [name, message] of Object.entries<Message>(goldenMessages[kind])) {
      expect(decode(hexToBytes(golden[name] as string)), name).toEqual(message);
      expect(bytesToHex(messageToBytes(message)), name).toBe(golden[name]);
    }
  });

  test('[SY14] there is a golden file for each message, and for nothing else', () => {
    expect(readdirSync(goldenFolder).sort()).toEqual(kinds.map((kind) => `${kind}.json`).sort());
  });

  test('[SY14] the grammar has a line for each message, in the order of numbers, with who may say it', () => {
    const lines = grammarLines();
    expect(lines.map(({ number }) => number)).toEqual(kinds.map((_, i) => i + 1));
    for (const { number, kind, sender } of lines) {
      const bytes = hexToBytes(Object.values(readGolden(kind as Message['kind']))[0] as string);
      expect([bytes[0], kind]).toEqual([number, kind]);
      const isSaidBy = (read: (bytes: Uint8Array) => Message): boolean => {
        try {
          return read(bytes).kind === kind;
        } catch {
          return false;
        }
      };
      const bySender = { replica: [true, false], relay: [false, true], both: [true, true] }[sender];
      expect([isSaidBy(bytesToReplicaMessage), isSaidBy(bytesToRelayMessage)], kind).toEqual(bySender);
    }
  });

  test('[SY14] the wire has not changed since its version was given', () => {
    const hash = schemaHash();
    const advice = `the wire is no longer that of version ${PROTOCOL_VERSION}: see the comment at SCHEMAS; its hash is ${hash}`;
    expect(SCHEMAS[PROTOCOL_VERSION], advice).toBe(hash);
  });
});
