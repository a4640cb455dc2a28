import { MangroveError } from '@mangrove/protocol';
import type { RestoreResult } from './types.js';
import type { EngineApi } from './worker/engine-api.js';

/** One message to the worker: an application may hand over a whole file as one chunk. */
const PIECE_BYTES = 1024 * 1024;

/** A backup as it is made. */
export interface BackupStream extends ReadableStream<Uint8Array> {
  /** Resolves at the end of the stream: `room.backup({ since: mark })` begins there. Rejects when the stream fails or is cancelled. */
  readonly mark: Promise<string>;
}

/**
 * Read piece by piece as it is taken. Pieces are asked for, as not every browser passes streams to workers; what is asked for one at a time
 * has its back-pressure by that.
 */
export function backupStream(engine: EngineApi, id: number): BackupStream {
  let resolve = (_: string): void => {};
  let reject = (_: unknown): void => {};
  const mark = new Promise<string>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  // Most who make a backup do not ask for its mark.
  mark.catch(() => {});
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const piece = await engine.readBackup(id);
          if (piece === undefined) return controller.close();
          controller.enqueue(piece.bytes);
          if (piece.mark !== undefined) resolve(piece.mark);
        } catch (error) {
          reject(error);
          throw error;
        }
      },
      cancel: async () => {
        reject(new MangroveError('ABORTED'));
        await engine.dropStream(id);
      },
    },
    { highWaterMark: 0 },
  );
  return Object.assign(stream, { mark });
}

export async function restoreFrom(stream: ReadableStream<Uint8Array>, engine: EngineApi): Promise<RestoreResult> {
  const reader = stream.getReader();
  const id = await engine.restore();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return await engine.endRestore(id);
      if (!(value instanceof Uint8Array))
        throw new MangroveError('OPTION_INVALID', { option: 'stream', reason: 'it gives something else than bytes' });
      for (let at = 0; at < value.length; at += PIECE_BYTES)
        await engine.writeRestore(id, value.slice(at, at + PIECE_BYTES));
    }
  } catch (error) {
    await engine.dropStream(id).catch(() => {});
    await reader.cancel(error).catch(() => {});
    throw error;
  }
}
