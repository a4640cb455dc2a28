import { createPrivateKey, createPublicKey, generateKeyPairSync, hash as hashAtOnce, sign } from 'node:crypto';
import type { Hash } from '@mangrove/protocol';

/** An Ed25519 key pair that signs at once, as tests like it. */
export interface Keys {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

export const hash: Hash = (bytes) => new Uint8Array(hashAtOnce('sha256', bytes, 'buffer'));

export function makeKeys(): Keys {
  const { privateKey } = generateKeyPairSync('ed25519');
  return keysFromJwk(privateKey.export({ format: 'jwk' }) as { d: string; x: string });
}

function keysFromJwk({ d, x }: { d: string; x: string }): Keys {
  const key = createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', d, x }, format: 'jwk' });
  const { x: publicX } = createPublicKey(key).export({ format: 'jwk' }) as { x: string };
  return {
    publicKey: new Uint8Array(Buffer.from(publicX, 'base64url')),
    sign: (message) => new Uint8Array(sign(null, message, key)),
  };
}
