import { inflateRawSync } from 'node:zlib';
import {
  BACKUP_MAGIC,
  type BackupFrame,
  CHECK_BYTES,
  checkOf,
  FRAME_HEAD_BYTES,
  frameToPayload,
  payloadToFrame,
} from '../../packages/protocol/src/backup/frame.js';
import { type BackupMark, bytesToMark, markToBytes } from '../../packages/protocol/src/backup/mark.js';
import {
  bodyToBytes,
  bytesToBody,
  bytesToRecordPayload,
  recordPayloadToBytes,
} from '../../packages/protocol/src/body.js';
import { concatBytes, equalBytes } from '../../packages/protocol/src/bytes.js';
import { bytesToCertificate, certificateToBytes } from '../../packages/protocol/src/certificate.js';
import { readVarUint } from '../../packages/protocol/src/codec.js';
import { decompressBody } from '../../packages/protocol/src/compression.js';
import { bytesToDelta, type Delta, makeUnsignedDelta, signDelta } from '../../packages/protocol/src/delta.js';
import { type ErrorCode, isMangroveError } from '../../packages/protocol/src/errors.js';
import { bytesToHeadStatement, headStatementToBytes } from '../../packages/protocol/src/head-statement.js';
import { defaultLimits } from '../../packages/protocol/src/limits.js';
import { bytesToProof, proofToBytes } from '../../packages/protocol/src/merkle/proof.js';
import { bytesToValue, valueToBytes } from '../../packages/protocol/src/value.js';
import { bytesToRelayMessage, bytesToReplicaMessage, messageToBytes } from '../../packages/protocol/src/wire/codec.js';
import type { Message } from '../../packages/protocol/src/wire/messages.js';
import * as decoding from 'lib0/decoding';
import { updateFault } from '../../packages/client/src/documents/guard.js';
import { room, sha256 } from '../interop/fixture.js';
import { effectsOf } from '../support/backups.js';
import type { Random } from '../support/random.js';
import { Finding, type Tally } from './case.js';
import * as corpus from './corpus.js';
import { type Allowance, gauge } from './gauge.js';
import { mutateBytes, mutateValue, pick, randomBytes } from './mutate.js';
import { storedRows } from './rows.js';

/** Something that bytes of a peer or of a disk are given to. */
export interface Decoder {
  readonly name: string;
  readonly samples: readonly Uint8Array[];
  /** What it may refuse with; any other throw is a finding. */
  readonly codes: readonly ErrorCode[];
  readonly read: (bytes: Uint8Array) => unknown;
  /** The one encoding of what was read; absent where a decoder only judges. */
  readonly write?: (value: unknown) => Uint8Array;
  /** True for what is read in more than one encoding, knowingly. */
  readonly isLoose?: (value: unknown) => boolean;
  /** Where a few bytes may rightly stand for many. */
  readonly allowed?: Allowance;
}

/** A byte may stand for an item of a list, and a small object takes some hundred bytes. */
const ALLOWED: Allowance = { base: 512 * 1024, perByte: 600 };

/** What a fault is about is text for people: a reader drops what it does not show, and knows numbers of newer peers by none. */
const isForPeople = (value: unknown): boolean => ['fault', 'refused'].includes((value as Message).kind);

