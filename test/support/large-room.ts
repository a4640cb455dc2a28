import { randomBytes } from 'node:crypto';
import { bodyToBytes, type Delta, deriveClientId } from '@mangrove/protocol';
import * as Y from 'yjs';
import { hash } from './keys.js';
import { ProtocolClient } from './protocol-client.js';
import { makeRandom, type Random } from './random.js';
import { TestReplica } from './test-replica.js';

const NONCE = 1;
/** Below a frame, so that each message is one. */
const MESSAGE_BYTES = 100_000;
/** What is on its way to the relay before an acknowledgement is waited for. */
const UNDERWAY_BYTES = 8_000_000;
const MIB = 1024 * 1024;

export interface LargeRoom {
  readonly deltas: number;
  /** Of all deltas, headers included. */
  readonly bytes: number;
}

/**
 * Fills a room at a relay with documents, one delta each: of the bytes a tenth is in small ones of 100 to 4,000, four tenths in ones
 * of about 100 kB and the rest in ones of 5 to 8 MiB. They come mixed, in an order that the seed draws.
 */
export async function fillRoom(relayUrl: string, room: string, bytesWanted: number, seed: number): Promise<LargeRoom> {
  const random = makeRandom(seed);
  const replica = new TestReplica(room);
  const client = await ProtocolClient.connect(relayUrl, replica);
  let [deltas, bytes] = [0, 0];
  let waiting: Delta[] = [];
  for (const size of drawSizes(bytesWanted, random)) {
    const delta = draftDocument(replica, `bulk ${deltas}`, size);
    deltas++;
    bytes += delta.bytes.length;
    waiting.push(delta);
    if (sizeOf(waiting) < UNDERWAY_BYTES) continue;
    await push(client, waiting);
    waiting = [];
  }
  await push(client, waiting);
  await client.close();
  return { deltas, bytes };
}

/** Sizes of contents that come to about this many bytes together, in a mixed order. */
export function drawSizes(bytesWanted: number, random: Random): readonly number[] {
  const sizes: number[] = [];
  const fill = (bytes: number, draw: () => number): void => {
    for (let left = bytes; left > 0; ) {
      const size = draw();
      sizes.push(size);
      left -= size;
    }
  };
  fill(bytesWanted * 0.1, () => 100 + random.below(3_900));
  fill(bytesWanted * 0.4, () => 80_000 + random.below(40_000));
  fill(bytesWanted * 0.5 - 3 * MIB, () => 5 * MIB + random.below(3 * MIB - 1_000));
  return sizes
    .map((size) => ({ size, at: random.below(2 ** 30) }))
    .sort((a, b) => a.at - b.at)
    .map(({ size }) => size);
}

function draftDocument(replica: TestReplica, id: string, size: number): Delta {
  const ydoc = new Y.Doc();
  ydoc.clientID = deriveClientId(hash, replica.roomId, replica.id, NONCE);
  ydoc.getText('content').insert(0, randomBytes(Math.ceil(size / 2)).toString('hex'));
  const payload = Y.encodeStateAsUpdate(ydoc);
  ydoc.destroy();
  const body = bodyToBytes({ name: { kind: 'document', collection: '', id }, payload });
  return replica.draft({ document: id, nonces: [NONCE], body });
}

async function push(client: ProtocolClient, deltas: readonly Delta[]): Promise<void> {
  let message: Delta[] = [];
  for (const delta of deltas) {
    if (message.length > 0 && sizeOf(message) + delta.bytes.length > MESSAGE_BYTES) {
      client.push(message);
      message = [];
    }
    message.push(delta);
  }
  client.push(message);
  const last = new Set(deltas.map(({ seq }) => seq));
  while (last.size > 0) for (const seq of (await client.next('ack')).seqs) last.delete(seq);
}

function sizeOf(deltas: readonly Delta[]): number {
  return deltas.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
