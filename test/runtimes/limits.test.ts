import { defaultLimits } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { readRoomVersion, startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

// What a relay takes of a peer, over real sockets.

const told = (client: ProtocolClient) =>
  client.messages.flatMap((message) => (message.kind === 'fault' ? [message] : []));

test('[SY26] who sends faster than allowed is held back and told, nothing of it is lost, and others go on', async () => {
  const { url, faults } = await startRelay({ rates: { connection: { messages: 100 }, replica: { messages: 100 } } });
  const [fast, other] = [
    await ProtocolClient.connect(url, new TestReplica('room')),
    await ProtocolClient.connect(url, new TestReplica('room')),
  ];
  const deltas = fast.replica.drafts(700);
  for (const delta of deltas) fast.push([delta]);
  await fast.next('fault', ({ code }) => code === 'RATE_LIMITED');
  // It is held back for seconds, and this one is not.
  const own = other.replica.drafts(5);
  for (const delta of own) await other.pushed([delta]);
  expect(told(other)).toEqual([]);
  expect(told(fast)).toMatchObject([{ facts: { what: 'messages', retryAfterMs: expect.any(Number) } }]);
  await other.has(deltas);
  await fast.until('all acknowledged', () => {
    const seqs = fast.messages.flatMap((message) => (message.kind === 'ack' ? message.seqs : []));
    return new Set(seqs).size === deltas.length;
  });
  expect(fast.closeCode).toBeUndefined();
  expect(faults).toEqual([]);
});

test('[SY26] pings count as well, and frames that are no messages', async () => {
  const { url } = await startRelay({ rates: { connection: { messages: 50 } } });
  const client = await ProtocolClient.connect(url, new TestReplica('room'));
  for (let i = 0; i < 40; i++) client.sendFrame(Uint8Array.of(7, i));
  for (let i = 0; i < 240; i++) client.sendFrame('ping');
  await client.next('fault', ({ code }) => code === 'RATE_LIMITED');
});

test('[SY26] who owes too much is let go with a code to come back, and has gained nothing by it', async () => {
  const { url } = await startRelay({ rates: { connection: { messages: 10 }, replica: { messages: 10 } } });
  const replica = new TestReplica('room');
  const client = await ProtocolClient.connect(url, replica);
  for (let i = 0; i < 400; i++) client.sendFrame('ping');
  expect(await client.closed).toBe(1013);
  const again = await ProtocolClient.connect(url, replica);
  again.send({ kind: 'probe' });
  again.send({ kind: 'probe' });
  expect(await again.next('fault')).toMatchObject({ code: 'RATE_LIMITED', facts: { scope: 'replica' } });
});

test('[SY26] a room has only so many places', async () => {
  const { url } = await startRelay({ rates: { room: { sockets: 2 } } });
  const [first] = [
    await ProtocolClient.connect(url, new TestReplica('room')),
    await ProtocolClient.connect(url, new TestReplica('room')),
  ];
  const late = await ProtocolClient.open(url, new TestReplica('room'));
  expect(await late.next('fault')).toMatchObject({
    code: 'RATE_LIMITED',
    facts: { scope: 'room', what: 'connections' },
  });
  expect(await late.closed).toBe(1013);
  await ProtocolClient.connect(url, new TestReplica('another room'));
  await first?.close();
  await expect
    .poll(async () =>
      (await ProtocolClient.open(url, new TestReplica('room'))).hello().then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
});

test('[SY27] a full room refuses what is new by name, also what comes in parts, and acknowledges what it has', async () => {
  const { url, faults } = await startRelay({ quota: { bytesMax: 100_000 } });
  const client = await ProtocolClient.connect(url, new TestReplica('room'));
  const [small, large, tail] = [
    client.replica.draft({ body: new Uint8Array(60_000) }),
    client.replica.draft({ body: new Uint8Array(200_000) }),
    client.replica.draft({ body: new Uint8Array(50_000) }),
  ];
  await client.pushed([small]);
  client.push([large]);
  const refusal = { code: 'QUOTA_EXCEEDED', replica: client.replica.id, facts: { what: 'bytes', max: 100_000 } };
  expect(await client.next('refused')).toMatchObject({ ...refusal, seq: 2 });
  client.push([small, tail]);
  expect(await client.next('refused')).toMatchObject({ ...refusal, seq: 3 });
  expect((await client.next('ack', ({ seqs }) => seqs.length > 0)).seqs).toEqual([1]);
  expect(client.messages.some(({ kind }) => kind === 'want')).toBe(false);
  await client.pushed([client.replica.draft({ body: new Uint8Array(10_000) })]);
  expect((await readRoomVersion(url, 'room')).offset).toBe(2);
  expect(faults).toEqual([]);
});

test('rates that are none are refused when the relay is opened', async () => {
  const { createRelay } = await import('@mangrove/relay/node');
  const relay = createRelay({ rates: { connection: { messages: -1 } }, limits: defaultLimits });
  await expect(relay.ready()).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  await relay.close();
});
