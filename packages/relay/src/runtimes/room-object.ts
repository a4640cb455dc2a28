import { bytesToUtf8, cleanRoom, readCleanDueMs, utf8ToBytes } from '@mangrove/protocol';
import { Counters } from '../counters.js';
import { readRoomName, type Reply, REPLIES, ROOM_PATH, renderReply, VERSION_PATH, versionReply } from '../http.js';
import { RETRY } from '../link.js';
import { SILENT } from '../log.js';
import { onceOnly } from '../once-only.js';
import { FRAME_BYTES_READ_MAX } from '../link-frames.js';
import { portsOf, type RoomsOptions } from '../options.js';
import type { RelayPorts } from '../ports.js';
import { RelayRoom } from '../room.js';
import type { Environment } from '../storage/environment.js';
import { openSql, type SqlEnvironment } from '../storage/sql/sql-store.js';
import { Turns } from '../turns.js';
import { ObjectAlarm } from './object-alarm.js';
import { govern } from './room-object-admin.js';
import { attachmentOf, connectionOf, ObjectSockets } from './object-sockets.js';
import { createVerifier, openIdentity, workersHash, workersRandom } from './workers-crypto.js';
import { autoResponse, type ObjectSocket, type ObjectState, openSocket } from './workers-platform.js';

const TOO_LARGE = 1009;
const DONE = 1000;
const CLOSED = 3;
const NAME = 'name';
/** Rows that one alarm cleans away at most. */
const CLEAN_ROWS_MAX = 1_024;
const CLEAN_AGAIN_MS = 5_000;
/** Head statements are told to all within half an hour, and by clocks that may be five minutes off. */
const HEADS_MS = 35 * 60_000;

/**
 * One room in a Durable Object. What it has in memory is a copy: rows are on its disk, and what a connection has to know is kept with its
 * socket. So it may be gone after any event, and be made again for the next one.
 */
export class RoomObject {
  readonly #state: ObjectState;
  readonly #environment: SqlEnvironment;
  readonly #alarm: ObjectAlarm;
  readonly #sockets = new ObjectSockets();
  readonly #opening: Promise<RelayPorts>;
  readonly #report: (error: unknown) => void;
  #room: RelayRoom | undefined;

  constructor(state: ObjectState, options: RoomsOptions) {
    this.#state = state;
    this.#report = options.onFault ?? reportToConsole;
    this.#environment = openSql(state.storage);
    this.#alarm = new ObjectAlarm(state.storage, Date.now, () => state.waitUntil(this.#settle()));
    state.setWebSocketAutoResponse(autoResponse('ping', 'pong'));
    this.#opening = state.blockConcurrencyWhile(() => this.#open(options));
  }

  /** Rows of the database that this instance has read and written: what is paid for. */
  get rows(): SqlEnvironment['rows'] {
    return this.#environment.rows;
  }

