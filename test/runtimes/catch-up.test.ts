import {
  acceptDeltas,
  bytesToDelta,
  bytesToHex,
  type Delta,
  equalBytes,
  MemoryStore,
  planFor,
  planOpenDiff,
  type PushedDelta,
  readRoot,
  type RoomRef,
} from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { hash } from '../support/keys.js';
import { ProtocolClient } from '../support/protocol-client.js';
import { makeFolder, readRoomVersion, startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

test('[SY6] what is pushed goes to the others and is acknowledged with the position', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bob = await ProtocolClient.connect(url, new TestReplica('room'));
  await bob.next('caught-up');
  const deltas = alice.replica.drafts(3);
  const ack = await alice.pushed(deltas);
  expect(ack.seqs).toEqual([1, 2, 3]);
  const forwarded = await bob.next('deltas');
  expect(forwarded.deltas).toEqual(deltas.map(({ bytes }) => bytes));
  const position = await alice.position();
  expect(forwarded.position).toEqual(position);
  expect(alice.deltasById.size).toBe(0);
  const version = await readRoomVersion(url, 'room');
  expect(version).toEqual({
    room: 'room',
    offset: 3,
    vector: { [alice.replica.id]: 3 },
    root: bytesToHex(position.root),
  });
});

test('[SY6] an acknowledgement comes after everything that its position holds', async () => {
  const { url } = await startRelay();
  const clients = await Promise.all(
    Array.from({ length: 6 }, () => ProtocolClient.connect(url, new TestReplica('room'))),
  );
  for (const client of clients) await client.next('caught-up');
  const all = await Promise.all(
    clients.map(async (client) => {
      const deltas = client.replica.drafts(60);
      for (const delta of deltas) client.push([delta]);
      await client.until('all acknowledgements', () =>
        client.messages.some((message) => message.kind === 'ack' && message.seqs.includes(60)),
      );
      return deltas;
    }),
  );
  for (const client of clients) await client.has(all.flat().filter(({ replica }) => replica !== client.replica.id));
  for (const client of clients) {
    // A crash after any message must leave a cursor below which nothing is missing.
    let held = 0;
    for (const message of client.messages) {
      if (message.kind === 'deltas') held += message.deltas.length;
      if (message.kind === 'ack') held += message.seqs.length;
      if (message.kind === 'ack' && message.position !== undefined) expect(held).toBe(message.position.offset);
    }
  }
});

test('[SY2] a client that comes back gets what came after its cursor, and nothing else', async () => {
  const storage = await makeFolder();
  const { url, relay } = await startRelay({ storage });
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bobs = new TestReplica('room');
  const bob = await ProtocolClient.connect(url, bobs);
  const early = alice.replica.drafts(10);
  await alice.pushed(early);
  await bob.has(early);
  await bob.position();
  const cursor = bob.cursor();
  await bob.close();
  const late = alice.replica.drafts(700);
  await alice.pushed(late);
  await relay.close();

  const again = await startRelay({ storage });
  const returned = await ProtocolClient.open(again.url, bobs);
  expect(await returned.hello({ cursor })).toMatchObject({ resumed: true });
  const caughtUp = await returned.next('caught-up');
  expect([...returned.deltasById.keys()]).toEqual(late.map(({ id }) => id));
  expect(caughtUp.position.offset).toBe(710);
  expect([...caughtUp.vector]).toEqual([[alice.replica.id, 710]]);
});

test('[SY2] a cursor of another store, or one that the log does not know, does not count', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  await alice.pushed(alice.replica.drafts(3));
  const cursor = alice.cursor();
  const wrong = [
    { ...cursor, storeId: new Uint8Array(8) },
    { ...cursor, roll: new Uint8Array(8) },
    { ...cursor, offset: 4 },
  ];
  for (const cursor of wrong) {
    const client = await ProtocolClient.open(url, new TestReplica('room'));
    expect(await client.hello({ cursor })).toMatchObject({ resumed: false });
  }
  const other = await startRelay();
  const elsewhere = await ProtocolClient.open(other.url, alice.replica);
  expect(await elsewhere.hello({ cursor })).toMatchObject({ resumed: false });
});

test('[SY3] a vector asks for what it does not reach', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const bob = await ProtocolClient.connect(url, new TestReplica('room'));
  const deltas = alice.replica.drafts(1_200);
  await alice.pushed(deltas.slice(0, 700));
  await alice.pushed(deltas.slice(700));
  await bob.pushed(bob.replica.drafts(5));
  const carol = await ProtocolClient.connect(url, new TestReplica('room'), {
    cursor: { ...alice.cursor(), offset: 9 },
  });
  carol.send({
    kind: 'pull',
    vector: new Map([
      [alice.replica.id, 1_000],
      [bob.replica.id, 6],
    ]),
  });
  const vector = await carol.next('vector');
  expect(new Map(vector.vector), 'what the relay lacks').toEqual(new Map([[bob.replica.id, 5]]));
  const caughtUp = await carol.next('caught-up');
  expect(new Map(caughtUp.vector), 'what is not as it was pulled').toEqual(
    new Map([
      [alice.replica.id, 1_200],
      [bob.replica.id, 5],
    ]),
  );
  expect([...carol.deltasById.values()].map(({ seq }) => seq)).toEqual(deltas.slice(1_000).map(({ seq }) => seq));
});

