import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToUtf8, utf8ToBytes } from '../bytes.js';
import { readCertificate, writeCertificate } from '../certificate.js';
import { decode, encode, readBytes, readCount, readFixed, readVarUint } from '../codec.js';
import { TRIE_KEY_BYTES } from '../delta.js';
import { errorCodeFromWire, errorCodeToWire, MangroveError } from '../errors.js';
import { HASH_BYTES } from '../hash.js';
import { readHeadStatement, readVector, writeHeadStatement, writeVector } from '../head-statement.js';
import {
  bytesToKeyId,
  bytesToReplicaId,
  bytesToRoomId,
  idToBytes,
  KEY_ID_BYTES,
  PUBLIC_KEY_BYTES,
  REPLICA_ID_BYTES,
  ROOM_ID_BYTES,
  SIGNATURE_BYTES,
} from '../ids.js';
import { defaultLimits } from '../limits.js';
import { PART_BYTES } from '../parts.js';
import { type Position, ROLL_BYTES, STORE_ID_BYTES } from '../room/log.js';
import { readDiff, writeDiff } from './diff-codec.js';
import type { Cursor, DeltaBytes, Fault, Message, RelayMessage, ReplicaMessage, Right, Wanted } from './messages.js';

export const CHALLENGE_BYTES = 32;
const CERTIFICATE_BYTES_MIN = 2 * PUBLIC_KEY_BYTES + SIGNATURE_BYTES + 1;
const TOKEN_BYTES_MAX = 16_384;
const FACTS_BYTES_MAX = 4_096;
const FACT_CHARS_MAX = 600;
const RIGHTS: readonly Right[] = ['read', 'write', 'admin'];

/** One codec: what is written is what is read. The number of a message is permanent. */
interface Codec<M extends Message> {
  readonly number: number;
  readonly write: (encoder: encoding.Encoder, message: M) => void;
  readonly read: (decoder: decoding.Decoder) => M;
}

type Codecs<Union extends Message> = { readonly [Kind in Union['kind']]: Codec<Extract<Union, { kind: Kind }>> };

