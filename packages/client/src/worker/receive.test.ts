import {
  checkpointPayloadToBytes,
  bodyToBytes,
  concatBytes,
  packBody,
  type Certificate,
  certificateMessage,
  type Cursor,
  type Delta,
  type DeltaHeader,
  deriveClientId,
  deriveKeyId,
  deriveReplicaId,
  EMPTY_CONTEXT,
  FLAG,
  hlcFromMs,
  type KeyName,
  makeUnsignedDelta,
  MemoryStore,
  readClock,
  readCursor,
  readQuarantine,
  readRoot,
  readSiblings,
  recordPayloadToBytes,
  type ReplicaId,
  signDelta,
  valueToBytes,
} from '@mangrove/protocol';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { roomRef, verifier } from '../../../../test/support/client-world.js';
import { makeKeys } from '../../../../test/support/keys.js';
import { deflate } from '../deflate.js';
import { Certifier } from './certifier.js';
import { inspectDelta } from './inspect.js';
import { receive } from './receive.js';

const room = roomRef();
const NOW_MS = 1_700_000_000_000;
const CURSOR: Cursor = { storeId: new Uint8Array(8).fill(1), offset: 5, roll: new Uint8Array(8).fill(2) };
const relayKeys = makeKeys();
const writerKeys = makeKeys();
const strangerKeys = makeKeys();
const idOf = ({ publicKey }: { publicKey: Uint8Array }): ReplicaId =>
  deriveReplicaId(room.hash, room.roomId, publicKey);
const WRITER = idOf(writerKeys);

const record = (id: string): KeyName => ({ kind: 'record', collection: 'todos', id });
const note: KeyName = { kind: 'document', collection: '', id: 'note' };
const keyIdOf = (name: KeyName) => deriveKeyId(room.hash, room.roomId, name);

function certificate(publicKey: Uint8Array): Certificate {
  const signature = relayKeys.sign(certificateMessage(room.roomId, publicKey, NOW_MS));
  return { publicKey, issuedAtMs: NOW_MS, issuer: relayKeys.publicKey, signature };
}

async function open() {
  const store = new MemoryStore();
  const certifier = new Certifier(verifier, store, room);
  await certifier.trust(relayKeys.publicKey, [certificate(writerKeys.publicKey)]);
  const take = (deltas: readonly Uint8Array[], cursor: Cursor | undefined = CURSOR) =>
    receive(store, { room, replica: idOf(strangerKeys), certifier }, deltas, { cursor, nowMs: NOW_MS });
  const held = async (name: KeyName): Promise<number> =>
    (await store.transact((tx) => readSiblings(tx, room, keyIdOf(name)), { mode: 'read' })).length;
  return { store, take, held };
}

interface Spec extends Partial<DeltaHeader> {
  readonly name?: KeyName;
  readonly payload?: Uint8Array;
  readonly body?: Uint8Array;
  readonly keys?: typeof writerKeys;
  readonly isForged?: boolean;
}

let seq = 0;
function make({ name = record('a'), payload, body, keys = writerKeys, isForged = false, ...header }: Spec = {}): Delta {
  seq++;
  const hlc = header.hlc ?? hlcFromMs(NOW_MS - 1_000 + seq);
  const content = payload ?? recordPayloadToBytes({ value: valueToBytes(seq) });
  const unsigned = makeUnsignedDelta(
    room.hash,
    room.roomId,
    {
      replica: idOf(keys),
      seq,
      keyId: keyIdOf(name),
      hlc,
      writtenAt: hlc,
      prev: hlcFromMs(0),
      context: EMPTY_CONTEXT,
      flags: 0,
      nonces: [],
      ...header,
    },
    body ?? bodyToBytes({ name, payload: content }),
  );
  return signDelta(unsigned, keys.sign(isForged ? new Uint8Array(1) : unsigned.message));
}

const update = (clientId: number): Uint8Array => {
  const ydoc = new Y.Doc();
  ydoc.clientID = clientId;
  ydoc.getText('t').insert(0, 'hello');
  return Y.encodeStateAsUpdate(ydoc);
};

