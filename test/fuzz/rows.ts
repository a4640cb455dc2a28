import { bytesToHex, u64ToBytes, utf8ToBytes } from '../../packages/protocol/src/bytes.js';
import { type Delta, FLAG, trieKeyOf } from '../../packages/protocol/src/delta.js';
import { idToBytes } from '../../packages/protocol/src/ids.js';
import { bytesToNode, nodeToBytes } from '../../packages/protocol/src/merkle/node.js';
import { acceptDeltas } from '../../packages/protocol/src/room/accept.js';
import { appendToJournal, readJournal } from '../../packages/protocol/src/room/journal.js';
import { readCursor, receiveDeltas, writeCursor } from '../../packages/protocol/src/room/receive.js';
import { readQuarantine } from '../../packages/protocol/src/room/quarantine.js';
import { readOutboxEntries } from '../../packages/protocol/src/room/seal.js';
import { MemoryTables } from '../../packages/protocol/src/store/memory-store.js';
import type { Plan } from '../../packages/protocol/src/store/plan.js';
import type { Table } from '../../packages/protocol/src/store/table.js';
import { contextOf, makeDelta, record, replicaOf, room } from '../interop/fixture.js';
import type { Decoder } from './decoders.js';

/** Rows of a store that a disk has spoiled: whoever reads one says so in a typed error, as of anything that is not ours to trust. */

const CODES = ['INTERNAL', 'DELTA_MALFORMED', 'FRAME_MALFORMED', 'BODY_TOO_LARGE', 'WRONG_ROOM'] as const;
const options = { nowMs: 10_000, from: 'others', retain: () => true } as const;

const first = makeDelta({ replica: replicaOf(0), seq: 1, hlc: 1_000 });
const second = makeDelta({
  replica: replicaOf(1),
  seq: 1,
  hlc: 2_000,
  context: contextOf([[replicaOf(0), 900]], [[replicaOf(0), 1_000]]),
});
const third = makeDelta({ replica: replicaOf(2), seq: 1, hlc: 3_000, context: contextOf([[replicaOf(0), 1_000]]) });

/** The rows of a table after a plan, as samples; each is read again by `read` in a store where a spoiled one has taken its place. */
function rowsOf(table: Table, fill: Plan<unknown>, read: Plan<unknown>): Decoder {
  const tables = new MemoryTables();
  tables.transact(fill);
  const rows = tables.table(table).rows({ from: new Uint8Array() });
  const [key] = rows[0] as (typeof rows)[number];
  return {
    name: `row of ${table}`,
    samples: rows.map(([, value]) => value),
    codes: CODES,
    read: (bytes) => {
      const spoiled = tables.clone();
      spoiled.table(table).put(key, bytes);
      return spoiled.transact(read).result;
    },
  };
}

const takes =
  (deltas: readonly Delta[]): Plan<unknown> =>
  (tx) =>
    acceptDeltas(tx, room, deltas, options);

export const storedRows: readonly Decoder[] = [
  {
    name: 'row of nodes',
    samples: [
      nodeToBytes({ kind: 'leaf', count: 3, hash: new Uint8Array(32) }),
      ...nodesOf(Array.from({ length: 60 }, (_, i) => makeDelta({ replica: replicaOf(i), seq: 1, hlc: 5 }))),
    ],
    codes: CODES,
    read: bytesToNode,
    write: (node) => nodeToBytes(node as ReturnType<typeof bytesToNode>),
  },
  rowsOf('contexts', takes([first, second]), takes([third])),
  rowsOf('dots', takes([first]), takes([makeDelta({ replica: replicaOf(0), seq: 1, hlc: 1_001 })])),
  rowsOf('deltas', takes([first]), takes([third])),
  rowsOf(
    'journal',
    (tx) =>
      appendToJournal(
        tx,
        room,
        [
          { name: record('a'), flags: 0, nonces: [], payload: utf8ToBytes('x') },
          {
            name: { kind: 'document', collection: '', id: 'n' },
            flags: FLAG.import,
            nonces: [1, 2],
            payload: new Uint8Array(90),
          },
        ],
        5_000,
      ),
    (tx) => readJournal(tx),
  ),
  rowsOf(
    'quarantine',
    (tx) =>
      receiveDeltas(tx, room, [], [{ delta: first, fault: 'SIGNATURE_INVALID' }], {
        nowMs: 5,
        cursor: undefined,
        replica: replicaOf(0),
        compare: () => undefined,
      }),
    (tx) => readQuarantine(tx, room),
  ),
  rowsOf(
    'meta',
    function* (tx) {
      writeCursor(tx, { storeId: new Uint8Array(8), offset: 300, roll: new Uint8Array(8) });
    },
    (tx) => readCursor(tx),
  ),
  rowsOf(
    'outbox',
    function* (tx) {
      tx.put(
        'outbox',
        u64ToBytes(1),
        Uint8Array.of(1, 40, 200, 1, ...idToBytes(first.keyId), ...u64ToBytes(9), ...u64ToBytes(0)),
      );
    },
    (tx) => readOutboxEntries(tx),
  ),
];

function nodesOf(deltas: readonly Delta[]): readonly Uint8Array[] {
  const tables = new MemoryTables();
  tables.transact(takes(deltas.toSorted((a, b) => (bytesToHex(trieKeyOf(a)) < bytesToHex(trieKeyOf(b)) ? -1 : 1))));
  return tables
    .table('nodes')
    .rows({ from: new Uint8Array() })
    .map(([, value]) => value);
}
