import { bytesToU64 } from '../bytes.js';
import { type Delta, signDelta } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { deriveKeyId, type KeyId, type KeyName, type ReplicaId } from '../ids.js';
import { foldJournal } from '../room/fold.js';
import { appendToJournal, type JournalRow, readJournal, readJournalOf, readKeyState } from '../room/journal.js';
import { readWholeDocument } from '../room/merge.js';
import { readNumber } from '../room/meta.js';
import { nextEpoch } from '../room/fence.js';
import type { Unseen } from '../room/unseen.js';
import { readableRecords } from '../room/readable.js';
import { commitSeal, draftSeal, type SealDraft, type SealedDraft } from '../room/seal.js';
import { numbersOf } from '../room/runs.js';
import { resetClock, withdrawRefused } from '../room/withdraw.js';
import type { Refusal } from '../sync/event.js';
import { asItIs, editOf, idsOfUpdate, mergeIds } from './content.js';
import type { Disk } from './disk.js';
import type { WriteKind } from './ledger.js';
import type { Random } from './random.js';
import type { Scene } from './scene.js';

const RETRY_MS = 1_000;

/** The device that a desk stands on. */
export interface DeskHost {
  readonly index: number;
  readonly id: ReplicaId;
  readonly publicKey: Uint8Array;
  readonly world: Scene;
  readonly disk: Disk;
  readonly random: Random;
  readonly durability: 'strict' | 'relaxed';
  readonly isUp: boolean;
  readonly isInSession: boolean;
  nowMs(): number;
  later(delayMs: number, run: () => void): void;
  /** Own deltas that are behind a barrier: to be sent. */
  sealed(deltas: readonly Delta[]): void;
}

/** Where a replica's user writes: the journal, its sealing, and what of both the ledger has to know. */
export class Desk {
  readonly #host: DeskHost;
  /** Journal row → write ids: one, or all that a withdrawn delta had joined. */
  readonly #writesOfRow = new Map<number, readonly number[]>();
  /** For tests: what is written waits. */
  isHeld = false;
  #epoch = 0;
  #isSealing = false;
  #waitsUntilMs = 0;

  constructor(host: DeskHost) {
    this.#host = host;
  }

  /** The process has started, or another tab has become the owner: a seal that is under way must not be committed [JS3]. */
  own(): void {
    this.#epoch = this.#host.disk.write(nextEpoch, 'strict');
    this.#isSealing = false;
    // The timer that would have ended the waiting died with the process.
    this.#waitsUntilMs = 0;
  }

  edit(name: KeyName, kind: WriteKind, bulkBytes = 0): number {
    const { world, disk, durability, index } = this.#host;
    const { ledger, room } = world;
    const keyId = deriveKeyId(room.hash, room.roomId, name);
    const seen = kind === 'document' ? [] : this.#visible(keyId);
    const id = ledger.nextWriteId;
    const nowMs = this.#host.nowMs();
    const rows = disk.write((tx) => appendToJournal(tx, room, [editOf(name, kind, id, bulkBytes)], nowMs), durability);
    ledger.write({ replica: index, keyId, kind, seen }, id);
    for (const row of rows) this.#writesOfRow.set(row.number, [id]);
    world.trace.add('edit', index, kind, id);
    if (disk.isSafe) this.noteDurable();
    return id;
  }

  /** The writes that reading shows, ascending. */
  read(name: KeyName): readonly number[] {
    const { hash, roomId } = this.#host.world.room;
    const keyId = deriveKeyId(hash, roomId, name);
    const writes = name.kind === 'document' ? this.#document(keyId) : this.#visible(keyId);
    return [...new Set(writes)].sort((a, b) => a - b);
  }

