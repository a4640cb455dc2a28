import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import * as Y from 'yjs';
import type { BackupFrame } from '../../packages/protocol/src/backup/frame.js';
import { markToBytes } from '../../packages/protocol/src/backup/mark.js';
import { bodyToBytes, recordPayloadToBytes } from '../../packages/protocol/src/body.js';
import { compareBytes, concatBytes, utf8ToBytes } from '../../packages/protocol/src/bytes.js';
import { compressBody } from '../../packages/protocol/src/compression.js';
import { type Delta, FLAG, makeUnsignedDelta, trieKeyOf } from '../../packages/protocol/src/delta.js';
import { MemoryTables } from '../../packages/protocol/src/store/memory-store.js';
import { updateTrie } from '../../packages/protocol/src/merkle/trie.js';
import { proofToBytes, proveKey } from '../../packages/protocol/src/merkle/proof.js';
import { type Value, valueToBytes } from '../../packages/protocol/src/value.js';
import { messageToBytes } from '../../packages/protocol/src/wire/codec.js';
import type { Message } from '../../packages/protocol/src/wire/messages.js';
import {
  contextOf,
  document,
  headerOf,
  makeDelta,
  record,
  replicaOf,
  room,
  sha256,
  signStub,
} from '../interop/fixture.js';
import { historySteps, makeHistory } from '../interop/history.js';
import { anyMessage, goldenMessages } from '../interop/messages.js';
import { framesOf, framesToFile, tablesOf } from '../support/backups.js';

/** Honest things to start from, made by what makes them for the golden and the property tests. */

/** The same for every run: cases differ by what is done to it. */
const SAMPLE_SEED = 1;
const SAMPLES = 240;

const sample = <T>(arbitrary: fc.Arbitrary<T>, numRuns = SAMPLES): T[] =>
  fc.sample(arbitrary, { seed: SAMPLE_SEED, numRuns });

export const values: readonly Value[] = [
  ...[null, true, 0, -1.5, 1e21, 'tökén', 12n ** 40n, Uint8Array.of(1, 2, 255), new Date(1_700_000_000_000)],
  { a: 1, b: [1, 2, { c: null }], $: 'x' },
  { $bytes: 'not bytes' },
  new Map<Value, Value>([
    ['k', 1],
    [2, [{ deep: [[[]]] }]],
  ]),
  { text: 'x'.repeat(300), list: Array.from({ length: 40 }, (_, i) => ({ i })) },
];

const update = (client: number, edit: (ydoc: Y.Doc) => void): Uint8Array => {
  const ydoc = new Y.Doc();
  ydoc.clientID = client;
  edit(ydoc);
  return Y.encodeStateAsUpdate(ydoc);
};

export const updates: readonly Uint8Array[] = [
  update(7, () => {}),
  update(7, (ydoc) => ydoc.getText('content').insert(0, 'hello')),
  update(9, (ydoc) => {
    const text = ydoc.getText('content');
    text.insert(0, 'bold and plain', { bold: true });
    text.delete(2, 5);
    text.insertEmbed(1, { image: 'x' });
  }),
  update(11, (ydoc) => {
    const map = ydoc.getMap('m');
    map.set('a', 1);
    map.set('a', new Y.Array());
    map.set('b', Uint8Array.of(1, 2, 3));
    ydoc.getArray('list').push([1, 'two', { three: [3] }, null, 2 ** 40]);
    ydoc.getXmlFragment('x').insert(0, [new Y.XmlElement('p'), new Y.XmlText('t')]);
  }),
];

const written: readonly Delta[] = sample(historySteps, 30)
  .flatMap((steps) => makeHistory(steps))
  .map(({ delta }) => delta)
  .slice(0, 150);

const manyReplicas = Array.from({ length: 40 }, (_, i) => [replicaOf(i % 60), 1_000 + i] as const);

/** One of each form that a delta has. */
export const deltas: readonly Delta[] = [
  ...written,
  makeDelta({ replica: replicaOf(1), seq: 1, hlc: 5_000, name: document('notes'), nonces: [1, 2, 0xffffffff] }),
  makeDelta({ replica: replicaOf(1), seq: 2 ** 40, hlc: 2 ** 53 - 1, prev: 1, writtenAt: 0 }),
  makeDelta({ replica: replicaOf(2), seq: 3, hlc: 9_000, flags: FLAG.import, text: 'y'.repeat(500) }),
  makeDelta({ replica: replicaOf(2), seq: 4, hlc: 9_100, flags: FLAG.seed }),
  makeDelta({ replica: replicaOf(2), seq: 5, hlc: 9_200, flags: FLAG.compressed | FLAG.encrypted }),
  makeDelta({
    replica: replicaOf(3),
    seq: 1,
    hlc: 9_300,
    flags: FLAG.tombstone,
    context: contextOf([[replicaOf(2), 9_000]]),
  }),
  makeDelta({
    replica: replicaOf(3),
    seq: 2,
    hlc: 9_400,
    flags: FLAG.checkpoint,
    context: contextOf(manyReplicas.slice(0, 9)),
  }),
  makeDelta({
    replica: replicaOf(4),
    seq: 1,
    hlc: 9_900,
    context: contextOf(manyReplicas.slice(20), manyReplicas.slice(0, 20)),
  }),
  ...values.map((value, i) => recordOf(i + 10, recordPayloadToBytes({ value: valueToBytes(value) }))),
  ...updates.map((payload, i) => documentOf(i + 40, payload)),
];

