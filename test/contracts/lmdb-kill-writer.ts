import { writeSync } from 'node:fs';
import { bytesToRoomId, bytesToU64, concatBytes, type Plan, u64ToBytes, utf8ToBytes } from '@mangrove/protocol';
import { openLmdb } from '../../packages/relay/src/storage/lmdb-store.js';

/** What the killed process runs: see `lmdb-kill.test.ts`. */

export const room = bytesToRoomId(new Uint8Array(32).fill(0xaa));
export const ROWS_PER_BATCH = 10;
const BATCHES_UNDER_WAY = 20;

/** One batch: its rows, and in another table which batch is the newest. */
export function writeBatch(batch: number): Plan<void> {
  return function* (tx) {
    const last = yield* tx.get('meta', utf8ToBytes('last'));
    const expected = last === undefined ? 0 : bytesToU64(last) + 1;
    if (batch !== expected) throw new Error(`batch ${batch} where ${expected} is due`);
    for (let row = 0; row < ROWS_PER_BATCH; row++) {
      tx.put('log', concatBytes(u64ToBytes(batch), u64ToBytes(row)), new Uint8Array(300).fill(batch));
    }
    tx.put('meta', utf8ToBytes('last'), u64ToBytes(batch));
  };
}

/** Writes batch after batch until the process is killed, and prints the number of each one that was acknowledged. */
export async function writeUntilKilled(path: string, first: number): Promise<void> {
  const store = openLmdb(path).room(room);
  let next = first;
  const write = async (): Promise<void> => {
    for (;;) {
      const batch = next++;
      await store.transact(writeBatch(batch), { mode: 'write', durability: 'strict' });
      // Written at once: what the process still holds when it is killed would count as not acknowledged.
      writeSync(1, `${batch}\n`);
    }
  };
  await Promise.all(Array.from({ length: BATCHES_UNDER_WAY }, write));
}
