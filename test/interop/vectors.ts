import { readFileSync } from 'node:fs';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '../../packages/protocol/src/bytes.js';
import { isMangroveError } from '../../packages/protocol/src/errors.js';
import { type Hlc, receiveHlc, tickHlc } from '../../packages/protocol/src/hlc.js';
import {
  deriveClientId,
  deriveKeyId,
  deriveReplicaId,
  deriveRoomId,
  type KeyName,
  type ReplicaId,
  type RoomConfig,
} from '../../packages/protocol/src/ids.js';
import { defaultLimits } from '../../packages/protocol/src/limits.js';
import { bytesToValue, type Value, valueToBytes } from '../../packages/protocol/src/value.js';
import { bytesToRelayMessage, bytesToReplicaMessage, messageToBytes } from '../../packages/protocol/src/wire/codec.js';
import { PROTOCOL_VERSION } from '../../packages/protocol/src/wire/version.js';
import { sha256 } from './fixture.js';
import { goldenMessages } from './messages.js';
import { makeBackupVectors } from './vectors-backups.js';
import { makeCheckpointVectors } from './vectors-checkpoints.js';
import { makeCompressedVectors } from './vectors-compressed.js';
import { makeDeltaVectors } from './vectors-deltas.js';
import { makeFloorVectors } from './vectors-floors.js';
import { makeAcceptanceVectors, makeProofVectors, makeTrieVectors } from './vectors-sets.js';
import { makeSignedVectors } from './vectors-signed.js';
import { makeToldVectors } from './vectors-told.js';
import { makeVersionVectors } from './vectors-versions.js';

/**
 * What another implementation is checked against, as JSON: bytes in hex, numbers as numbers. The messages stand in `golden/`. All of it is
 * made by the code that ships, from fixed inputs, and recomputed by `independent/check.py`, which was written from the specification.
 */
export const vectorFolder = new URL('./vectors/', import.meta.url);

export const vectorMakers: Readonly<Record<string, () => unknown>> = {
  limits: makeLimits,
  ids: makeIdVectors,
  clock: makeClockVectors,
  values: makeValueVectors,
  malformed: makeMalformedVectors,
  deltas: makeDeltaVectors,
  signed: makeSignedVectors,
  tries: makeTrieVectors,
  proofs: makeProofVectors,
  acceptance: makeAcceptanceVectors,
  backups: makeBackupVectors,
  checkpoints: makeCheckpointVectors,
  compressed: makeCompressedVectors,
  floors: makeFloorVectors,
  told: makeToldVectors,
  versions: makeVersionVectors,
};

export const readVectors = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`${name}.json`, vectorFolder), 'utf8'));

/** The code with which something is refused. */
export function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (isMangroveError(error)) return error.code;
    throw error;
  }
}

/** Constants that both sides of a wire have to share. */
function makeLimits(): unknown {
  return { version: PROTOCOL_VERSION, limits: defaultLimits };
}

const CONFIGS: readonly RoomConfig[] = [
  { history: 'current', encrypted: false },
  { history: 'full', encrypted: false },
  { history: 'current', encrypted: true },
  { history: 'full', encrypted: true },
];
const NAMES: readonly KeyName[] = [
  { kind: 'document', collection: '', id: 'notes/welcome' },
  { kind: 'record', collection: 'todos', id: 't1' },
  { kind: 'record', collection: 'tökén', id: '日本' },
  { kind: 'record', collection: 'c'.repeat(512), id: 'i'.repeat(512) },
];

function makeIdVectors(): unknown {
  const rooms = ['team', 'tökén', 'x'.repeat(512)].flatMap((name) =>
    CONFIGS.map((config) => ({ name, ...config, roomId: deriveRoomId(sha256, name, config) })),
  );
  const roomId = deriveRoomId(sha256, 'team', CONFIGS[0] as RoomConfig);
  const publicKeys = [1, 2, 255].map((byte) => new Uint8Array(32).fill(byte));
  const replicas = publicKeys.map((publicKey) => ({
    roomId,
    publicKey: bytesToHex(publicKey),
    replica: deriveReplicaId(sha256, roomId, publicKey),
  }));
  const keys = NAMES.map((name) => ({ roomId, ...name, keyId: deriveKeyId(sha256, roomId, name) }));
  const replica = replicas[0]?.replica as ReplicaId;
  const clients = [0, 1, 2 ** 32 - 1].map((nonce) => ({
    ...{ roomId, replica, nonce },
    clientId: deriveClientId(sha256, roomId, replica, nonce),
  }));
  return { rooms, replicas, keys, clients };
}

function makeClockVectors(): unknown {
  const aheadMsMax = defaultLimits.clockAheadMsMax;
  const ticks = [
    [0, 0],
    [0, 1_700_000_000_000],
    [1_700_000_000_000 * 1024, 1_700_000_000_000],
    [1_700_000_000_000 * 1024 + 1023, 1_700_000_000_000],
    [1_700_000_000_000 * 1024 + 5, 1_699_999_999_999],
  ].map(([last, nowMs]) => ({ last, nowMs, hlc: tickHlc(last as Hlc, nowMs as number) }));
  const receives = [0, -1, 1, aheadMsMax, aheadMsMax + 1].map((aheadMs) => {
    const [last, nowMs] = [1_700_000_000_000 * 1024, 1_700_000_000_000];
    const stamp = (nowMs + aheadMs) * 1024 + 7;
    return { last, stamp, nowMs, aheadMsMax, clock: receiveHlc(last as Hlc, stamp as Hlc, nowMs, aheadMsMax) };
  });
  return { ticks, receives };
}

