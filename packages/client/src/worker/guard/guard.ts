import {
  type Cursor,
  type DeltaBytes,
  type DeltaId,
  EpochPassed,
  errorToFacts,
  type ErrorFacts,
  faultOfQuarantine,
  FLAG,
  hasFlag,
  idToBytes,
  type KeyId,
  readDocumentDeltas,
  readJournalOf,
  readQuarantined,
  type Store,
  trieKeyOf,
  updateOfDelta,
} from '@mangrove/protocol';
import type { Environment } from '../../environment.js';
import { type Inspected, inspectDelta } from '../inspect.js';
import { type Batch, inspectBatch, type Received, type Receiver, take } from '../receive.js';
import type { Known } from './shadow-host.js';
import { takeTrials } from './trial-rows.js';
import { type Begun, type Trial, Trials, type Verdict } from './trials.js';

export interface GuardHost {
  /** What came of a trial that nobody waited for. */
  settled(received: Received): void;
  failed(error: ErrorFacts): void;
}

export interface GuardOptions {
  readonly cursor?: Cursor | undefined;
  readonly source?: 'relay' | 'backup' | undefined;
  /** How long the batch may wait for trials. */
  readonly patienceMs: number;
}

/** How long a batch of the relay waits for the first trials of what it holds: a document that is opened meanwhile is to be whole. */
export const PATIENCE_MS = 1_000;

/** Receives, and has tried first what may cost too much to apply [CX9]. */
export class Guard {
  readonly #env: Environment;
  readonly #store: Store;
  readonly #receiver: Receiver;
  readonly #host: GuardHost;
  readonly #trials: Trials;
  /** Set aside for no other reason yet. */
  readonly #onTrial = new Set<DeltaId>();
  #settling: Promise<unknown> = Promise.resolve();

