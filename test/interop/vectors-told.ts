import { bodyToBytes } from '../../packages/protocol/src/body.js';
import { bytesToHex, concatBytes, hexToBytes } from '../../packages/protocol/src/bytes.js';
import { type Delta, makeUnsignedDelta, signDelta } from '../../packages/protocol/src/delta.js';
import { type HeadStatement, headStatementToBytes } from '../../packages/protocol/src/head-statement.js';
import { messageToBytes } from '../../packages/protocol/src/wire/codec.js';
import { LinkMemory } from '../../packages/protocol/src/wire/link-memory.js';
import type { Message } from '../../packages/protocol/src/wire/messages.js';
import { type DeltaSpec, document, headerOf, replicaOf, room, sha256 } from './fixture.js';

const HLC = 1_700_000_000_000 * 1024;
const [ann, bob] = [replicaOf(0), replicaOf(1)];

/** A letter typed after `clock` others, as Yjs has it under clientID 305419896. */
function letter(clock: number, text: string): Uint8Array {
  const clocks = clock < 128 ? Uint8Array.of(clock) : Uint8Array.of((clock & 127) | 128, clock >> 7);
  const client = hexToBytes('f8acd19101');
  return concatBytes(
    ...[Uint8Array.of(1, 1), client, clocks, Uint8Array.of(0x84), client, Uint8Array.of(clock - 1, 1)],
    ...[new TextEncoder().encode(text), Uint8Array.of(0)],
  );
}

function typed(spec: Partial<DeltaSpec> & { readonly seq: number; readonly hlc: number }, payload: Uint8Array): Delta {
  const { name = document('notes') } = spec;
  const header = headerOf({ replica: ann, nonces: [7], ...spec, name });
  const unsigned = makeUnsignedDelta(sha256, room.roomId, header, bodyToBytes({ name, payload }));
  return signDelta(unsigned, new Uint8Array(64).fill(spec.seq));
}

const KEY_MS = 48 * 1024;
export const TYPED = {
  first: typed({ seq: 1, hlc: HLC }, letter(5, 'a')),
  next: typed({ seq: 2, hlc: HLC + KEY_MS, prev: HLC }, letter(6, 'b')),
  lateAndCounted: typed(
    { seq: 3, hlc: HLC + 2 * KEY_MS + 3, writtenAt: HLC + 2 * KEY_MS, prev: HLC + KEY_MS },
    letter(7, 'é'),
  ),
  elsewhere: typed({ seq: 4, hlc: HLC + 3 * KEY_MS, name: document('tasks') }, letter(1, 'x')),
  back: typed(
    { seq: 5, hlc: HLC + 4 * KEY_MS, writtenAt: HLC + 4 * KEY_MS - 1024, prev: HLC + 2 * KEY_MS + 3 },
    letter(8, 'c'),
  ),
  ofBob: typed({ replica: bob, seq: 1, hlc: HLC + 4 * KEY_MS }, letter(9, 'y')),
  withAGap: typed({ seq: 9, hlc: HLC + 5 * KEY_MS, prev: HLC + KEY_MS }, letter(9, 'd')),
  imported: typed({ seq: 10, hlc: HLC + 6 * KEY_MS, prev: HLC + 5 * KEY_MS, flags: 8, nonces: [] }, letter(10, 'e')),
};

function head(timeMs: number, seqs: readonly number[]): HeadStatement {
  const vector = new Map(seqs.map((seq, n) => [replicaOf(n), seq] as const));
  const [root, headsRoot] = [new Uint8Array(32).fill(timeMs & 255), new Uint8Array(32).fill(seqs.length)];
  return { replica: ann, timeMs, root, headsRoot, vector, signature: new Uint8Array(64).fill(3) };
}

/** What another says who holds the same, or a set of `root` and `seqs`. */
function headOf(of: number, afterMs: number, root: number, seqs: readonly number[]): HeadStatement {
  const headsRoot = new Uint8Array(32).fill(seqs.reduce((sum, seq) => sum + seq, 0) & 255);
  const signature = new Uint8Array(64).fill(of);
  const timeMs = 1_700_000_000_000 + afterMs;
  return { ...head(timeMs, seqs), replica: replicaOf(of), root: new Uint8Array(32).fill(root), headsRoot, signature };
}

/** What one side says over one connection, in this order, and what the other makes of it [SY21]. */
export const conversation: readonly Message[] = [
  { kind: 'push', repair: false, deltas: [TYPED.first.bytes] },
  { kind: 'push', repair: false, deltas: [TYPED.next.bytes, TYPED.lateAndCounted.bytes, TYPED.elsewhere.bytes] },
  { kind: 'push', repair: true, deltas: [TYPED.back.bytes, TYPED.ofBob.bytes, new Uint8Array([1, 2, 3])] },
  {
    kind: 'push',
    repair: false,
    deltas: [TYPED.withAGap.bytes, TYPED.first.bytes, TYPED.next.bytes, TYPED.imported.bytes],
  },
  { kind: 'head', statement: head(1_700_000_000_000, [1, 2, 3]) },
  { kind: 'head', statement: head(1_700_000_001_000, [1, 300, 4]) },
  { kind: 'head', statement: head(1_700_000_001_000, [1, 300, 4]) },
  { kind: 'head', statement: head(1_700_000_002_000, [1, 300, 4, 1]) },
  { kind: 'head', statement: head(1_700_000_001_500, [1, 300, 4, 1]) },
];
export const acknowledgements: readonly Message[] = [
  { kind: 'ack', seqs: [300], position: undefined },
  { kind: 'ack', seqs: [301, 303], position: undefined },
  { kind: 'ack', seqs: [301], position: undefined },
  { kind: 'ack', seqs: [], position: undefined },
  { kind: 'ack', seqs: [302], position: undefined },
];
/** What a relay tells of others [SY23]. */
export const tellings: readonly Message[] = [
  { kind: 'heads', statements: [headOf(0, 0, 1, [1, 2, 3])] },
  { kind: 'heads', statements: [headOf(1, 10, 1, [1, 2, 3]), headOf(2, 300, 1, [1, 2, 3])] },
  { kind: 'heads', statements: [headOf(3, 400, 2, [1, 300, 3]), headOf(4, 400, 3, [1, 2, 4])] },
  { kind: 'heads', statements: [headOf(1, 900, 4, [1, 301, 4]), headOf(2, 800, 4, [1, 301, 4])] },
  { kind: 'heads', statements: [headOf(5, 900, 4, [1, 301, 4, 1]), headOf(0, 950, 5, [2, 301, 4])] },
  { kind: 'heads', statements: [headOf(6, 960, 5, [2, 301, Number.MAX_SAFE_INTEGER])] },
  { kind: 'heads', statements: [] },
];

/** As messages in hex with what they come to; the last of each was told by what a new reader does not remember. */
export function makeToldVectors(): unknown {
  const told = (messages: readonly Message[]) => {
    const memory = new LinkMemory();
    return messages.map((message) => ({ bytes: bytesToHex(messageToBytes(message, memory)), ...meaningOf(message) }));
  };
  return { replica: told(conversation), relay: told([...acknowledgements, ...tellings]) };
}

function meaningOf(message: Message): Readonly<Record<string, unknown>> {
  if (message.kind === 'push') return { repair: message.repair, deltas: message.deltas.map(bytesToHex) };
  if (message.kind === 'head') return { statement: bytesToHex(headStatementToBytes(message.statement)) };
  if (message.kind === 'heads')
    return { statements: message.statements.map((statement) => bytesToHex(headStatementToBytes(statement))) };
  return message.kind === 'ack' ? { seqs: message.seqs } : {};
}
