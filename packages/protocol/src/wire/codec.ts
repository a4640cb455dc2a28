import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToUtf8, utf8ToBytes } from '../bytes.js';
import { readCertificate, writeCertificate } from '../certificate.js';
import { decode, encode, readBytes, readCount, readFixed, readVarUint } from '../codec.js';
import { TRIE_KEY_BYTES } from '../delta.js';
import { MangroveError } from '../errors.js';
import { readVector, writeVector } from '../head-statement.js';
import {
  bytesToKeyId,
  bytesToReplicaId,
  bytesToRoomId,
  idToBytes,
  KEY_ID_BYTES,
  PUBLIC_KEY_BYTES,
  REPLICA_ID_BYTES,
  ROOM_ID_BYTES,
  SHORT_ID_BYTES,
  SIGNATURE_BYTES,
} from '../ids.js';
import { defaultLimits } from '../limits.js';
import { PART_BYTES } from '../parts.js';
import { STORE_ID_BYTES } from '../room/log.js';
import { readDiff, writeDiff } from './diff-codec.js';
import {
  PLACES,
  placeOf,
  readCounted,
  readCursor,
  readDeltas,
  readFault,
  readFlag,
  readOptional,
  readPlace,
  readPosition,
  readSeqs,
  readWanted,
  writeCounted,
  writeCursor,
  writeDeltas,
  writeFault,
  writeOptional,
  writePosition,
  writeSeqs,
} from './fields.js';
import { LinkMemory } from './link-memory.js';
import type { Message, RelayMessage, ReplicaMessage, Right } from './messages.js';
import { readToldHead, writeToldHead } from './told-head.js';
import { readToldHeads, writeToldHeads } from './told-heads.js';

export const CHALLENGE_BYTES = 32;
const CERTIFICATE_BYTES_MIN = 2 * PUBLIC_KEY_BYTES + SIGNATURE_BYTES + 1;
/** Of a delta that is told at all. */
const DELTA_BYTES_MIN = 2;
const TOKEN_BYTES_MAX = 16_384;
const RIGHTS: readonly Right[] = ['read', 'write', 'admin'];

/** One codec: what is written is what is read. The number of a message is permanent. */
interface Codec<M extends Message> {
  readonly number: number;
  readonly write: (encoder: encoding.Encoder, message: M, memory: LinkMemory) => void;
  readonly read: (decoder: decoding.Decoder, memory: LinkMemory) => M;
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
    write: (encoder, { rights, certificate, resumed, lastSeq, lastId, window }) => {
      encoding.writeUint8(
        encoder,
        rights.reduce((bits, right) => bits | (1 << RIGHTS.indexOf(right)), 0),
      );
      writeOptional(encoder, certificate, (present) => writeCertificate(encoder, present));
      encoding.writeUint8(encoder, resumed ? 1 : 0);
      encoding.writeVarUint(encoder, lastSeq);
      writeOptional(encoder, lastId, (id) => encoding.writeUint8Array(encoder, id));
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
        lastId: readOptional(decoder, () => readFixed(decoder, SHORT_ID_BYTES)),
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
    write: (encoder, { repair, deltas }, memory) => {
      writeCounted(encoder, deltas.length, repair ? 1 : 0, 2);
      writeDeltas(encoder, deltas, memory);
    },
    read: (decoder, memory) => {
      const { count, beside } = readCounted(decoder, 2, DELTA_BYTES_MIN);
      return { kind: 'push', repair: beside === 1, deltas: readDeltas(decoder, count, memory) };
    },
  },
  deltas: {
    number: 7,
    write: (encoder, { position, deltas }, memory) => {
      writeCounted(encoder, deltas.length, placeOf(position), PLACES);
      if (typeof position === 'object') {
        encoding.writeVarUint(encoder, position.offset);
        encoding.writeUint8Array(encoder, position.roll);
        if (position.root !== undefined) encoding.writeUint8Array(encoder, position.root);
      }
      writeDeltas(encoder, deltas, memory);
    },
    read: (decoder, memory) => {
      const { count, beside } = readCounted(decoder, PLACES, DELTA_BYTES_MIN);
      const position = readPlace(decoder, beside);
      return { kind: 'deltas', position, deltas: readDeltas(decoder, count, memory) };
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
    write: (encoder, { seqs, position }, memory) => {
      writeSeqs(encoder, seqs, position !== undefined, memory);
      if (position !== undefined) writePosition(encoder, position);
    },
    read: (decoder, memory) => {
      const { seqs, flag } = readSeqs(decoder, memory);
      return { kind: 'ack', seqs, position: flag ? readPosition(decoder) : undefined };
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
    write: (encoder, { statement }, memory) => writeToldHead(encoder, statement, memory),
    read: (decoder, memory) => ({ kind: 'head', statement: readToldHead(decoder, memory) }),
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
  probe: {
    number: 22,
    write: () => {},
    read: () => ({ kind: 'probe' }),
  },
  heads: {
    number: 23,
    write: (encoder, { statements }, memory) => writeToldHeads(encoder, statements, memory),
    read: (decoder, memory) => ({ kind: 'heads', statements: readToldHeads(decoder, memory) }),
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
  'probe',
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
  'heads',
  'presence',
  'peer',
  'want',
  'part',
  'credit',
  'ahead',
]);

/** `memory`: what was told over the connection before, which this is told by and added to [SY21]; a new one tells all of it. */
export function messageToBytes(message: Message, memory: LinkMemory = new LinkMemory()): Uint8Array {
  return encode((encoder) => {
    const codec = codecs[message.kind] as AnyCodec;
    encoding.writeUint8(encoder, codec.number);
    codec.write(encoder, message, memory);
  });
}

/** What a client may say. Throws `FRAME_MALFORMED` [SY14] and `BASE_UNKNOWN` [SY21]. */
export function bytesToReplicaMessage(bytes: Uint8Array, memory: LinkMemory = new LinkMemory()): ReplicaMessage {
  return bytesToMessage(bytes, FROM_REPLICA, memory) as ReplicaMessage;
}

/** What a relay may say. Throws `FRAME_MALFORMED` [SY14] and `BASE_UNKNOWN` [SY21]. */
export function bytesToRelayMessage(bytes: Uint8Array, memory: LinkMemory = new LinkMemory()): RelayMessage {
  return bytesToMessage(bytes, FROM_RELAY, memory) as RelayMessage;
}

function bytesToMessage(bytes: Uint8Array, allowed: ReadonlySet<string>, memory: LinkMemory): Message {
  return decode(bytes, 'FRAME_MALFORMED', (decoder) => {
    const number = decoding.readUint8(decoder);
    const message = codecByNumber.get(number)?.read(decoder, memory);
    if (message === undefined || !allowed.has(message.kind))
      throw new MangroveError('FRAME_MALFORMED', { reason: `a message of type ${number}` });
    return message;
  });
}
