import { randomBytes } from 'node:crypto';
import { bytesToHex, type Delta, PART_BYTES } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { readRoomVersion, startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

const PARTS = 5;

/** Pushes a delta of five parts over a connection that lets so many of them go. */
async function offer(url: string, replica: TestReplica, delta: Delta, parts: number, repair = false) {
  const client = await ProtocolClient.connect(url, replica);
  client.serveParts(parts);
  client.push([delta], repair);
  await client.next('want');
  return client;
}

const largeOf = (replica: TestReplica): Delta => replica.draft({ body: randomBytes(PARTS * PART_BYTES - 100) });

test('[SY18, SY24] what one connection began a later one of the same replica completes, and the earlier one is ended', async () => {
  const { url, faults } = await startRelay();
  const alice = new TestReplica('room');
  const large = largeOf(alice);
  const first = await offer(url, alice, large, 2);
  const second = await offer(url, alice, large, PARTS);
  expect((await second.next('ack', ({ seqs }) => seqs.length > 0)).seqs).toEqual([1]);
  await first.closed;
  expect(first.closeCode).toBe(4000);
  expect((await readRoomVersion(url, 'room')).vector).toEqual({ [alice.id]: 1 });
  expect(faults).toEqual([]);
});

test('[SY18] what another replica completes by repair is acknowledged to its author, whose connection was cut in between', async () => {
  const { url } = await startRelay();
  const alice = new TestReplica('room');
  const large = largeOf(alice);
  const cut = await offer(url, alice, large, 2);
  cut.terminate();
  const again = await offer(url, alice, large, 0);
  const bob = new TestReplica('room');
  const helper = await offer(url, bob, large, PARTS, true);
  expect((await again.next('ack', ({ seqs }) => seqs.length > 0)).seqs).toEqual([1]);
  // A number says nothing of whose delta it is, so the helper is told where the relay stands now.
  const { root } = await readRoomVersion(url, 'room');
  const told = await helper.next('ack', ({ position }) => position?.offset === 1);
  expect(bytesToHex(told.position?.root ?? new Uint8Array())).toBe(root);
});
