import { deriveClientId, type Edit, errorToFacts, FLAG, type JournalRow } from '@mangrove/protocol';
import { mergeUpdates } from '../documents/merge.js';
import type { Environment } from '../environment.js';
import type { JournaledRow } from '../tabs/room-channel.js';
import { documentName } from './documents.js';
import type { DocumentEdit, WriteResult } from './engine-api.js';
import { JournalWriter } from './journal-writer.js';
import type { Owner } from './owner.js';
import { recordName, versionOf } from './records.js';
import type { RoomParts } from './room-parts.js';
import { toNotice } from './row-notices.js';
import type { RuntimeOptions } from './runtime-options.js';

/** What this tab's page writes, on its way into the journal. */
export class Writes {
  readonly #options: RuntimeOptions;
  readonly #parts: Pick<RoomParts, 'channel' | 'collections' | 'pending' | 'status' | 'unkept' | 'unsent'>;
  readonly #owner: () => Owner | undefined;
  readonly #journal: JournalWriter;

  constructor(
    env: Environment,
    options: RuntimeOptions,
    parts: Pick<RoomParts, 'channel' | 'collections' | 'pending' | 'status' | 'unkept' | 'unsent'>,
    owner: () => Owner | undefined,
  ) {
    const { store, config, identity } = options;
    this.#options = options;
    this.#parts = parts;
    this.#owner = owner;
    const nowMs = (): number => env.clock.nowMs();
    const host = {
      nowMs,
      journaled: (rows: readonly JournalRow[], were: readonly number[]) => this.#journaled(rows, were),
      unkept: (rows: readonly JournalRow[], error: unknown) => this.#unkept(rows, error),
    };
    this.#journal = new JournalWriter(store, config.room, identity.replica, parts.unkept, host, {
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

  /** When everything that was handed over before is applied, or has failed. */
  applied(): Promise<void> {
    return this.#journal.applied();
  }

  /** When everything that was handed over before is on disk, or has failed. */
  idle(): Promise<void> {
    return this.#journal.idle();
  }

  /** When what the page has handed over is on disk, or the disk does not take it. */
  stop(): Promise<void> {
    return this.#journal.stop();
  }

  /** What tabs that have ended left unkept is this tab's from now on. */
  adopt(): void {
    const { channel, unkept } = this.#parts;
    const rows = unkept.adopt();
    if (rows.length === 0) return;
    channel.post({ kind: 'unkept', tab: unkept.tab, rows });
    this.#journal.adopted();
  }

  /** To a tab that has just come. */
  tellUnkept(): void {
    const { channel, unkept } = this.#parts;
    const rows = unkept.ownRows();
    if (rows.length > 0) channel.post({ kind: 'unkept', tab: unkept.tab, rows });
  }

  /** Resolves when it is on disk, or applied where the disk is full. */
  async write(edit: Edit): Promise<WriteResult> {
    try {
      const { row, isKept } = await this.#journal.append(edit);
      const version = versionOf(this.#options.identity.replica, row.writtenAt);
      return { row: row.number, version, rung: isKept && this.#options.isPersistent ? 'disk' : 'applied' };
    } catch (error) {
      this.#parts.status.fault(errorToFacts(error));
      throw error;
    } finally {
      // Whoever reads the status right after a write finds the write in it, or why it failed.
      this.#parts.status.tellNow();
    }
  }

  #journaled(rows: readonly JournalRow[], were: readonly number[]): void {
    const { channel, pending, status, unsent } = this.#parts;
    unsent.journaled(rows);
    const notices = rows.map((row, i) => {
      const was = were[i];
      return { ...toNotice(row), ...(was !== undefined && { was }) };
    });
    this.#count(notices);
    for (const row of rows) pending.receipt(row.number);
    channel.post({ kind: 'journaled', rows: notices });
    status.touch();
    this.#owner()?.poke(rows.length);
  }

  #unkept(rows: readonly JournalRow[], error: unknown): void {
    const { channel, pending, status, unkept } = this.#parts;
    this.#count(rows.map(toNotice));
    for (const row of rows) pending.receipt(row.number);
    channel.post({ kind: 'unkept', tab: unkept.tab, rows });
    if (error !== undefined) status.fault(errorToFacts(error));
    status.touch();
  }

  /** What was shown while it was unkept is no change any more. */
  #count(notices: readonly JournaledRow[]): void {
    const { collections, pending } = this.#parts;
    pending.journaled(notices);
    collections.changed(
      notices.filter(({ was }) => was === undefined),
      'local',
    );
  }
}
