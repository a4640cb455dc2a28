import { randomBytes } from 'node:crypto';
import {
  concatBytes,
  defaultLimits,
  type Hlc,
  hlcFromMs,
  makeContext,
  messageToBytes,
  messageToFrames,
  trieKeyOf,
} from '@mangrove/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ProtocolClient } from '../support/protocol-client.js';
import { readRoomVersion, type RoomFigures, type RunningRelay, startRelay } from '../support/real-relay.js';
import { TestReplica } from '../support/test-replica.js';

// Every test here does something that the relay refuses. Afterwards the room is what it was, the connection lives and
// takes the next honest delta, and the relay has met no fault of its own.

let running: RunningRelay;
let client: ProtocolClient;
let before: RoomFigures;

beforeEach(async () => {
  running = await startRelay();
  client = await ProtocolClient.connect(running.url, new TestReplica('room'));
  await client.pushed(client.replica.drafts(3));
  before = await readRoomVersion(running.url, 'room');
});

afterEach(async () => {
  await client.settled();
  expect(await readRoomVersion(running.url, 'room')).toEqual(before);
  await client.pushed([client.replica.draft({ seq: 4 })]);
  expect((await readRoomVersion(running.url, 'room')).offset).toBe(before.offset + 1);
  expect(running.faults).toEqual([]);
});

test('[SY14] frames that are no messages', async () => {
  const frames = [
    new Uint8Array(),
    Uint8Array.of(7),
    Uint8Array.of(0),
    Uint8Array.of(99, 1, 2),
    // A message that only a relay sends.
    messageToBytes({ kind: 'peer', replica: client.replica.id, present: true }),
    // A push that says it holds more deltas than bytes, and one with an absurd length.
    Uint8Array.of(6, 0xfe, 0x07),
    Uint8Array.of(6, 2, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1),
    Uint8Array.of(255, 1, 2, 3),
    ...Array.from({ length: 40 }, () => new Uint8Array(concatBytes(Uint8Array.of(0), randomBytes(60)))),
  ];
  for (const frame of frames) {
    client.sendFrame(frame);
    expect(await client.next('fault')).toMatchObject({ code: 'FRAME_MALFORMED' });
  }
});

test('[SY13] a frame over the limit', async () => {
  client.sendFrame(new Uint8Array(defaultLimits.frameBytesMax + 1));
  expect(await client.next('fault')).toMatchObject({
    code: 'FRAME_TOO_LARGE',
    facts: { frameBytes: defaultLimits.frameBytesMax + 1, frameBytesMax: defaultLimits.frameBytesMax },
  });
});

test('[SY13] a message over the limit, in parts', async () => {
  const message = new Uint8Array(defaultLimits.messageBytesMax + 1);
  for (const frame of messageToFrames(message, defaultLimits)) client.sendFrame(frame);
  expect(await client.next('fault')).toMatchObject({ code: 'BODY_TOO_LARGE' });
});

test('[DL8] a body over the limit in a message that is not', async () => {
  const delta = client.replica.draft({ seq: 4 });
  const bytes = new Uint8Array(defaultLimits.bodyBytesMax + 400);
  bytes.set(delta.bytes.subarray(0, delta.bytes.length - delta.body.length - 64 - 1));
  // The length of the body, written over what it was.
  const { length } = delta.bytes.subarray(0, delta.bytes.length - delta.body.length - 64 - 1);
  bytes.set([0x80, 0x80, 0x80, 0x08], length);
  client.send({ kind: 'push', repair: false, deltas: [bytes] });
  expect(await client.next('fault')).toMatchObject({ code: 'BODY_TOO_LARGE' });
});

test('[DL1] a delta of another room', async () => {
  const elsewhere = new TestReplica('another room', { keys: client.replica.keys });
  client.push(elsewhere.drafts(1));
  expect(await client.next('fault')).toMatchObject({ code: 'WRONG_ROOM' });
});