  constructor(env: Environment, store: Store, receiver: Receiver, host: GuardHost) {
    this.#env = env;
    this.#store = store;
    this.#receiver = receiver;
    this.#host = host;
    this.#trials = new Trials({
      startShadow: (events) => env.startShadow(events),
      clock: env.clock,
      read: (keyId) => this.#read(keyId),
    });
  }

  /**
   * What came of a batch, in the order in which it was taken. What need not be tried is not held up by what must; the cursor passes the
   * batch with its last part.
   */
  async *receive(
    deltas: readonly DeltaBytes[],
    { cursor, source, patienceMs }: GuardOptions,
  ): AsyncGenerator<Received> {
    const nowMs = this.#env.clock.nowMs();
    const batch = await inspectBatch(this.#receiver, deltas, nowMs);
    const { plain, doubtful } = await this.#sort(batch.arrivals);
    const rest = { ...batch, arrivals: plain };
    if (doubtful.length === 0) {
      yield await take(this.#store, this.#receiver, rest, { cursor, nowMs, source, onTrial: this.#onTrial });
      return;
    }
    if (Object.values(rest).some(({ length }) => length > 0))
      yield await take(this.#store, this.#receiver, rest, { nowMs, source, onTrial: this.#onTrial });
    yield await this.#tryAndTake(doubtful, { cursor, source, patienceMs });
  }

  /** Something was to be tried, and could not be: it is used as it is. */
  get isUnable(): boolean {
    return this.#trials.isUnable;
  }

  /** What was on trial when the room was last open. */
  async resume(): Promise<void> {
    const { room } = this.#receiver;
    const held = await this.#store.transact(
      function* (tx) {
        const ids = yield* takeTrials(tx);
        const deltas = [];
        for (const id of ids) deltas.push(yield* readQuarantined(tx, room, id));
        return deltas.flatMap((one) => (one?.fault === 'UPDATE_TOO_COSTLY' ? [one.delta] : []));
      },
      { mode: 'write' },
    );
    const arrivals = held.map((delta) => inspectDelta(room, delta));
    const begun = this.#trials.begin(arrivals.flatMap(trialOf));
    for (const arrival of arrivals) {
      this.#onTrial.add(arrival.delta.id);
      this.#settleLater(arrival, begun.get(arrival.delta.id)?.final);
    }
  }

  /** Resolves when what is under way is written and told; what is still on trial is tried when the room is opened again. */
  async stop(): Promise<void> {
    this.#trials.stop();
    await this.#settling;
  }

  async #tryAndTake(doubtful: readonly Inspected[], { cursor, source, patienceMs }: GuardOptions): Promise<Received> {
    const begun = this.#trials.begin(doubtful.flatMap(trialOf));
    const isUnhurried = patienceMs === Number.POSITIVE_INFINITY;
    const patience = pause(isUnhurried ? undefined : patienceMs);
    const late: Inspected[] = [];
    const arrivals: Inspected[] = [];
    for (const arrival of doubtful) {
      const { id, replica } = arrival.delta;
      const { first, final } = begun.get(id) as Begun;
      // Nobody waits for a suspect.
      const isWaitedFor = isUnhurried || !this.#trials.isSuspect({ replica });
      const verdict = isWaitedFor ? await Promise.race([isUnhurried ? final : first, patience.ended]) : undefined;
      arrivals.push(judged(arrival, verdict ?? { fault: 'UPDATE_TOO_COSTLY' }));
      if (verdict === undefined) {
        this.#onTrial.add(id);
        late.push(arrival);
      }
    }
    patience.end();
    const options = { cursor, nowMs: this.#env.clock.nowMs(), source, onTrial: this.#onTrial };
    const received = await take(this.#store, this.#receiver, batchOf(arrivals), options);
    // Told behind what was just taken.
    for (const arrival of late) this.#settleLater(arrival, begun.get(arrival.delta.id)?.final);
    return received;
  }

  #settleLater(arrival: Inspected, final: Promise<Verdict | undefined> | undefined): void {
    void Promise.resolve(final ?? { fault: undefined }).then((verdict) => {
      if (verdict === undefined) return;
      this.#onTrial.delete(arrival.delta.id);
      this.#settling = this.#settling.then(() => this.#settle(judged(arrival, verdict)));
    });
  }

  async #settle(arrival: Inspected): Promise<void> {
    try {
      const options = { nowMs: this.#env.clock.nowMs() };
      this.#host.settled(await take(this.#store, this.#receiver, batchOf([arrival]), options));
    } catch (error) {
      // Another owner tries it then.
      if (!(error instanceof EpochPassed)) this.#host.failed(errorToFacts(error));
    }
  }

  /**
   * Apart from what needs no trial: what this replica wrote itself or holds already is tried no more, and what was found too costly is not
   * paid for again.
   */
  async #sort(
    arrivals: readonly Inspected[],
  ): Promise<{ readonly plain: readonly Inspected[]; readonly doubtful: readonly Inspected[] }> {
    const isDoubtful = ({ update, delta }: Inspected): boolean =>
      update !== undefined && delta.replica !== this.#receiver.replica;
    const candidates = arrivals.filter(isDoubtful);
    if (candidates.length === 0) return { plain: arrivals, doubtful: [] };
    const [faults, held] = await this.#store.transact(
      function* (tx) {
        const rows = yield* tx.getMany(
          'quarantine',
          candidates.map(({ delta }) => idToBytes(delta.id)),
        );
        const deltas = yield* tx.getMany(
          'deltas',
          candidates.map(({ delta }) => trieKeyOf(delta)),
        );
        return [rows.map((row) => row && faultOfQuarantine(row)), deltas.map((row) => row !== undefined)] as const;
      },
      { mode: 'read' },
    );
    const plain = arrivals.filter((arrival) => !isDoubtful(arrival));
    const doubtful: Inspected[] = [];
    for (const [i, arrival] of candidates.entries()) {
      if (faults[i] === 'UPDATE_TOO_COSTLY') plain.push({ ...arrival, fault: 'UPDATE_TOO_COSTLY' });
      else if (held[i] && faults[i] === undefined) plain.push(arrival);
      else doubtful.push(arrival);
    }
    return { plain, doubtful };
  }

  /** As a page would open it. */
  #read(keyId: KeyId): Promise<readonly Known[]> {
    const { room } = this.#receiver;
    return this.#store.transact(
      function* (tx) {
        const deltas = yield* readDocumentDeltas(tx, room, keyId);
        const rows = yield* readJournalOf(tx, keyId);
        return [
          ...deltas.map((delta) => ({ id: delta.id, update: updateOfDelta(delta) })),
          ...rows.map(({ number, payload }) => ({ id: `row ${number}`, update: payload })),
        ];
      },
      { mode: 'read' },
    );
  }
}

function trialOf({ delta, update }: Inspected): readonly Trial[] {
  if (update === undefined) return [];
  const { id, keyId, replica } = delta;
  return [{ id, keyId, replica, update, isWhole: hasFlag(delta, FLAG.checkpoint) }];
}

const judged = (arrival: Inspected, { fault, reason }: Verdict): Inspected => ({
  ...arrival,
  fault,
  ...(reason === undefined ? {} : { reason }),
});

const batchOf = (arrivals: readonly Inspected[]): Batch => ({
  arrivals,
  rejected: [],
  stubs: [],
  forged: [],
  faults: [],
});

/** Undefined: until it is ended. */
function pause(ms: number | undefined): { readonly ended: Promise<undefined>; end(): void } {
  let end = (): void => {};
  const ended = new Promise<undefined>((resolve) => {
    const timer = ms === undefined ? undefined : setTimeout(() => resolve(undefined), ms);
    end = () => {
      clearTimeout(timer);
      resolve(undefined);
    };
  });
  return { ended, end };
}
