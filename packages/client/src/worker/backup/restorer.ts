import {
  BackupReader,
  type Hash,
  isMangroveError,
  MangroveError,
  markToText,
  RESTORE_BEGINS,
  type RestoreEffect,
  type RestoreState,
  type RoomConfig,
  stepRestore,
} from '@mangrove/protocol';
import type { RestoreResult } from '../../types.js';
import type { BorrowedRoom } from './backup-host.js';
import { RestoredRoom } from './restored-room.js';

export interface RestorerHost {
  readonly hash: Hash;
  /** Opens the room where it is not open. Rejects with `ROOM_CONFIG_MISMATCH` where it is another one here. */
  borrow(room: string, history: RoomConfig['history']): Promise<BorrowedRoom>;
}

/** Restores the backups of a file, piece by piece; what is whole is restored whatever comes after it [BK8]. */
export class Restorer {
  readonly #host: RestorerHost;
  readonly #reader: BackupReader;
  #state: RestoreState = RESTORE_BEGINS;
  #room: { readonly name: string; readonly restored: RestoredRoom } | undefined;
  /** Of the backups that are through. */
  #result: RestoreResult = { rooms: [], deltas: 0, refused: 0, marks: {} };
  #failure: unknown;

  constructor(host: RestorerHost) {
    this.#host = host;
    this.#reader = new BackupReader(host.hash);
  }

  /** Resolves when all that these bytes complete is restored: whoever waits holds no more than a section here. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#guard(async () => {
      for (const frame of this.#reader.read(bytes)) {
        const { state, effect } = stepRestore(this.#host.hash, this.#state, frame);
        this.#state = state;
        if (effect !== undefined) await this.#run(effect);
      }
    });
  }

  async end(): Promise<RestoreResult> {
    await this.#guard(async () => this.#reader.end());
    return this.#result;
  }

  async close(): Promise<void> {
    const room = this.#room;
    this.#room = undefined;
    if (room === undefined) return;
    const { added, refused } = room.restored;
    const { rooms, deltas, marks } = this.#result;
    const all = rooms.includes(room.name) ? rooms : [...rooms, room.name];
    this.#result = { rooms: all, deltas: deltas + added, refused: this.#result.refused + refused, marks };
    await room.restored.release();
  }

  async #run(effect: RestoreEffect): Promise<void> {
    switch (effect.kind) {
      case 'open': {
        const { history, encrypted } = effect.config;
        if (encrypted) throw new MangroveError('NOT_SUPPORTED', { feature: 'A backup of an encrypted room' });
        const restored = await RestoredRoom.open(await this.#host.borrow(effect.room, history));
        this.#room = { name: effect.room, restored };
        return;
      }
      case 'certify':
        return this.#room?.restored.certify(effect.certificates);
      case 'take':
        await this.#room?.restored.take(effect.deltas);
        if (effect.mark !== undefined) this.#note(markToText(effect.mark));
        return;
      case 'finish':
        await this.#room?.restored.finish(effect.root, effect.isWhole);
        if (effect.mark !== undefined) this.#note(markToText(effect.mark));
        return this.close();
    }
  }

  #note(mark: string): void {
    if (this.#room === undefined) return;
    this.#result = { ...this.#result, marks: { ...this.#result.marks, [this.#room.name]: mark } };
  }

  /** After a failure nothing is read any more. What is told of it says how far it came. */
  async #guard(work: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await work();
    } catch (error) {
      const mark = this.#room && this.#result.marks[this.#room.name];
      await this.close();
      const { rooms, deltas } = this.#result;
      const isOfFile = isMangroveError(error) && (error.code === 'BACKUP_CUT' || error.code === 'BACKUP_DAMAGED');
      this.#failure = isOfFile ? new MangroveError(error.code, { ...error.facts, rooms, deltas, mark }) : error;
      throw this.#failure;
    }
  }
}
