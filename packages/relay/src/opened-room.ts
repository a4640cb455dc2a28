import {
  addFindings,
  adoptVector,
  bytesToDelta,
  bytesToHeadStatement,
  type DiffPlace,
  equalBytes,
  hasFound,
  HealingStore,
  type HeadStatement,
  headStatementToBytes,
  type Fetch,
  idToBytes,
  isAhead,
  type Joined,
  keepPart,
  keepStubs,
  msAhead,
  NOTHING_FOUND,
  hlcFromMs,
  type Part,
  type Plan,
  planDiffPart,
  type Position,
  type PushedDelta,
  type PushedStub,
  readJoined,
  readPosition,
  readRoot,
  readVectorRows,
  type RelayEffect,
  type RelayEvent,
  removeDelta,
  type ReplicaId,
  type RoomConfig,
  type RoomRef,
  type ScrubFindings,
  type ScrubPlace,
  type Refusal,
  siftAhead,
  siftByQuota,
  scrubStep,
  type ShownKeys,
  type Steps,
  type Store,
  type Transaction,
  type VersionVector,
} from '@mangrove/protocol';
import { quotaRefusal } from './announcer.js';
import type { Commits } from './commit-host.js';
import { CommitQueue } from './commits.js';
import type { SharedHost, SharedRoom } from './fleet/shared-room.js';
import { RoomCertificates } from './certificates.js';
import { RoomVerifier, type Sifted } from './verification.js';

/** What became of a head statement; where it was kept, which one was before it. */
export type HeadOutcome =
  | { readonly before: HeadStatement | undefined }
  | 'offered'
  | 'older'
  | 'bad-signature'
  | 'ahead';

/** Makes a room one of a fleet, where there is one. */
type Share = (host: SharedHost, store: Store, ref: RoomRef, config: RoomConfig) => SharedRoom | undefined;

/** A room whose configuration is fixed, with its store: what its links read and write. */
export class OpenedRoom {
  readonly ref: RoomRef;
  readonly config: RoomConfig;
  readonly store: Store;
  readonly commits: Commits;
  /** In a fleet: what the commits of the room go through. */
  readonly shared: SharedRoom | undefined;
  readonly certificates: RoomCertificates;
  readonly verifier: RoomVerifier;
  readonly #host: SharedHost;
  #place: ScrubPlace | undefined;
  #scrubAtMs = 0;

