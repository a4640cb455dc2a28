import { createPublicKey, verify as verifySignature } from 'node:crypto';
import type { Verifier } from '@mangrove/protocol';

/** The signature check of Node, at once, so that a world is one order of events. */
export const verifier: Verifier = {
  verify: async (publicKey, message, signature) => {
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') },
      format: 'jwk',
    });
    return verifySignature(null, message, key, signature);
  },
};