const decoders: readonly Decoder[] = [
  ...([bytesToRelayMessage, bytesToReplicaMessage] as const).map(
    (read): Decoder => ({
      name: read.name,
      samples: corpus.messageBytes,
      codes: ['FRAME_MALFORMED', 'BASE_UNKNOWN'],
      read: (bytes) => read(bytes),
      write: (value) => messageToBytes(value as Message),
      isLoose: isForPeople,
    }),
  ),
  {
    name: 'bytesToDelta',
    samples: corpus.deltas.map(({ bytes }) => bytes),
    codes: ['DELTA_MALFORMED', 'WRONG_ROOM', 'BODY_TOO_LARGE'],
    read: (bytes) => bytesToDelta(sha256, room.roomId, bytes),
    write: (value) => {
      const { bytes: _, id: __, body, signature, ...header } = value as Delta;
      return signDelta(makeUnsignedDelta(sha256, room.roomId, header, body), signature).bytes;
    },
  },
  {
    name: 'bytesToBody',
    samples: corpus.bodies,
    codes: ['DELTA_MALFORMED'],
    read: bytesToBody,
    write: (value) => bodyToBytes(value as ReturnType<typeof bytesToBody>),
  },
  {
    name: 'decompressBody',
    samples: corpus.compressedBodies,
    codes: ['DELTA_MALFORMED'],
    read: decompressBesideZlib,
    allowed: { base: 512 * 1024 + defaultLimits.bodyBytesMax, perByte: 600 },
  },
  {
    name: 'bytesToRecordPayload',
    samples: corpus.payloads,
    codes: ['DELTA_MALFORMED', 'VALUE_TOO_LARGE'],
    read: bytesToRecordPayload,
    write: (value) => recordPayloadToBytes(value as ReturnType<typeof bytesToRecordPayload>),
  },
  {
    name: 'bytesToValue',
    samples: corpus.valueBytes,
    codes: ['VALUE_INVALID', 'VALUE_TOO_LARGE'],
    read: bytesToValue,
    write: (value) => valueToBytes(value),
  },
  {
    name: 'bytesToCertificate',
    samples: messagesOf('certificates').flatMap(({ certificates }) => certificates.map(certificateToBytes)),
    codes: ['FRAME_MALFORMED'],
    read: bytesToCertificate,
    write: (value) => certificateToBytes(value as ReturnType<typeof bytesToCertificate>),
  },
  {
    name: 'bytesToHeadStatement',
    samples: messagesOf('head').map(({ statement }) => headStatementToBytes(statement)),
    codes: ['FRAME_MALFORMED'],
    read: bytesToHeadStatement,
    write: (value) => headStatementToBytes(value as ReturnType<typeof bytesToHeadStatement>),
  },
  {
    name: 'bytesToProof',
    samples: corpus.makeProvable(100).proofs.map(({ bytes }) => bytes),
    codes: ['FRAME_MALFORMED'],
    read: bytesToProof,
    write: (value) => proofToBytes(value as ReturnType<typeof bytesToProof>),
  },
  {
    name: 'bytesToMark',
    samples: corpus.backupMarks,
    codes: ['BACKUP_DAMAGED'],
    read: bytesToMark,
    write: (value) => markToBytes(value as BackupMark | undefined),
  },
  {
    name: 'backup frame',
    samples: corpus.backupFrames.map(frameToBytes),
    codes: ['BACKUP_DAMAGED', 'VERSION_UNSUPPORTED'],
    read: (bytes) => payloadToFrame(bytes[0] ?? 0, bytes.subarray(1)),
    write: (value) => frameToBytes(value as BackupFrame),
  },
  {
    name: 'backup',
    samples: corpus.backupFiles,
    codes: ['BACKUP_DAMAGED', 'BACKUP_CUT', 'VERSION_UNSUPPORTED'],
    read: (bytes) => {
      const { effects, error } = effectsOf(bytes, 1 + (bytes.length % 97));
      if (error !== undefined) throw error;
      return effects;
    },
  },
  {
    // Its checks are made right again, so that what is behind them is reached.
    name: 'backup with checks',
    samples: corpus.backupFiles.map(withoutChecks),
    codes: ['BACKUP_DAMAGED', 'BACKUP_CUT', 'VERSION_UNSUPPORTED'],
    read: (bytes) => {
      const { effects, error } = effectsOf(withChecks(bytes));
      if (error !== undefined) throw error;
      return effects;
    },
  },
  { name: 'updateFault', samples: corpus.updates, codes: [], read: (bytes) => updateFault(bytes, undefined) },
  ...storedRows,
];

/** Faults that are the rule's own; zlib knows only whether it is a stream [DL11]. */
const RULES = /cannot stand for|too many blocks|after the end|fewer bytes|more bytes/;

/** What Node's own reader makes of the same stream has to be the same. */
function decompressBesideZlib(stored: Uint8Array): Uint8Array {
  let plain: Uint8Array | undefined;
  let refusal: unknown;
  try {
    plain = decompressBody(stored);
  } catch (error) {
    if (!isMangroveError(error) || RULES.test(String(error.facts.reason))) throw error;
    refusal = error;
  }
  const other = inflateBesideIt(stored);
  if (plain === undefined && other === undefined) throw refusal;
  if (plain === undefined || other === undefined || !equalBytes(plain, other))
    throw new Error('zlib reads it otherwise');
  return plain;
}

function inflateBesideIt(stored: Uint8Array): Uint8Array | undefined {
  const decoder = decoding.createDecoder(stored);
  try {
    const maxOutputLength = readVarUint(decoder);
    return inflateRawSync(stored.subarray(decoder.pos), { maxOutputLength });
  } catch {
    return undefined;
  }
}

/** `(u8 kind • u32 bytes • payload)*` of a file. */
function withoutChecks(file: Uint8Array): Uint8Array {
  const frames: Uint8Array[] = [];
  for (let at = BACKUP_MAGIC.length; at < file.length; ) {
    const end = at + FRAME_HEAD_BYTES + lengthAt(file, at);
    frames.push(file.subarray(at, end));
    at = end + CHECK_BYTES;
  }
  return concatBytes(...frames);
}

function withChecks(bytes: Uint8Array): Uint8Array {
  const parts = [BACKUP_MAGIC];
  let check = new Uint8Array(CHECK_BYTES);
  let at = 0;
  while (at + FRAME_HEAD_BYTES <= bytes.length) {
    const end = at + FRAME_HEAD_BYTES + lengthAt(bytes, at);
    if (end > bytes.length) break;
    check = checkOf(sha256, check, bytes[at] as number, bytes.subarray(at + FRAME_HEAD_BYTES, end)) as typeof check;
    parts.push(bytes.subarray(at, end), check);
    at = end;
  }
  return concatBytes(...parts, bytes.subarray(at));
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(1);
}

