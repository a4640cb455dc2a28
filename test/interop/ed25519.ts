import { createHash } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '../../packages/protocol/src/bytes.js';

/** One signature as every platform has to judge it [SG1]; bytes as hex. */
export interface Ed25519Vector {
  readonly name: string;
  readonly publicKey: string;
  readonly message: string;
  readonly signature: string;
  readonly isValid: boolean;
}

const sha512 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha512').update(bytes).digest());

const { Point } = ed25519;
type EdPoint = InstanceType<typeof Point>;
const ORDER = Point.Fn.ORDER;
const PRIME = Point.Fp.ORDER;

const leToNumber = (bytes: Uint8Array): bigint => BigInt(`0x${bytesToHex(bytes.slice().reverse())}`);

function numberToLe(value: bigint): Uint8Array {
  return hexToBytes(value.toString(16).padStart(64, '0')).reverse();
}

const challengeOf = (r: Uint8Array, a: Uint8Array, message: Uint8Array): bigint =>
  leToNumber(sha512(concatBytes(r, a, message))) % ORDER;

const times = (point: EdPoint, scalar: bigint): EdPoint =>
  scalar % ORDER === 0n ? Point.ZERO : point.multiplyUnsafe(scalar % ORDER);

/** `scalar` is not reduced by the group order, which a point with a torsion part would notice. */
function timesExactly(point: EdPoint, scalar: bigint): EdPoint {
  let sum = Point.ZERO;
  for (const bit of scalar.toString(2)) {
    sum = sum.double();
    if (bit === '1') sum = sum.add(point);
  }
  return sum;
}

/** The strict rule by hand: the only judge of what the vectors expect. */
export function isStrictlyValid(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const r = signature.subarray(0, 32);
  const s = leToNumber(signature.subarray(32));
  if (s >= ORDER) return false;
  let a: EdPoint;
  try {
    a = Point.fromBytes(publicKey, true);
  } catch {
    return false;
  }
  if (bytesToHex(a.toBytes()) !== bytesToHex(publicKey) || a.isSmallOrder()) return false;
  if (isOfSmallOrder(r)) return false;
  const k = challengeOf(r, publicKey, message);
  const expected = times(Point.BASE, s).subtract(timesExactly(a, k));
  return bytesToHex(expected.toBytes()) === bytesToHex(r);
}

function isOfSmallOrder(encoding: Uint8Array): boolean {
  try {
    return Point.fromBytes(encoding, true).isSmallOrder();
  } catch {
    return false;
  }
}

/** All eight points of small order, from any one whose order is 8. */
function torsionPoints(): readonly EdPoint[] {
  for (let y = 2n; ; y++) {
    let candidate: EdPoint;
    try {
      candidate = Point.fromBytes(numberToLe(y));
    } catch {
      continue;
    }
    const torsion = timesExactly(candidate, ORDER);
    if (!timesExactly(torsion, 4n).is0()) return Array.from({ length: 8 }, (_, i) => timesExactly(torsion, BigInt(i)));
  }
}

/** Every encoding of a point that some decoder takes: y and y + p where that fits, and for x = 0 either sign. */
function encodingsOf(point: EdPoint): readonly Uint8Array[] {
  const canonical = point.toBytes();
  const y = leToNumber(canonical) & ((1n << 255n) - 1n);
  const signs = point.x === 0n ? [0n, 1n] : [BigInt((canonical[31] as number) >> 7)];
  const ys = y + PRIME < 1n << 255n ? [y, y + PRIME] : [y];
  return ys.flatMap((value) => signs.map((sign) => numberToLe(value | (sign << 255n))));
}

