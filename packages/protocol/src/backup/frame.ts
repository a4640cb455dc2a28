import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { bytesToUtf8, concatBytes, equalBytes, utf8ToBytes } from '../bytes.js';
import { type Certificate, readCertificate, writeCertificate } from '../certificate.js';
import { decode, encode, readBytes, readCount, readFixed, readU8, readVarUint } from '../codec.js';
import { MangroveError } from '../errors.js';
import { HASH_BYTES, type Hash } from '../hash.js';
import { byteToRoomConfig, type RoomConfig, roomConfigToByte } from '../ids.js';
import { defaultLimits } from '../limits.js';
import type { DeltaBytes } from '../wire/messages.js';
import { type BackupMark, bytesToMark, markToBytes } from './mark.js';

/** What every backup begins with. */
export const BACKUP_MAGIC = utf8ToBytes('mangrove:backup\n');
/** The header's first number: 1, as described in SPEC.md, section 10. */
const VERSION = 1;
const DOMAIN = utf8ToBytes('mangrove:backup:1');
export const CHECK_BYTES = 8;
/** A kind and a length. */
export const FRAME_HEAD_BYTES = 5;
/** One delta of the largest body, with as large a header as there is. */
export const PAYLOAD_BYTES_MAX = defaultLimits.bodyBytesMax + 2 ** 20;
/** What is verified and restored as one. */
export const SECTION_DELTAS_MAX = 4_096;
export const SECTION_BYTES_MAX = 4 * 1024 * 1024;

const CERTIFICATE_BYTES_MIN = 129;
const CERTIFICATES_MAX = 4_096;
const MARK_BYTES_MAX = 2 ** 20;
const KIND = { header: 1, certificates: 2, deltas: 3, section: 4, end: 5 } as const;

/** The parts of a backup [BK1]. */
export type BackupFrame =
  | {
      readonly kind: 'header';
      readonly room: string;
      readonly config: RoomConfig;
      readonly madeAtMs: number;
      /** Where the backup before it ended; undefined where everything is in this one. */
      readonly since: BackupMark | undefined;
    }
  | { readonly kind: 'certificates'; readonly certificates: readonly Certificate[] }
  | { readonly kind: 'deltas'; readonly deltas: readonly DeltaBytes[] }
  | {
      readonly kind: 'section';
      /** Over the trie keys of the deltas since the section before. */
      readonly root: Uint8Array;
      readonly count: number;
      readonly mark: BackupMark | undefined;
    }
  | {
      readonly kind: 'end';
      /** Of the room's set when the backup ended. */
      readonly root: Uint8Array;
      readonly count: number;
      /** In this backup. */
      readonly deltas: number;
      readonly mark: BackupMark | undefined;
    };

