import { bytesToHex, bytesToU64, u64ToBytes, utf8ToBytes } from '../bytes.js';
import { readRoot } from '../merkle/trie.js';
import { type Steps, together, type Transaction } from '../store/plan.js';
import type { TrieRoot } from '../merkle/trie.js';
import { readNumber } from './meta.js';

const MENDED = utf8ToBytes('mended');
const ANY = { from: new Uint8Array(), limit: 1 };

/**
 * What all reading of a room's records follows from: while two stamps are equal, a store reads the same, in whichever tab. The root names all
 * deltas; a row of the journal has a number above all before it, and leaves it for a delta or for a row that reads the same; what a scrub mends is
 * counted. Undefined while that does not tell all: something is in quarantine, or is shown that no disk has taken [JS7].
 */
export function* readStamp(tx: Transaction): Steps<string | undefined> {
  if (tx.writes().length > 0) return undefined;
  const [{ root, count }, row, mended, quarantined] = yield* together<
    [TrieRoot, number, Uint8Array | undefined, readonly Uint8Array[]]
  >([readRoot(tx), readNumber(tx, 'row'), tx.get('meta', MENDED), tx.keys('quarantine', ANY)]);
  if (quarantined.length > 0) return undefined;
  return `${bytesToHex(root)} ${count} ${row} ${bytesToHex(mended ?? new Uint8Array())}`;
}

/** A scrub has found something: what was read before may read otherwise, though the root and the journal say the same [AE1]. */
export function* countMended(tx: Transaction): Steps<void> {
  const row = yield* tx.get('meta', MENDED);
  const count = row?.length === 8 ? bytesToU64(row) : 0;
  tx.put('meta', MENDED, u64ToBytes((count + 1) % Number.MAX_SAFE_INTEGER));
}
