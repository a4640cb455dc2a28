import {
  type ConsumerMessages,
  DeliverPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type MsgRequest,
  type StoredMsg,
} from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { assert, isMangroveError, MangroveError } from '@mangrove/protocol';
import { type Engine, type Following, LOG_NAME, type LogEntry } from '../engine.js';
import { pause } from '../pause.js';
import { assertServer, ensureStream } from './nats-guard.js';

export interface NatsOptions {
  /** `nats://host:port`, several joined by commas. */
  readonly url: string;
  /** Of the stream and of what is told beside it: fleets of different names share a server. */
  readonly fleet: string;
  readonly replicas: number;
  /** Takes a server that is refused otherwise; see {@link assertServer}. */
  readonly acceptsOldServer: boolean;
}

/** Who asks while the server dies asks again after so long. */
const ASK_MS = 2_000;
const AGAIN_MS = 250;
/** What a header and a subject take of the largest message. */
const HEADER_BYTES = 4_096;
/** The most that is asked for at once of what follows. */
const FOLLOW_MESSAGES = 256;
/** A consumer that has not been heard of for this long is made anew. The defaults of the library take 40 s after a server was killed. */
const FOLLOW = { max_messages: FOLLOW_MESSAGES, expires: 2_000, idle_heartbeat: 500 } as const;
/** Codes of the server's own. */
const API = { notFound: 10_037, tooLarge: 10_054 } as const;

/** A fleet's logs in one JetStream stream, a subject for each; what is told goes beside it. Rejects with `ENGINE_UNAVAILABLE` and `ENGINE_UNSUITABLE`. */
export async function openNats(options: NatsOptions): Promise<Engine> {
  let connection: NatsConnection;
  try {
    connection = await connect({
      servers: options.url.split(','),
      maxReconnectAttempts: -1,
      reconnectTimeWait: AGAIN_MS,
      pingInterval: 2_000,
      maxPingOut: 2,
      timeout: ASK_MS,
      name: `mangrove-relay ${options.fleet}`,
    });
  } catch (cause) {
    throw unavailable(cause);
  }
  try {
    assertServer(connection.info, options);
    const manager = await jetstreamManager(connection, { timeout: ASK_MS });
    await ensureStream(manager, options);
    return new NatsEngine(connection, manager, options);
  } catch (error) {
    await connection.close();
    throw isMangroveError(error) ? error : unavailable(error);
  }
}

class NatsEngine implements Engine {
  readonly entryBytesMax: number;
  readonly #connection: NatsConnection;
  readonly #jetstream: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #reconnected = new Set<() => void>();
  #isConnected = true;
  #isClosed = false;

