import {
  acceptAndLog,
  type Delta,
  deriveReplicaId,
  hlcFromMs,
  MemoryStore,
  type Plan,
  readPosition,
} from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { makeDelta, record, replicaOf, room } from '../../../test/interop/fixture.js';
import { authenticate, readWelcoming } from './admission.js';
import type { RelayPorts } from './ports.js';

const NOW_MS = 1_000_000_000;
const [author, stranger] = [replicaOf(0), replicaOf(1)];
const [storeId, otherStoreId] = [new Uint8Array(8).fill(1), new Uint8Array(8).fill(2)];

async function storeOf(seqs: readonly number[]) {
  const store = new MemoryStore();
  const write = <Result>(plan: Plan<Result>) => store.transact(plan, { mode: 'write' });
  const deltas = seqs.map((seq): Delta => {
    return makeDelta({ replica: author, seq, name: record(`r${seq}`), hlc: hlcFromMs(NOW_MS + seq) });
  });
  await write((tx) => acceptAndLog(tx, room, deltas, { nowMs: NOW_MS, from: 'others', retain: () => true }));
  return { write, position: await write(readPosition) };
}

test('[SY2] a cursor counts with the store that gave it and its roll, and a newcomer reads from the beginning', async () => {
  const { write, position } = await storeOf([1, 2]);
  const { offset, roll } = position;
  const afterOf = async (cursor: { storeId: Uint8Array; offset: number; roll: Uint8Array } | undefined) =>
    (await write((tx) => readWelcoming(tx, storeId, author, cursor))).after;
  expect(await afterOf(undefined)).toBe(0);
  expect(await afterOf({ storeId, offset, roll })).toBe(2);
  expect(await afterOf({ storeId: otherStoreId, offset, roll })).toBeUndefined();
  expect(await afterOf({ storeId, offset: 1, roll })).toBeUndefined();
});

test('[CX7] a replica is told the highest number that it has used, also above a gap', async () => {
  const { write } = await storeOf([1, 2, 5]);
  const lastSeqOf = async (replica: typeof author) =>
    (await write((tx) => readWelcoming(tx, storeId, replica, undefined))).lastSeq;
  expect(await lastSeqOf(author)).toBe(5);
  expect(await lastSeqOf(stranger)).toBe(0);
});

test('[SY1] who does not prove to hold the key is denied, whatever their token says', async () => {
  const publicKey = new Uint8Array(32).fill(17);
  const ports = (isValid: boolean) =>
    ({
      identity: { relayKey: new Uint8Array(32), storeId },
      clock: { nowMs: () => 0 },
      verifier: { verify: async () => isValid },
    }) as unknown as RelayPorts;
  const hello = { publicKey, proof: new Uint8Array(64).fill(1), token: 'token' } as unknown as Parameters<
    typeof authenticate
  >[2];
  const askWith = (isValid: boolean) =>
    authenticate(ports(isValid), { ...room, name: 'room' }, hello, new Uint8Array(32), undefined);
  expect(await askWith(false)).toMatchObject({ kind: 'denied', code: 'SIGNATURE_INVALID' });
  const replica = deriveReplicaId(room.hash, room.roomId, publicKey);
  expect(await askWith(true)).toMatchObject({ kind: 'allowed', replica });
});
