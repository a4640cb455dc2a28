import {
  bytesToDelta,
  bytesToHex,
  type Certificate,
  type Delta,
  type DeltaBytes,
  deltaMessage,
  EMPTY_ROOT,
  equalBytes,
  errorToFacts,
  isStrictSignature,
  MangroveError,
  readNumber,
  readRoot,
} from '@mangrove/protocol';
import { Certifier } from '../certifier.js';
import { setBarrier } from '../journal-writer.js';
import { Guard } from '../guard/guard.js';
import type { Received } from '../receive.js';
import { toNotice } from '../row-notices.js';
import type { BorrowedRoom } from './backup-host.js';

/** One transaction takes so much, as much as a relay would send at once. */
const BATCH_BYTES = 256 * 1024;
const BATCH_DELTAS = 1_024;

/** A room that a backup is restored into. */
export class RestoredRoom {
  #room: BorrowedRoom;
  #certifier: Certifier;
  #guard: Guard;
  /** What the room came to by this backup alone; undefined where it has, or had, something else. */
  #root: Uint8Array | undefined;
  #added = 0;
  #refused = 0;

  static async open(room: BorrowedRoom): Promise<RestoredRoom> {
    const { root } = await room.host.options.store.transact(readRoot, { mode: 'read' });
    return new RestoredRoom(room, equalBytes(root, EMPTY_ROOT) ? root : undefined);
  }

  private constructor(room: BorrowedRoom, root: Uint8Array | undefined) {
    this.#room = room;
    this.#root = root;
    this.#certifier = makeCertifier(room);
    this.#guard = makeGuard(room, this.#certifier);
  }

  /** Deltas that are in the set and were not before. */
  get added(): number {
    return this.#added;
  }

  /** Deltas that were not taken: forged, without a certificate, or from the future. */
  get refused(): number {
    return this.#refused;
  }

  /** As if who restores had shown them to a relay [BK10]. */
  async certify(certificates: readonly Certificate[]): Promise<void> {
    const issuers = new Map(certificates.map(({ issuer }) => [bytesToHex(issuer), issuer]));
    for (const issuer of issuers.values()) await this.#certifier.trust(issuer, certificates);
  }

  /** Takes deltas as from a peer and tells all tabs, in transactions of bounded size [BK7]. */
  async take(deltas: readonly DeltaBytes[]): Promise<void> {
    await this.#keepIdentity(deltas);
    for (const batch of batchesOf(deltas)) {
      // Nobody else waits.
      const options = { source: 'backup', patienceMs: Number.POSITIVE_INFINITY } as const;
      for await (const received of this.#guard.receive(batch, options)) {
        this.#count(received);
        this.#tell(received);
      }
    }
  }

  /** Resolves when all of it is on disk. Throws `BACKUP_DAMAGED` where a whole backup in an empty room is not what it says [BK9]. */
  async finish(root: Uint8Array, isWhole: boolean): Promise<void> {
    await this.#room.host.options.store.transact(setBarrier, { mode: 'write', durability: 'strict' });
    const isOther = this.#root !== undefined && !equalBytes(this.#root, root);
    if (isWhole && isOther && this.#refused === 0)
      throw new MangroveError('BACKUP_DAMAGED', {
        reason: 'the empty room that it was restored into has another root',
      });
  }

  async release(): Promise<void> {
    await this.#guard.stop();
    return this.#room.release();
  }

  #count({ added, rejected, faults, rootBefore, standing }: Received): void {
    this.#added += added.length;
    // Of each delta that cannot be used there is a fault; what is only undecodable is in the set.
    this.#refused += rejected.length + faults.filter(({ code }) => REFUSALS.has(code)).length;
    const isAlone = this.#root !== undefined && rootBefore !== undefined && equalBytes(this.#root, rootBefore);
    this.#root = isAlone ? standing.root : undefined;
  }

  #tell({ keys, faults, rejected, withdrawn, unseen }: Received): void {
    const { host } = this.#room;
    const { replica } = host.options.identity;
    for (const fault of faults) host.fault(fault);
    for (const { delta } of rejected)
      host.fault(errorToFacts(new MangroveError('SIGNATURE_INVALID', { replica: delta.replica })));
    if (withdrawn.seqs.length > 0) {
      const error = errorToFacts(new MangroveError('UNDER_FLOOR', { replica, seq: withdrawn.seqs[0] }));
      host.tell({ kind: 'withdrawn', seqs: withdrawn.seqs, error, rows: withdrawn.rows.map(toNotice) });
    }
    if (unseen.length > 0)
      host.fault(errorToFacts(new MangroveError('COVERED_UNSEEN', { replica, seq: unseen[0]?.seq })));
    for (const { seq, rows } of unseen)
      host.tell({ kind: 'withdrawn', seqs: [seq], error: undefined, rows: rows.map(toNotice) });
    host.tell({ kind: 'stored', keys, fromSeq: undefined });
  }

  /**
   * An own delta that this store does not know to have sealed: a copy of this profile has, and the next seal would use its dot [CX7]. What this
   * identity has not signed says nothing of it.
   */
  async #keepIdentity(deltas: readonly DeltaBytes[]): Promise<void> {
    const { env, options } = this.#room.host;
    const { store, config, identity } = options;
    const { hash, roomId } = config.room;
    const own = deltas
      .map((bytes) => bytesToDelta(hash, roomId, bytes))
      .filter(({ replica }) => replica === identity.replica);
    if (own.length === 0) return;
    const sealed = await store.transact((tx) => readNumber(tx, 'seq'), { mode: 'read' });
    const { publicKey } = identity.signer;
    const isSigned = async ({ id, signature }: Delta): Promise<boolean> =>
      isStrictSignature(publicKey, signature) && (await env.verifier.verify(publicKey, deltaMessage(id), signature));
    const verdicts = await Promise.all(own.filter(({ seq }) => seq > sealed).map(isSigned));
    if (!verdicts.includes(true)) return;
    await this.#guard.stop();
    this.#room = await this.#room.renewed();
    this.#certifier = makeCertifier(this.#room);
    this.#guard = makeGuard(this.#room, this.#certifier);
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['UNCERTIFIED', 'CLOCK_AHEAD', 'DELTA_MALFORMED', 'WRONG_ROOM']);

function makeCertifier({ host: { env, options } }: BorrowedRoom): Certifier {
  return new Certifier(env.verifier, options.store, options.config.room);
}

function makeGuard({ host }: BorrowedRoom, certifier: Certifier): Guard {
  const { env, options } = host;
  const receiver = { room: options.config.room, replica: options.identity.replica, certifier };
  const ignore = (): void => {};
  // Each trial is waited for, so nothing settles behind it.
  return new Guard(env, options.store, receiver, { settled: ignore, failed: ignore });
}

function* batchesOf(deltas: readonly DeltaBytes[]): Generator<readonly DeltaBytes[]> {
  let from = 0;
  let bytes = 0;
  for (const [i, { length }] of deltas.entries()) {
    if (i > from && (bytes + length > BATCH_BYTES || i - from >= BATCH_DELTAS)) {
      yield deltas.slice(from, i);
      from = i;
      bytes = 0;
    }
    bytes += length;
  }
  if (from < deltas.length) yield deltas.slice(from);
}