/** A frame without its length and its check: by its kind. */
function frameToBytes(frame: BackupFrame): Uint8Array {
  const kind = ['header', 'certificates', 'deltas', 'section', 'end'].indexOf(frame.kind) + 1;
  return concatBytes(Uint8Array.of(kind), frameToPayload(frame));
}

function messagesOf<Kind extends Message['kind']>(kind: Kind): Extract<Message, { kind: Kind }>[] {
  return corpus.messages.filter((message): message is Extract<Message, { kind: Kind }> => message.kind === kind);
}

/** Messages twice as often as the rest: they are what comes from the network. */
const drawn: readonly Decoder[] = [...decoders.slice(0, 3), ...decoders.slice(0, 3), ...decoders];

/** One mutated input to one decoder. */
export function fuzzDecoder(random: Random, tally: Tally): void {
  const decoder = pick(random, drawn);
  const bytes = makeInput(random, decoder);
  checkDecoder(decoder, bytes, tally, random.below(8) === 0);
}

/** All that is asked of a decoder, for one input. */
export function checkDecoder(decoder: Decoder, bytes: Uint8Array, tally: Tally, insideLarger: boolean): void {
  const fail = (reason: string, cause?: unknown): never => {
    throw new Finding(decoder.name, [bytes], reason, cause);
  };
  const { result, fault } = gauge(bytes.length, decoder.allowed ?? ALLOWED, () => attempt(decoder, bytes));
  if (fault !== undefined) fail(fault);
  tally.add(`${decoder.name} ${'code' in result ? 'refused' : 'read'}`);
  if ('error' in result) fail(`threw what is no ${decoder.codes.join(' or ')}`, result.error);
  if (insideLarger && !isSameInside(decoder, bytes, result)) fail('reads what lies beside its bytes');
  if (!('value' in result) || decoder.write === undefined) return;
  const again = rewrite(decoder.write, result.value, fail);
  if (equalBytes(again, bytes)) return;
  if (decoder.isLoose?.(result.value) !== true) fail('is read in more than one encoding');
  const second = attempt(decoder, again);
  if (!('value' in second) || !equalBytes(decoder.write(second.value), again))
    fail('what was read and written is not read again');
}

function rewrite(
  write: NonNullable<Decoder['write']>,
  value: unknown,
  fail: (reason: string, cause: unknown) => never,
): Uint8Array {
  try {
    return write(value);
  } catch (error) {
    return fail('what was read cannot be written', error);
  }
}

export function decoderOf(name: string): Decoder {
  return decoders.find((decoder) => decoder.name === name) as Decoder;
}

type Attempt = { readonly value: unknown } | { readonly code: ErrorCode; readonly error?: unknown };

function attempt(decoder: Decoder, bytes: Uint8Array): Attempt {
  try {
    return { value: decoder.read(bytes) };
  } catch (error) {
    if (isMangroveError(error) && decoder.codes.includes(error.code)) return { code: error.code };
    return { code: 'INTERNAL', error };
  }
}

/** A frame is a window on a larger buffer, whose other bytes are somebody else's. */
function isSameInside(decoder: Decoder, bytes: Uint8Array, expected: Attempt): boolean {
  const around = concatBytes(new Uint8Array(7).fill(3), bytes, new Uint8Array(2_000).fill(0x61));
  const inside = attempt(decoder, around.subarray(7, 7 + bytes.length));
  if ('code' in expected || 'code' in inside)
    return 'code' in expected && 'code' in inside && inside.code === expected.code;
  if (decoder.write === undefined) return true;
  return equalBytes(decoder.write(inside.value), decoder.write(expected.value));
}

function makeInput(random: Random, decoder: Decoder): Uint8Array {
  const sample = pick(random, decoder.samples);
  const other = pick(random, decoder.samples);
  const draw = random.below(20);
  if (draw === 0) return randomBytes(random, random.below(200));
  if (draw < 10 && decoder.write !== undefined) {
    const mutated = mutateMeaning(random, decoder, sample, other);
    if (mutated !== undefined) return random.below(4) === 0 ? mutateBytes(random, mutated, other) : mutated;
  }
  return mutateBytes(random, sample, other);
}

/** Read, changed and written, where such a value has an encoding at all. */
function mutateMeaning(
  random: Random,
  { read, write }: Decoder,
  sample: Uint8Array,
  other: Uint8Array,
): Uint8Array | undefined {
  try {
    return write?.(mutateValue(random, read(sample), tryRead(read, other)));
  } catch {
    return undefined;
  }
}

function tryRead(read: Decoder['read'], bytes: Uint8Array): unknown {
  try {
    return read(bytes);
  } catch {
    return undefined;
  }
}
