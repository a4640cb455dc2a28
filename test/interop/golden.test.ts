import { describe, expect, test } from 'vitest';
import { readdirSync } from 'node:fs';
import { bytesToHex, hexToBytes } from '../../packages/protocol/src/bytes.js';
import { bytesToRelayMessage, bytesToReplicaMessage, messageToBytes } from '../../packages/protocol/src/wire/codec.js';
import type { Message } from '../../packages/protocol/src/wire/messages.js';
import { PROTOCOL_VERSION } from '../../packages/protocol/src/wire/version.js';
import { goldenFolder, grammarLines, makeGolden, readGolden, schemaHash } from './golden.js';
import { goldenMessages } from './messages.js';

/**
 * One line a version. When its test fails, the kinds, fields, limits or constants of the wire have changed: make the vectors anew
 * (`MAKE_VECTORS=1 npx vitest run --project unit test/interop/make-vectors.test.ts`), see that what changed is what was meant to, bump
 * PROTOCOL_VERSION with a line of its history in `wire/version.ts`, and add the new hash, which the failure tells. Until the first
 * release the hash of version 1 is replaced.
 */
const SCHEMAS: Readonly<Record<number, string>> = {
  2: 'c76209332c34cbe59147a110c315f58b536063c9f27e89b40a1d7b79d3db5360',
  1: '97dd142dadec2a91b32cf0440f65cc8c533138b7f609651ec5ebefae51238a52',
  3: 'fd2de1856e44c89785c5c1bbd50434489547876ea9a4531aafc87c29d0f75b32',
  5: 'f554ce67481fb25b3270ff692a9398e1ebe62147a04d1433bfabd330e696cc38',
  4: 'df0fcdd7eef8bd4a573e9f0b4b2cdc1c1c65f3b476918ed3b5d06a9e6bd79d64',
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
    const advice = `the wire is no longer that of version ${PROTOCOL_VERSION}: do as the comment at SCHEMAS says; its hash is ${hash}`;
    expect(SCHEMAS[PROTOCOL_VERSION], advice).toBe(hash);
  });
});
