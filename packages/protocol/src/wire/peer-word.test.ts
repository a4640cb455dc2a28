import { expect, test } from 'vitest';
import { defaultLimits } from '../limits.js';
import { bytesToKeyId, type ReplicaId } from '../ids.js';
import { bytesToReplicaMessage, messageToBytes } from './codec.js';
import type { Presence } from './messages.js';
import { type PeerWord, peerWordToPresence, presenceToPeerWord } from './peer-word.js';

const replicaOf = (n: number): ReplicaId => n.toString(16).padStart(16, '0') as ReplicaId;
const replica = replicaOf(7);
const vectorOf = (count: number) =>
  new Map(Array.from({ length: count }, (_, i) => [replicaOf(i), 2 ** 40 + i] as const));

test.each<PeerWord>([
  { kind: 'came', replica },
  { kind: 'gone', replica },
  { kind: 'stands', replica, root: new Uint8Array(32).fill(3), vector: vectorOf(2) },
  { kind: 'stands', replica, root: new Uint8Array(32).fill(3), vector: vectorOf(defaultLimits.replicasPerKeyMax) },
])('[FD8] a word of relays goes as a presence of nobody: $kind', (word) => {
  const said = bytesToReplicaMessage(messageToBytes(peerWordToPresence(word)));
  expect(presenceToPeerWord(said as Presence)).toEqual(word);
});

test('[FD8] a presence of somebody is no word', () => {
  const keyId = bytesToKeyId(new Uint8Array(16).fill(1));
  expect(presenceToPeerWord({ kind: 'presence', replica, tab: 0, keyId, state: Uint8Array.of(0) })).toBeUndefined();
});

test.each([[], [3], [0, 0], [2, 1], [2, ...new Array(32).fill(0), 200]])('[SY14] %j is malformed', (...state) => {
  const { keyId } = peerWordToPresence({ kind: 'came', replica });
  const presence: Presence = { kind: 'presence', replica, tab: 0, keyId, state: Uint8Array.from(state) };
  expect(() => presenceToPeerWord(presence)).toThrow(expect.objectContaining({ code: 'FRAME_MALFORMED' }));
});
