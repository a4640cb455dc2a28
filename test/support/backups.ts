import { type BackupFrame, BACKUP_MAGIC, FrameChain } from '../../packages/protocol/src/backup/frame.js';
import type { BackupMark } from '../../packages/protocol/src/backup/mark.js';
import { BackupReader } from '../../packages/protocol/src/backup/reader.js';
import { RESTORE_BEGINS, type RestoreEffect, stepRestore } from '../../packages/protocol/src/backup/restore.js';
import {
  BACKUP_BEGINS,
  type BackupBounds,
  type BackupSpec,
  type BackupState,
  takeBackup,
} from '../../packages/protocol/src/backup/take.js';
import { concatBytes } from '../../packages/protocol/src/bytes.js';
import type { Certificate } from '../../packages/protocol/src/certificate.js';
import { bytesToDelta, type Delta } from '../../packages/protocol/src/delta.js';
import { acceptDeltas } from '../../packages/protocol/src/room/accept.js';
import { MemoryTables } from '../../packages/protocol/src/store/memory-store.js';
import { publicKeyOf, room, sha256 } from '../interop/fixture.js';

/** Backups of the fixtures' room, over tables in memory. */

export const OWN_CERTIFICATE: Certificate = {
  publicKey: publicKeyOf(0),
  issuedAtMs: 7,
  issuer: publicKeyOf(0),
  signature: new Uint8Array(64).fill(9),
};

export const specOf = (since?: BackupMark): BackupSpec => ({
  room: 'team',
  config: { history: 'current', encrypted: false },
  madeAtMs: 1_700_000_000_000,
  since,
  certificate: OWN_CERTIFICATE,
});

/** All frames of a backup; `between` is called after each step, when the set may change. */
export function framesOf(
  tables: MemoryTables,
  since?: BackupMark,
  between: () => void = () => {},
  bounds?: BackupBounds,
): readonly BackupFrame[] {
  const frames: BackupFrame[] = [];
  for (let state: BackupState | undefined = BACKUP_BEGINS; state !== undefined; ) {
    const at: BackupState = state;
    const step = tables.transact((tx) => takeBackup(tx, room, specOf(since), at, bounds)).result;
    frames.push(...step.frames);
    state = step.state;
    between();
  }
  return frames;
}

export function framesToFile(frames: readonly BackupFrame[]): Uint8Array {
  const chain = new FrameChain(sha256);
  return concatBytes(BACKUP_MAGIC, ...frames.map((frame) => chain.write(frame)));
}

/** What restoring this file asks for, up to where it fails, and why it does. */
export function effectsOf(file: Uint8Array, pieceBytes = file.length): { effects: RestoreEffect[]; error?: unknown } {
  const effects: RestoreEffect[] = [];
  const reader = new BackupReader(sha256);
  let state = RESTORE_BEGINS;
  try {
    for (let at = 0; at < file.length; at += Math.max(1, pieceBytes)) {
      for (const frame of reader.read(file.subarray(at, at + Math.max(1, pieceBytes)))) {
        const step = stepRestore(sha256, state, frame);
        state = step.state;
        if (step.effect !== undefined) effects.push(step.effect);
      }
    }
    reader.end();
    return { effects };
  } catch (error) {
    return { effects, error };
  }
}

export const deltasIn = (frames: readonly BackupFrame[]): Delta[] =>
  frames.flatMap((frame) =>
    frame.kind === 'deltas' ? frame.deltas.map((bytes) => bytesToDelta(sha256, room.roomId, bytes)) : [],
  );

/** A store that has taken these deltas, in this order. */
export function tablesOf(deltas: readonly Delta[], tables = new MemoryTables()): MemoryTables {
  tables.transact((tx) => acceptDeltas(tx, room, deltas, { nowMs: 0, from: 'others', retain: () => false }));
  return tables;
}
