import {
  deriveReplicaId,
  FAILED,
  MemoryStore,
  type Plan,
  putWreckage,
  type Read,
  type ReadResult,
  readWreckage,
  type ReplicaId,
  type RoomRef,
  type Salvaged,
  scrubAll,
  type Steps,
  type Store,
  takeWreckage,
  type TolerantSteps,
} from '@mangrove/protocol';
import type { Database } from '../../stores/database.js';

/** A room that is being opened waits for it. */
const SALVAGE_MS_MAX = 5_000;
/** Of what is read: several times what a worker keeps for a database that fails. */
const SALVAGE_BYTES_MAX = 32 * 1024 * 1024;
/** A database that comes upon damage ends its connection. */
const OPENINGS_MAX = 32;

export interface SalvageSource {
  /** Opens the database that was left. */
  open(): Promise<Database>;
  nowMs(): number;
  readonly room: RoomRef;
  /** How many writes the page remembers that no relay has. */
  readonly writes: number;
}

/**
 * [JS12] What a database that was left still gives of the unsent writes of a room, as rows of `heir`. It is read alone, in so many
 * seconds and bytes; what fails is passed over. Where its end was not found, all that the page remembers counts as there.
 */
export async function salvage(source: SalvageSource, heir: ReplicaId): Promise<Pick<Salvaged, 'rows' | 'lost'>> {
  const { room, writes } = source;
  const reader = new WreckReader(source);
  const wreckage = await run(readWreckage(room, (await reader.owner()) ?? heir), (read) => reader.read(read));
  reader.close();
  const copy = new MemoryStore();
  await copy.transact((tx) => putWreckage(tx, wreckage), { mode: 'write' });
  await scrubAll(copy, room);
  const { rows, lost, isWhole } = await copy.transact((tx) => takeWreckage(tx, room, wreckage, heir), {
    mode: 'write',
  });
  return { rows, lost: isWhole ? lost : Math.max(lost, writes - rows.length) };
}

async function run<Result>(
  steps: TolerantSteps<Result>,
  answer: (read: Read) => Promise<ReadResult | typeof FAILED>,
): Promise<Result> {
  let step = steps.next();
  while (!step.done) step = steps.next(await answer(step.value));
  return step.value;
}

interface OpenWreck {
  readonly database: Database;
  readonly store: Store;
}

/** Asks a database that may fail at any read. */
class WreckReader {
  readonly #source: SalvageSource;
  readonly #untilMs: number;
  #opened: OpenWreck | undefined;
  #openings = 0;
  #bytes = 0;

  constructor(source: SalvageSource) {
    this.#source = source;
    this.#untilMs = source.nowMs() + SALVAGE_MS_MAX;
  }

  /** Who has a key there. */
  async owner(): Promise<ReplicaId | undefined> {
    const { hash, roomId } = this.#source.room;
    const identity = await this.#try(({ database }) => database.readIdentity(roomId));
    return identity ? deriveReplicaId(hash, roomId, identity.publicKey) : undefined;
  }

  async read(read: Read): Promise<ReadResult | typeof FAILED> {
    if (this.#bytes > SALVAGE_BYTES_MAX) return FAILED;
    const answer = await this.#try(({ store }) => store.transact(planOf(read), { mode: 'read' }));
    if (answer !== FAILED) this.#bytes += weightOf(answer);
    return answer;
  }

  async #try<Answer>(ask: (opened: OpenWreck) => Promise<Answer>): Promise<Answer | typeof FAILED> {
    const leftMs = this.#untilMs - this.#source.nowMs();
    if (leftMs <= 0) return FAILED;
    try {
      return await within(leftMs, this.#open().then(ask));
    } catch {
      // Whether the connection lives on is not known, and another one does no harm.
      this.close();
      return FAILED;
    }
  }

  close(): void {
    const opened = this.#opened;
    this.#opened = undefined;
    // What hangs is not waited for.
    opened?.database.close().catch(() => {});
  }

  async #open(): Promise<OpenWreck> {
    if (this.#opened !== undefined) return this.#opened;
    if (this.#openings++ === OPENINGS_MAX) throw new Error('it ends each connection');
    const database = await this.#source.open();
    this.#opened = { database, store: database.room(this.#source.room.roomId) };
    return this.#opened;
  }
}

function planOf(read: Read): Plan<ReadResult> {
  return function* (): Steps<ReadResult> {
    const [answer] = yield [read];
    return answer;
  };
}

function weightOf(answer: ReadResult): number {
  if (answer === undefined || answer instanceof Uint8Array) return answer?.length ?? 0;
  return answer.reduce((sum, row) => sum + (row instanceof Uint8Array ? row.length : row[0].length + row[1].length), 0);
}

/** Rejects after so many ms. */
async function within<Result>(ms: number, promise: Promise<Result>): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it does not answer')), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
