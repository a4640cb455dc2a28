import { TABLES } from '@mangrove/protocol';
import { type Authentication, createRelayObject, type RelayObjectOptions } from '@mangrove/relay/durable-object';
import type { RowCount } from '../../../packages/relay/dist/storage/sql/sql-database.js';
import { openSql } from '../../../packages/relay/dist/storage/sql/sql-store.js';

interface Service {
  fetch(url: string, init: { readonly method: string; readonly body: string }): Promise<Response>;
}

interface Env {
  /** JSON of what of the options is data. */
  readonly OPTIONS: string;
  /** What the test hands over as functions, in its own process. */
  readonly AUTHENTICATE?: Service;
  readonly FAULT: Service;
  readonly FORGETFUL: string;
  readonly ROOMS: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
}

const relay = createRelayObject<Env>(({ OPTIONS, AUTHENTICATE, FAULT }): RelayObjectOptions => {
  const send = (service: Service, value: unknown): Promise<Response> =>
    service.fetch('http://test/', { method: 'POST', body: JSON.stringify(value) });
  return {
    ...(JSON.parse(OPTIONS) as RelayObjectOptions),
    onFault: (error) => void send(FAULT, String(error instanceof Error ? error.stack : error)),
    ...(AUTHENTICATE === undefined
      ? {}
      : {
          authenticate: async (request) => {
            const response = await send(AUTHENTICATE, request);
            if (!response.ok) throw new Error(await response.text());
            return (await response.json()) as Authentication | null;
          },
        }),
  };
});

type Handlers = InstanceType<typeof relay.MangroveRoom>;
type State = ConstructorParameters<typeof relay.MangroveRoom>[0];

/** How often an object was made, also after hibernating. */
let instances = 0;
/** Of all objects: what is paid for as requests, twenty messages for one. */
const calls = { messages: 0, bytes: 0, alarms: 0 };

/** Timers that have not run yet: an object with one does not hibernate. */
let pendingTimers = 0;
const quiet = new Set<() => void>();
const setTimer = globalThis.setTimeout;
Object.assign(globalThis, {
  setTimeout: (run: () => void, delayMs: number) => {
    pendingTimers++;
    return setTimer(() => {
      pendingTimers--;
      run();
      for (const look of quiet) look();
    }, delayMs);
  },
});

/**
 * A room whose object is made anew whenever it could hibernate, as the runtime does it after ten quiet seconds: over the same storage, with the same
 * sockets, and nothing else.
 */
export class MangroveRoom {
  readonly #state: State;
  readonly #env: Env;
  #room: Handlers;
  #underWay = 0;

  constructor(state: State, env: Env) {
    instances++;
    this.#state = state;
    this.#env = env;
    this.#room = new relay.MangroveRoom(state, env);
    if (env.FORGETFUL === '1') quiet.add(() => void setTimer(() => this.#forget(), 0));
  }

  fetch(request: Request): Promise<Response> {
    if (isAboutRows(request)) return this.#tellRows();
    return this.#run(() => this.#room.fetch(request));
  }

  webSocketMessage(...args: Parameters<Handlers['webSocketMessage']>): Promise<void> {
    calls.messages++;
    calls.bytes += typeof args[1] === 'string' ? args[1].length : args[1].byteLength;
    return this.#run(() => this.#room.webSocketMessage(...args));
  }

  webSocketClose(...args: Parameters<Handlers['webSocketClose']>): Promise<void> {
    return this.#run(() => this.#room.webSocketClose(...args));
  }

  webSocketError(...args: Parameters<Handlers['webSocketError']>): Promise<void> {
    return this.#run(() => this.#room.webSocketError(...args));
  }

  alarm(): Promise<void> {
    calls.alarms++;
    return this.#run(() => this.#room.alarm());
  }

  /** What a test asks of the object itself: its rows by table, what was paid for, and how many instances there were. */
  async #tellRows(): Promise<Response> {
    const environment = openSql(this.#state.storage);
    const [roomId] = environment.rooms();
    const tables: Record<string, number> = {};
    let bytes = 0;
    if (roomId !== undefined) {
      const store = environment.room(roomId);
      for (const table of TABLES) {
        const rows = await store.transact((tx) => tx.rows(table, { from: new Uint8Array() }), { mode: 'read' });
        tables[table] = rows.length;
        bytes += rows.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
      }
    }
    const { read, written, planned } = rowsOf(this.#room);
    return Response.json({ instances, calls, read, written, planned, tables, bytes });
  }

  async #run<Result>(handle: () => Promise<Result>): Promise<Result> {
    this.#underWay++;
    try {
      return await handle();
    } finally {
      this.#underWay--;
      this.#forget();
    }
  }

  #forget(): void {
    if (this.#env.FORGETFUL !== '1' || this.#underWay > 0 || pendingTimers > 0) return;
    // Ten seconds do not pass in the middle of a message.
    if (this.#state.getWebSockets().some((socket) => !hasLink(socket.deserializeAttachment()))) return;
    // Before the room begins only the instance that has greeted somebody knows by which key.
    if (this.#state.storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'settings'").toArray().length === 0)
      return;
    this.#room = new relay.MangroveRoom(this.#state, this.#env);
  }
}

function hasLink(attachment: unknown): boolean {
  return (attachment as { link?: object } | null)?.link !== undefined;
}

function rowsOf(room: object): RowCount {
  return (room as { rows: RowCount }).rows;
}

function isAboutRows(request: Request): boolean {
  return new URL(request.url).pathname.endsWith('/rows');
}

/** As a Worker's own code would, for who may. */
async function govern(request: Request, env: Env): Promise<Response> {
  const { call, room, selector } = (await request.json()) as { call: string; room: string; selector?: object };
  return Response.json(call === 'revoke' ? await relay.revoke(env, room, selector) : await relay.figures(env, room));
}

export default {
  fetch: (request: Request, env: Env): Promise<Response> => {
    if (new URL(request.url).pathname === '/govern') return govern(request, env);
    if (!isAboutRows(request)) return relay.fetch(request, env);
    const name = decodeURIComponent(new URL(request.url).pathname.split('/')[2] ?? '');
    return env.ROOMS.get(env.ROOMS.idFromName(name)).fetch(request);
  },
};
