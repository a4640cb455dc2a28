import { isStrictSignature, type ReplicaId, type RoomId } from '@mangrove/protocol';
import { webcrypto } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { roomRef, verifier } from '../../../../test/support/client-world.js';
import { makeKeys } from '../../../../test/support/keys.js';
import { MemoryDatabase } from '../stores/memory-database.js';
import { openWebIdentity, webVerifier } from './web-crypto.js';

const { roomId } = roomRef();
const message = new TextEncoder().encode('hello');

beforeEach(() => {
  // Node has no locks: one queue for each name, as the browser keeps for all tabs.
  const queues = new Map<string, Promise<unknown>>();
  const request = (name: string, task: () => Promise<unknown>): Promise<unknown> => {
    const run = (queues.get(name) ?? Promise.resolve()).then(task, task);
    queues.set(
      name,
      run.catch(() => {}),
    );
    return run;
  };
  vi.stubGlobal('navigator', { locks: { request } });
  vi.stubGlobal('crypto', webcrypto);
});
afterEach(() => {
  vi.unstubAllGlobals();
});

test('[SG1] what a profile signs verifies, here and with Node, by the strict rule', async () => {
  const { signer } = await openWebIdentity(new MemoryDatabase(), roomId);
  const signature = await signer.sign(message);
  expect(isStrictSignature(signer.publicKey, signature)).toBe(true);
  expect(await webVerifier.verify(signer.publicKey, message, signature)).toBe(true);
  expect(await verifier.verify(signer.publicKey, message, signature)).toBe(true);
});

test('[SG1] what Node signs verifies here; nothing else does', async () => {
  const keys = makeKeys();
  const signature = keys.sign(message);
  expect(await webVerifier.verify(keys.publicKey, message, signature)).toBe(true);
  expect(await webVerifier.verify(keys.publicKey, new Uint8Array(5), signature)).toBe(false);
  expect(await webVerifier.verify(makeKeys().publicKey, message, signature)).toBe(false);
  expect(await webVerifier.verify(keys.publicKey, message, signature.slice(1))).toBe(false);
});

test('[SG1] a key that is no point, or no key at all, verifies nothing and throws nothing, each time', async () => {
  for (const publicKey of [new Uint8Array(32).fill(255), new Uint8Array(31), new Uint8Array()]) {
    expect(await webVerifier.verify(publicKey, message, new Uint8Array(64))).toBe(false);
    expect(await webVerifier.verify(publicKey, message, new Uint8Array(64))).toBe(false);
  }
});

test('[ID2] a profile is one replica of a room, in every session, and another one of another room', async () => {
  const database = new MemoryDatabase();
  const first = await openWebIdentity(database, roomId);
  expect((await openWebIdentity(database, roomId)).replica).toBe(first.replica);
  expect((await openWebIdentity(database, roomRef('another').roomId)).replica).not.toBe(first.replica);
  expect((await openWebIdentity(new MemoryDatabase(), roomId)).replica).not.toBe(first.replica);
});

test('[ID2] two tabs that open a new room at once become one replica', async () => {
  const database = new MemoryDatabase();
  const tabs = await Promise.all([1, 2, 3].map(() => openWebIdentity(database, roomId)));
  expect(new Set(tabs.map(({ replica }) => replica)).size).toBe(1);
});

test('[CX7] a spent identity is replaced once, also when all tabs ask at once', async () => {
  const database = new MemoryDatabase();
  const { replica } = await openWebIdentity(database, roomId);
  const tabs = await Promise.all([1, 2, 3].map(() => openWebIdentity(database, roomId, replica)));
  const ids = new Set(tabs.map((tab) => tab.replica));
  expect([ids.size, ids.has(replica)]).toEqual([1, false]);
  expect(ids.has((await openWebIdentity(database, roomId)).replica)).toBe(true);
  // A tab that is late and speaks of another one changes nothing.
  expect(ids.has((await openWebIdentity(database, roomId, 'ffffffffffffffff' as ReplicaId)).replica)).toBe(true);
});

test('[ID2] the private half cannot be taken out of the platform', async () => {
  const database = new MemoryDatabase();
  await openWebIdentity(database, roomId);
  const stored = await database.readIdentity(roomId as RoomId);
  expect(stored?.privateKey.extractable).toBe(false);
  await expect(webcrypto.subtle.exportKey('pkcs8', stored?.privateKey as CryptoKey)).rejects.toThrow();
});

test('[SG1] a page without a secure context is told why there is no identity', async () => {
  vi.stubGlobal('crypto', {});
  await expect(openWebIdentity(new MemoryDatabase(), roomId)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' });
});
