import { bytesToHex, prefixEnd } from '../bytes.js';
import { type ContextualSibling, readContexts } from './set-rows.js';
import { parseTrieKey } from '../delta.js';
import { isContextWithin, isWithinReach, type Reach, standingOf } from '../floor.js';
import { bytesToKeyId, type DeltaId, idToBytes, type KeyId } from '../ids.js';
import { type Steps, type Transaction, together } from '../store/plan.js';

const KEYS_PAGE = 4_096;
/** Keys that are looked at in one step. */
const KEYS_STEP = 64;

/**
 * Tombstones that a floor of this reach may collect, as trie keys in hex, whole keys only and at most `max` [FL10]: with one of them gone and another
 * left, or with something beyond the reach that only a collected one covers, the deleted would come back.
 */
export function* readCollectable(tx: Transaction, reach: Reach, max: number): Steps<ReadonlySet<string>> {
  const collected = new Set<string>();
  for (let from: Uint8Array | undefined = new Uint8Array(); from !== undefined; ) {
    const page: readonly Uint8Array[] = yield* tx.keys('tombstones', { from, limit: KEYS_PAGE });
    const keyIds = [...new Set(page.map((trieKey) => parseTrieKey(trieKey).keyId))];
    for (let at = 0; at < keyIds.length; at += KEYS_STEP) {
      const groups = yield* together(
        keyIds.slice(at, at + KEYS_STEP).map((keyId) => readDeleted(tx, keyId, reach, max)),
      );
      for (const group of groups) {
        if (collected.size + group.length > max) return collected;
        for (const trieKey of group) collected.add(bytesToHex(trieKey));
      }
    }
    const last = keyIds.at(-1);
    from = last === undefined || page.length < KEYS_PAGE ? undefined : prefixEnd(idToBytes(last));
  }
  return collected;
}

/**
 * [FL3] The ids of all that lies within the reach and is to stay; undefined where the set is not `count` deltas, as the disk has lost some. A dot that a scrub has left
 * names a delta that is lost [AE3].
 */
export function* readStanding(
  tx: Transaction,
  reach: Reach,
  floorKeyId: KeyId,
  collected: ReadonlySet<string>,
  count: number,
): Steps<Uint8Array | undefined> {
  const ids: DeltaId[] = [];
  let seen = 0;
  for (let from = new Uint8Array(); ; ) {
    const page = yield* tx.keys('deltas', { from, limit: KEYS_PAGE });
    seen += page.length;
    for (const trieKey of page) {
      const { keyId, id, ...stamped } = parseTrieKey(trieKey);
      if (keyId === floorKeyId || !isWithinReach(reach, stamped) || collected.has(bytesToHex(trieKey))) continue;
      ids.push(id);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < KEYS_PAGE)
      return seen === count && (yield* countDots(tx)) <= count ? standingOf(ids) : undefined;
    from = new Uint8Array([...last, 0]);
  }
}

function* countDots(tx: Transaction): Steps<number> {
  for (let from = new Uint8Array(), count = 0; ; ) {
    const page: readonly Uint8Array[] = yield* tx.keys('dots', { from, limit: KEYS_PAGE });
    count += page.length;
    const last = page.at(-1);
    if (last === undefined || page.length < KEYS_PAGE) return count;
    from = new Uint8Array([...last, 0]);
  }
}

/** Whether some context has `entriesMin` entries that need not be taken over any more, and that the held floors do not let go already [FL11]. */
export function* hasLongContext(
  tx: Transaction,
  reach: Reach,
  held: Reach,
  floorKeyId: KeyId,
  entriesMin: number,
): Steps<boolean> {
  for (let from = new Uint8Array(); ; ) {
    const page = yield* tx.rows('contexts', { from, limit: KEYS_STEP });
    for (const [key, row] of page) {
      // Each floor names the one before it: that is no reason for another.
      if (bytesToKeyId(key) === floorKeyId) continue;
      const count = readContexts(key, row).reduce((sum, sibling) => sum + countDroppable(sibling, reach, held), 0);
      if (count >= entriesMin) return true;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < KEYS_STEP) return false;
    from = new Uint8Array([...last[0], 0]);
  }
}

function countDroppable(sibling: ContextualSibling, reach: Reach, held: Reach): number {
  if (!isWithinReach(reach, sibling)) return 0;
  const before = isWithinReach(held, sibling) ? held : undefined;
  const { stamps, dots } = sibling.context;
  const entries = [...[...stamps].map(([replica, hlc]) => ({ replica, hlc })), ...dots];
  return entries.filter(
    (entry) => isWithinReach(reach, entry) && !(before !== undefined && isWithinReach(before, entry)),
  ).length;
}

/** The siblings of a key where all of them are tombstones that may be collected together; otherwise none. */
function* readDeleted(tx: Transaction, keyId: KeyId, reach: Reach, max: number): Steps<readonly Uint8Array[]> {
  const from = idToBytes(keyId);
  const range = { from, to: prefixEnd(from), limit: max + 1 };
  const siblings = yield* tx.keys('deltas', range);
  if (siblings.length > max || !siblings.every((trieKey) => isWithinReach(reach, parseTrieKey(trieKey)))) return [];
  const tombstones = new Set((yield* tx.keys('tombstones', range)).map(bytesToHex));
  // Each of them, not as many: a disk that lost a tombstone may still name it.
  if (!siblings.every((trieKey) => tombstones.has(bytesToHex(trieKey)))) return [];
  const row = yield* tx.get('contexts', from);
  const contextual = row === undefined ? [] : readContexts(from, row);
  return contextual.every(({ context }) => isContextWithin(reach, context)) ? siblings : [];
}
