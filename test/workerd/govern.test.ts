import type { ObjectFigures } from '@mangrove/relay/durable-object';
import { expect, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';
import { askWorker } from '../support/workerd/workerd-relay.js';

// What the Worker's own code may do with a room that others are in.

const authenticate = async ({ token }: { token?: string }) =>
  token === undefined ? null : { rights: ['read', 'write'] as const, subject: token };

test('[SY1] revoke closes with 4403 whom it means in a room, after telling why, and nobody else', async () => {
  const { url, faults } = await startRelay({ authenticate });
  const join = (token: string, room = 'room') => ProtocolClient.connect(url, new TestReplica(room), { token });
  const [ann, annElsewhere, bob, cas] = [
    await join('ann'),
    await join('ann', 'other'),
    await join('bob'),
    await join('cas'),
  ];
  const revoke = (selector: object, room = 'room') => askWorker<number>(url, { call: 'revoke', room, selector });
  expect(await revoke({ subject: 'ann' })).toBe(1);
  expect(await ann.closed).toBe(4403);
  expect(ann.messages.at(-1)).toMatchObject({ kind: 'fault', code: 'UNAUTHORIZED' });
  expect(await revoke({ replica: bob.replica.id })).toBe(1);
  expect(await bob.closed).toBe(4403);
  for (const client of [annElsewhere, cas]) await client.pushed(client.replica.drafts(1));
  expect(await revoke({})).toBe(1);
  expect(await cas.closed).toBe(4403);
  expect(await revoke({}, 'nobody was here')).toBe(0);
  expect(annElsewhere.closeCode).toBeUndefined();
  expect(faults).toEqual([]);
});

test('a room tells how it stands and what it has counted, and no request from outside leads there', async () => {
  const { url } = await startRelay();
  const client = await ProtocolClient.connect(url, new TestReplica('room'));
  await client.pushed(client.replica.drafts(7));
  const figures = await askWorker<ObjectFigures>(url, { call: 'figures', room: 'room' });
  expect(figures).toMatchObject({ connections: 1, pushesWaiting: 0, catchingUp: 0, refusals: {} });
  expect(figures.counted).toMatchObject({ deltas_committed: 7, connections_admitted: 1 });
  expect(figures.rows.written).toBeGreaterThan(0);
  for (const [path, status] of [
    ['revoke', 405],
    ['figures', 405],
  ] as const) {
    const body = path === 'revoke' ? '{}' : undefined;
    expect((await fetch(`${url}/rooms/room/${path}`, { method: 'POST', ...(body ? { body } : {}) })).status).toBe(
      status,
    );
    expect((await fetch(`${url}/rooms/room/${path}`)).status).toBe(404);
  }
  await client.pushed(client.replica.drafts(1));
});