test('[DL3] bytes that are no delta, beside one that is replayed', async () => {
  const held = [...(await allDeltas())];
  // One in 256 random ones would begin as a delta does, of another room.
  const noDelta = concatBytes(Uint8Array.of(0), randomBytes(199));
  client.send({ kind: 'push', repair: false, deltas: [noDelta, ...held.map(({ bytes }) => bytes)] });
  expect(await client.next('fault')).toMatchObject({ code: 'DELTA_MALFORMED' });
  expect((await client.next('ack')).seqs).toEqual([1, 2, 3]);
});

test('[CX7] a dot that is used twice', async () => {
  client.push([client.replica.draft({ seq: 2 })]);
  expect(await client.next('refused')).toMatchObject({ code: 'DOT_REUSED', replica: client.replica.id, seq: 2 });
  expect((await client.next('ack')).seqs).not.toContain(2);
});

test('[SY8] a replay is acknowledged again and changes nothing', async () => {
  const held = await allDeltas();
  await client.pushed(held);
  expect((await client.position()).offset).toBe(3);
});

test('[SY9] a bad signature of a delta that would supersede something', async () => {
  const context = makeContext(new Map([[client.replica.id, hlcFromMs(Date.now() - 1_000)]]), []);
  client.push([client.replica.draft({ seq: 4, context, forged: true })]);
  expect(await client.next('refused')).toMatchObject({ code: 'SIGNATURE_INVALID', seq: 4 });
});

test('[SY9] a bad signature of a delta of somebody else', async () => {
  const bob = await ProtocolClient.connect(running.url, new TestReplica('room'));
  client.push([bob.replica.draft({ forged: true })], true);
  expect(await client.next('refused')).toMatchObject({ code: 'SIGNATURE_INVALID', replica: bob.replica.id, seq: 1 });
  // As an own one it is verified all the same.
  client.push([bob.replica.draft({ forged: true })]);
  expect(await client.next('refused')).toMatchObject({ code: 'SIGNATURE_INVALID', replica: bob.replica.id, seq: 2 });
});

test('[SG3] a delta of somebody without a certificate', async () => {
  client.push(new TestReplica('room').drafts(1), true);
  expect(await client.next('refused')).toMatchObject({ code: 'UNCERTIFIED' });
});

test('[HLC4] a stamp from too far ahead', async () => {
  const hlc = hlcFromMs(Date.now() + defaultLimits.clockAheadMsMax + 60_000) as Hlc;
  client.push([client.replica.draft({ seq: 4, hlc })]);
  expect(await client.next('refused')).toMatchObject({ code: 'CLOCK_AHEAD', seq: 4 });
});

test('[DL7] a context that reaches its own stamp', async () => {
  const hlc = hlcFromMs(Date.now());
  const context = makeContext(new Map([[client.replica.id, (hlc - 1) as Hlc]]), []);
  const bytes = client.replica.draft({ seq: 4, hlc, context }).bytes.slice();
  // A stamp is written as its distance from the delta's own, here 1: no honest code writes a 0.
  const stampAt = Buffer.from(bytes).lastIndexOf(Buffer.from(client.replica.id, 'hex')) + 8;
  expect(bytes[stampAt]).toBe(1);
  bytes[stampAt] = 0;
  client.send({ kind: 'push', repair: false, deltas: [bytes] });
  expect(await client.next('fault')).toMatchObject({ code: 'DELTA_MALFORMED' });
});

test('[SY11] a head statement of another replica, and one with a bad signature', async () => {
  const root = new Uint8Array(32);
  client.send({ kind: 'head', statement: new TestReplica('room').head(root, new Map()) });
  expect(await client.next('fault')).toMatchObject({ code: 'UNAUTHORIZED' });
  client.send({ kind: 'head', statement: { ...client.replica.head(root, new Map()), timeMs: Date.now() - 7 } });
  expect(await client.next('fault')).toMatchObject({ code: 'SIGNATURE_INVALID' });
});

test('[SY10] a report of a good delta, and one of a delta that is not there', async () => {
  const [delta] = await allDeltas();
  client.send({ kind: 'report', trieKey: trieKeyOf(delta!) });
  client.send({ kind: 'report', trieKey: new Uint8Array(64) });
});

async function allDeltas() {
  const reader = await ProtocolClient.connect(running.url, new TestReplica('room'));
  await reader.next('caught-up');
  return [...reader.deltasById.values()];
}