const VALUES: Readonly<Record<string, Value>> = {
  null: null,
  true: true,
  zero: -0,
  negative: -1.5,
  large: 1e21,
  small: 5e-324,
  text: 'tökén "\\ \n \u0000',
  astral: '🌳',
  bigint: -(2n ** 200n),
  bytes: Uint8Array.of(0, 1, 254, 255),
  noBytes: new Uint8Array(),
  date: new Date(1_700_000_000_000),
  dateBefore1970: new Date(-1),
  list: [1, [2, []], {}],
  keysInUtf16Order: { b: 1, a: 2, A: 3, '\uffff': 4, '🌳': 5, '10': 6, '9': 7 },
  dollarAlone: { $: 1 },
  dollarDate: { $date: 'no date' },
  twoDollars: { $a: 1, $b: 2 },
  map: new Map<Value, Value>([
    [2, 'two'],
    ['1', 'one'],
    [null, new Map()],
  ]),
};

const BAD_VALUES: Readonly<Record<string, string>> = {
  empty: '',
  'white space': '{ "a":1}',
  'keys out of order': '{"b":1,"a":2}',
  'a key twice': '{"a":1,"a":1}',
  'minus zero': '-0',
  'a number in another spelling': '1.0',
  'a number that is too large': '1e999',
  'an escape that is not needed': '"\\u0061"',
  'half of a surrogate pair': '"\\ud800"',
  'an unknown tag': '{"$what":1}',
  'a bigint with a leading zero': '{"$bigint":"01"}',
  'minus zero as a bigint': '{"$bigint":"-0"}',
  'base64 without its padding': '{"$bytes":"AA"}',
  'base64 with loose bits': '{"$bytes":"AB=="}',
  'a date that is none': '{"$date":8640000000000001}',
  'a date with half a millisecond': '{"$date":0.5}',
  'map pairs out of order': '{"$map":[[2,0],[1,0]]}',
  'a map key twice': '{"$map":[[1,0],[1,0]]}',
  'a map entry of three': '{"$map":[[1,2,3]]}',
  'one level too deep': `${'['.repeat(65)}1${']'.repeat(65)}`,
  'more after its end': '1 ',
};

function makeValueVectors(): unknown {
  const valid = Object.entries(VALUES).map(([name, value]) => ({ name, bytes: bytesToHex(valueToBytes(value)) }));
  const deepest = `${'['.repeat(64)}1${']'.repeat(64)}`;
  valid.push({ name: 'as deep as may be', bytes: bytesToHex(utf8ToBytes(deepest)) });
  bytesToValue(utf8ToBytes(deepest));
  const invalid = Object.entries(BAD_VALUES).map(([name, text]) => ({
    ...{ name, bytes: bytesToHex(utf8ToBytes(text)) },
    code: codeOf(() => bytesToValue(utf8ToBytes(text))),
  }));
  invalid.push({ name: 'no UTF-8', bytes: '22ff22', code: codeOf(() => bytesToValue(hexToBytes('22ff22'))) });
  return { valid, invalid };
}

const golden = (kind: keyof typeof goldenMessages, name: string): Uint8Array =>
  messageToBytes((goldenMessages[kind] as Readonly<Record<string, never>>)[name] as never);

/** Frames' contents that nobody may take, by who would read them. */
function makeMalformedVectors(): unknown {
  const ack = golden('ack', 'empty');
  const position = ack.subarray(2);
  const cases: [string, 'relay' | 'replica', Uint8Array][] = [
    ['nothing', 'relay', new Uint8Array()],
    ['an unknown kind', 'relay', Uint8Array.of(200)],
    ['said by the wrong side', 'relay', golden('welcome', 'usual')],
    ['said by the wrong side, the other way', 'replica', golden('hello', 'bare')],
    ['one byte short', 'replica', ack.subarray(0, -1)],
    ['one byte more', 'replica', concatBytes(ack, Uint8Array.of(0))],
    ['a number in a longer form', 'replica', concatBytes(Uint8Array.of(9, 0x80, 0), position)],
    ['a number of 2^53', 'replica', concatBytes(Uint8Array.of(9, 5, 128, 128, 128, 128, 128, 128, 128, 16), position)],
    ['a count that the frame cannot hold', 'replica', concatBytes(Uint8Array.of(9, 0xff, 0x07), position)],
    ['a flag of 2', 'replica', concatBytes(Uint8Array.of(17), new Uint8Array(8), Uint8Array.of(2))],
    ['rights that nobody knows', 'replica', Uint8Array.of(3, 8, 0, 0, 0)],
    ['a vector out of order', 'relay', vectorOf(2, 1)],
    ['a vector with a replica twice', 'relay', vectorOf(1, 1)],
    ['a vector of 4,097 replicas', 'relay', vectorOf(...Array.from({ length: 4_097 }, (_, i) => i))],
    ['a push of 1,025 deltas', 'relay', concatBytes(Uint8Array.of(6, 0x82, 0x10), new Uint8Array(2_050))],
    ['facts that are no object', 'replica', concatBytes(Uint8Array.of(4, 6, 4), utf8ToBytes('null'))],
    ['facts that are no JSON', 'replica', concatBytes(Uint8Array.of(4, 6, 1), utf8ToBytes('{'))],
  ];
  return cases.map(([name, reader, bytes]) => ({
    ...{ name, reader, bytes: bytesToHex(bytes) },
    code: codeOf(() => (reader === 'relay' ? bytesToReplicaMessage : bytesToRelayMessage)(bytes)),
  }));
}

function vectorOf(...ids: readonly number[]): Uint8Array {
  const count = ids.length < 128 ? [ids.length] : [(ids.length % 128) + 128, Math.floor(ids.length / 128)];
  const entries = ids.map((id) => Uint8Array.of(0, 0, 0, 0, 0, 0, id >>> 8, id & 255, 1));
  return concatBytes(Uint8Array.of(11, ...count), ...entries);
}
