import { bodyToBytes, checkpointPayloadToBytes } from '../../packages/protocol/src/body.js';
import { bytesToHex, utf8ToBytes } from '../../packages/protocol/src/bytes.js';
import { contextOfHeld } from '../../packages/protocol/src/context.js';
import { FLAG, makeUnsignedDelta } from '../../packages/protocol/src/delta.js';
import { coverageOf } from '../../packages/protocol/src/room/checkpoint.js';
import { document, headerOf, keyIdOf, makeDelta, replicaOf, room, sha256, signStub } from './fixture.js';

/** What a checkpoint is made of, in no order, and the checkpoint: the hash of its coverage, its context and its bytes. */
export function makeCheckpointVectors(): unknown {
  const name = document('notes');
  const edit = (writer: number, seq: number, prev: number, text: string) =>
    makeDelta({ replica: replicaOf(writer), seq, hlc: 1_000 + seq, prev: prev && 1_000 + prev, name, text });
  // The second edit of the second writer is missing: the third stands above a gap.
  const merged = [edit(1, 3, 2, 'c'), edit(0, 1, 0, 'a'), edit(1, 1, 0, 'b'), edit(0, 2, 1, 'd')];
  const coverage = coverageOf(room, keyIdOf(name), merged);
  const payload = checkpointPayloadToBytes({ coverage, update: utf8ToBytes('abcd') });
  const context = contextOfHeld(merged);
  const spec = { replica: replicaOf(2), seq: 7, hlc: 2_000, writtenAt: 1_003, name, context, flags: FLAG.checkpoint };
  const delta = signStub(makeUnsignedDelta(sha256, room.roomId, headerOf(spec), bodyToBytes({ name, payload })));
  return {
    roomId: room.roomId,
    keyId: keyIdOf(name),
    merged: merged.map(({ bytes }) => bytesToHex(bytes)),
    coverage: bytesToHex(coverage),
    update: bytesToHex(utf8ToBytes('abcd')),
    checkpoint: bytesToHex(delta.bytes),
  };
}
