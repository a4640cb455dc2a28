import { bytesToHex, EMPTY_ROOT, equalBytes, type Hello, PROTOCOL_VERSION, type RoomConfig } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { makeFolder, readRoomVersion, startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

test('[SY1] a replica that proves its key is admitted with a certificate, and the others learn of it', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bob = await ProtocolClient.open(url, new TestReplica('room'));
  const admitted = await bob.hello();
  expect(admitted).toMatchObject({ rights: ['read', 'write'], resumed: true, lastSeq: 0 });
  expect(admitted.certificate?.publicKey).toEqual(bob.replica.keys.publicKey);
  expect(admitted.certificate?.issuer).toEqual(bob.welcome.relayKey);
  const told = await alice.next('certificates', ({ certificates }) =>
    certificates.some(({ publicKey }) => equalBytes(publicKey, bob.replica.keys.publicKey)),
  );
  expect(told.certificates).toHaveLength(1);
});

test('[SG3] the certificate of a replica that comes back is the one it had', async () => {
  const { url } = await startRelay();
  const replica = new TestReplica('room');
  const first = await ProtocolClient.open(url, replica);
  const { certificate } = await first.hello();
  const second = await ProtocolClient.open(url, replica);
  expect((await second.hello()).certificate).toEqual(certificate);
});

test('[SY1] a proof over another challenge is denied for good', async () => {
  const { url } = await startRelay();
  const replica = new TestReplica('room');
  const client = await ProtocolClient.open(url, replica);
  client.sendHello({ hello: { proof: replica.keys.sign(new Uint8Array(32)) } });
  expect(await client.next('fault')).toMatchObject({ code: 'SIGNATURE_INVALID' });
  expect(await client.closed).toBe(4401);
  await expect(readRoomVersion(url, 'room')).rejects.toThrow('404');
});

test('[SY1] nothing is answered before the hello, and nobody says it twice', async () => {
  const { url } = await startRelay();
  const client = await ProtocolClient.open(url, new TestReplica('room'));
  client.push(client.replica.drafts(1));
  expect(await client.next('fault')).toMatchObject({ code: 'UNAUTHORIZED' });
  await client.hello();
  client.sendHello();
  expect(await client.next('fault')).toMatchObject({ code: 'FRAME_MALFORMED' });
  await client.settled();
  expect(await readRoomVersion(url, 'room')).toMatchObject({ offset: 0, root: bytesToHex(EMPTY_ROOT) });
});

test('[SY1] another version of the protocol is told which one is spoken', async () => {
  const { url } = await startRelay();
  const client = await ProtocolClient.open(url, new TestReplica('room'));
  client.sendHello({ hello: { version: 1 } });
  expect(await client.next('fault')).toMatchObject({
    code: 'VERSION_UNSUPPORTED',
    facts: { version: 1, supported: PROTOCOL_VERSION },
  });
  expect(await client.closed).toBe(4406);
});

test('[ID1] the first hello of who may write fixes the configuration of a room, after a restart too', async () => {
  const storage = await makeFolder();
  const first = await startRelay({ storage });
  const full = new TestReplica('room', { config: { history: 'full', encrypted: false } });
  await ProtocolClient.connect(first.url, full);
  const isRefusedAt = async (url: string): Promise<void> => {
    for (const config of [
      { history: 'current', encrypted: false },
      { history: 'full', encrypted: true },
    ] as const) {
      const other = await ProtocolClient.open(url, new TestReplica('room', { config }));
      other.sendHello();
      expect(await other.next('fault')).toMatchObject({ code: 'ROOM_CONFIG_MISMATCH' });
      expect(await other.closed).toBe(4409);
    }
  };
  await isRefusedAt(first.url);
  await first.relay.close();
  const second = await startRelay({ storage });
  await isRefusedAt(second.url);
  await ProtocolClient.connect(second.url, full);
});

