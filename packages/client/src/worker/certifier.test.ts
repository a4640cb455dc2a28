import {
  type Certificate,
  certificateMessage,
  deriveReplicaId,
  EMPTY_CONTEXT,
  EMPTY_ROOT,
  headMessage,
  hlcFromMs,
  makeUnsignedDelta,
  MemoryStore,
  type ReplicaId,
  signDelta,
  type Verifier,
  deriveKeyId,
} from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { roomRef, verifier } from '../../../../test/support/client-world.js';
import { type Keys, makeKeys } from '../../../../test/support/keys.js';
import { Certifier } from './certifier.js';

const room = roomRef();
const [relay, otherRelay, writer] = [makeKeys(), makeKeys(), makeKeys()];
const WRITER = deriveReplicaId(room.hash, room.roomId, writer.publicKey);

function certificate(issuer: Keys, subject: Keys, change: Partial<Certificate> = {}, of = room): Certificate {
  const message = certificateMessage(of.roomId, subject.publicKey, 5);
  return {
    publicKey: subject.publicKey,
    issuedAtMs: 5,
    issuer: issuer.publicKey,
    signature: issuer.sign(message),
    ...change,
  };
}

function delta(keys: Keys, replica: ReplicaId = deriveReplicaId(room.hash, room.roomId, keys.publicKey)) {
  const unsigned = makeUnsignedDelta(
    room.hash,
    room.roomId,
    {
      replica,
      seq: 1,
      keyId: deriveKeyId(room.hash, room.roomId, { kind: 'record', collection: 'c', id: 'a' }),
      hlc: hlcFromMs(1),
      writtenAt: hlcFromMs(1),
      prev: hlcFromMs(0),
      context: EMPTY_CONTEXT,
      flags: 0,
      nonces: [],
    },
    new Uint8Array(3),
  );
  return signDelta(unsigned, keys.sign(unsigned.message));
}

function open(by: Verifier = verifier) {
  const store = new MemoryStore();
  return { store, certifier: new Certifier(by, store, room) };
}

test('[SG3] a replica counts once a relay that we are connected to has certified it', async () => {
  const { certifier } = open();
  expect(await certifier.verifyDelta(delta(writer))).toBe('UNCERTIFIED');
  await certifier.trust(relay.publicKey, [certificate(relay, writer)]);
  expect(await certifier.verifyDelta(delta(writer))).toBe('valid');
});

test('[SG3] a certificate of another relay, for another room, or with a bad signature counts for nothing', async () => {
  const { certifier } = open();
  await certifier.trust(relay.publicKey, [
    certificate(otherRelay, writer),
    certificate(otherRelay, writer, { issuer: relay.publicKey }),
    certificate(relay, writer, { issuedAtMs: 6 }),
    certificate(relay, writer, {}, roomRef('another')),
    certificate(relay, writer, { signature: new Uint8Array(64) }),
  ]);
  expect(await certifier.verifyDelta(delta(writer))).toBe('UNCERTIFIED');
  expect(await certifier.certificates()).toEqual([]);
});

test('[SG3] bad certificates do not keep good ones of the same message from counting', async () => {
  const { certifier } = open();
  await certifier.trust(relay.publicKey, [
    certificate(relay, makeKeys(), { signature: new Uint8Array(64) }),
    certificate(relay, writer, { issuedAtMs: 6 }),
    certificate(relay, writer),
    certificate(relay, writer, { signature: new Uint8Array(64) }),
  ]);
  expect(await certifier.verifyDelta(delta(writer))).toBe('valid');
});

test('[SG3] what was certified is remembered by the store, for another session and for a relay that has lost it', async () => {
  const { store, certifier } = open();
  await certifier.trust(relay.publicKey, [certificate(relay, writer)]);
  const later = new Certifier(verifier, store, room);
  expect(await later.verifyDelta(delta(writer))).toBe('valid');
  expect((await later.certificates()).map(({ publicKey }) => publicKey)).toEqual([writer.publicKey]);
});

test('[SG1] only the replica’s own signature over that very delta verifies', async () => {
  const { certifier } = open();
  await certifier.trust(relay.publicKey, [certificate(relay, writer)]);
  expect(await certifier.verifyDelta(delta(makeKeys(), WRITER))).toBe('SIGNATURE_INVALID');
  const good = delta(writer);
  for (const at of [0, 31, 32, 63]) {
    const signature = good.signature.slice();
    signature[at] = (signature[at] as number) ^ 1;
    expect(await certifier.verifyDelta({ ...good, signature }), `byte ${at}`).toBe('SIGNATURE_INVALID');
  }
});

test('[SG1] the strict rule runs before the platform is asked', async () => {
  const { certifier } = open({ verify: async () => true });
  await certifier.trust(relay.publicKey, [certificate(relay, writer)]);
  expect(await certifier.verifyDelta(delta(writer))).toBe('valid');
  const lax = delta(writer);
  expect(await certifier.verifyDelta({ ...lax, signature: new Uint8Array(64).fill(255) })).toBe('SIGNATURE_INVALID');
});

test('[SY11] a head statement counts when its replica has signed every part of it', async () => {
  const { certifier } = open();
  const claim = { replica: WRITER, timeMs: 9, root: EMPTY_ROOT, headsRoot: EMPTY_ROOT, vector: new Map([[WRITER, 3]]) };
  const statement = { ...claim, signature: writer.sign(headMessage(room.roomId, claim)) };
  expect(await certifier.verifyHead(statement)).toBe(false);
  await certifier.trust(relay.publicKey, [certificate(relay, writer)]);
  expect(await certifier.verifyHead(statement)).toBe(true);
  expect(await certifier.verifyHead({ ...statement, timeMs: 10 })).toBe(false);
  expect(await certifier.verifyHead({ ...statement, vector: new Map([[WRITER, 4]]) })).toBe(false);
  expect(await certifier.verifyHead({ ...statement, root: new Uint8Array(32) })).toBe(false);
});