describe('receiving', () => {
  test('[SY9] good deltas are taken with names, clock and cursor, and their keys are told', async () => {
    const { store, take, held } = await open();
    const delta = make({ name: record('a') });
    const nonce = 7;
    const edit = make({
      name: note,
      payload: update(deriveClientId(room.hash, room.roomId, WRITER, nonce)),
      nonces: [nonce],
    });
    const received = await take([delta.bytes, edit.bytes]);
    expect(received.faults).toEqual([]);
    expect(received.keys).toEqual([
      { keyId: delta.keyId, document: undefined, collection: 'todos', id: 'a', updates: [], bytes: delta.bytes.length },
      {
        keyId: edit.keyId,
        document: 'note',
        collection: undefined,
        id: 'note',
        updates: [expect.any(Uint8Array)],
        bytes: edit.bytes.length,
      },
    ]);
    expect([await held(record('a')), await held(note)]).toEqual([1, 1]);
    expect(await store.transact(readCursor, { mode: 'read' })).toEqual(CURSOR);
    expect(await store.transact(readClock, { mode: 'read' })).toBe(edit.hlc);
    expect(received.standing.root).toEqual((await store.transact(readRoot, { mode: 'read' })).root);
  });

  test('[SY8] what is known already changes nothing and tells nothing', async () => {
    const { take } = await open();
    const delta = make();
    const first = await take([delta.bytes]);
    const again = await take([delta.bytes, delta.bytes]);
    expect(again.keys).toEqual([]);
    expect(again.standing).toEqual(first.standing);
  });

  test('[SY10] a forged delta is quarantined and named, and those beside it are taken', async () => {
    const { store, take, held } = await open();
    const [good, forged] = [make({ name: record('a') }), make({ name: record('b'), isForged: true })];
    const received = await take([forged.bytes, good.bytes]);
    expect(received.rejected.map(({ delta }) => delta.id)).toEqual([forged.id]);
    expect(received.marks.quarantined).toBe(1);
    expect([await held(record('a')), await held(record('b'))]).toEqual([1, 0]);
    const quarantine = await store.transact((tx) => readQuarantine(tx, room), { mode: 'read' });
    expect(quarantine.map(({ delta, fault }) => [delta.id, fault])).toEqual([[forged.id, 'SIGNATURE_INVALID']]);
  });

  test('[SY10] the honest delta behind a spoiled copy leaves quarantine when it comes', async () => {
    const { take, held } = await open();
    const honest = make({ name: record('a') });
    const spoiled = honest.bytes.slice();
    spoiled[spoiled.length - 1] = (spoiled.at(-1) as number) ^ 1;
    expect((await take([spoiled])).marks.quarantined).toBe(1);
    const received = await take([honest.bytes]);
    expect([received.marks.quarantined, received.rejected.length, await held(record('a'))]).toEqual([0, 0, 1]);
  });

  test('[SY10] a spoiled copy of what is held quarantines nothing, and is reported all the same', async () => {
    const { take, held } = await open();
    const honest = make({ name: record('a') });
    await take([honest.bytes]);
    const spoiled = honest.bytes.slice();
    spoiled[spoiled.length - 1] = (spoiled.at(-1) as number) ^ 1;
    const received = await take([spoiled]);
    expect([received.marks.quarantined, received.rejected.length, await held(record('a'))]).toEqual([0, 1, 1]);
  });

  test('[SG3] a delta of a replica without a certificate is left out and told, not quarantined', async () => {
    const { take, held } = await open();
    const received = await take([make({ name: record('a'), keys: strangerKeys }).bytes]);
    expect(received.faults.map(({ code }) => code)).toEqual(['UNCERTIFIED']);
    expect([received.marks.quarantined, await held(record('a'))]).toEqual([0, 0]);
  });

  test('[CX8] what cannot be decoded is held and quarantined; of a document nothing is told', async () => {
    const { take, held } = await open();
    const broken = make({ name: note, payload: Uint8Array.of(1, 2, 3) });
    const received = await take([broken.bytes]);
    expect(received.faults.map(({ code }) => code)).toEqual(['UNDECODABLE']);
    expect([received.marks.quarantined, await held(note)]).toEqual([1, 1]);
    expect(received.keys.flatMap(({ updates }) => updates)).toEqual([]);
    // It comes again, and stays where it is.
    expect((await take([broken.bytes])).marks.quarantined).toBe(1);
  });

  test('[CX8] a record whose value cannot be read is told as changed', async () => {
    const { take } = await open();
    const received = await take([make({ name: record('a'), payload: Uint8Array.of(0, 123) }).bytes]);
    expect(received.keys.map(({ id }) => id)).toEqual(['a']);
  });

  test('[HLC3] a stamp too far ahead is left out for now, and does not move the clock', async () => {
    const { store, take, held } = await open();
    const ahead = make({ name: record('a'), hlc: hlcFromMs(NOW_MS + 300_001) });
    const nearly = make({ name: record('b'), hlc: hlcFromMs(NOW_MS + 300_000) });
    const received = await take([ahead.bytes, nearly.bytes]);
    expect(received.faults.map(({ code }) => code)).toEqual(['CLOCK_AHEAD']);
    expect([await held(record('a')), await held(record('b'))]).toEqual([0, 1]);
    expect(await store.transact(readClock, { mode: 'read' })).toBe(nearly.hlc);
  });

  test('[DL3] bytes that are no delta, or one of another room, are told and change nothing', async () => {
    const { take } = await open();
    const other = roomRef('another');
    const foreign = makeUnsignedDelta(
      other.hash,
      other.roomId,
      { ...make(), context: EMPTY_CONTEXT },
      new Uint8Array(1),
    );
    const signed = signDelta(foreign, writerKeys.sign(foreign.message));
    const empty = await take([]);
    const received = await take([new Uint8Array(), Uint8Array.of(1, 2, 3), make().bytes.slice(0, -1), signed.bytes]);
    expect(received.faults.map(({ code }) => code)).toEqual([
      'DELTA_MALFORMED',
      'DELTA_MALFORMED',
      'DELTA_MALFORMED',
      'WRONG_ROOM',
    ]);
    expect(received.standing).toEqual(empty.standing);
  });
});