/** The vectors from fixed seeds; nothing in them is random. */
export function makeEd25519Vectors(): readonly Ed25519Vector[] {
  const vectors: Ed25519Vector[] = [];
  const add = (name: string, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): void => {
    const isValid = isStrictlyValid(publicKey, message, signature);
    const hexes = { publicKey: bytesToHex(publicKey), message: bytesToHex(message), signature: bytesToHex(signature) };
    vectors.push({ name, ...hexes, isValid });
  };
  const text = (value: string): Uint8Array => utf8ToBytes(value);
  const nonce = (n: number): bigint => leToNumber(sha512(text(`nonce ${n}`))) % ORDER;
  const join = (r: Uint8Array, s: bigint): Uint8Array => concatBytes(r, numberToLe(s));

  const seed = sha512(text('mangrove')).subarray(0, 32);
  const { scalar } = ed25519.utils.getExtendedPublicKey(seed);
  const publicKey = ed25519.getPublicKey(seed);
  const torsion = torsionPoints();
  const order8 = torsion[1] as EdPoint;

  for (const [i, message] of [new Uint8Array(), text('a delta'), new Uint8Array(1_000).fill(7)].entries())
    add(`valid ${i}`, publicKey, message, ed25519.sign(message, seed));

  const message = text('a delta');
  const signature = ed25519.sign(message, seed);
  const s = leToNumber(signature.subarray(32));
  const r = signature.subarray(0, 32);
  add('another message', publicKey, text('a delte'), signature);
  add('another key', ed25519.getPublicKey(sha512(seed).subarray(0, 32)), message, signature);
  add('S + L', publicKey, message, join(r, s + ORDER));
  add('S + 8 L', publicKey, message, join(r, s + 8n * ORDER));
  add('S = L', publicKey, message, join(r, ORDER));
  add('S = L - 1', publicKey, message, join(r, ORDER - 1n));
  add('S with its highest bit', publicKey, message, join(r, s | (1n << 255n)));
  add('sign of R', publicKey, message, join(numberToLe(leToNumber(r) ^ (1n << 255n)), s));
  add('sign of A', numberToLe(leToNumber(publicKey) ^ (1n << 255n)), message, signature);
  for (const bit of [0, 200, 300, 500]) {
    const flipped = signature.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    add(`bit ${bit} of the signature`, publicKey, message, flipped);
  }
  add('A is no point', numberToLe(7n), message, signature);
  add('A is y = p + 3, not canonical', numberToLe(PRIME + 3n), message, signature);
  add('A is all ones', new Uint8Array(32).fill(255), message, signature);

  // With A of small order anybody can sign anything: R = [S]B, and a message for which [k]A is nothing.
  for (const [i, point] of torsion.entries()) {
    for (const [j, encoding] of encodingsOf(point).entries()) {
      const scalarS = nonce(i);
      const easyR = times(Point.BASE, scalarS).toBytes();
      for (let n = 0; ; n++) {
        const free = text(`forged ${n}`);
        if (!timesExactly(point, challengeOf(easyR, encoding, free)).is0()) continue;
        add(`A of small order, ${i} times the generator, encoding ${j}`, encoding, free, join(easyR, scalarS));
        break;
      }
    }
  }

  // R with a part of small order: nothing to a check that multiplies by 8, another point to one that does not.
  for (const i of [1, 2, 4]) {
    const mixedR = times(Point.BASE, nonce(9))
      .add(torsion[i] as EdPoint)
      .toBytes();
    const k = challengeOf(mixedR, publicKey, message);
    add(
      `R of mixed order, ${i} times the generator`,
      publicKey,
      message,
      join(mixedR, (nonce(9) + k * scalar) % ORDER),
    );
  }
  // A with such a part: the strict equation holds by chance, where k is a multiple of 8.
  const mixedA = Point.fromBytes(publicKey).add(order8).toBytes();
  const plainR = times(Point.BASE, nonce(10)).toBytes();
  for (const isMultiple of [true, false]) {
    for (let n = 0; ; n++) {
      const candidate = text(`mixed ${n}`);
      const k = challengeOf(plainR, mixedA, candidate);
      if ((k % 8n === 0n) !== isMultiple) continue;
      const name = `A of mixed order, k ${isMultiple ? 'is a' : 'is no'} multiple of 8`;
      add(name, mixedA, candidate, join(plainR, (nonce(10) + k * scalar) % ORDER));
      break;
    }
  }
  // R is nothing at all, in its one encoding and in those that only some decoders take; or any other point of small order.
  for (const [j, encoding] of encodingsOf(Point.ZERO).entries()) {
    const k = challengeOf(encoding, publicKey, message);
    add(`R is the neutral point, encoding ${j}`, publicKey, message, join(encoding, (k * scalar) % ORDER));
  }
  for (const [i, point] of torsion.entries()) {
    if (i === 0) continue;
    const encoding = point.toBytes();
    const k = challengeOf(encoding, publicKey, message);
    add(`R of small order, ${i} times the generator`, publicKey, message, join(encoding, (k * scalar) % ORDER));
  }
  return vectors;
}
