import { signDelta } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { bytesToReplicaId } from '../ids.js';
import { checkpointDelayMs } from '../room/checkpoint.js';
import { commitFloor, draftFloor, type FloorDraft } from '../room/floor.js';
import { readNumber } from '../room/meta.js';
import { resetClock } from '../room/withdraw.js';
import { pruneTombstones, pruneTrash } from '../room/trash.js';
import type { DeskHost } from './desk.js';

const PRUNE_MAX = 1_000;

/** Where a replica writes floors [FL11] and empties its trash. */
export class Collector {
  readonly #host: DeskHost;
  #isPlanned = false;

  constructor(host: DeskHost) {
    this.#host = host;
  }

  /** Nothing is about to be written. */
  get isIdle(): boolean {
    return !this.#isPlanned;
  }

  /** The process has started again: what was planned is forgotten. */
  restart(): void {
    this.#isPlanned = false;
  }

  /** Roots are equal, or somebody said how far it has come: a floor may be due. */
  look(): void {
    const { id, world, disk, durability, isInSession, random } = this.#host;
    if (this.#isPlanned || !isInSession) return;
    const { trashMs, checkpointStepMs } = world.config.limits;
    const pruned = disk.write((tx) => pruneTrash(tx, this.#host.nowMs() - trashMs, PRUNE_MAX), durability);
    world.count('deltas gone from the trash', pruned);
    world.count(
      'tombstones forgotten',
      disk.write((tx) => pruneTombstones(tx, world.room, PRUNE_MAX), durability),
    );
    if (this.#draft() === undefined) return;
    const heads = disk.tables.table('heads').rows({ from: new Uint8Array() });
    const online = heads.map(([key]) => bytesToReplicaId(key));
    this.#isPlanned = true;
    this.#host.later(checkpointDelayMs(id, online, random.fraction(), checkpointStepMs), () => this.#write());
  }

  #write(): void {
    const { world, disk, publicKey, random } = this.#host;
    const draft = this.#draft();
    const epoch = disk.read((tx) => readNumber(tx, 'epoch'));
    this.#isPlanned = draft !== undefined;
    if (draft === undefined) {
      world.count('floors that another wrote');
      return;
    }
    const delta = signDelta(draft.unsigned, world.crypto.sign(publicKey, draft.unsigned.message));
    const nowMs = this.#host.nowMs();
    this.#host.later(random.between(0, 30), () => {
      this.#isPlanned = false;
      const acceptance = disk.write((tx) => commitFloor(tx, world.room, delta, draft, epoch, nowMs), 'strict');
      world.count(acceptance === undefined ? 'floors that lost their race' : 'floors');
      if (acceptance === undefined) return this.look();
      world.ledger.floored(delta, this.#host.index);
      world.count('tombstones collected', draft.collected);
      world.trace.add('floor', this.#host.index, delta.seq, delta.id);
      this.#host.later(random.between(0, 5), () => this.#host.sealed([delta]));
    });
  }

  /** Undefined where none is due, and while the clock is too far ahead [HLC4]: it is looked for again whenever anything happens. */
  #draft(): FloorDraft | undefined {
    const { id, world, disk } = this.#host;
    const nowMs = this.#host.nowMs();
    try {
      return disk.read((tx) => draftFloor(tx, world.room, id, nowMs, world.config.limits));
    } catch (error) {
      if (!isMangroveError(error) || error.code !== 'CLOCK_AHEAD') throw error;
      // It may have been set right since.
      disk.write((tx) => resetClock(tx, nowMs), 'relaxed');
      return undefined;
    }
  }
}
