import { bytesToHex, concatBytes, equalBytes } from '../../packages/protocol/src/bytes.js';
import { isMangroveError } from '../../packages/protocol/src/errors.js';
import {
  bytesToProof,
  type MerkleProof,
  proofToBytes,
  verifyInclusion,
  verifyWholeKey,
} from '../../packages/protocol/src/merkle/proof.js';
import { sha256 } from '../interop/fixture.js';
import type { Random } from '../support/random.js';
import { Finding, type Tally } from './case.js';
import { makeProvable, type Provable } from './corpus.js';
import { mutateBytes, mutateValue, pick } from './mutate.js';

/** Sets of which some are parts of others, so that a proof of one is nearly one of another. */
const sets: readonly Provable[] = [420, 419, 200, 33, 32, 5, 1, 0].map(makeProvable);

/**
 * One proof that somebody made up: other bytes, parts of others, or a true one shown for another key or under another root [MK6].
 * It is wrongly accepted when it says what is not so, and also when it is not the one proof of what it says.
 */
export function fuzzProof(random: Random, tally: Tally): void {
  const set = pick(random, sets);
  const { prefix, bytes: honest } = pick(random, set.proofs);
  const other = pick(random, pick(random, sets).proofs);
  const shown = random.below(8) === 0 ? other.bytes : mutateProof(random, honest, other.bytes);
  const asked = random.below(4) === 0 ? other.prefix : prefix;
  const proof = read(shown);
  tally.add(proof === undefined ? 'proof unreadable' : 'proof judged');
  if (proof === undefined) return;
  const fail = (reason: string): never => {
    throw new Finding('proof', [set.root, asked, shown], reason);
  };
  const truth = set.keys.filter((key) => equalBytes(key.subarray(0, asked.length), asked));
  const said = verifyWholeKey(sha256, set.root, asked, proof);
  if (said !== undefined && !isSame(said, truth)) fail('is accepted for keys that are not those of the set');
  if (said !== undefined && !isTheProof(set, asked, shown)) fail('is accepted though the proof is another');
  if (said !== undefined) tally.add('proof true after all');
  const key =
    random.below(2) === 0 && truth.length > 0
      ? pick(random, truth)
      : concatBytes(asked, sha256(asked), new Uint8Array(16));
  if (verifyInclusion(sha256, set.root, key, proof) && !truth.some((held) => equalBytes(held, key)))
    fail(`is accepted for ${bytesToHex(key)}, which is not in the set`);
}

function mutateProof(random: Random, honest: Uint8Array, other: Uint8Array): Uint8Array {
  if (random.below(2) === 0) return mutateBytes(random, honest, other);
  try {
    return proofToBytes(mutateValue(random, bytesToProof(honest), bytesToProof(other)) as MerkleProof);
  } catch {
    return mutateBytes(random, honest, other);
  }
}

function read(bytes: Uint8Array): MerkleProof | undefined {
  try {
    return bytesToProof(bytes);
  } catch (error) {
    if (isMangroveError(error) && error.code === 'FRAME_MALFORMED') return undefined;
    throw new Finding('bytesToProof', [bytes], 'threw what is no FRAME_MALFORMED', error);
  }
}

function isTheProof(set: Provable, asked: Uint8Array, shown: Uint8Array): boolean {
  const own = set.proofs.find(({ prefix }) => equalBytes(prefix, asked));
  return own === undefined || equalBytes(own.bytes, shown);
}

function isSame(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((key, i) => equalBytes(key, b[i] as Uint8Array));
}