  /** What the bodies say: a checkpoint stands for all that it has merged. */
  #document(keyId: KeyId): readonly number[] {
    const { world, disk } = this.#host;
    const updates = disk.read((tx) => readWholeDocument(tx, world.room, keyId));
    const rows = disk.read((tx) => readJournalOf(tx, keyId));
    return [...updates.flatMap(idsOfUpdate), ...rows.flatMap((row) => this.#writesOf(row))];
  }

  /** The journal of a profile that was copied. */
  copyFrom(other: Desk): void {
    for (const [row, writes] of other.#writesOfRow) this.#writesOfRow.set(row, writes);
  }

  /** What stands before the eyes of who writes now: values that were received, and rows not yet sealed. */
  #visible(keyId: KeyId): readonly number[] {
    const { world, disk } = this.#host;
    const { deltas, rows } = disk.read(function* (tx) {
      const state = yield* readKeyState(tx, world.room, keyId);
      return (yield* readableRecords(tx, world.room, [state]))[0] ?? state;
    });
    return [
      ...deltas.flatMap((delta) => world.ledger.valuesOf(delta.id)),
      ...rows.flatMap((row) => this.#writesOf(row)),
    ];
  }

  /** Drafts and signs now, commits when the signatures are there. */
  seal(): void {
    const { isUp, isInSession, random, publicKey, world } = this.#host;
    if (this.#isSealing || this.isHeld || !isUp || world.loop.nowMs < this.#waitsUntilMs) return;
    // Sealing happens when there is someone to send to; sooner does no harm, so now and then it is done.
    if (!isInSession) this.#fold();
    if (!isInSession && !random.chance(0.1)) return;
    const nowMs = this.#host.nowMs();
    const drafts = this.#draft(nowMs);
    if (drafts === undefined) {
      world.count('seals that waited for their time');
      this.#host.later(RETRY_MS, () => this.seal());
    } else if (drafts.length > 0) {
      const sealed = drafts.map(({ unsigned, rows }) => {
        return { delta: signDelta(unsigned, world.crypto.sign(publicKey, unsigned.message)), rows };
      });
      this.#isSealing = true;
      const epoch = this.#epoch;
      this.#host.later(random.between(0, 30), () => this.#commit(sealed, epoch, nowMs));
    }
  }

  /** Undefined while the clock is too far ahead [HLC4]. */
  #draft(nowMs: number): readonly SealDraft[] | undefined {
    const { id, world, disk } = this.#host;
    try {
      return disk.read((tx) =>
        draftSeal(tx, world.room, { replica: id, nowMs, mergeUpdates: mergeIds, deflate: asItIs }),
      );
    } catch (error) {
      if (!isMangroveError(error) || error.code !== 'CLOCK_AHEAD') throw error;
      // It may have been set right since.
      disk.write((tx) => resetClock(tx, nowMs), 'relaxed');
      return undefined;
    }
  }

  #commit(sealed: readonly SealedDraft[], epoch: number, nowMs: number): void {
    const { world, disk, random, index } = this.#host;
    const acceptance = disk.write((tx) => commitSeal(tx, world.room, sealed, epoch, nowMs), 'strict');
    if (epoch === this.#epoch) this.#isSealing = false;
    this.#host.later(random.between(1, 20), () => this.seal());
    if (acceptance === undefined) {
      world.count('seals that lost their race');
      return;
    }
    for (const { delta, rows } of sealed) {
      const writes = rows.flatMap((row) => this.#writesOf(row));
      world.ledger.sealed(delta, index, writes);
      world.trace.add('sealed', index, delta.seq, delta.id);
    }
    this.noteDurable();
    this.#host.later(random.between(0, 5), () => this.#host.sealed(sealed.map(({ delta }) => delta)));
  }

  /** A relay will not have it as it is: its content goes back into the journal, to be sealed again in its time [JS5]. */
  withdraw({ seq, code, facts }: Pick<Refusal, 'seq' | 'code' | 'facts'>): void {
    const { world, disk, id } = this.#host;
    const refusal = { seq, code, facts };
    const nowMs = this.#host.nowMs();
    const { rows, seqs } = disk.write((tx) => withdrawRefused(tx, world.room, id, refusal, nowMs), 'strict');
    this.#forgotten(seqs.slice(1));
    const record = world.ledger.ownDelta(this.#host.index, id, seq);
    if (rows === undefined || record === undefined) return;
    world.ledger.withdrawn(record, this.#host.index, rows.length > 0);
    // Others may have seen it and replaced it, as it came from here before, or comes from a copy of this profile [SY24].
    if (code === 'UNDER_FLOOR' || code === 'DOT_REUSED' || record.atRelay) world.ledger.revived(record);
    // Another relay has it, or this one had before it was restored from a copy.
    if (code === 'CLOCK_AHEAD') world.ledger.stays(record);
    for (const row of rows) this.#writesOfRow.set(row.number, record.writes);
    // What is refused now would be refused again at once.
    this.#waitsUntilMs = world.loop.nowMs + RETRY_MS;
    this.#host.later(RETRY_MS, () => this.seal());
  }

  /** A floor came that own deltas lie under; those that no relay had acknowledged have become rows again [FL5]. */
  swept(swept: readonly Delta[], rows: readonly JournalRow[]): void {
    const { world, index } = this.#host;
    for (const row of rows) {
      const delta = swept.find(({ keyId, writtenAt }) => keyId === row.keyId && writtenAt === row.writtenAt);
      const record = delta && world.ledger.deltas.get(delta.id);
      if (record === undefined) throw new Error('a row came back of a delta that was never sealed');
      world.ledger.withdrawn(record, index, true);
      world.ledger.revived(record);
      world.count('deltas that came back from under a floor');
      this.#writesOfRow.set(row.number, record.writes);
    }
    if (rows.length > 0) this.#host.later(0, () => this.seal());
  }

  /** Somebody covered own deltas who cannot have seen them: they have become rows again [CX10]. */
  covered(unseen: readonly Unseen[]): void {
    const { world, index, id } = this.#host;
    for (const { seq, rows } of unseen) {
      const record = world.ledger.ownDelta(index, id, seq);
      if (record === undefined) throw new Error('a row came back of a delta that was never sealed');
      world.ledger.withdrawn(record, index, rows.length > 0);
      // Another relay has had it, and whoever covers it saw it there.
      if (record.atRelay) world.ledger.revived(record);
      world.count('deltas that were covered unseen');
      for (const row of rows) this.#writesOfRow.set(row.number, record.writes);
    }
    if (unseen.length > 0) this.#host.later(0, () => this.seal());
  }

  /** Superseded unsent, by what was withdrawn: no part of anybody's past. */
  #forgotten(seqs: readonly number[]): void {
    const { world, index, id } = this.#host;
    for (const seq of seqs) {
      const record = world.ledger.ownDelta(index, id, seq);
      if (record !== undefined) world.ledger.withdrawn(record, index, false);
    }
  }

  /** All that no relay has acknowledged goes back into the journal. */
  withdrawAll(): void {
    const keys = this.#host.disk.tables.table('outbox').rows({ from: new Uint8Array() });
    for (const [key] of keys) this.withdraw({ seq: bytesToU64(key), code: 'DOT_REUSED', facts: {} });
  }

  /** Rows that wait to be sealed. */
  get size(): number {
    return this.#host.disk.read((tx) => readJournal(tx)).length;
  }

  /** All that was written is behind a barrier, and so acknowledged. */
  noteDurable(): void {
    const { world, index } = this.#host;
    for (const write of world.ledger.writes) if (write.replica === index && !write.lost) write.onDisk = true;
  }

  /** After a power cut: what was acknowledged must be there; what was not may be gone. */
  noteLosses(): void {
    const { world, disk, index, id } = this.#host;
    const { ledger } = world;
    const kept = new Set(disk.read((tx) => readJournal(tx)).flatMap((row) => this.#writesOf(row)));
    for (const write of ledger.writes) {
      if (write.replica !== index || write.lost || write.delta !== undefined || kept.has(write.id)) continue;
      if (write.onDisk) throw new Error(`[JS1] write ${write.id} was on the disk of replica ${index} and is gone`);
      write.lost = true;
    }
    const seq = disk.read((tx) => readNumber(tx, 'seq'));
    const sealed = ledger.lastSeq(index, id);
    if (seq < sealed) throw new Error(`[JS4] replica ${index} has sealed ${sealed} deltas and remembers ${seq}`);
  }

  /** Rows of a long time offline are joined; in a world, any two [JS6]. */
  #fold(): void {
    const { world, disk } = this.#host;
    const options = { epoch: this.#epoch, mergeUpdates: mergeIds, rowsMin: 2, from: new Uint8Array() };
    const folding = disk.write((tx) => foldJournal(tx, options), 'strict');
    if (folding !== undefined && folding.replaced.length > 0) world.count('journals that were folded');
  }

  #writesOf(row: Pick<JournalRow, 'number' | 'folded'>): readonly number[] {
    const numbers = numbersOf(row).flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
    return numbers.flatMap((number) => this.#writesOfRow.get(number) ?? []);
  }
}