function recordOf(seq: number, payload: Uint8Array): Delta {
  const name = record(`r${seq}`);
  const header = headerOf({ replica: replicaOf(5), seq, hlc: 10_000 + seq, name });
  return signStub(makeUnsignedDelta(sha256, room.roomId, header, bodyToBytes({ name, payload })));
}

function documentOf(seq: number, payload: Uint8Array): Delta {
  const name = document(`d${seq}`);
  const header = headerOf({ replica: replicaOf(5), seq, hlc: 10_000 + seq, name, nonces: [seq] });
  return signStub(makeUnsignedDelta(sha256, room.roomId, header, bodyToBytes({ name, payload })));
}

/** Of a room at rest and of one that changed meanwhile, whole and after a mark. */
const backups: readonly (readonly BackupFrame[])[] = [
  framesOf(tablesOf(written.slice(0, 60))),
  framesOf(tablesOf(written.slice(0, 9)), undefined, undefined, { stepMax: 2, lastNewsMax: 1 }),
].flatMap((frames) => [frames, framesOf(tablesOf(written), frames.findLast((frame) => 'mark' in frame)?.mark)]);

export const backupFrames: readonly BackupFrame[] = backups.flat();
export const backupFiles: readonly Uint8Array[] = backups.map(framesToFile);
export const backupMarks: readonly Uint8Array[] = backupFrames.flatMap((frame) =>
  'mark' in frame ? [markToBytes(frame.mark)] : [],
);

const deltaBytes = deltas.map(({ bytes }) => bytes);

/** Messages of every kind; those that carry deltas also with real ones. */
export const messages: readonly Message[] = [
  ...Object.values(goldenMessages).flatMap((byName) => Object.values<Message>(byName)),
  ...sample(anyMessage),
  ...Array.from({ length: 30 }, (_, i): Message => {
    const some = deltaBytes.slice(i * 4, i * 4 + 1 + (i % 5));
    return i % 2 === 0
      ? { kind: 'push', repair: i % 3 === 0, deltas: some }
      : { kind: 'deltas', position: undefined, deltas: some };
  }),
];

export const messageBytes: readonly Uint8Array[] = messages.map((message) => messageToBytes(message));

export const bodies: readonly Uint8Array[] = deltas.map(({ body }) => body);

/** Of every kind of block, of few symbols and of many. */
export const compressedBodies: readonly Uint8Array[] = [...bodies, ...messageBytes.slice(0, 40)]
  .flatMap((bytes, i) => [bytes, concatBytes(...Array<Uint8Array>(3 + (i % 9)).fill(bytes))])
  .flatMap((plain, i) => {
    const strategy = [constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY][i % 3];
    const stored = compressBody(plain, (bytes) => deflateRawSync(bytes, { strategy }));
    return stored === undefined ? [] : [stored];
  });

export const payloads: readonly Uint8Array[] = [
  ...values.map((value) => recordPayloadToBytes({ value: valueToBytes(value) })),
  recordPayloadToBytes({ value: valueToBytes({ a: 2 }), base: valueToBytes({ a: 1 }) }),
];

export const valueBytes: readonly Uint8Array[] = values.map((value) => valueToBytes(value));

/** A trie to prove from: some keys of one delta, one of very many, and near misses. */
const keyed: readonly Delta[] = Array.from({ length: 420 }, (_, i) =>
  makeDelta({ replica: replicaOf(i % 7), seq: i + 1, hlc: 100 + i, name: record(i % 5 === 0 ? 'big' : `n${i % 120}`) }),
);

export interface Provable {
  readonly root: Uint8Array;
  readonly keys: readonly Uint8Array[];
  readonly proofs: readonly { readonly prefix: Uint8Array; readonly bytes: Uint8Array }[];
}

/** A set, its root, and the proofs of all its keys and items and of some that are absent. */
export function makeProvable(count: number): Provable {
  const keys = keyed.slice(0, count).map(trieKeyOf).sort(compareBytes);
  const tables = new MemoryTables();
  const { root } = tables.transact(function* (tx) {
    for (const key of keys) tx.put('deltas', key, Uint8Array.of(1));
    return yield* updateTrie(tx, sha256, { adds: keys, removes: [] });
  }).result;
  const absent = Array.from({ length: 40 }, (_, i) => sha256(utf8ToBytes(`absent ${i}`)).slice(0, 16));
  const near = keys
    .slice(0, 40)
    .map((key) => Uint8Array.from(key.subarray(0, 16), (byte, i) => byte ^ (i === 15 ? 1 : 0)));
  const prefixes = [...keys.map((key) => key.slice(0, 16)), ...keys.slice(0, 60), ...absent, ...near];
  const proofs = prefixes.map((prefix) => ({
    prefix,
    bytes: proofToBytes(tables.transact((tx) => proveKey(tx, prefix)).result),
  }));
  return { root, keys, proofs };
}
