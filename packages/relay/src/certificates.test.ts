import { randomBytes } from 'node:crypto';
import {
  type Certificate,
  certificateToBytes,
  deriveReplicaId,
  headStatementToBytes,
  idToBytes,
  type ReplicaId,
} from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { RoomPeer, roomId, RoomWorld } from '../../../test/support/relay-room.js';
import { nodeHash } from './runtimes/node-crypto.js';

const certificateOf = (publicKey: Uint8Array): Certificate => ({
  publicKey,
  issuedAtMs: 1,
  issuer: new Uint8Array(32).fill(7),
  signature: new Uint8Array(64),
});
const madeUp = (count: number): readonly Certificate[] =>
  Array.from({ length: count }, () => certificateOf(new Uint8Array(randomBytes(32))));
const certified = (peer: RoomPeer): readonly ReplicaId[] =>
  peer.messages.flatMap((message) =>
    message.kind === 'certificates'
      ? message.certificates.map(({ publicKey }) => deriveReplicaId(nodeHash, roomId, publicKey))
      : [],
  );

test('[SG4] a key that is shown gets no certificate before something that it signed comes over that connection', async () => {
  const world = new RoomWorld();
  const room = await world.open();
  const [alice, bob, carol] = [new RoomPeer(room, 1), new RoomPeer(room, 2), new RoomPeer(room, 3)];
  for (const peer of [alice, bob]) await peer.hello();
  alice.say({ kind: 'certificates', certificates: [...madeUp(200), certificateOf(carol.publicKey)] });
  bob.push(carol.draft(), true);
  await expect
    .poll(() => bob.messages.find(({ kind }) => kind === 'refused'))
    .toMatchObject({ code: 'UNCERTIFIED', replica: carol.replica });
  expect(await world.count('certificates')).toBe(2);
  const delta = carol.draft();
  alice.push(delta, true);
  await expect.poll(() => bob.deltas).toEqual([delta.bytes]);
  expect(await world.count('certificates')).toBe(3);
  expect(new Set(certified(bob))).toEqual(new Set([alice, bob, carol].map(({ replica }) => replica)));
  const order = bob.messages.map(({ kind }) => kind).filter((kind) => kind === 'certificates' || kind === 'deltas');
  expect(order.at(-1), 'its certificate comes before its delta').toBe('deltas');
  expect(order.indexOf('deltas')).toBe(order.length - 1);
});

test('[SG4] what one connection may show, and how many certificates that may bring about, is bounded', async () => {
  const world = new RoomWorld({ limits: { shownKeysMax: 10, certificatesMax: 4 } });
  const room = await world.open();
  const alice = new RoomPeer(room, 1);
  const authors = [2, 3, 4, 5].map((seed) => new RoomPeer(room, seed));
  await alice.hello();
  alice.say({
    kind: 'certificates',
    certificates: [...authors.map(({ publicKey }) => certificateOf(publicKey)), ...madeUp(9)],
  });
  await expect
    .poll(() => alice.messages.find(({ kind }) => kind === 'fault'))
    .toMatchObject({ code: 'UNCERTIFIED', facts: { others: 2, shownKeysMax: 10 } });
  for (const author of authors) {
    alice.push(author.draft(), true);
    await alice.answered();
  }
  expect(alice.messages.filter(({ kind }) => kind === 'refused')).toMatchObject([
    { code: 'UNCERTIFIED', replica: authors[3]?.replica },
  ]);
  expect(await world.count('certificates')).toBe(4);
  await authors[3]?.hello();
  expect(await world.count('certificates'), 'who comes to write is certified in any case').toBe(5);
});

test('[SG3] a room of many replicas is entered over a slow link: all its certificates and statements come, and then the log', async () => {
  const world = new RoomWorld({ limits: { sendBufferBytesMax: 400_000 } });
  const room = await world.open();
  const alice = new RoomPeer(room, 1);
  await alice.hello();
  const delta = alice.draft();
  alice.push(delta);
  await alice.acknowledged(1);
  const many = madeUp(6_000).map((certificate) => ({
    certificate,
    replica: deriveReplicaId(nodeHash, roomId, certificate.publicKey),
  }));
  const vector = new Map(many.slice(0, 1_000).map(({ replica }) => [replica, 1]));
  await world.environment.room(roomId).transact(
    function* (tx) {
      for (const { certificate, replica } of many)
        tx.put('certificates', idToBytes(replica), certificateToBytes(certificate));
      for (const [i, { replica }] of many.slice(0, 150).entries()) {
        const statement = { replica, timeMs: i, root: new Uint8Array(32), headsRoot: new Uint8Array(32), vector };
        tx.put('heads', idToBytes(replica), headStatementToBytes({ ...statement, signature: new Uint8Array(64) }));
      }
    },
    { mode: 'write' },
  );
  const newcomer = new RoomPeer(room, 2);
  newcomer.isSlow = true;
  await newcomer.hello();
  expect(newcomer.closeCode).toBeUndefined();
  expect(new Set(certified(newcomer)).size).toBe(6_002);
  const statements = newcomer.messages.flatMap((message) => (message.kind === 'heads' ? message.statements : []));
  expect(statements).toHaveLength(150);
  expect(newcomer.deltas).toEqual([delta.bytes]);
  const kinds = newcomer.messages.map(({ kind }) => kind);
  expect(kinds.indexOf('deltas')).toBeGreaterThan(kinds.lastIndexOf('certificates'));
});