/** Frames with their checks, each of which follows from the one before. */
export class FrameChain {
  readonly #hash: Hash;
  #check: Uint8Array = new Uint8Array(CHECK_BYTES);

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  write(frame: BackupFrame): Uint8Array {
    const payload = frameToPayload(frame);
    const head = encode((encoder) => {
      encoding.writeUint8(encoder, KIND[frame.kind]);
      encoding.writeUint32BigEndian(encoder, payload.length);
    });
    return concatBytes(head, payload, this.#next(KIND[frame.kind], payload));
  }

  /** Throws `BACKUP_DAMAGED` and `VERSION_UNSUPPORTED`. */
  read(kind: number, payload: Uint8Array, check: Uint8Array): BackupFrame {
    if (!equalBytes(check, this.#next(kind, payload))) throw damaged('a checksum is wrong');
    return payloadToFrame(kind, payload);
  }

  #next(kind: number, payload: Uint8Array): Uint8Array {
    this.#check = checkOf(this.#hash, this.#check, kind, payload);
    return this.#check;
  }
}

/** The check of a frame, given that of the one before. */
export function checkOf(hash: Hash, before: Uint8Array, kind: number, payload: Uint8Array): Uint8Array {
  return hash(concatBytes(DOMAIN, before, Uint8Array.of(kind), payload)).slice(0, CHECK_BYTES);
}

export const damaged = (reason: string): MangroveError => new MangroveError('BACKUP_DAMAGED', { reason });

export function frameToPayload(frame: BackupFrame): Uint8Array {
  return encode((encoder) => {
    switch (frame.kind) {
      case 'header':
        encoding.writeVarUint(encoder, VERSION);
        encoding.writeVarString(encoder, frame.room);
        encoding.writeUint8(encoder, roomConfigToByte(frame.config));
        encoding.writeVarUint(encoder, frame.madeAtMs);
        writeMark(encoder, frame.since);
        return;
      case 'certificates':
        encoding.writeVarUint(encoder, frame.certificates.length);
        for (const certificate of frame.certificates) writeCertificate(encoder, certificate);
        return;
      case 'deltas':
        for (const delta of frame.deltas) encoding.writeVarUint8Array(encoder, delta);
        return;
      case 'section':
        encoding.writeUint8Array(encoder, frame.root);
        encoding.writeVarUint(encoder, frame.count);
        writeMark(encoder, frame.mark);
        return;
      case 'end':
        encoding.writeUint8Array(encoder, frame.root);
        encoding.writeVarUint(encoder, frame.count);
        encoding.writeVarUint(encoder, frame.deltas);
        writeMark(encoder, frame.mark);
        return;
    }
  });
}

/** Throws `BACKUP_DAMAGED` and `VERSION_UNSUPPORTED`. */
export function payloadToFrame(kind: number, payload: Uint8Array): BackupFrame {
  return decode(payload, 'BACKUP_DAMAGED', (decoder) => {
    switch (kind) {
      case KIND.header:
        return readHeader(decoder);
      case KIND.certificates: {
        const count = readCount(decoder, CERTIFICATE_BYTES_MIN, CERTIFICATES_MAX);
        return { kind: 'certificates', certificates: Array.from({ length: count }, () => readCertificate(decoder)) };
      }
      case KIND.deltas:
        return { kind: 'deltas', deltas: readDeltas(decoder) };
      case KIND.section: {
        const root = readFixed(decoder, HASH_BYTES);
        return { kind: 'section', root, count: readVarUint(decoder), mark: readMark(decoder) };
      }
      case KIND.end: {
        const root = readFixed(decoder, HASH_BYTES);
        const count = readVarUint(decoder);
        return { kind: 'end', root, count, deltas: readVarUint(decoder), mark: readMark(decoder) };
      }
      default:
        throw new Error(`a frame of the unknown kind ${kind}`);
    }
  });
}

function readHeader(decoder: decoding.Decoder): BackupFrame {
  const version = readVarUint(decoder);
  if (version !== VERSION) throw new MangroveError('VERSION_UNSUPPORTED', { version, supported: VERSION });
  const room = bytesToUtf8(readBytes(decoder, defaultLimits.nameBytesMax));
  const config = byteToRoomConfig(readU8(decoder));
  if (config === undefined) throw new Error('a configuration that nobody knows');
  return { kind: 'header', room, config, madeAtMs: readVarUint(decoder), since: readMark(decoder) };
}

function readDeltas(decoder: decoding.Decoder): readonly DeltaBytes[] {
  const deltas: DeltaBytes[] = [];
  do {
    if (deltas.length === SECTION_DELTAS_MAX) throw new Error('too many deltas in a frame');
    deltas.push(readBytes(decoder, PAYLOAD_BYTES_MAX));
  } while (decoding.hasContent(decoder));
  return deltas;
}

function writeMark(encoder: encoding.Encoder, mark: BackupMark | undefined): void {
  encoding.writeVarUint8Array(encoder, markToBytes(mark));
}

const readMark = (decoder: decoding.Decoder): BackupMark | undefined => bytesToMark(readBytes(decoder, MARK_BYTES_MAX));
