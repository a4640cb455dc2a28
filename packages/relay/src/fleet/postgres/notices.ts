import pg from 'pg';
import { pause } from '../pause.js';

/** What NOTIFY takes is 8,000 bytes; a part has its channel, its number and its place before it. */
const PART_CHARS = 7_000;
/** Presence that is larger is dropped, as what nobody has to hear. */
const PARTS_MAX = 64;
const AGAIN_MS = 250;
const ASK_MS = 5_000;

/** One connection that listens for a whole relay: which logs have grown, and what relays tell each other. */
export class Notices {
  readonly #url: string;
  readonly #channel: string;
  readonly #grown = new Map<string, Set<() => void>>();
  readonly #hearing = new Map<string, Set<(bytes: Uint8Array) => void>>();
  readonly #reconnected: (() => void)[] = [];
  /** Parts of what is not whole yet, by who told it and its number. */
  readonly #parts = new Map<string, string[]>();
  readonly #id = Math.random().toString(36).slice(2);
  #told = 0;
  #client: pg.Client | undefined;
  #isClosed = false;

  constructor(url: string, channel: string) {
    this.#url = url;
    this.#channel = channel;
  }

  get isConnected(): boolean {
    return this.#client !== undefined;
  }

  /** Rejects where the first connection fails; each later one is made anew. */
  async open(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      connectionTimeoutMillis: ASK_MS,
      query_timeout: ASK_MS,
      keepAlive: true,
    });
    client.on('error', () => {});
    client.on('notification', ({ payload = '' }) => this.#take(payload));
    await client.connect();
    await client.query(`LISTEN ${this.#channel}`);
    client.once('end', () => this.#lost(client));
    this.#client = client;
    // A connection that has died without a word is noticed by asking.
    const timer = setInterval(() => {
      if (this.#client !== client) return clearInterval(timer);
      client.query('SELECT 1').catch(() => this.#lost(client));
    }, ASK_MS).unref();
  }

  /** `grown` is called too when notices may have been lost. */
  listen(log: string, grown: () => void): () => void {
    return addTo(this.#grown, log, grown);
  }

  hear(channel: string, hear: (bytes: Uint8Array) => void): () => void {
    return addTo(this.#hearing, channel, hear);
  }

  tell(pool: pg.Pool, channel: string, bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString('base64');
    const parts = Math.max(1, Math.ceil(text.length / PART_CHARS));
    if (parts > PARTS_MAX || !this.isConnected) return;
    const number = `${this.#id}${++this.#told}`;
    const payloads = Array.from({ length: parts }, (_, i) => {
      const part = text.slice(i * PART_CHARS, (i + 1) * PART_CHARS);
      return `tell ${channel} ${number} ${i} ${parts} ${part}`;
    });
    pool
      .query('SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload', [this.#channel, payloads])
      .catch(() => {});
  }

  onReconnect(listener: () => void): void {
    this.#reconnected.push(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => {});
  }

  #lost(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#parts.clear();
    client.end().catch(() => {});
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#isClosed && this.#client === undefined) {
      await pause(AGAIN_MS);
      if (!this.#isClosed) await this.open().catch(() => {});
    }
    if (this.#isClosed) return await this.close();
    for (const listeners of this.#grown.values()) for (const grown of listeners) grown();
    for (const listener of this.#reconnected) listener();
  }

  #take(payload: string): void {
    const [kind, name = '', number = '', index = '', count = '', part = ''] = payload.split(' ');
    if (kind === 'log') for (const grown of this.#grown.get(name) ?? []) grown();
    if (kind !== 'tell') return;
    const listeners = this.#hearing.get(name);
    if (listeners === undefined) return;
    const parts = this.#parts.get(number) ?? [];
    parts[Number(index)] = part;
    // They come in order, so that the last one makes it whole.
    if (Number(index) + 1 < Number(count)) {
      this.#parts.set(number, parts);
      return;
    }
    this.#parts.delete(number);
    const bytes = new Uint8Array(Buffer.from(parts.join(''), 'base64'));
    for (const hear of listeners) hear(bytes);
  }
}

function addTo<Listener>(map: Map<string, Set<Listener>>, name: string, listener: Listener): () => void {
  const listeners = map.get(name) ?? new Set();
  listeners.add(listener);
  map.set(name, listeners);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) map.delete(name);
  };
}
