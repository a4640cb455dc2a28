import { readRoot, rebuildTrie } from '@mangrove/protocol';
import { fromRoot } from '../../../scripts/lib/paths.mjs';
import { seededRandom } from '../../support/random.mjs';
import { median } from '../../support/stats.mjs';
import { fillTables, hash, makeDeltas } from '../mangrove-room.mjs';
import { makeWorkload, timed } from '../workload.mjs';

const merkle = (file) => import(fromRoot('packages/protocol/dist/merkle', file));
const PROOFS = 200;
const INSERTS = 4_000;
const BATCH = 100;
const KEY_ID_BYTES = 16;

/** The index under the largest size up to 100,000: its bytes, what it costs to build and to change, and its proofs. */
export const indexAndProofs = {
  id: 'index',
  sources: ['claims/index-and-proofs.mjs', 'mangrove-room.mjs', 'workload.mjs', '../../packages/protocol/src'],
  async run({ sizes }) {
    const { proveInclusion, proveKey, proofToBytes, verifyWholeKey } = await merkle('proof.js');
    const { updateTrie } = await merkle('trie.js');
    const n = Math.max(...sizes.filter((size) => size <= 100_000));
    const deltas = makeDeltas(makeWorkload({ n, d: 0, scenario: 'tail' }));
    const isLate = (_, i) => i % Math.ceil(n / INSERTS) === 0;
    const tables = fillTables(deltas.filter((delta, i) => !isLate(delta, i)));
    const [single, batched] = halves(deltas.filter(isLate));

    const rebuilds = [1, 2, 3].map(() => timed(() => tables.transact((tx) => rebuildTrie(tx, hash))).cpuMs);
    let written = 0;
    const insert = (some) => {
      const before = process.cpuUsage();
      const adds = some.map(({ trieKey }) => trieKey);
      const { writes } = tables.transact((tx) => updateTrie(tx, hash, { adds, removes: [] }));
      const { user, system } = process.cpuUsage(before);
      for (const { table, value } of writes) if (table === 'nodes') written += value?.length ?? 0;
      // The delta’s own row is no part of the index, and dear in a table of 100,000 rows that is an array.
      for (const { trieKey, bytes } of some)
        tables.apply([{ kind: 'put', table: 'deltas', key: trieKey, value: bytes }]);
      return (user + system) / 1_000;
    };
    const sum = (list) => list.reduce((total, value) => total + value, 0);
    const insertMs = sum(single.map((delta) => insert([delta]))) / single.length;
    const nodeBytesPerInsert = written / single.length;
    const batches = Array.from({ length: Math.ceil(batched.length / BATCH) }, (_, i) =>
      batched.slice(i * BATCH, (i + 1) * BATCH),
    );
    const batchedInsertMs = sum(batches.map(insert)) / batched.length;

    const random = seededRandom(7);
    const proofs = Array.from({ length: PROOFS }, () => {
      const { trieKey } = deltas[Math.floor(random() * deltas.length)];
      const keyId = trieKey.subarray(0, KEY_ID_BYTES);
      const proof = tables.transact((tx) => proveKey(tx, keyId)).result;
      const { root } = tables.transact(readRoot).result;
      const verifying = timed(() => verifyWholeKey(hash, root, keyId, proof));
      const keys = verifying.result;
      if (keys === undefined || keys.length === 0) throw new Error('a proof did not verify');
      const inclusion = tables.transact((tx) => proveInclusion(tx, trieKey)).result;
      return {
        items: keys.length,
        // What is proved is sent anyway, and says its own trie key.
        overhead: proofToBytes(proof).length - keys.length * trieKey.length,
        verifyMs: verifying.cpuMs,
        inclusion: proofToBytes(inclusion).length,
      };
    });
    const nodes = tables.table('nodes').rows({ from: new Uint8Array() });
    return {
      n,
      nodeBytesPerDelta: nodes.reduce((sum, [key, value]) => sum + key.length + value.length, 0) / n,
      rebuildMsPer100k: (median(rebuilds) * 100_000) / n,
      insertMs,
      batchedInsertMs,
      nodeBytesPerInsert,
      wholeKey: {
        items: median(proofs.map(({ items }) => items)),
        overheadBytes: spread(proofs.map(({ overhead }) => overhead)),
        verifyMs: spread(proofs.map(({ verifyMs }) => verifyMs)),
      },
      inclusionBytes: spread(proofs.map(({ inclusion }) => inclusion)),
    };
  },
};

function halves(list) {
  return [list.slice(0, list.length / 2), list.slice(list.length / 2)];
}

function spread(values) {
  return { median: median(values), max: Math.max(...values) };
}
