import { createRelay } from '@mangrove/relay/node';
import { expect, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { TestReplica } from '../support/test-replica.js';

test('[SY1] smoke', async () => {
  const relay = createRelay();
  const { url } = await relay.listen({ port: 0 });
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bob = await ProtocolClient.connect(url, new TestReplica('room'));
  await bob.next('caught-up');
  const deltas = alice.replica.drafts(5);
  await alice.pushed(deltas);
  await bob.has(deltas);
  const carol = await ProtocolClient.connect(url, new TestReplica('room'));
  await carol.has(deltas);
  const version = await (await fetch(`${url}/rooms/room/version`)).json();
  expect(version).toMatchObject({ room: 'room', offset: 5, vector: { [alice.replica.id]: 5 } });
  console.log(await (await fetch(`${url}/metrics`)).text());
  await relay.close();
});
