import { signDelta } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { bytesToReplicaId, type KeyId } from '../ids.js';
import {
  checkpointDelayMs,
  type CheckpointSources,
  commitCheckpoint,
  draftCheckpoint,
  readCheckpointSources,
  updatesOf,
} from '../room/checkpoint.js';
import { commitMerged, readMergeSources } from '../room/merge.js';
import { readNumber } from '../room/meta.js';
import { resetClock } from '../room/withdraw.js';
import { asItIs, mergeIds, writesOfBody } from './content.js';
import type { DeskHost } from './desk.js';

const RETRY_MS = 2_000;

/** Where a replica writes checkpoints of documents [CP3, CP4], or merges them for itself in a room of full history [FH4]. */
export class Compactor {
  readonly #host: DeskHost;
  readonly #planned = new Set<KeyId>();

  constructor(host: DeskHost) {
    this.#host = host;
  }

  /** Nothing is about to be written. */
  get isIdle(): boolean {
    return this.#planned.size === 0;
  }

  /** The process has started again: what was planned is forgotten. */
  restart(): void {
    this.#planned.clear();
  }

  /** Something was added to these documents. */
  added(keyIds: Iterable<KeyId>): void {
    for (const keyId of keyIds) this.#plan(keyId, 0);
  }

  #plan(keyId: KeyId, atLeastMs: number): void {
    const { id, world, disk, random } = this.#host;
    if (this.#planned.has(keyId)) return;
    this.#planned.add(keyId);
    const heads = disk.tables.table('heads').rows({ from: new Uint8Array() });
    const online = heads.map(([key]) => bytesToReplicaId(key));
    const delayMs = checkpointDelayMs(id, online, random.fraction(), world.config.limits.checkpointStepMs);
    this.#host.later(Math.max(delayMs, atLeastMs), () => this.#look(keyId));
  }

  #look(keyId: KeyId): void {
    const { id, world, disk, isInSession, random } = this.#host;
    this.#planned.delete(keyId);
    if (!isInSession) return;
    const { limits } = world.config;
    if (world.room.history === 'full') {
      this.#merge(keyId);
      return;
    }
    const { sources } = disk.read((tx) => readCheckpointSources(tx, world.room, id, keyId, limits));
    if (sources === undefined) return;
    this.#planned.add(keyId);
    this.#host.later(random.between(0, 30), () => this.#write(sources));
  }

  #merge(keyId: KeyId): void {
    const { world, disk, random } = this.#host;
    const { sources } = disk.read((tx) => readMergeSources(tx, world.room, keyId, world.config.limits));
    if (sources === undefined) return;
    const update = mergeIds(sources.updates);
    const epoch = disk.read((tx) => readNumber(tx, 'epoch'));
    this.#planned.add(keyId);
    this.#host.later(random.between(0, 30), () => {
      this.#planned.delete(keyId);
      const isMerged = disk.write((tx) => commitMerged(tx, sources, update, epoch), this.#host.durability);
      world.count(isMerged ? 'documents merged' : 'merges that lost their race');
      if (!isMerged) this.#plan(keyId, 0);
    });
  }

  #write(sources: CheckpointSources): void {
    const { id, world, disk, publicKey, random, index } = this.#host;
    const { keyId } = sources;
    const nowMs = this.#host.nowMs();
    try {
      const update = mergeIds(updatesOf(sources));
      const epoch = disk.read((tx) => readNumber(tx, 'epoch'));
      const unsigned = disk.read((tx) => draftCheckpoint(tx, world.room, id, sources, update, asItIs, nowMs));
      const delta = signDelta(unsigned, world.crypto.sign(publicKey, unsigned.message));
      this.#host.later(random.between(0, 30), () => {
        this.#planned.delete(keyId);
        const acceptance = disk.write((tx) => commitCheckpoint(tx, world.room, delta, sources, epoch, nowMs), 'strict');
        world.count(acceptance === undefined ? 'checkpoints that lost their race' : 'checkpoints');
        if (acceptance === undefined) return this.#plan(keyId, 0);
        world.ledger.checkpointed(delta, index, writesOfBody(delta));
        world.trace.add('checkpoint', index, delta.seq, delta.id);
        this.#host.later(random.between(0, 5), () => this.#host.sealed([delta]));
      });
    } catch (error) {
      if (!isMangroveError(error) || error.code !== 'CLOCK_AHEAD') throw error;
      // It may have been set right since.
      disk.write((tx) => resetClock(tx, nowMs), 'relaxed');
      this.#planned.delete(keyId);
      this.#plan(keyId, RETRY_MS);
    }
  }
}
