import { createHash } from 'node:crypto';
import {
  bodyToBytes,
  concatBytes,
  deriveKeyId,
  deriveReplicaId,
  deriveRoomId,
  dotKey,
  EMPTY_CONTEXT,
  idToBytes,
  makeUnsignedDelta,
  MemoryTables,
  rebuildTrie,
  signDelta,
  trieKeyOf,
  u64ToBytes,
  utf8ToBytes,
} from '@mangrove/protocol';

const CONFIG = { history: 'current', encrypted: false };
const EPOCH_MS = 1_750_000_000_000;
const TICKS_PER_MS = 1_024;
const ROLL_BYTES = 8;
const PAYLOAD_BYTES = 24;

export const hash = (bytes) => createHash('sha256').update(bytes).digest();
export const room = { hash, roomId: deriveRoomId(hash, 'bench', CONFIG) };
export const roomConfig = CONFIG;
export const publicKeyOf = (author) => new Uint8Array(createHash('sha256').update(`author ${author}`).digest());
export const replicaOf = (author) => deriveReplicaId(hash, room.roomId, publicKeyOf(author));
/** When the first item was made; the last one is `items` ms later. */
export const nowMs = EPOCH_MS + 10_000_000;

/** Real deltas, signed with what nobody verifies here: an item each, in the order of their making. */
export function makeDeltas({ items, authors }) {
  const replicas = Array.from({ length: authors }, (_, author) => replicaOf(author));
  const seqs = new Array(authors).fill(0);
  const names = new Map();
  const previous = new Map();
  return items.map(({ author, key }, index) => {
    let name = names.get(key);
    if (name === undefined) names.set(key, (name = nameOf(key)));
    const hlc = (EPOCH_MS + index) * TICKS_PER_MS;
    const writer = author * 2 ** 32 + key;
    const header = {
      flags: 0,
      replica: replicas[author],
      seq: ++seqs[author],
      keyId: name.keyId,
      hlc,
      writtenAt: hlc,
      prev: previous.get(writer) ?? 0,
      context: EMPTY_CONTEXT,
      nonces: [author],
    };
    previous.set(writer, hlc);
    const payload = createHash('sha512').update(`payload ${index}`).digest();
    const body = concatBytes(name.bytes, payload.subarray(0, PAYLOAD_BYTES));
    const signature = concatBytes(payload);
    const delta = signDelta(makeUnsignedDelta(hash, room.roomId, header, body), signature);
    return {
      author,
      seq: delta.seq,
      replica: delta.replica,
      trieKey: trieKeyOf(delta),
      bytes: delta.bytes,
      id: delta.id,
    };
  });
}

/** What a store has after it has taken these deltas in, which are given in the order of their making. */
export function fillTables(deltas, { logged = false } = {}) {
  const tables = new MemoryTables();
  const put = (table, rows) => tables.apply(rows.map(([key, value]) => ({ kind: 'put', table, key, value })));
  const byKey = (rows) => rows.sort(([a], [b]) => Buffer.compare(a, b));
  put('deltas', byKey(deltas.map(({ trieKey, bytes }) => [trieKey, bytes])));
  put('dots', byKey(deltas.map((delta) => [dotKey(delta), delta.trieKey])));
  put('vector', byKey([...vectorOf(deltas)].map(([replica, seq]) => [idToBytes(replica), u64ToBytes(seq)])));
  if (logged) putLog(put, deltas);
  tables.transact((tx) => rebuildTrie(tx, hash));
  return tables;
}

/** The log of a relay that took them in this order; the position at its end is what a cursor names. */
function putLog(put, deltas) {
  let roll = new Uint8Array(ROLL_BYTES);
  let bytesBefore = 0;
  const rows = deltas.map((delta, i) => {
    roll = hash(concatBytes(roll, idToBytes(delta.id))).subarray(0, ROLL_BYTES);
    const { length } = delta.bytes;
    const row = concatBytes(roll, delta.trieKey, u64ToBytes(bytesBefore), u64ToBytes(length));
    bytesBefore += length;
    return [u64ToBytes(i + 1), row];
  });
  put('log', rows);
  put('meta', [[utf8ToBytes('position'), concatBytes(u64ToBytes(deltas.length), roll, u64ToBytes(bytesBefore))]]);
}

function vectorOf(deltas) {
  const vector = new Map();
  for (const { replica, seq } of deltas) {
    const last = vector.get(replica) ?? 0;
    vector.set(replica, last === seq - 1 ? seq : last);
  }
  return vector;
}

function nameOf(key) {
  const name = { kind: 'document', collection: '', id: `document ${key}` };
  return { keyId: deriveKeyId(hash, room.roomId, name), bytes: bodyToBytes({ name, payload: new Uint8Array() }) };
}
