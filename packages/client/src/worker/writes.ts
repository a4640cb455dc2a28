import {
  defaultLimits,
  deriveClientId,
  type Edit,
  errorToFacts,
  FLAG,
  type JournalRow,
  MangroveError,
  payloadBytesMaxOf,
} from '@mangrove/protocol';
import { mergeUpdates } from '../documents/merge.js';
import { type LeftOutEdit, updateThatBringsBack } from '../documents/replaced.js';
import { type Sliced, sliceUpdate } from '../documents/slices.js';
import type { Environment } from '../environment.js';
import { versionOf } from '../listing.js';
import type { JournaledRow } from '../tabs/room-channel.js';
import { documentName, readDocumentUpdates } from './documents.js';
import type { DocumentEdit, EditResult, LeftOut, WriteResult } from './engine-api.js';
import { JournalWriter } from './journal-writer.js';
import type { Owner } from './owner.js';
import { recordName } from './records.js';
import type { RoomParts } from './room-parts.js';
import { toNotice } from './row-notices.js';
import type { RuntimeOptions } from './runtime-options.js';

/** Of one document: more of them do not follow each other before the page has heard of the first. */
const LEFT_OUT_EDITS_MAX = 16;

type Parts = Pick<RoomParts, 'channel' | 'collections' | 'pending' | 'shown' | 'status' | 'unkept' | 'unsent'>;

/** What this tab's page writes, on its way into the journal. */
export class Writes {
  readonly #options: RuntimeOptions;
  readonly #parts: Parts;
  readonly #owner: () => Owner | undefined;
  readonly #journal: JournalWriter;
  /** By document, the edits that something was left out of. */
  readonly #leftOut = new Map<string, readonly LeftOutEdit[]>();
  /** What was looked at last. */
  #granted: { readonly nonce: number; readonly clientId: number } | undefined;

  constructor(env: Environment, options: RuntimeOptions, parts: Parts, owner: () => Owner | undefined) {
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

  /** [JS11] What is too large for one delta goes as several; a value that is too large for any is left out. Throws `BODY_TOO_LARGE`. */
  async edit(
    id: string,
    { updates, nonce, clientId, imported: isForeign, isShown }: DocumentEdit,
  ): Promise<EditResult> {
    // A clientID that was granted before the profile took another identity is not this replica's.
    const imported = isForeign || clientId !== this.#clientIdOf(nonce);
    const name = documentName(id);
    const payload = mergeUpdates(updates);
    const edit = { name, flags: imported ? FLAG.import : 0, nonces: imported ? [] : [nonce] };
    const bytesMax = payloadBytesMaxOf(name);
    if (payload.length <= bytesMax) return this.write({ ...edit, payload });
    const sliced = sliceUpdate(payload, bytesMax);
    const isRefused = sliced.refused.length > 0;
    if (isRefused && !isShown) throw this.#refuse(sliced);
    const [first, ...others] = sliced.slices.map((slice) => ({ ...edit, payload: slice }));
    // Before anything is waited for: the page goes on writing, and its later edits need what these say.
    const written = await this.write(first as Edit, ...others);
    return isRefused ? { ...written, leftOut: await this.#leaveOut(id, sliced) } : written;
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

  /** All of it or none. Resolves when it is on disk, or applied where the disk is full. */
  async write(...edits: readonly [Edit, ...Edit[]]): Promise<WriteResult> {
    try {
      const { rows, isKept } = await this.#journal.append(...edits);
      const version = versionOf(this.#options.identity.replica, (rows.at(-1) as JournalRow).writtenAt);
      const rung = isKept && this.#options.isPersistent ? 'disk' : 'applied';
      return { rows: rows.map(({ number }) => number), version, rung };
    } catch (error) {
      this.#parts.status.fault(errorToFacts(error));
      throw error;
    } finally {
      // Whoever reads the status right after a write finds the write in it, or why it failed.
      this.#parts.status.tellNow();
    }
  }

  /** Each keystroke asks for the same. */
  #clientIdOf(nonce: number): number {
    const { config, identity } = this.#options;
    const { hash, roomId } = config.room;
    if (this.#granted?.nonce !== nonce)
      this.#granted = { nonce, clientId: deriveClientId(hash, roomId, identity.replica, nonce) };
    return this.#granted.clientId;
  }

  async #leaveOut(id: string, sliced: Sliced): Promise<LeftOut> {
    const error = errorToFacts(this.#refuse(sliced));
    // One that follows another under the same key has replaced what that one was to bring back.
    const edits = [...(this.#leftOut.get(id) ?? []), sliced].slice(-LEFT_OUT_EDITS_MAX);
    this.#leftOut.set(id, edits);
    const stored = await readDocumentUpdates(this.#parts.shown, this.#options.config.room, id);
    return { ranges: sliced.refused, replaced: updateThatBringsBack(stored, edits), error };
  }

  #refuse({ refused }: Sliced): MangroveError {
    const bodyBytes = Math.max(...refused.map(({ bytes }) => bytes));
    const error = new MangroveError('BODY_TOO_LARGE', { bodyBytes, bodyBytesMax: defaultLimits.bodyBytesMax });
    this.#parts.status.fault(errorToFacts(error));
    this.#parts.status.tellNow();
    return error;
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
    // Whoever wrote them is answered now; what a full disk takes later was answered long ago.
    if (were.length === 0) status.touchAnswered();
    else status.touch();
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
