import { BACKUP_MAGIC, FrameChain, trieKeyOf } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { type ClientWorld, setWorld } from '../../../../../test/support/client-world.js';
import { forgeRecord } from '../../../../../test/support/forged-record.js';
import { hash } from '../../../../../test/support/keys.js';
import { buildTrie } from '../../../../protocol/src/merkle/trie.js';
import { restoreFrom } from '../../backup.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

test('[BK7, CX7] what only claims to be of this replica costs it no identity', async () => {
  const profile = world.profile();
  const tab = profile.tab();
  const room = tab.room();
  await world.run(room.synced());
  const replica = profile.replica('team');
  const forged = forgeRecord(replica, { kind: 'record', collection: 'todos', id: 'a' }, 'forged', world.nowMs, 999);
  const { root } = buildTrie(hash, [trieKeyOf(forged)]);
  const config = { history: 'current', encrypted: false } as const;
  const chain = new FrameChain(hash);
  const file = new Blob([
    BACKUP_MAGIC,
    chain.write({ kind: 'header', room: 'team', config, madeAtMs: world.nowMs, since: undefined }),
    chain.write({ kind: 'deltas', deltas: [forged.bytes] }),
    chain.write({ kind: 'section', root, count: 1, mark: undefined }),
    chain.write({ kind: 'end', root, count: 1, deltas: 1, mark: undefined }),
  ] as Uint8Array<ArrayBuffer>[]);
  const result = await world.run(restoreFrom(file.stream(), tab.engine));
  expect(result).toMatchObject({ deltas: 0, refused: 1 });
  expect(profile.replica('team')).toBe(replica);
});