/** The grammar of each message stands in GRAMMAR.md, in this order. */
const codecs: Codecs<Message> = {
  welcome: {
    number: 1,
    write: (encoder, { version, storeId, relayKey, challenge }) => {
      encoding.writeVarUint(encoder, version);
      encoding.writeUint8Array(encoder, storeId);
      encoding.writeUint8Array(encoder, relayKey);
      encoding.writeUint8Array(encoder, challenge);
    },
    read: (decoder) => ({
      kind: 'welcome',
      version: readVarUint(decoder),
      storeId: readFixed(decoder, STORE_ID_BYTES),
      relayKey: readFixed(decoder, PUBLIC_KEY_BYTES),
      challenge: readFixed(decoder, CHALLENGE_BYTES),
    }),
  },
  hello: {
    number: 2,
    write: (encoder, hello) => {
      encoding.writeVarUint(encoder, hello.version);
      encoding.writeUint8Array(encoder, idToBytes(hello.roomId));
      encoding.writeUint8(encoder, hello.config);
      encoding.writeUint8Array(encoder, hello.publicKey);
      writeOptional(encoder, hello.token, (token) => encoding.writeVarUint8Array(encoder, utf8ToBytes(token)));
      writeOptional(encoder, hello.cursor, (cursor) => writeCursor(encoder, cursor));
      encoding.writeVarUint(encoder, hello.window);
      encoding.writeUint8Array(encoder, hello.proof);
    },
    read: (decoder) => ({
      kind: 'hello',
      version: readVarUint(decoder),
      roomId: bytesToRoomId(readFixed(decoder, ROOM_ID_BYTES)),
      config: decoding.readUint8(decoder),
      publicKey: readFixed(decoder, PUBLIC_KEY_BYTES),
      token: readOptional(decoder, () => bytesToUtf8(readBytes(decoder, TOKEN_BYTES_MAX))),
      cursor: readOptional(decoder, () => readCursor(decoder)),
      window: readVarUint(decoder),
      proof: readFixed(decoder, SIGNATURE_BYTES),
    }),
  },
  admitted: {
    number: 3,
    write: (encoder, { rights, certificate, resumed, lastSeq, window }) => {
      encoding.writeUint8(
        encoder,
        rights.reduce((bits, right) => bits | (1 << RIGHTS.indexOf(right)), 0),
      );
      writeOptional(encoder, certificate, (present) => writeCertificate(encoder, present));
      encoding.writeUint8(encoder, resumed ? 1 : 0);
      encoding.writeVarUint(encoder, lastSeq);
      encoding.writeVarUint(encoder, window);
    },
    read: (decoder) => {
      const bits = decoding.readUint8(decoder);
      if (bits >= 1 << RIGHTS.length) throw new MangroveError('FRAME_MALFORMED', { reason: `rights of ${bits}` });
      const rights = RIGHTS.filter((_, i) => (bits & (1 << i)) !== 0);
      const certificate = readOptional(decoder, () => readCertificate(decoder));
      return {
        kind: 'admitted',
        rights,
        certificate,
        resumed: readFlag(decoder),
        lastSeq: readVarUint(decoder),
        window: readVarUint(decoder),
      };
    },
  },
  fault: {
    number: 4,
    write: (encoder, { code, facts }) => writeFault(encoder, { code, facts }),
    read: (decoder) => ({ kind: 'fault', ...readFault(decoder) }),
  },
  certificates: {
    number: 5,
    write: (encoder, { certificates }) => {
      encoding.writeVarUint(encoder, certificates.length);
      for (const certificate of certificates) writeCertificate(encoder, certificate);
    },
    read: (decoder) => {
      const count = readCount(decoder, CERTIFICATE_BYTES_MIN, defaultLimits.replicasPerKeyMax);
      return { kind: 'certificates', certificates: Array.from({ length: count }, () => readCertificate(decoder)) };
    },
  },
  push: {
    number: 6,
    write: (encoder, { repair, deltas }) => {
      encoding.writeUint8(encoder, repair ? 1 : 0);
      writeDeltas(encoder, deltas);
    },
    read: (decoder) => ({ kind: 'push', repair: readFlag(decoder), deltas: readDeltas(decoder) }),
  },
  deltas: {
    number: 7,
    write: (encoder, { position, deltas }) => {
      writeOptional(encoder, position, ({ offset, roll, root }) => {
        encoding.writeVarUint(encoder, offset);
        encoding.writeUint8Array(encoder, roll);
        writeOptional(encoder, root, (present) => encoding.writeUint8Array(encoder, present));
      });
      writeDeltas(encoder, deltas);
    },
    read: (decoder) => {
      const position = readOptional(decoder, () => ({
        offset: readVarUint(decoder),
        roll: readFixed(decoder, ROLL_BYTES),
        root: readOptional(decoder, () => readFixed(decoder, HASH_BYTES)),
      }));
      return { kind: 'deltas', position, deltas: readDeltas(decoder) };
    },
  },
  'caught-up': {
    number: 8,
    write: (encoder, { position, vector }) => {
      writePosition(encoder, position);
      writeVector(encoder, vector);
    },
    read: (decoder) => ({ kind: 'caught-up', position: readPosition(decoder), vector: readVector(decoder) }),
  },
  ack: {
    number: 9,
    write: (encoder, { seqs, position }) => {
      writeSeqs(encoder, seqs);
      writePosition(encoder, position);
    },
    read: (decoder) => {
      const seqs = readSeqs(decoder);
      return { kind: 'ack', seqs, position: readPosition(decoder) };
    },
  },
  refused: {
    number: 10,
    write: (encoder, { replica, seq, code, facts }) => {
      encoding.writeUint8Array(encoder, idToBytes(replica));
      encoding.writeVarUint(encoder, seq);
      writeFault(encoder, { code, facts });
    },
    read: (decoder) => ({
      kind: 'refused',
      replica: bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES)),
      seq: readVarUint(decoder),
      ...readFault(decoder),
    }),
  },
  pull: {
    number: 11,
    write: (encoder, { vector }) => writeVector(encoder, vector),
    read: (decoder) => ({ kind: 'pull', vector: readVector(decoder) }),
  },
  vector: {
    number: 12,
    write: (encoder, { vector }) => writeVector(encoder, vector),
    read: (decoder) => ({ kind: 'vector', vector: readVector(decoder) }),
  },
  diff: {
    number: 13,
    write: writeDiff,
    read: (decoder) => ({ kind: 'diff', ...readDiff(decoder) }),
  },
  head: {
    number: 14,
    write: (encoder, { statement }) => writeHeadStatement(encoder, statement),
    read: (decoder) => ({ kind: 'head', statement: readHeadStatement(decoder) }),
  },
  report: {
    number: 15,
    write: (encoder, { trieKey }) => encoding.writeUint8Array(encoder, trieKey),
    read: (decoder) => ({ kind: 'report', trieKey: readFixed(decoder, TRIE_KEY_BYTES) }),
  },
  presence: {
    number: 16,
    write: (encoder, { replica, tab, keyId, state }) => {
      encoding.writeUint8Array(encoder, idToBytes(replica));
      encoding.writeVarUint(encoder, tab);
      encoding.writeUint8Array(encoder, idToBytes(keyId));
      encoding.writeVarUint8Array(encoder, state);
    },
    read: (decoder) => ({
      kind: 'presence',
      replica: bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES)),
      tab: readVarUint(decoder),
      keyId: bytesToKeyId(readFixed(decoder, KEY_ID_BYTES)),
      state: readBytes(decoder, defaultLimits.awarenessBytesMax),
    }),
  },
  peer: {
    number: 17,
    write: (encoder, { replica, present }) => {
      encoding.writeUint8Array(encoder, idToBytes(replica));
      encoding.writeUint8(encoder, present ? 1 : 0);
    },
    read: (decoder) => ({
      kind: 'peer',
      replica: bytesToReplicaId(readFixed(decoder, REPLICA_ID_BYTES)),
      present: readFlag(decoder),
    }),
  },
  want: {
    number: 18,
    write: (encoder, { wanted }) => {
      encoding.writeVarUint(encoder, wanted.length);
      for (const { trieKey, from, count } of wanted) {
        encoding.writeUint8Array(encoder, trieKey);
        encoding.writeVarUint(encoder, from);
        encoding.writeVarUint(encoder, count);
      }
    },
    read: (decoder) => {
      const count = readCount(decoder, TRIE_KEY_BYTES + 2, defaultLimits.wantedPartsMax);
      const wanted = Array.from({ length: count }, () => readWanted(decoder));
      return { kind: 'want', wanted };
    },
  },
  part: {
    number: 19,
    write: (encoder, { trieKey, index, bytes }) => {
      encoding.writeUint8Array(encoder, trieKey);
      encoding.writeVarUint(encoder, index);
      encoding.writeVarUint8Array(encoder, bytes);
    },
    read: (decoder) => ({
      kind: 'part',
      trieKey: readFixed(decoder, TRIE_KEY_BYTES),
      index: readVarUint(decoder),
      bytes: readBytes(decoder, PART_BYTES),
    }),
  },
  credit: {
    number: 20,
    write: (encoder, { bytes }) => encoding.writeVarUint(encoder, bytes),
    read: (decoder) => ({ kind: 'credit', bytes: readVarUint(decoder) }),
  },
  ahead: {
    number: 21,
    write: (encoder, { deltas, bytes }) => {
      encoding.writeVarUint(encoder, deltas);
      encoding.writeVarUint(encoder, bytes);
    },
    read: (decoder) => ({ kind: 'ahead', deltas: readVarUint(decoder), bytes: readVarUint(decoder) }),
  },
};

