import { bytesToHex, concatBytes, utf8ToBytes } from './bytes.js';
import type { RoomId } from './ids.js';
import { idToBytes } from './ids.js';

/**
 * Ed25519 as a port. `verify` is called only after {@link isStrictSignature}; it must be cofactorless and compare R by bytes,
 * as WebCrypto in Chromium, Firefox and WebKit and node:crypto are [SG1].
 */
export interface Verifier {
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

export interface Signer {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** Order of the base point, 2^252 + 27742317777372353535851937790883648493, and the field's prime 2^255 − 19. */
const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
const PRIME = (1n << 255n) - 19n;
/** −121665/121666, of the curve's equation −x² + y² = 1 + dx²y². */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/** y coordinates of the points of small order; with either sign bit they are refused, as keys and as R. */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  PRIME - 1n,
  2707385501144840649318225287225658788936804267575313519463743609750303402022n,
  55188659117513257062467267217118295137698188065244968500265048394206261417927n,
]);

/**
 * The half of strict verification on which implementations disagree [SG1]: 64 bytes, S below the group order, A and R canonical
 * encodings that are not of small order. What passes is then checked by the platform. No honest signature has such an R; whoever
 * knows a key can make one, and some platforms take it and others do not.
 * Source: Chalkias et al. 2020, Taming the many EdDSAs.
 */
export function isStrictSignature(publicKey: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  if (littleEndian(signature.subarray(32)) >= ORDER) return false;
  return isUsualPoint(publicKey) && isUsualPoint(signature.subarray(0, 32));
}

/**
 * Whether some x goes with this y on the curve. A key that is no point signs nothing, and every platform is right to say so; WebKitGTK
 * ends the process of the page instead [SG1]. Cost: half a millisecond, so it is asked once for a key and not for a signature.
 */
export function isOnCurve(publicKey: Uint8Array): boolean {
  const y = littleEndian(publicKey) & ((1n << 255n) - 1n);
  const ySquared = (y * y) % PRIME;
  // x² = u/v is a square where uv is one, and Euler's criterion tells.
  const [u, v] = [ySquared - 1n, D * ySquared + 1n];
  const product = (((u * v) % PRIME) + PRIME) % PRIME;
  return product === 0n || power(product, (PRIME - 1n) / 2n) === 1n;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let [square, rest] = [base, exponent]; rest > 0n; square = (square * square) % PRIME, rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % PRIME;
  }
  return result;
}

function isUsualPoint(encoding: Uint8Array): boolean {
  const y = littleEndian(encoding) & ((1n << 255n) - 1n);
  return y < PRIME && !SMALL_ORDER_Y.has(y);
}

/** A message that can be mistaken for no other: domain, room, then the parts [SG2]. */
export function signedMessage(domain: string, roomId: RoomId, ...parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes(utf8ToBytes(domain), idToBytes(roomId), ...parts);
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes.slice().reverse())}`);
}
