import { bytesToHex, deriveKeyId, type Presence, trieKeyOf } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { hash } from '../support/keys.js';
import { ProtocolClient } from '../support/protocol-client.js';
import { readRoomVersion, startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

test('[SY11] the newest head statement of each replica is kept, forwarded, and given to newcomers', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bob = await ProtocolClient.connect(url, new TestReplica('room'));
  const root = hash(Uint8Array.of(1));
  const vector = new Map([[alice.replica.id, 7]]);
  const newer = alice.replica.head(root, vector, Date.now());
  const older = alice.replica.head(root, vector, newer.timeMs - 1);
  alice.send({ kind: 'head', statement: newer });
  expect((await bob.next('heads')).statements).toEqual([newer]);
  alice.send({ kind: 'head', statement: older });
  await alice.settled();
  const carol = await ProtocolClient.connect(url, new TestReplica('room'));
  expect((await carol.next('heads')).statements).toEqual([newer]);
  expect(bob.messages.filter(({ kind }) => kind === 'heads')).toHaveLength(1);
});

test('[SY11] a head statement from the future is not kept: it would hide all that follow it', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const root = hash(Uint8Array.of(1));
  alice.send({ kind: 'head', statement: alice.replica.head(root, new Map(), Date.now() + 3_600_000) });
  const honest = alice.replica.head(root, new Map());
  alice.send({ kind: 'head', statement: honest });
  await alice.settled();
  const bob = await ProtocolClient.connect(url, new TestReplica('room'));
  expect((await bob.next('heads')).statements).toEqual([honest]);
});

test('[SY12] presence goes to the others under the name of its sender, and is not stored', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bob = await ProtocolClient.connect(url, new TestReplica('room'));
  const { roomId } = alice.replica;
  const presence: Presence = {
    kind: 'presence',
    replica: bob.replica.id,
    tab: 3,
    keyId: deriveKeyId(hash, roomId, { kind: 'document', collection: '', id: 'notes' }),
    state: Uint8Array.of(1, 2, 3),
  };
  alice.send(presence);
  expect(await bob.next('presence')).toEqual({ ...presence, replica: alice.replica.id });
  const carol = await ProtocolClient.connect(url, new TestReplica('room'));
  await carol.settled();
  expect([...alice.messages, ...carol.messages].filter(({ kind }) => kind === 'presence')).toEqual([]);
});

test('[SY12] the others hear who comes and who goes, once for all connections of a replica', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bobs = new TestReplica('room');
  const bob = await ProtocolClient.connect(url, bobs);
  expect(await alice.next('peer')).toEqual({ kind: 'peer', replica: bobs.id, present: true });
  const again = await ProtocolClient.connect(url, bobs);
  await alice.next('peer', ({ present }) => present);
  bob.terminate();
  await bob.closed;
  await again.settled();
  again.terminate();
  expect(await alice.next('peer')).toEqual({ kind: 'peer', replica: bobs.id, present: false });
  const told = alice.messages.filter((message) => message.kind === 'peer' && !message.present);
  expect(told).toHaveLength(1);
});

test('[SY12] a newcomer hears who is there already, each once and before it is admitted', async () => {
  const { url } = await startRelay();
  const there = await Promise.all([1, 2, 3].map(() => ProtocolClient.connect(url, new TestReplica('room'))));
  await ProtocolClient.connect(url, (there[0] as ProtocolClient).replica);
  const carol = await ProtocolClient.connect(url, new TestReplica('room'));
  await carol.settled();
  const admitted = carol.messages.findIndex(({ kind }) => kind === 'admitted');
  const peers = carol.messages.filter((message) => message.kind === 'peer');
  expect(carol.messages.slice(0, admitted).filter(({ kind }) => kind === 'peer')).toEqual(peers);
  expect(new Set(peers.map(({ replica }) => replica))).toEqual(new Set(there.map(({ replica }) => replica.id)));
  expect(peers).toHaveLength(there.length);
});

test('[SY10] a reported delta whose signature is bad is evicted, and its author is believed no more', async () => {
  const { url, faults } = await startRelay();
  const mallory = await ProtocolClient.connect(url, new TestReplica('room'));
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  await alice.next('caught-up');
  await alice.pushed(alice.replica.drafts(2));
  const before = await readRoomVersion(url, 'room');

  const forged = mallory.replica.draft({ forged: true });
  await mallory.pushed([forged]);
  await alice.has([forged]);
  expect((await readRoomVersion(url, 'room')).root).not.toBe(before.root);

  alice.send({ kind: 'report', trieKey: trieKeyOf(forged) });
  for (const client of [alice, mallory]) {
    await client.next(
      'caught-up',
      ({ position, vector }) => vector.size === 0 && bytesToHex(position.root) === before.root,
    );
  }
  expect((await readRoomVersion(url, 'room')).root).toBe(before.root);
  const newcomer = await ProtocolClient.connect(url, new TestReplica('room'));
  await newcomer.next('caught-up');
  expect(newcomer.deltasById.has(forged.id)).toBe(false);

  mallory.push([forged]);
  expect(await mallory.next('refused')).toMatchObject({ code: 'SIGNATURE_INVALID' });
  mallory.push([mallory.replica.draft({ forged: true })]);
  expect(await mallory.next('refused')).toMatchObject({ code: 'SIGNATURE_INVALID' });
  await mallory.pushed([mallory.replica.draft({ seq: 1 })]);
  expect(faults).toEqual([]);
});

test('[SY18] a delta larger than a frame goes through in parts', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bob = await ProtocolClient.connect(url, new TestReplica('room'));
  const large = alice.replica.draft({ body: new Uint8Array(3_000_000).fill(7) });
  await alice.pushed([large]);
  await bob.has([large]);
  const carol = await ProtocolClient.connect(url, new TestReplica('room'));
  await carol.has([large]);
});

test('a text frame "ping" is answered with "pong", before the hello too', async () => {
  const { url } = await startRelay();
  const client = await ProtocolClient.open(url, new TestReplica('room'));
  expect(await client.sendText('ping')).toBe('pong');
});

test('[SY17] a connection that reads nothing for a while is sent no more than its window, is not let go, and misses nothing', async () => {
  const { url } = await startRelay({ limits: { sendBufferBytesMax: 3_000_000 } });
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const slow = await ProtocolClient.connect(url, new TestReplica('room'));
  await slow.next('caught-up');
  slow.pause();
  // Over three times what may wait in its buffer.
  const deltas = alice.replica.drafts(100, { body: new Uint8Array(100_000).fill(1) });
  for (const delta of deltas) await alice.pushed([delta]);
  slow.resume();
  await slow.has(deltas);
  expect(slow.closeCode).toBeUndefined();
});