type AnyCodec = Codec<Message>;
const codecByNumber: ReadonlyMap<number, AnyCodec> = new Map(
  (Object.values(codecs) as AnyCodec[]).map((codec) => [codec.number, codec]),
);

const FROM_REPLICA: ReadonlySet<string> = new Set<ReplicaMessage['kind']>([
  'hello',
  'certificates',
  'push',
  'pull',
  'diff',
  'head',
  'report',
  'presence',
  'want',
  'part',
  'credit',
]);
const FROM_RELAY: ReadonlySet<string> = new Set<RelayMessage['kind']>([
  'welcome',
  'admitted',
  'fault',
  'certificates',
  'deltas',
  'caught-up',
  'ack',
  'refused',
  'vector',
  'diff',
  'head',
  'presence',
  'peer',
  'want',
  'part',
  'credit',
  'ahead',
]);

export function messageToBytes(message: Message): Uint8Array {
  return encode((encoder) => {
    const codec = codecs[message.kind] as AnyCodec;
    encoding.writeUint8(encoder, codec.number);
    codec.write(encoder, message);
  });
}

/** What a client may say. Throws `FRAME_MALFORMED` [SY14]. */
export function bytesToReplicaMessage(bytes: Uint8Array): ReplicaMessage {
  return bytesToMessage(bytes, FROM_REPLICA) as ReplicaMessage;
}