test('[SY4] a Merkle diff finds what each side lacks', async () => {
  const { url } = await startRelay();
  const alice = await ProtocolClient.connect(url, new TestReplica('room'));
  const documents = alice.replica.drafts(0);
  for (let i = 0; i < 600; i++) documents.push(alice.replica.draft({ document: `note ${i}` }));
  await alice.pushed(documents.slice(0, 500));
  await alice.close();

  const bob = await ProtocolClient.connect(url, new TestReplica('room'), { cursor: { ...alice.cursor(), offset: 9 } });
  const local = new LocalSet(bob);
  // Bob lacks every tenth of what the relay has, and has a hundred that it lacks.
  await local.take(documents.filter((_, i) => i % 10 !== 0 || i >= 500));
  await local.compare();
  const { root } = await readRoomVersion(url, 'room');
  expect(await local.root()).toBe(root);
  expect(local.received).toBe(50);
  expect((await readRoomVersion(url, 'room')).offset).toBe(600);
});

test('[SY9] a relay with an empty disk is filled again by a client that shows certificates', async () => {
  const first = await startRelay();
  const alice = await ProtocolClient.connect(first.url, new TestReplica('room'));
  const deltas = alice.replica.drafts(20);
  await alice.pushed(deltas);
  const bobs = new TestReplica('room');
  const bob = await ProtocolClient.connect(first.url, bobs);
  await bob.has(deltas);
  const { certificates } = await bob.next('certificates', ({ certificates }) => certificates.length > 1);
  await first.relay.close();

  const second = await startRelay();
  const again = await ProtocolClient.open(second.url, bobs);
  expect(await again.hello({ cursor: bob.cursor() })).toMatchObject({ resumed: false });
  again.push(deltas, true);
  expect(await again.next('refused')).toMatchObject({ code: 'UNCERTIFIED', replica: alice.replica.id });
  expect(await again.next('ack')).toMatchObject({ seqs: [] });
  again.send({ kind: 'certificates', certificates });
  // A key that was shown proves nothing of what somebody else signed in its name.
  const forged = (deltas[0] as Delta).bytes.slice();
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
  again.send({ kind: 'push', repair: true, deltas: [forged] });
  const refused = await again.next('refused', ({ code }) => code !== 'UNCERTIFIED');
  expect(refused).toMatchObject({ code: 'SIGNATURE_INVALID', replica: alice.replica.id });
  expect(await again.next('ack')).toMatchObject({ seqs: [] });
  again.push(deltas, true);
  const ack = await again.next('ack');
  expect(ack.position?.offset).toBe(20);
  // Nobody else's numbers are acknowledged: they would be taken for one's own.
  expect(ack.seqs).toEqual([]);
});

/** A set of deltas on the client's side, and its part of a Merkle diff. */
class LocalSet {
  received = 0;
  readonly #store = new MemoryStore();
  readonly #client: ProtocolClient;
  readonly #room: RoomRef;

  constructor(client: ProtocolClient) {
    this.#client = client;
    this.#room = { hash, roomId: client.replica.roomId, history: client.replica.config.history };
  }

  async take(deltas: readonly (Delta | PushedDelta['delta'])[]): Promise<void> {
    await this.#store.transact(
      (tx) => acceptDeltas(tx, this.#room, deltas, { nowMs: Date.now(), from: 'others', retain: () => false }),
      { mode: 'write' },
    );
  }

  async root(): Promise<string> {
    return bytesToHex((await this.#store.transact(readRoot, { mode: 'read' })).root);
  }

  async compare(): Promise<void> {
    const opened = await this.#store.transact(planOpenDiff(this.#room, crypto.getRandomValues(new Uint8Array(8))), {
      mode: 'read',
    });
    this.#client.send({ ...opened, kind: 'diff' });
    for (let round = 0; round < 20; round++) {
      const message = await this.#client.next('diff');
      const received = [...this.#client.deltasById.values()];
      await this.take(received);
      this.received = received.length;
      if (equalBytes(message.root, Buffer.from(await this.root(), 'hex'))) return;
      const answer = await this.#store.transact(
        planFor(this.#room, { kind: 'answer-diff', message, bytesMax: 1_000_000 }),
        {
          mode: 'read',
        },
      );
      if (answer.kind !== 'diff-answered') throw new Error('unreachable');
      if (answer.deltas.length > 0) {
        this.#client.push(
          answer.deltas.map((bytes) => bytesToDelta(hash, this.#room.roomId, bytes)),
          true,
        );
      }
      if (answer.entries.length === 0) break;
      this.#client.send({ ...answer, kind: 'diff' });
    }
    await this.#client.settled();
  }
}
