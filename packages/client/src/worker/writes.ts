import { deriveClientId, type Edit, errorToFacts, FLAG } from '@mangrove/protocol';
import { mergeUpdates } from '../documents/merge.js';
import type { Environment } from '../environment.js';
import type { JournaledRow } from '../tabs/room-channel.js';
import { documentName } from './documents.js';
import type { DocumentEdit, WriteResult } from './engine-api.js';
import { JournalWriter } from './journal-writer.js';
import type { Owner } from './owner.js';
import { recordName, versionOf } from './records.js';
import type { RoomParts } from './room-parts.js';
import type { RuntimeOptions } from './runtime-options.js';

/** What this tab's page writes, on its way into the journal. */
export class Writes {
  readonly #options: RuntimeOptions;
  readonly #parts: Pick<RoomParts, 'channel' | 'collections' | 'pending' | 'status'>;
  readonly #owner: () => Owner | undefined;
  readonly #journal: JournalWriter;

  constructor(
    env: Environment,
    options: RuntimeOptions,
    parts: Pick<RoomParts, 'channel' | 'collections' | 'pending' | 'status'>,
    owner: () => Owner | undefined,
  ) {
    const { store, config, identity } = options;
    this.#options = options;
    this.#parts = parts;
    this.#owner = owner;
    const nowMs = (): number => env.clock.nowMs();
    this.#journal = new JournalWriter(store, config.room, identity.replica, nowMs, (rows) => this.#journaled(rows), {
      follows: () => owner()?.barrier.follows() ?? false,
      passed: async (row) => (await owner()?.barrier.passed(row)) ?? false,
    });
  }

  async edit(id: string, { updates, nonce, clientId, imported: isForeign }: DocumentEdit): Promise<WriteResult> {
    const { config, identity } = this.#options;
    const { hash, roomId } = config.room;
    // A clientID that was granted before the profile took another identity is not this replica's.
    const imported = isForeign || clientId !== deriveClientId(hash, roomId, identity.replica, nonce);
    const flags = imported ? FLAG.import : 0;
    return this.write({
      name: documentName(id),
      flags,
      nonces: imported ? [] : [nonce],
      payload: mergeUpdates(updates),
    });
  }

  /** Without a payload the record is deleted. */
  put(collection: string, id: string, payload: Uint8Array | undefined): Promise<WriteResult> {
    const flags = payload === undefined ? FLAG.tombstone : 0;
    return this.write({ name: recordName(collection, id), flags, nonces: [], payload: payload ?? new Uint8Array() });
  }

  /** Resolves when it is on disk. */
  async write(edit: Edit): Promise<WriteResult> {
    try {
      const row = await this.#journal.append(edit);
      return { row: row.number, version: versionOf(this.#options.identity.replica, row.writtenAt) };
    } catch (error) {
      this.#parts.status.fault(errorToFacts(error));
      throw error;
    } finally {
      // Whoever reads the status right after a write finds the write in it, or why it failed.
      this.#parts.status.tellNow();
    }
  }

  /** When everything that was handed over before is on disk, or has failed. */
  idle(): Promise<void> {
    return this.#journal.idle();
  }

  #journaled(rows: readonly JournaledRow[]): void {
    const { channel, collections, pending, status } = this.#parts;
    pending.journaled(rows);
    for (const row of rows) pending.receipt(row.number);
    collections.changed(rows, 'local');
    channel.post({ kind: 'journaled', rows });
    status.touch();
    this.#owner()?.poke(rows.length);
  }
}
