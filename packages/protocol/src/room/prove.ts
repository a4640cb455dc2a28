import { equalBytes } from '../bytes.js';
import type { HeadStatement } from '../head-statement.js';
import { readRoot } from '../merkle/trie.js';
import type { Steps, Transaction } from '../store/plan.js';
import { knowStanding, readHeldFloorsOf } from './floor-rows.js';
import type { RoomRef } from './room-ref.js';
import { proveNewest } from './vector.js';

/**
 * What a head statement proves, in the transaction that stores it: where its root is the own one, its replica has the same set, and knows
 * what it sealed itself and what became of all that its floors let stand [FL7, FL9]. Of others it may know no more than a relay told it, so
 * its vector proves nothing.
 *
 * The signature has been verified: this decides what may be swept.
 */
export function* proveByHead(
  tx: Transaction,
  room: RoomRef,
  { replica, root: theirs }: Pick<HeadStatement, 'replica' | 'root'>,
): Steps<void> {
  const { root } = yield* readRoot(tx);
  if (!equalBytes(root, theirs)) return;
  yield* proveNewest(tx, replica);
  for (const floor of yield* readHeldFloorsOf(tx, room, replica)) yield* knowStanding(tx, floor);
}
