import { defaultLimits, MemoryStore } from '@mangrove/protocol';
import { afterEach, expect, test, vi } from 'vitest';
import type { TrashEntry } from '../../../packages/client/src/types.js';
import { endProfiles, openRelay, Profile, skew } from './real-profile.js';

const ROOM = 'floors';
const RECORDS = 2_000;

afterEach(endProfiles);

test(`[FL5, FL11, FL15] scenarios 10 and 26: ${RECORDS} records made and deleted leave a floor, over a reload and to one who was away`, {
  timeout: 180_000,
}, async () => {
  const relayStore = new MemoryStore();
  const relay = openRelay(ROOM, relayStore);
  const [ann, bob] = [new Profile(ROOM, relay), new Profile(ROOM, relay)];
  await ann.open();
  await bob.open();
  const gone = Array.from({ length: RECORDS }, (_, n) => `gone ${n}`);
  await ann.put([...gone, 'kept']);
  await ann.reached('replicas');
  // Bob knows all of it, goes away, and writes there.
  await bob.close();
  await bob.open({ isOffline: true });
  await bob.put(['written away', 'kept', 'gone 7']);
  await bob.close();

  await ann.remove(gone);
  await ann.reached('relay');
  expect(await ann.count('tombstones')).toBe(RECORDS);
  skew.ms += defaultLimits.replicaExpiryMs;
  await ann.put(['later']);
  await vi.waitUntil(async () => (await ann.count('tombstones')) === 0, { timeout: 120_000, interval: 200 });
  await ann.synced();
  expect(await ann.count('deltas')).toBe(3);
  await vi.waitUntil(async () => (await ann.count('names')) === 2, { timeout: 60_000, interval: 200 });
  expect(relayStore.tables.table('deltas').size).toBe(3);

  const root = ann.status?.root;
  await ann.close();
  await ann.open({ isOffline: true });
  expect(ann.status?.root).toBe(root);
  expect(await ann.read()).toEqual(['kept', 'later']);
  await ann.close();
  await ann.open();

  await bob.open();
  await bob.synced();
  await ann.synced();
  await vi.waitUntil(() => ann.status?.sync === 'in-sync' && ann.status.root === bob.status?.root, { timeout: 30_000 });
  for (const profile of [ann, bob]) expect(await profile.read()).toEqual(['gone 7', 'kept', 'later', 'written away']);
  const kept = await ann.engine.get(ROOM, 'notes', 'kept', 'lww');
  expect(kept?.value).toEqual({ id: 'kept', by: bob.name });
  expect(bob.status?.pending.writes).toBe(0);
  expect(await bob.count('outbox')).toBe(0);
  // What he saw deleted in one stroke had content: it is in his trash, but for the one that he wrote anew.
  expect(await bob.count('trash')).toBe(2 * (RECORDS - 1));

  // He has one of them back, and everybody with him; it is the only one that is written anew, over a reload too.
  const ids = new Set<string>();
  let found: TrashEntry | undefined;
  for (let after: string | undefined, page: readonly TrashEntry[] = []; ; after = page.at(-1)?.id) {
    page = await bob.engine.trash(ROOM, 500, after);
    if (page.length === 0) break;
    for (const entry of page) ids.add(entry.id);
    found ??= page.find((entry) => entry.kind === 'record' && entry.record === 'gone 3');
  }
  expect(ids.size).toBe(RECORDS - 1);
  expect(found).toMatchObject({ collection: 'notes', value: { id: 'gone 3', by: ann.name }, why: 'swept' });
  await bob.engine.recover(ROOM, (found as TrashEntry).id);
  await bob.close();
  await bob.open();
  await bob.synced();
  await ann.synced();
  await vi.waitUntil(() => ann.status?.sync === 'in-sync' && ann.status.root === bob.status?.root, { timeout: 30_000 });
  for (const profile of [ann, bob])
    expect(await profile.read()).toEqual(['gone 3', 'gone 7', 'kept', 'later', 'written away']);
  expect(await bob.count('trash')).toBe(2 * (RECORDS - 2));
  await expect(bob.engine.recover(ROOM, (found as TrashEntry).id)).rejects.toMatchObject({ code: 'NOT_IN_TRASH' });
  await bob.engine.emptyTrash(ROOM, undefined);
  expect(await bob.count('trash')).toBe(0);
});