/** What a relay may say. Throws `FRAME_MALFORMED` [SY14]. */
export function bytesToRelayMessage(bytes: Uint8Array): RelayMessage {
  return bytesToMessage(bytes, FROM_RELAY) as RelayMessage;
}

function bytesToMessage(bytes: Uint8Array, allowed: ReadonlySet<string>): Message {
  return decode(bytes, 'FRAME_MALFORMED', (decoder) => {
    const number = decoding.readUint8(decoder);
    const message = codecByNumber.get(number)?.read(decoder);
    if (message === undefined || !allowed.has(message.kind))
      throw new MangroveError('FRAME_MALFORMED', { reason: `a message of type ${number}` });
    return message;
  });
}

/** As runs, in ascending order: a push is of what was sealed one after the other. */
function writeSeqs(encoder: encoding.Encoder, seqs: readonly number[]): void {
  const runs: { first: number; last: number }[] = [];
  for (const seq of [...seqs].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && seq <= run.last + 1) run.last = seq;
    else runs.push({ first: seq, last: seq });
  }
  encoding.writeVarUint(encoder, runs.length);
  for (const [i, { first, last }] of runs.entries()) {
    encoding.writeVarUint(encoder, first - (runs[i - 1]?.last ?? 0));
    encoding.writeVarUint(encoder, last - first);
  }
}

function readSeqs(decoder: decoding.Decoder): readonly number[] {
  const { deltasPerMessageMax } = defaultLimits;
  const seqs: number[] = [];
  for (let runs = readCount(decoder, 2, deltasPerMessageMax); runs > 0; runs--) {
    const last = seqs.at(-1);
    const gap = readVarUint(decoder);
    // A run that begins where the one before ends would be one with it: one message has one encoding.
    if (gap < (last === undefined ? 1 : 2)) throw new Error('a run that is none of its own');
    const first = (last ?? 0) + gap;
    const more = readVarUint(decoder);
    if (seqs.length + more >= deltasPerMessageMax) throw new Error('an acknowledgement of too much');
    if (!Number.isSafeInteger(first + more)) throw new Error('a number is over 2^53 - 1');
    for (let seq = first; seq <= first + more; seq++) seqs.push(seq);
  }
  return seqs;
}

function writePosition(encoder: encoding.Encoder, { offset, roll, root }: Position): void {
  encoding.writeVarUint(encoder, offset);
  encoding.writeUint8Array(encoder, roll);
  encoding.writeUint8Array(encoder, root);
}

function readPosition(decoder: decoding.Decoder): Position {
  return {
    offset: readVarUint(decoder),
    roll: readFixed(decoder, ROLL_BYTES),
    root: readFixed(decoder, HASH_BYTES),
  };
}

