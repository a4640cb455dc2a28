import {
  acceptDeltas,
  bodyToBytes,
  bytesToDelta,
  contextOfHeld,
  defaultLimits,
  deriveKeyId,
  headStatementToBytes,
  headsRootOf,
  idToBytes,
  makeUnsignedDelta,
  MemoryTables,
  readVectorRows,
  recordPayloadToBytes,
  signDelta,
  valueToBytes,
} from '@mangrove/protocol';
import { seededRandom } from '../../support/random.mjs';
import { hash, nowMs, replicaOf, room } from '../mangrove-room.mjs';

const WRITES_PER_KEY = 6;
const VALUE_CHARACTERS = 400;
/** One copy is lost in the noise of a heap. */
const COPIES = 40;
const ALL = { from: new Uint8Array() };

/**
 * A room of records that replicas drawn at random write over each other, each having seen the one before; one write in six is made
 * beside another. What remains is stored content, and what is there only to tell versions apart: contexts in deltas and in their table,
 * the vector, and each replica's head statement with a vector of its own.
 */
export const vectorMemory = {
  id: 'vectors',
  sources: ['claims/vector-memory.mjs', 'mangrove-room.mjs', '../../packages/protocol/src'],
  run({ vectorReplicas, vectorKeys }) {
    return { keys: vectorKeys, rows: vectorReplicas.map((replicas) => measureRoom(replicas, vectorKeys)) };
  },
};

function measureRoom(replicaCount, keys) {
  const { tables } = makeRoom(replicaCount, keys);
  const rowsOf = (table) => tables.table(table).rows(ALL);
  const bytesOf = (rows) => rows.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  const deltas = rowsOf('deltas').map(([, bytes]) => bytesToDelta(hash, room.roomId, bytes));
  const withoutContext = deltas.map((delta) =>
    makeUnsignedDelta(hash, room.roomId, { ...delta, context: EMPTY }, delta.body),
  );
  const contextInDeltas = deltas.reduce((sum, delta, i) => {
    const { headerBytes } = makeUnsignedDelta(hash, room.roomId, delta, delta.body);
    return sum + headerBytes.length - withoutContext[i].headerBytes.length;
  }, 0);
  const content = bytesOf(rowsOf('deltas')) - contextInDeltas;
  const contexts = bytesOf(rowsOf('contexts'));
  const vector = bytesOf(rowsOf('vector'));
  const heads = headBytes(tables, replicaCount);
  const heap = heapOf(tables);
  return { replicas: replicaCount, deltas: deltas.length, content, contextInDeltas, contexts, vector, heads, ...heap };
}

const EMPTY = { stamps: new Map(), dots: [] };

function makeRoom(replicaCount, keys) {
  const random = seededRandom(replicaCount);
  const replicas = Array.from({ length: replicaCount }, (_, i) => replicaOf(i));
  const seqs = new Map();
  const tables = new MemoryTables();
  let hlc = (nowMs - 10_000_000) * 1_024;
  for (let key = 0; key < keys; key++) {
    const name = { kind: 'record', collection: 'rooms', id: `record ${key}` };
    const keyId = deriveKeyId(hash, room.roomId, name);
    const previous = new Map();
    let held = [];
    for (let write = 0; write < WRITES_PER_KEY; write++) {
      const replica = replicas[Math.floor(random() * replicas.length)];
      const isBeside = write === WRITES_PER_KEY - 1 && random() < 1 / 6;
      const seen = isBeside ? [] : held;
      const value = { text: text(random), write };
      const header = {
        flags: 0,
        replica,
        seq: (seqs.get(replica) ?? 0) + 1,
        keyId,
        hlc: (hlc += 1_024),
        writtenAt: hlc,
        prev: previous.get(replica) ?? 0,
        context: contextOfHeld(seen),
        nonces: [],
      };
      const body = bodyToBytes({ name, payload: recordPayloadToBytes({ value: valueToBytes(value) }) });
      const delta = signDelta(makeUnsignedDelta(hash, room.roomId, header, body), new Uint8Array(64).fill(write));
      tables.transact((tx) => acceptDeltas(tx, room, [delta], { nowMs, from: 'others', retain: () => false }));
      held = isBeside ? [...held, delta] : [delta];
      seqs.set(replica, header.seq);
      previous.set(replica, header.hlc);
    }
  }
  return { tables };
}

/** One statement of each replica that has written, with the whole vector, as the table `heads` keeps them. */
function headBytes(tables) {
  const vector = tables.transact(readVectorRows).result;
  const { replicasPerKeyMax } = defaultLimits;
  if (vector.size > replicasPerKeyMax) throw new Error('more replicas than a room may have');
  const headsRoot = headsRootOf(hash, vector);
  const root = new Uint8Array(32);
  return [...vector.keys()].reduce((sum, replica) => {
    const statement = { replica, timeMs: nowMs, root, headsRoot, vector, signature: new Uint8Array(64) };
    return sum + idToBytes(replica).length + headStatementToBytes(statement).length;
  }, 0);
}

/** JS heap and buffers of the decoded deltas, with their contexts and without, and of the vector. */
function heapOf(tables) {
  const rows = tables.table('deltas').rows(ALL);
  const decode = () => rows.map(([, bytes]) => bytesToDelta(hash, room.roomId, bytes.slice()));
  const whole = retained(decode);
  const bare = retained(() => decode().map((delta) => ({ ...delta, context: EMPTY })));
  const vector = retained(() => tables.transact(readVectorRows).result);
  return { heapContent: bare, heapContexts: Math.max(0, whole - bare), heapVector: vector };
}

function retained(make) {
  // What the first call leaves behind is not what is held.
  make();
  const used = () => {
    globalThis.gc?.();
    globalThis.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  const held = Array.from({ length: COPIES }, make);
  const bytes = used() - before;
  // Alive until here.
  return held.length === 0 ? 0 : Math.max(0, bytes / COPIES);
}

function text(random) {
  let characters = '';
  while (characters.length < VALUE_CHARACTERS) characters += random().toString(36).slice(2);
  return characters.slice(0, VALUE_CHARACTERS);
}