  constructor(host: SharedHost, ref: RoomRef, config: RoomConfig, share: Share) {
    this.ref = ref;
    this.config = config;
    const store = new HealingStore(host.ports.environment.room(ref.roomId), ref);
    store.listen((findings) => this.#healed(findings));
    this.store = store;
    this.shared = share(host, store, ref, config);
    this.commits = this.shared ?? new CommitQueue(host, store, ref);
    this.certificates = new RoomCertificates(host.ports, ref, store, this.shared);
    this.verifier = new RoomVerifier(host.ports, ref.roomId, this.store);
    this.#host = host;
  }

  read<Result>(plan: Plan<Result>): Promise<Result> {
    return this.store.transact(plan, { mode: 'read' });
  }

  standing(): Promise<{ readonly position: Position; readonly vector: VersionVector }> {
    return this.read(function* (tx) {
      return { position: yield* readPosition(tx), vector: yield* readVectorRows(tx) };
    });
  }

  /** [SY7, SY9] Those that may be committed, in order, and why the others may not. `shown`: keys of the connection that they came over. */
  async sift<Pushed extends PushedDelta | PushedStub>(
    pushed: readonly Pushed[],
    shown: ShownKeys,
  ): Promise<Sifted<Pushed>> {
    const { clockAheadMsMax } = this.#host.ports.limits;
    const near = pushed.some(isAhead)
      ? await this.read((tx) => siftAhead(tx, this.ref, pushed, clockAheadMsMax))
      : { passed: pushed, refusals: [] };
    const counts = shown.size > 0 && (await this.certificates.hasRoom());
    const signed = await this.verifier.sift(near.passed, counts ? shown : undefined);
    const { passed, refusals } = await this.#fit(signed.passed);
    return { ...signed, passed, refusals: [...near.refusals, ...signed.refusals, ...refusals] };
  }

  /** [SY27] What comes in parts is refused before they are asked for; all else when it is committed. */
  async #fit<Pushed extends PushedDelta | PushedStub>(
    pushed: readonly Pushed[],
  ): Promise<{ readonly passed: readonly Pushed[]; readonly refusals: readonly Refusal[] }> {
    const stubs = pushed.flatMap((item) => ('stub' in item ? [item.stub] : []));
    if (stubs.length === 0) return { passed: pushed, refusals: [] };
    const over = await this.read((tx) => siftByQuota(tx, this.ref, stubs, this.#host.ports.quota));
    const refusals = stubs.flatMap((stub, i) => (over[i] === undefined ? [] : quotaRefusal(stub, over[i])));
    const refused = new Set(stubs.filter((_, i) => over[i] !== undefined));
    return { passed: pushed.filter((item) => !('stub' in item && refused.has(item.stub))), refusals };
  }

  /** [SY11] Keeps the newest statement of each replica. One from the future would hide all that follow it. */
  async keepHead(statement: HeadStatement): Promise<HeadOutcome> {
    const { clock, limits } = this.#host.ports;
    if (msAhead(hlcFromMs(statement.timeMs), clock.nowMs()) > limits.clockAheadMsMax) return 'ahead';
    if (!(await this.verifier.isHeadSigned(statement))) return 'bad-signature';
    if (this.shared !== undefined) {
      this.shared.offerHead(statement);
      return 'offered';
    }
    const key = idToBytes(statement.replica);
    // A statement that a power cut takes is made again, so it does not wait for the disk.
    return this.store.transact(
      function* (tx) {
        const row = yield* tx.get('heads', key);
        const before = row && bytesToHeadStatement(row);
        if (before !== undefined && before.timeMs >= statement.timeMs) return 'older';
        tx.put('heads', key, headStatementToBytes(statement));
        return { before };
      },
      { mode: 'write', durability: 'relaxed' },
    );
  }

  /** [FD5] Whether the key that was shown for it has signed it, and may be certified for that. */
  async isHeadProven(statement: HeadStatement, shown: ShownKeys): Promise<boolean> {
    return (await this.certificates.hasRoom()) && (await this.verifier.isHeadProven(statement, shown));
  }

  /** [FD6] Another relay with this very set holds or has covered what its vector reaches: so do we. */
  async adopt({ root, vector }: { readonly root: Uint8Array; readonly vector: VersionVector }): Promise<void> {
    const plan = function* (tx: Transaction): Steps<void> {
      if (equalBytes((yield* readRoot(tx)).root, root)) yield* adoptVector(tx, vector);
    };
    await this.commits.alone(() => this.store.transact(plan, { mode: 'write', durability: 'relaxed' }));
  }

  /** The statements that were made since, by the clocks of those who made them. */
  headsSince(sinceMs: number): Promise<readonly HeadStatement[]> {
    return this.read(function* (tx) {
      const rows = yield* tx.rows('heads', { from: new Uint8Array() });
      return rows.map(([, row]) => bytesToHeadStatement(row)).filter(({ timeMs }) => timeMs >= sinceMs);
    });
  }

  /** In parts, each in a turn of its own. Undefined where its peer has left meanwhile. */
  async answerDiff(
    effect: RelayEffect & { kind: 'answer-diff' },
    isWanted: () => boolean,
  ): Promise<RelayEvent | undefined> {
    const { counters, turns } = this.#host.ports;
    let place: DiffPlace | undefined;
    for (;;) {
      await turns.take();
      if (!isWanted()) return undefined;
      const from = place;
      const part = await this.read(planDiffPart(this.ref, effect, from));
      if (!('next' in part)) {
        counters.add('deltas_compared', part.deltas.length);
        return part;
      }
      place = part.next;
    }
  }

  /** [SY18] Keeps verified stubs until their parts are here. A power cut may take them: their sender offers them again. */
  keepStubs(
    stubs: readonly PushedStub[],
    sender: ReplicaId | undefined,
  ): Promise<{ readonly fetches: readonly Fetch[]; readonly held: readonly Uint8Array[] }> {
    const nowMs = this.#host.ports.clock.nowMs();
    const kept = stubs.map(({ stub, from }) => ({ stub, sender, isAuthors: from === 'author' }));
    return this.store.transact((tx) => keepStubs(tx, kept, nowMs), { mode: 'write', durability: 'relaxed' });
  }

  keepPart(part: Part): Promise<number | undefined> {
    return this.store.transact((tx) => keepPart(tx, this.ref, part), { mode: 'write', durability: 'relaxed' });
  }

  joined(trieKey: Uint8Array): Promise<Joined | undefined> {
    return this.read((tx) => readJoined(tx, this.ref, trieKey));
  }

  /** [SY10] Takes out a reported delta whose signature does not verify, and tells every link where the room stands then. */
  async checkReported(trieKey: Uint8Array): Promise<void> {
    const bytes = await this.read((tx) => tx.get('deltas', trieKey));
    if (bytes === undefined) return;
    const { ref } = this;
    const delta = bytesToDelta(ref.hash, ref.roomId, bytes);
    if ((await this.verifier.isSigned(delta)) !== false) return;
    if (this.shared !== undefined) return await this.shared.evict(trieKey, bytes);
    await this.verifier.distrust(delta.replica);
    await this.commits.alone(async () => {
      const position = await this.store.transact(
        function* (tx) {
          // Somebody else may have reported it too, or something has superseded it meanwhile.
          if ((yield* tx.get('deltas', trieKey)) === undefined) return undefined;
          yield* removeDelta(tx, ref, delta);
          return yield* readPosition(tx);
        },
        { mode: 'write', durability: 'strict' },
      );
      if (position === undefined) return;
      this.#host.ports.counters.add('deltas_evicted');
      this.#host.announce({ kind: 'committed', deltas: [], position, tells: true });
    });
  }

  /**
   * [AE1] One step, between two commits, and the rest of the pass at once where it has found something: what a hole makes of the root is to
   * be told together with it.
   */
  async scrub(): Promise<void> {
    const { clock, limits } = this.#host.ports;
    if (clock.nowMs() < this.#scrubAtMs) return;
    await this.commits.alone(async () => {
      let findings = NOTHING_FOUND;
      do {
        const { next, findings: more } = await this.store.transact((tx) => scrubStep(tx, this.ref, this.#place), {
          mode: 'write',
          durability: 'relaxed',
        });
        findings = addFindings(findings, more);
        this.#place = next;
      } while (this.#place !== undefined && hasFound(findings));
      if (this.#place === undefined) this.#scrubAtMs = clock.nowMs() + limits.scrubPassMs;
      this.#count(findings);
      if (hasFound(findings)) await this.#announcePosition();
      if (findings.holes > 0 || findings.unreadable > 0) this.shared?.retake();
    });
  }

  /**
   * A plan has stumbled over damage, in the middle of a commit or of an answer. What was told of the vector over these connections is not so
   * any more, and might be believed before anybody could say so [AE6].
   */
  #healed(findings: ScrubFindings): void {
    this.#count(findings);
    if (!hasFound(findings)) return;
    this.#host.letGo('the store has lost something');
    this.shared?.retake();
  }

  #count({ rows, holes, unreadable, mended }: ScrubFindings): void {
    const { counters } = this.#host.ports;
    counters.add('rows_scrubbed', rows);
    counters.add('holes_found', holes);
    counters.add('rows_unreadable', unreadable);
    counters.add('rows_mended', mended);
  }

  async #announcePosition(): Promise<void> {
    const position = await this.read(readPosition);
    this.#host.announce({ kind: 'committed', deltas: [], position, tells: true });
  }

  async close(): Promise<void> {
    await this.commits.idle();
    await this.shared?.close();
    await this.store.close();
  }
}