function writeCursor(encoder: encoding.Encoder, { storeId, offset, roll }: Cursor): void {
  encoding.writeUint8Array(encoder, storeId);
  encoding.writeVarUint(encoder, offset);
  encoding.writeUint8Array(encoder, roll);
}

function readCursor(decoder: decoding.Decoder): Cursor {
  return {
    storeId: readFixed(decoder, STORE_ID_BYTES),
    offset: readVarUint(decoder),
    roll: readFixed(decoder, ROLL_BYTES),
  };
}

function writeDeltas(encoder: encoding.Encoder, deltas: readonly DeltaBytes[]): void {
  encoding.writeVarUint(encoder, deltas.length);
  for (const delta of deltas) encoding.writeVarUint8Array(encoder, delta);
}

function readDeltas(decoder: decoding.Decoder): readonly DeltaBytes[] {
  const count = readCount(decoder, 1, defaultLimits.deltasPerMessageMax);
  return Array.from({ length: count }, () => readBytes(decoder, defaultLimits.frameBytesMax));
}

/** More parts than one side may ask for at once is no message. */
function readWanted(decoder: decoding.Decoder): Wanted {
  const trieKey = readFixed(decoder, TRIE_KEY_BYTES);
  const from = readVarUint(decoder);
  const count = readVarUint(decoder);
  if (count > defaultLimits.wantedPartsMax) throw new Error(`${count} parts are wanted`);
  return { trieKey, from, count };
}

function writeFault(encoder: encoding.Encoder, { code, facts }: Omit<Fault, 'kind'>): void {
  encoding.writeVarUint(encoder, errorCodeToWire(code));
  encoding.writeVarUint8Array(encoder, factsToBytes(facts));
}

/** What a reader would leave out, or refuse the whole message for, is not sent: a reason that nobody can read helps nobody. */
function factsToBytes(facts: Readonly<Record<string, unknown>>): Uint8Array {
  const kept: Record<string, string | number> = {};
  let bytes = utf8ToBytes('{}');
  for (const [key, fact] of Object.entries(facts)) {
    if (!isFact(key, fact)) continue;
    const text = JSON.stringify({ ...kept, [key]: typeof fact === 'string' ? fact.slice(0, FACT_CHARS_MAX) : fact });
    const longer = utf8ToBytes(text);
    if (longer.length > FACTS_BYTES_MAX) continue;
    Object.defineProperty(kept, key, { value: JSON.parse(text)[key], enumerable: true });
    bytes = longer;
  }
  return bytes;
}

function isFact(key: string, fact: unknown): fact is string | number {
  return /^\w{1,40}$/.test(key) && (typeof fact === 'string' || (typeof fact === 'number' && Number.isFinite(fact)));
}

/** Facts are shown to people, never acted on: only short texts and numbers come through. */
function readFault(decoder: decoding.Decoder): Omit<Fault, 'kind'> {
  const code = errorCodeFromWire(readVarUint(decoder));
  const parsed: unknown = JSON.parse(bytesToUtf8(readBytes(decoder, FACTS_BYTES_MAX)));
  if (typeof parsed !== 'object' || parsed === null) throw new Error('facts are no object');
  const facts = Object.entries(parsed).filter(([key, fact]) => isFact(key, fact));
  return { code, facts: Object.fromEntries(facts) as Record<string, string | number> };
}

function writeOptional<T>(encoder: encoding.Encoder, value: T | undefined, write: (present: T) => void): void {
  encoding.writeUint8(encoder, value === undefined ? 0 : 1);
  if (value !== undefined) write(value);
}

function readOptional<T>(decoder: decoding.Decoder, read: () => T): T | undefined {
  return readFlag(decoder) ? read() : undefined;
}

function readFlag(decoder: decoding.Decoder): boolean {
  const flag = decoding.readUint8(decoder);
  if (flag > 1) throw new MangroveError('FRAME_MALFORMED', { reason: `a flag of ${flag}` });
  return flag === 1;
}