  constructor(connection: NatsConnection, manager: JetStreamManager, { fleet }: NatsOptions) {
    this.#connection = connection;
    this.#manager = manager;
    this.#jetstream = jetstream(connection, { timeout: ASK_MS });
    this.#stream = fleet;
    this.#prefix = fleet;
    this.entryBytesMax = (connection.info?.max_payload ?? 1_048_576) - HEADER_BYTES;
    void this.#watch();
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  async append(log: string, id: string, bytes: Uint8Array, signal?: AbortSignal): Promise<number> {
    if (bytes.length > this.entryBytesMax) throw refused(`an entry of ${bytes.length} bytes`);
    for (;;) {
      if (this.#isClosed || signal?.aborted === true) throw new MangroveError('CLOSED', { what: 'engine' });
      try {
        const { seq } = await this.#jetstream.publish(this.#subject(log), bytes, { msgID: id, timeout: ASK_MS });
        return seq;
      } catch (error) {
        if (isForGood(error)) throw refused(describe(error));
        await pause(AGAIN_MS, signal);
      }
    }
  }

  async read(log: string, after: number, limit: number): Promise<readonly LogEntry[]> {
    const entries: LogEntry[] = [];
    for (let from = after + 1; entries.length < limit; from = (entries.at(-1)?.position as number) + 1) {
      // Answered by the leader of the stream, so that it tells of all that was acknowledged.
      const query = { seq: from, next_by_subj: this.#subject(log) } as unknown as MsgRequest;
      const message = await this.#get(query);
      if (message === null) break;
      entries.push({ position: message.seq, bytes: message.data.slice() });
    }
    return entries;
  }

  async last(log: string): Promise<LogEntry | undefined> {
    const message = await this.#get({ last_by_subj: this.#subject(log) });
    return message === null ? undefined : { position: message.seq, bytes: message.data.slice() };
  }

  follow(log: string, after: number, take: (entries: readonly LogEntry[]) => Promise<void>): Following {
    let isClosed = false;
    let messages: ConsumerMessages | undefined;
    let told = after;
    const stop = new AbortController();
    let taking: Promise<void> | undefined;
    let waiting: LogEntry[] = [];
    /** While some are taken more come, and are taken together. */
    const drain = async (): Promise<void> => {
      while (waiting.length > 0 && !isClosed) await take(waiting.splice(0));
      taking = undefined;
    };
    const run = async (): Promise<void> => {
      while (!isClosed && !this.#isClosed) {
        try {
          const consumer = await this.#jetstream.consumers.get(this.#stream, {
            filter_subjects: this.#subject(log),
            deliver_policy: DeliverPolicy.StartSequence,
            opt_start_seq: told + 1,
          });
          if (isClosed) break;
          messages = await consumer.consume(FOLLOW);
          for await (const message of messages) {
            if (isClosed) break;
            if (message.seq <= told) continue;
            told = message.seq;
            waiting.push({ position: message.seq, bytes: message.data.slice() });
            taking ??= drain();
            if (waiting.length >= FOLLOW_MESSAGES) await taking;
          }
        } catch {
          // The server is away; what was told stays told.
        }
        if (!isClosed) await pause(AGAIN_MS, stop.signal);
      }
      await taking;
    };
    const done = run();
    // A consumer of a server that was killed is gone, and is made anew.
    const anew = (): void => messages?.stop();
    this.#reconnected.add(anew);
    return {
      close: async () => {
        isClosed = true;
        this.#reconnected.delete(anew);
        waiting = [];
        stop.abort();
        messages?.stop();
        await done;
      },
    };
  }

  async cut(log: string, below: number): Promise<void> {
    try {
      await this.#manager.streams.purge(this.#stream, { filter: this.#subject(log), seq: below });
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  tell(channel: string, bytes: Uint8Array): void {
    if (this.#isClosed || !this.#isConnected || bytes.length > this.entryBytesMax) return;
    this.#connection.publish(this.#channel(channel), bytes);
  }

  listen(channel: string, hear: (bytes: Uint8Array) => void): Following {
    const subscription = this.#connection.subscribe(this.#channel(channel), {
      callback: (error, message) => {
        if (error === null) hear(message.data.slice());
      },
    });
    return { close: async () => subscription.unsubscribe() };
  }

  onReconnect(listener: () => void): void {
    this.#reconnected.add(listener);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#connection.close();
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === 'disconnect' || type === 'staleConnection') this.#isConnected = false;
      if (type !== 'reconnect') continue;
      this.#isConnected = true;
      for (const listener of this.#reconnected) listener();
    }
  }

  async #get(query: MsgRequest): Promise<StoredMsg | null> {
    try {
      return await this.#manager.streams.getMessage(this.#stream, query);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === API.notFound) return null;
      throw unavailable(error);
    }
  }

  #subject(log: string): string {
    assert(LOG_NAME.test(log), () => `a log of the name ${log}`);
    return `${this.#prefix}.log.${log}`;
  }

  #channel(channel: string): string {
    assert(LOG_NAME.test(channel), () => `a channel of the name ${channel}`);
    return `${this.#prefix}.live.${channel}`;
  }
}

/** What no later try changes. That it is short of something now may change. */
function isForGood(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === API.tooLarge;
}

function refused(reason: string): MangroveError {
  return new MangroveError('ENGINE_REFUSED', { reason });
}

function unavailable(cause: unknown): MangroveError {
  return new MangroveError('ENGINE_UNAVAILABLE', { reason: describe(cause) }, { cause });
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
