import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { room } from '../../../test/interop/fixture.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from './bytes.js';
import { bytesToCertificate, certificateMessage, certificateToBytes, helloMessage } from './certificate.js';
import { signedMessage } from './signature.js';

const malformed = expect.objectContaining({ code: 'FRAME_MALFORMED' });
const fixed = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

describe('certificate', () => {
  test('[SG3] decoding undoes encoding, and the grammar is publicKey, issuedAtMs, issuer, signature', () => {
    const certificates = fc.record({
      publicKey: fixed(32),
      issuedAtMs: fc.maxSafeNat(),
      issuer: fixed(32),
      signature: fixed(64),
    });
    fc.assert(
      fc.property(certificates, (certificate) => {
        expect(bytesToCertificate(certificateToBytes(certificate))).toEqual(certificate);
      }),
    );
    const certificate = {
      publicKey: filled(32, 1),
      issuedAtMs: 300,
      issuer: filled(32, 2),
      signature: filled(64, 3),
    };
    expect(bytesToHex(certificateToBytes(certificate))).toBe(
      `${'01'.repeat(32)}ac02${'02'.repeat(32)}${'03'.repeat(64)}`,
    );
  });

  test('[SG3] any other bytes are FRAME_MALFORMED', () => {
    const valid = certificateToBytes({
      publicKey: filled(32, 1),
      issuedAtMs: 300,
      issuer: filled(32, 2),
      signature: filled(64, 3),
    });
    for (let length = 0; length < valid.length; length++)
      expect(() => bytesToCertificate(valid.subarray(0, length))).toThrow(malformed);
    expect(() => bytesToCertificate(concatBytes(valid, filled(1, 0)))).toThrow(malformed);
  });

  test('[SG2][SG3] a certificate is signed over domain, room, key and time', () => {
    const message = certificateMessage(room.roomId, filled(32, 1), 300);
    expect(message).toEqual(
      concatBytes(
        utf8ToBytes('mangrove:certificate:1'),
        hexToBytes(room.roomId),
        filled(32, 1),
        Uint8Array.of(0xac, 0x02),
      ),
    );
  });

  test('[SG2][SY1] a hello proves the key over room, relay key, store id and challenge', () => {
    const message = helloMessage(room.roomId, filled(32, 1), filled(8, 2), filled(32, 3));
    expect(message).toEqual(
      concatBytes(utf8ToBytes('mangrove:hello:1'), hexToBytes(room.roomId), filled(32, 1), filled(8, 2), filled(32, 3)),
    );
  });

  test('[SG2] no domain begins another, so no signed message can be taken for one of another kind', () => {
    const domains = ['mangrove:delta:1', 'mangrove:certificate:1', 'mangrove:hello:1', 'mangrove:head:1'];
    for (const a of domains) for (const b of domains) if (a !== b) expect(b.startsWith(a)).toBe(false);
    expect(signedMessage('mangrove:head:1', room.roomId, filled(2, 9))).toEqual(
      concatBytes(utf8ToBytes('mangrove:head:1'), hexToBytes(room.roomId), filled(2, 9)),
    );
  });
});