describe('inspecting', () => {
  const faultOf = (spec: Spec): string | undefined => inspectDelta(room, make(spec)).fault;
  const mine = (nonce: number): Uint8Array => update(deriveClientId(room.hash, room.roomId, WRITER, nonce));

  test('[ID3] a body under the key of another name says nothing of that name', () => {
    const { name, fault } = inspectDelta(room, make({ name: record('a'), keyId: keyIdOf(record('b')) }));
    expect([name, fault]).toEqual([undefined, 'UNDECODABLE']);
  });

  test('[ID5] a document edit carries operations of its nonces only, unless it is vouched for', () => {
    expect(faultOf({ name: note, payload: mine(1), nonces: [1] })).toBeUndefined();
    expect(faultOf({ name: note, payload: mine(1), nonces: [1, 2] })).toBeUndefined();
    expect(faultOf({ name: note, payload: mine(1), nonces: [2] })).toBe('UNDECODABLE');
    expect(faultOf({ name: note, payload: mine(1) })).toBe('UNDECODABLE');
    for (const flags of [FLAG.import, FLAG.seed])
      expect(faultOf({ name: note, payload: update(99), flags })).toBeUndefined();
    const merged = checkpointPayloadToBytes({ coverage: new Uint8Array(32), update: update(99) });
    expect(faultOf({ name: note, payload: merged, flags: FLAG.checkpoint })).toBeUndefined();
    expect(faultOf({ name: note, payload: new Uint8Array(31), flags: FLAG.checkpoint })).toBe('UNDECODABLE');
    expect(faultOf({ name: record('a'), flags: FLAG.checkpoint })).toBe('UNDECODABLE');
    expect(faultOf({ name: note, payload: update(99), flags: FLAG.import | FLAG.tombstone })).toBe('UNDECODABLE');
  });

  test('[ID5] the nonces of one replica are not those of another', () => {
    expect(faultOf({ name: note, payload: mine(1), nonces: [1], keys: strangerKeys })).toBe('UNDECODABLE');
  });

  test('[DL5] a tombstone is of a record, and empty', () => {
    expect(faultOf({ payload: new Uint8Array(), flags: FLAG.tombstone })).toBeUndefined();
    expect(faultOf({ payload: Uint8Array.of(0), flags: FLAG.tombstone })).toBe('UNDECODABLE');
    expect(faultOf({ name: note, payload: new Uint8Array(), flags: FLAG.tombstone })).toBe('UNDECODABLE');
  });

  test('[DL4] what this version cannot read is named as such', () => {
    expect(faultOf({ flags: FLAG.encrypted })).toBe('NOT_SUPPORTED');
    expect(faultOf({ flags: FLAG.encrypted | FLAG.compressed })).toBe('NOT_SUPPORTED');
  });

  test('[DL11] a compressed body is looked into like a plain one', () => {
    const packed = (name: KeyName, payload: Uint8Array) => packBody({ name, payload }, deflate).bytes;
    const text = recordPayloadToBytes({ value: valueToBytes('tide '.repeat(100)) });
    expect(faultOf({ flags: FLAG.compressed, body: packed(record('a'), text) })).toBeUndefined();
    expect(faultOf({ flags: FLAG.compressed, body: packed(record('b'), text) })).toBe('UNDECODABLE');
    expect(faultOf({ flags: FLAG.compressed, body: packed(record('a'), new Uint8Array(500)) })).toBe('UNDECODABLE');
    expect(faultOf({ flags: 0, body: packed(record('a'), text) })).toBe('UNDECODABLE');
    const tombstone = FLAG.compressed | FLAG.tombstone;
    expect(faultOf({ flags: tombstone, body: packed(record('a'), text) })).toBe('UNDECODABLE');
  });

  test('[DL11, CX8] a bomb, a stream cut short and one that goes on are quarantined as garbage is', async () => {
    const { take, held } = await open();
    const plain = bodyToBytes({ name: record('a'), payload: new Uint8Array(5_000) });
    const good = packBody({ name: record('a'), payload: new Uint8Array(5_000) }, deflate).bytes;
    const bomb = concatBytes(good.subarray(0, 2), deflate(new Uint8Array(2 ** 26)));
    expect(plain.length).toBeGreaterThan(good.length);
    for (const body of [bomb, good.subarray(0, -1), concatBytes(good, Uint8Array.of(0)), plain]) {
      const received = await take([make({ flags: FLAG.compressed, body }).bytes]);
      expect(received.faults.map(({ code }) => code)).toEqual(['UNDECODABLE']);
    }
    expect(await held(record('a'))).toBe(4);
  });

  test('[DL5] a body that is none is a fault and no throw', () => {
    for (const body of [
      new Uint8Array(),
      Uint8Array.of(9),
      Uint8Array.of(1, 255, 255),
      Uint8Array.of(1, 1, 97, 1, 0xff),
    ])
      expect(faultOf({ body })).toBe('UNDECODABLE');
  });
});
