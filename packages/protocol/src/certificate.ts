import type * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { decode, encode, readFixed, readVarUint } from './codec.js';
import { PUBLIC_KEY_BYTES, type RoomId, SIGNATURE_BYTES } from './ids.js';
import { signedMessage } from './signature.js';

/** Admits a replica's key to a room [SG3]. */
export interface Certificate {
  readonly publicKey: Uint8Array;
  readonly issuedAtMs: number;
  /** The public key of who admitted it: in an open room, a relay's. */
  readonly issuer: Uint8Array;
  readonly signature: Uint8Array;
}

export function certificateMessage(roomId: RoomId, publicKey: Uint8Array, issuedAtMs: number): Uint8Array {
  return signedMessage(
    'mangrove:certificate:1',
    roomId,
    publicKey,
    encode((encoder) => encoding.writeVarUint(encoder, issuedAtMs)),
  );
}

/** What a connecting replica signs to show that it holds its key [SY1]. */
export function helloMessage(
  roomId: RoomId,
  relayKey: Uint8Array,
  storeId: Uint8Array,
  challenge: Uint8Array,
): Uint8Array {
  return signedMessage('mangrove:hello:1', roomId, relayKey, storeId, challenge);
}

export function writeCertificate(encoder: encoding.Encoder, certificate: Certificate): void {
  encoding.writeUint8Array(encoder, certificate.publicKey);
  encoding.writeVarUint(encoder, certificate.issuedAtMs);
  encoding.writeUint8Array(encoder, certificate.issuer);
  encoding.writeUint8Array(encoder, certificate.signature);
}

export function readCertificate(decoder: decoding.Decoder): Certificate {
  return {
    publicKey: readFixed(decoder, PUBLIC_KEY_BYTES),
    issuedAtMs: readVarUint(decoder),
    issuer: readFixed(decoder, PUBLIC_KEY_BYTES),
    signature: readFixed(decoder, SIGNATURE_BYTES),
  };
}

export const certificateToBytes = (certificate: Certificate): Uint8Array =>
  encode((encoder) => writeCertificate(encoder, certificate));
export const bytesToCertificate = (bytes: Uint8Array): Certificate => decode(bytes, 'FRAME_MALFORMED', readCertificate);
