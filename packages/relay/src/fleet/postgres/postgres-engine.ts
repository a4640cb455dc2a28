import { isMangroveError, MangroveError } from '@mangrove/protocol';
import pg from 'pg';
import { type Engine, type Following, LOG_NAME, type LogEntry } from '../engine.js';
import { pause } from '../pause.js';
import { Notices } from './notices.js';
import { assertDatabase, type Names, namesOf, prepare } from './schema.js';

export interface PostgresOptions {
  /** `postgres://user@host:port/database`; a password is better in PGPASSWORD or a `.pgpass`. */
  readonly url: string;
  /** Of the tables: fleets of different names share a database. */
  readonly fleet: string;
}

const ASK_MS = 5_000;
const AGAIN_MS = 250;
/** Who follows looks this often whether a notice was lost. */
const LOOK_MS = 2_000;
const PAGE_ENTRIES = 64;
const ENTRY_BYTES_MAX = 8 * 1024 * 1024;
const CONNECTIONS_MAX = 8;
const UNIQUE_VIOLATION = '23505';

/** A fleet's logs in two tables of a PostgreSQL database, told by NOTIFY. Rejects with `ENGINE_UNAVAILABLE` and `ENGINE_UNSUITABLE`. */
export async function openPostgres(options: PostgresOptions): Promise<Engine> {
  const names = namesOf(options.fleet);
  const pool = new pg.Pool({
    connectionString: options.url,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: ASK_MS,
    query_timeout: ASK_MS,
    statement_timeout: ASK_MS,
    application_name: `mangrove-relay ${options.fleet}`,
    // Whatever the role has: an acknowledged append is on disk.
    options: '-c synchronous_commit=on',
  });
  // An idle connection that ends is made anew when it is needed.
  pool.on('error', () => {});
  try {
    await assertDatabase(pool);
    await prepare(pool, names);
    const notices = new Notices(options.url, names.channel);
    await notices.open();
    return new PostgresEngine(pool, notices, names);
  } catch (error) {
    await pool.end();
    throw isMangroveError(error) ? error : unavailable(error);
  }
}

interface Row {
  readonly position: string;
  readonly bytes: Buffer;
}

class PostgresEngine implements Engine {
  readonly entryBytesMax = ENTRY_BYTES_MAX;
  readonly #pool: pg.Pool;
  readonly #notices: Notices;
  readonly #names: Names;
  readonly #stop = new AbortController();

  constructor(pool: pg.Pool, notices: Notices, names: Names) {
    this.#pool = pool;
    this.#notices = notices;
    this.#names = names;
  }

  get isConnected(): boolean {
    return this.#notices.isConnected;
  }

  async append(log: string, id: string, bytes: Uint8Array, signal?: AbortSignal): Promise<number> {
    assertName(log);
    if (bytes.length > this.entryBytesMax)
      throw new MangroveError('ENGINE_REFUSED', { reason: `an entry of ${bytes.length} bytes` });
    for (;;) {
      if (this.#stop.signal.aborted || signal?.aborted === true) throw new MangroveError('CLOSED', { what: 'engine' });
      try {
        const { rows } = await this.#pool.query<Row>(this.#names.append, [log, id, Buffer.from(bytes)]);
        return Number((rows[0] as Row).position);
      } catch (error) {
        // The same id at the same time: the other one is in, and is found now.
        if ((error as { code?: string }).code !== UNIQUE_VIOLATION) await pause(AGAIN_MS, signal);
      }
    }
  }

  async read(log: string, after: number, limit: number): Promise<readonly LogEntry[]> {
    assertName(log);
    return await this.#query(this.#names.read, [log, after, limit]);
  }

  async last(log: string): Promise<LogEntry | undefined> {
    assertName(log);
    return (await this.#query(this.#names.last, [log]))[0];
  }

  follow(log: string, after: number, take: (entries: readonly LogEntry[]) => Promise<void>): Following {
    const stop = new AbortController();
    let told = after;
    let wake = (): void => {};
    let isStale = true;
    const hearing = this.#notices.listen(log, () => {
      isStale = true;
      wake();
    });
    const run = async (): Promise<void> => {
      while (!stop.signal.aborted && !this.#stop.signal.aborted) {
        isStale = false;
        const entries = await this.read(log, told, PAGE_ENTRIES).catch(() => undefined);
        if (stop.signal.aborted) return;
        const last = entries?.at(-1);
        if (entries === undefined) await pause(AGAIN_MS, stop.signal);
        else if (last !== undefined) {
          told = last.position;
          await take(entries);
        } else if (!isStale) {
          const until = new AbortController();
          wake = () => until.abort();
          await pause(LOOK_MS, until.signal);
          wake = () => {};
        }
      }
    };
    const done = run();
    return {
      close: async () => {
        stop.abort();
        wake();
        hearing();
        await done;
      },
    };
  }

  async cut(log: string, below: number): Promise<void> {
    assertName(log);
    if (below === Number.MAX_SAFE_INTEGER) await this.#query(this.#names.drop, [log]);
    else await this.#query(this.#names.cut, [log, below]);
  }

  tell(channel: string, bytes: Uint8Array): void {
    this.#notices.tell(this.#pool, channel, bytes);
  }

  listen(channel: string, hear: (bytes: Uint8Array) => void): Following {
    const stop = this.#notices.hear(channel, hear);
    return { close: async () => stop() };
  }

  onReconnect(listener: () => void): void {
    this.#notices.onReconnect(listener);
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    await this.#notices.close();
    await this.#pool.end();
  }

  async #query(text: string, values: readonly unknown[]): Promise<readonly LogEntry[]> {
    try {
      const { rows } = await this.#pool.query<Row>(text, [...values]);
      return rows.map(({ position, bytes }) => ({ position: Number(position), bytes: new Uint8Array(bytes) }));
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

function assertName(log: string): void {
  if (!LOG_NAME.test(log)) throw new MangroveError('INTERNAL', { reason: `a log of the name ${log}` });
}

function unavailable(cause: unknown): MangroveError {
  return new MangroveError(
    'ENGINE_UNAVAILABLE',
    { reason: cause instanceof Error ? cause.message : String(cause) },
    { cause },
  );
}