  /** For requests that a Worker has looked at: a room's socket, or where the room stands. */
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const name = readRoomName(pathname, ROOM_PATH);
    if (name) return await this.#connect(name, request.headers.get('Origin') ?? undefined);
    const ports = await this.#opening;
    const governed = await govern(request, { room: this.#room, ports, rows: this.rows });
    if (governed !== undefined) {
      await this.#settle();
      return governed;
    }
    const asked = readRoomName(pathname, VERSION_PATH);
    if (!asked) return respond(REPLIES.nothing);
    return respond(versionReply(asked, await this.#room?.version()));
  }

  async webSocketMessage(socket: ObjectSocket, message: ArrayBuffer | string): Promise<void> {
    await this.#opening;
    const frame = typeof message === 'string' ? utf8ToBytes(message) : new Uint8Array(message);
    if (frame.length > FRAME_BYTES_READ_MAX) socket.close(TOO_LARGE, 'a frame is too large');
    // That the link would rather have the socket wait cannot be heard here; its peer has no more than a window of credit.
    else void this.#sockets.linkOf(socket)?.receive(frame);
    await this.#settle();
  }

  async webSocketClose(socket: ObjectSocket): Promise<void> {
    await this.#opening;
    // Runtimes before April 2026 leave it to the object to answer, and the client waits for that.
    if (socket.readyState < CLOSED) socket.close(DONE, '');
    const link = this.#sockets.linkOf(socket);
    link?.closed();
    await link?.settled();
    this.#sockets.remove(socket);
    await this.#settle();
  }

  async webSocketError(socket: ObjectSocket): Promise<void> {
    await this.webSocketClose(socket);
  }

  async alarm(): Promise<void> {
    await this.#opening;
    const nowMs = Date.now();
    if (this.#alarm.ring()) await this.#room?.tellHeadsSince(nowMs - HEADS_MS);
    this.#room?.sweep();
    await this.#clean(nowMs);
    await this.#settle();
  }

  async #open(options: RoomsOptions): Promise<RelayPorts> {
    const { later } = this.#alarm;
    await this.#alarm.load();
    const identity = await openIdentity(this.#environment);
    let isKept = identity.isKept;
    const keep = async (name: string, value: Uint8Array): Promise<void> => {
      // A room begins: until now nothing of it was on disk.
      if (!isKept) {
        await identity.keep();
        await this.#environment.putMeta(NAME, utf8ToBytes(this.#room?.name ?? ''));
        isKept = true;
      }
      await this.#environment.putMeta(name, value);
    };
    const environment = this.#environment;
    const kept: Environment = {
      room: (roomId) => environment.room(roomId),
      rooms: () => environment.rooms(),
      getMeta: (name) => environment.getMeta(name),
      putMeta: keep,
      close: () => environment.close(),
    };
    const ports: RelayPorts = {
      environment: kept,
      identity,
      hash: workersHash,
      verifier: createVerifier(),
      clock: { nowMs: Date.now },
      later,
      random: workersRandom,
      ...portsOf(options),
      once: onceOnly(kept, workersHash),
      log: SILENT,
      counters: new Counters(),
      turns: new Turns((run) => void setTimeout(run, 0)),
      report: this.#report,
    };
    const name = await environment.getMeta(NAME);
    if (name !== undefined) this.#room = await RelayRoom.open(bytesToUtf8(name), ports);
    for (const socket of this.#state.getWebSockets()) this.#resume(socket);
    return ports;
  }

  async #connect(name: string, origin: string | undefined): Promise<Response> {
    const ports = await this.#opening;
    this.#room ??= await RelayRoom.open(name, ports);
    const { socket, response } = openSocket();
    this.#state.acceptWebSocket(socket);
    this.#sockets.add(socket, origin, this.#room.connect(connectionOf(socket, origin)));
    this.#room.sweep();
    await this.#settle();
    return response();
  }

  /** Goes on with a socket that another instance of the object has left. */
  #resume(socket: ObjectSocket): void {
    const { origin, link } = attachmentOf(socket);
    const connection = connectionOf(socket, origin);
    // Without a room nothing is on disk, and who was greeted was greeted by a key that is gone.
    if (link === undefined || !this.#room?.exists) connection.close(RETRY.tryAgainLater, 'the relay has begun anew');
    else this.#sockets.add(socket, origin, this.#room.resume(connection, link));
  }

  /** After each event: until it resolves the object is not let go of. */
  async #settle(): Promise<void> {
    try {
      await this.#sockets.settle();
      const sweepAtMs = this.#room?.sweepAtMs ?? Number.POSITIVE_INFINITY;
      if (sweepAtMs < Number.POSITIVE_INFINITY) this.#alarm.wakeAt(sweepAtMs);
      if (this.#alarm.isUnset) await this.#planCleaning();
    } catch (error) {
      this.#report(error);
    }
  }

  async #planCleaning(): Promise<void> {
    const [roomId] = this.#environment.rooms();
    if (roomId === undefined) return;
    const { limits } = await this.#opening;
    const store = this.#environment.room(roomId);
    const dueMs = await store.transact((tx) => readCleanDueMs(tx, limits), { mode: 'read' });
    if (dueMs !== undefined) this.#alarm.wakeAt(Math.max(dueMs, Date.now() + CLEAN_AGAIN_MS));
  }

  /** A room that is written to cleans itself as it commits. */
  async #clean(nowMs: number): Promise<void> {
    const [roomId] = this.#environment.rooms();
    if (roomId === undefined) return;
    const { limits } = await this.#opening;
    const store = this.#environment.room(roomId);
    await store.transact((tx) => cleanRoom(tx, nowMs, limits, CLEAN_ROWS_MAX), { mode: 'write' });
  }
}

export function respond(reply: Reply): Response {
  const { text, headers } = renderReply(reply);
  return new Response(text, { status: reply.status, headers });
}

function reportToConsole(error: unknown): void {
  // biome-ignore lint/suspicious/noConsole: it is where a Worker's log comes from.
  console.error(error);
}
