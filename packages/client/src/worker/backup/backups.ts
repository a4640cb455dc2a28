import { MangroveError } from '@mangrove/protocol';
import type { RestoreResult } from '../../types.js';
import type { BackupPiece } from '../engine-api.js';
import type { BackupHost } from './backup-host.js';
import { BackupSource } from './backup-source.js';
import { Restorer, type RestorerHost } from './restorer.js';

/** The backups and restores that are under way in one worker, by a number that the page knows them by. */
export class Backups {
  readonly #host: RestorerHost;
  readonly #sources = new Map<number, BackupSource>();
  readonly #restorers = new Map<number, Restorer>();
  #last = 0;

  constructor(host: RestorerHost) {
    this.#host = host;
  }

  async begin(room: BackupHost, since: string | undefined): Promise<number> {
    const source = await BackupSource.open(room, since);
    this.#sources.set(++this.#last, source);
    return this.#last;
  }

  async read(stream: number): Promise<BackupPiece | undefined> {
    const source = existing(this.#sources, stream);
    try {
      const piece = await source.next();
      if (piece === undefined) this.#sources.delete(stream);
      return piece;
    } catch (error) {
      this.#sources.delete(stream);
      throw error;
    }
  }

  beginRestore(): number {
    this.#restorers.set(++this.#last, new Restorer(this.#host));
    return this.#last;
  }

  write(stream: number, bytes: Uint8Array): Promise<void> {
    return existing(this.#restorers, stream).write(bytes);
  }

  async end(stream: number): Promise<RestoreResult> {
    const restorer = existing(this.#restorers, stream);
    this.#restorers.delete(stream);
    return restorer.end();
  }

  /** The page goes on with neither. */
  async drop(stream: number): Promise<void> {
    this.#sources.delete(stream);
    const restorer = this.#restorers.get(stream);
    this.#restorers.delete(stream);
    await restorer?.close();
  }
}

function existing<Stream>(streams: ReadonlyMap<number, Stream>, stream: number): Stream {
  const found = streams.get(stream);
  if (found === undefined) throw new MangroveError('CLOSED', { what: 'stream' });
  return found;
}