test('[ID1, SY1] who may only read fixes no configuration: it waits until somebody who may write has come', async () => {
  const { url } = await startRelay({
    authenticate: async ({ token }) => ({ rights: token === 'reader' ? ['read'] : ['read', 'write'] }),
  });
  const knock = async (config: RoomConfig) => {
    const reader = await ProtocolClient.open(url, new TestReplica('room', { config }));
    reader.sendHello({ token: 'reader' });
    return { code: (await reader.next('fault')).code, closed: await reader.closed };
  };
  expect(await knock({ history: 'full', encrypted: false })).toEqual({ code: 'ROOM_NOT_BEGUN', closed: 4001 });
  const writer = await ProtocolClient.connect(url, new TestReplica('room'));
  expect(await knock({ history: 'full', encrypted: false })).toEqual({ code: 'ROOM_CONFIG_MISMATCH', closed: 4409 });
  const reader = await ProtocolClient.connect(url, new TestReplica('room'), { token: 'reader' });
  const deltas = writer.replica.drafts(1);
  await writer.pushed(deltas);
  await reader.has(deltas);
});

test('[ID1] a configuration that the relay knows nothing of is refused, and fixes nothing', async () => {
  const { url } = await startRelay();
  const knock = async (client: ProtocolClient, hello: Partial<Hello> = {}) => {
    client.sendHello({ hello });
    expect(await client.next('fault')).toMatchObject({ code: 'ROOM_CONFIG_MISMATCH' });
    expect(await client.closed).toBe(4409);
  };
  for (const history of ['current', 'full'] as const)
    await knock(await ProtocolClient.open(url, new TestReplica('room', { config: { history, encrypted: true } })));
  for (const config of [4, 255]) await knock(await ProtocolClient.open(url, new TestReplica('room')), { config });
  await expect(readRoomVersion(url, 'room')).rejects.toThrow('404');
  await ProtocolClient.connect(url, new TestReplica('room'));
});

test('[ID1] of two first hellos with different configurations one is admitted', async () => {
  const { url } = await startRelay();
  const configs = [
    { history: 'current', encrypted: false },
    { history: 'full', encrypted: false },
  ] as const;
  const clients = await Promise.all(
    configs.map((config) => ProtocolClient.open(url, new TestReplica('room', { config }))),
  );
  for (const client of clients) client.sendHello();
  const outcomes = await Promise.all(
    clients.map((client) => Promise.race([client.closed, client.next('admitted').then(() => 'admitted')])),
  );
  expect(outcomes.toSorted()).toEqual([4409, 'admitted']);
});

test('the authenticate hook is asked about token, room, replica and origin, and decides', async () => {
  const asked: unknown[] = [];
  const { url } = await startRelay({
    authenticate: async (request) => {
      asked.push(request);
      if (request.token === 'reader') return { rights: ['read'] };
      return request.token === 'writer' ? { rights: ['read', 'write'] } : null;
    },
  });
  const writer = await ProtocolClient.connect(url, new TestReplica('a/b'), {
    token: 'writer',
    origin: 'http://a.test',
  });
  expect(asked).toEqual([{ token: 'writer', room: 'a/b', replica: writer.replica.id, origin: 'http://a.test' }]);

  const stranger = await ProtocolClient.open(url, new TestReplica('a/b'));
  stranger.sendHello();
  expect(await stranger.next('fault')).toMatchObject({ code: 'UNAUTHORIZED' });
  expect(await stranger.closed).toBe(4401);

  const reader = await ProtocolClient.open(url, new TestReplica('a/b'));
  expect(await reader.hello({ token: 'reader' })).toMatchObject({ rights: ['read'], certificate: undefined });
  reader.push(reader.replica.drafts(1));
  expect(await reader.next('fault')).toMatchObject({ code: 'UNAUTHORIZED' });
  const deltas = writer.replica.drafts(2);
  await writer.pushed(deltas);
  await reader.has(deltas);
});

test('a hook that fails is a fault of the relay: the client may try again', async () => {
  let isDown = true;
  const { url, faults } = await startRelay({
    authenticate: async () => {
      if (isDown) throw new Error('the directory is down');
      return { rights: ['read', 'write'] };
    },
  });
  const client = await ProtocolClient.open(url, new TestReplica('room'));
  client.sendHello();
  expect(await client.closed).toBe(1011);
  expect(faults).toHaveLength(1);
  isDown = false;
  await ProtocolClient.connect(url, client.replica);
});

test('only pages of allowed origins connect', async () => {
  const { url } = await startRelay({ allowedOrigins: ['https://app.test'] });
  await ProtocolClient.connect(url, new TestReplica('room'), { origin: 'https://app.test' });
  await ProtocolClient.connect(url, new TestReplica('room'));
  await expect(ProtocolClient.connect(url, new TestReplica('room'), { origin: 'https://evil.test' })).rejects.toThrow(
    'closed with',
  );
});
