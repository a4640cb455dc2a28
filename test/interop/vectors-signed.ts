import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { bytesToHex } from '../../packages/protocol/src/bytes.js';
import { certificateMessage, certificateToBytes, helloMessage } from '../../packages/protocol/src/certificate.js';
import { headMessage, headStatementToBytes } from '../../packages/protocol/src/head-statement.js';
import { deriveReplicaId } from '../../packages/protocol/src/ids.js';
import { headsRootOf } from '../../packages/protocol/src/room/vector.js';
import type { Keys } from '../support/keys.js';
import { replicaOf, room, sha256 } from './fixture.js';

/** The key of a seed of 32 equal bytes. */
export function keysOf(byte: number): Keys {
  // Before a raw key Node wants these bytes (RFC 8410).
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, byte)]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(key).export({ format: 'jwk' }) as { x: string };
  return {
    publicKey: new Uint8Array(Buffer.from(x, 'base64url')),
    sign: (message) => new Uint8Array(sign(null, message, key)),
  };
}

/** Certificates, hello proofs and head statements under real keys [SG2, SG3, SY1, SY11]. */
export function makeSignedVectors(): unknown {
  const { roomId } = room;
  const [relay, writer] = [keysOf(1), keysOf(2)];
  const issuedAtMs = 1_700_000_000_000;
  const certificateText = certificateMessage(roomId, writer.publicKey, issuedAtMs);
  const certificate = {
    ...{ publicKey: writer.publicKey, issuedAtMs, issuer: relay.publicKey, signature: relay.sign(certificateText) },
  };
  const [storeId, challenge] = [new Uint8Array(8).fill(7), new Uint8Array(32).fill(8)];
  const helloText = helloMessage(roomId, relay.publicKey, storeId, challenge);
  const replica = deriveReplicaId(sha256, roomId, writer.publicKey);
  const heads = [[], [[replica, 1]], [...Array(40).keys()].map((n) => [replicaOf(n), n + 1] as const)].map(
    (entries) => {
      const vector = new Map(entries as [typeof replica, number][]);
      const headsRoot = headsRootOf(sha256, vector);
      const claim = { replica, timeMs: issuedAtMs, root: new Uint8Array(32).fill(9), headsRoot, vector };
      const signature = writer.sign(headMessage(roomId, claim));
      return {
        ...{
          roomId,
          publicKey: bytesToHex(writer.publicKey),
          replica,
          timeMs: issuedAtMs,
          root: bytesToHex(claim.root),
        },
        vector: Object.fromEntries(vector),
        headsRoot: bytesToHex(headsRoot),
        message: bytesToHex(headMessage(roomId, claim)),
        bytes: bytesToHex(headStatementToBytes({ ...claim, signature })),
      };
    },
  );
  return {
    certificate: {
      ...{ roomId, replica, issuedAtMs, publicKey: bytesToHex(writer.publicKey), issuer: bytesToHex(relay.publicKey) },
      message: bytesToHex(certificateText),
      bytes: bytesToHex(certificateToBytes(certificate)),
    },
    hello: {
      ...{
        roomId,
        relayKey: bytesToHex(relay.publicKey),
        storeId: bytesToHex(storeId),
        challenge: bytesToHex(challenge),
      },
      publicKey: bytesToHex(writer.publicKey),
      message: bytesToHex(helloText),
      proof: bytesToHex(writer.sign(helloText)),
    },
    heads,
  };
}
