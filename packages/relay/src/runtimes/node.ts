import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { bytesToHex, MangroveError } from '@mangrove/protocol';
import { type WebSocket, WebSocketServer } from 'ws';
import { Counters } from '../counters.js';
import type { Fleet } from '../fleet/fleet.js';
import type { EngineOptions } from '../fleet/open-engine.js';
import { type RelayLog, SILENT } from '../log.js';
import { onceOnly } from '../once-only.js';
import type { RelayPorts } from '../ports.js';
import type { Revocation } from '../watch.js';
import { Rooms } from '../rooms.js';
import { type Environment, openMemory } from '../storage/environment.js';
import { lockFolder } from '../storage/folder-lock.js';
import { createVerifier, identityOf, makeIdentity, nodeHash, nodeRandom, openIdentity } from './node-crypto.js';
import { Turns } from '../turns.js';
import { readRoomName, ROOM_PATH } from '../http.js';
import { answerHttp, pathOf } from './node-http.js';
import type { Metrics } from './node-metrics.js';
import { attachSocket } from './node-socket.js';
import { FRAME_BYTES_READ_MAX } from '../link-frames.js';
import { type FederationOptions, federationOf } from '../federation/federation.js';
import { portsOf, type RoomsOptions } from '../options.js';
import { dialBySocket } from './node-dial.js';

export type { Authenticate, Authentication, AuthenticationContext, AuthenticationRequest } from '../ports.js';
export type { EngineOptions } from '../fleet/open-engine.js';
export type { RelayLog } from '../log.js';
export type { Revocation } from '../watch.js';
export type { RateOptions } from '../rates.js';

const SWEEP_INTERVAL_MS = 5_000;
/** A socket that has not answered by the next beat is dead: its other end is gone without a word. */
const HEARTBEAT_INTERVAL_MS = 30_000;
const GOODBYE_MS_MAX = 1_000;
const DRAIN_MS = 5_000;

export interface RelayOptions extends RoomsOptions, FederationOptions {
  /** Folder of the data; in memory, gone with the process, without one. */
  readonly storage?: string | undefined;
  /** Shares its rooms with all relays of this engine, as one fleet; an address is short for its `url`. Without one the relay is alone. */
  readonly engine?: string | EngineOptions | undefined;
  /** What happened, for an operator; nothing without it. The command logs by pino. */
  readonly log?: RelayLog | undefined;
  /** A secret that opens `POST /admin/drain`; beside it the right `admin` does, for a token of the room `*`. */
  readonly adminToken?: string | undefined;
  /** The address of a client is the last one in `X-Forwarded-For`: only behind a proxy of your own, which writes it. */
  readonly trustProxy?: boolean | undefined;
}

export interface ListenOptions {
  readonly port: number;
  readonly host?: string | undefined;
  /** Certificate chain and private key in PEM: https and wss. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined;
}

export interface Relay {
  /** Resolves when the storage is open. Rejects, as everything does from then on, where it cannot be: `STORAGE_UNAVAILABLE`. */
  ready(): Promise<void>;
  /** Serves on a port of its own. Rejects when the port is taken or the storage cannot be opened. */
  listen(options: ListenOptions): Promise<{ readonly url: string }>;
  /** For a server of your own: false, and nothing done, when the path is none of the relay's. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /**
   * Closes every open connection for which all that is given holds, with 4403: its client does not come back by itself. Resolves to how many. It
   * is `authenticate` that keeps them out from then on. Rejects with `OPTION_INVALID` where nothing is given.
   */
  revoke(selector: Revocation): Promise<number>;
  /**
   * No new connections, and those that are open are let go one after the other within `withinMs` (5,000), with 1001: their clients come back, to another
   * relay where a balancer has taken this one out, as `/readyz` is 503 from now on. What was pushed is on disk and acknowledged. Rooms can still be asked for their version.
   */
  drain(options?: { readonly withinMs?: number | undefined }): Promise<void>;
  /** Drains: no new connections, what was pushed is on disk and acknowledged, then every connection is closed. */
  close(): Promise<void>;
}

export function createRelay(options: RelayOptions = {}): Relay {
  return new NodeRelay(options);
}

interface Opened {
  readonly environment: Environment;
  readonly ports: RelayPorts;
  readonly rooms: Rooms;
  readonly fleet: Fleet | undefined;
}

class NodeRelay implements Relay {
  readonly #allowedOrigins: readonly string[] | undefined;
  readonly #opening: Promise<Opened>;
  readonly #sockets: WebSocketServer;
  readonly #alive = new WeakSet<WebSocket>();
  readonly #timers: NodeJS.Timeout[];
  readonly #report: (error: unknown) => void;
  readonly #log: RelayLog;
  readonly #options: RelayOptions;
  #draining: Promise<void> | undefined;
  #metrics: Metrics | undefined;
  #rooms: Rooms | undefined;
  #server: Server | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: RelayOptions) {
    this.#allowedOrigins = options.allowedOrigins;
    this.#options = options;
    this.#report = options.onFault ?? reportToStandardError;
    this.#log = options.log ?? SILENT;
    this.#opening = open(options, this.#report);
    // Whoever needs it is told; here it must only not count as unhandled.
    this.#opening.then(
      ({ rooms }) => (this.#rooms = rooms),
      () => {},
    );
    // From the beginning, as what nobody has asked for yet is counted too.
    this.#openMetrics().catch(() => {});
    this.#sockets = new WebSocketServer({
      noServer: true,
      // Deltas are compressed by whoever makes them: compressing them again costs nine times the CPU.
      perMessageDeflate: false,
      maxPayload: FRAME_BYTES_READ_MAX,
      skipUTF8Validation: true,
    });
    this.#timers = [
      setInterval(() => void this.#rooms?.sweep().catch(this.#report), SWEEP_INTERVAL_MS).unref(),
      setInterval(() => this.#beat(), HEARTBEAT_INTERVAL_MS).unref(),
    ];
  }

  async ready(): Promise<void> {
    await this.#opening;
  }

  async listen({ port, host = '127.0.0.1', tls }: ListenOptions): Promise<{ url: string }> {
    await this.#opening;
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      if (this.handle(request, response)) return;
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' });
      response.end('There is nothing at this address.\n');
    };
    const server = tls === undefined ? createServer(answer) : createTlsServer({ ...tls }, answer);
    server.on('upgrade', (request, socket, head) => this.handleUpgrade(request, socket, head));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    this.#server = server;
    const address = server.address() as AddressInfo;
    return {
      url: `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    };
  }

  handle(request: IncomingMessage, response: ServerResponse): boolean {
    return answerHttp(
      {
        isClosing: this.#isLeaving,
        adminToken: this.#options.adminToken,
        log: this.#log,
        ready: () => this.#opening,
        metrics: () => this.#openMetrics(),
        drain: () => this.drain(),
      },
      request,
      response,
    );
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Without a listener a connection that is reset meanwhile would end the process.
    socket.on('error', () => socket.destroy());
    this.#upgrade(request, socket, head).catch((error: unknown) => {
      this.#report(error);
      refuse(socket, 503);
    });
  }

  drain({ withinMs = DRAIN_MS }: { readonly withinMs?: number | undefined } = {}): Promise<void> {
    return (this.#draining ??= this.#drain(withinMs));
  }

  get #isLeaving(): boolean {
    return this.#closing !== undefined || this.#draining !== undefined;
  }

  async #drain(withinMs: number): Promise<void> {
    this.#log.info({ connections: this.#sockets.clients.size, withinMs }, 'draining');
    await (await this.#opening).rooms.drain(withinMs);
    this.#log.info({}, 'drained');
  }

  async #openMetrics(): Promise<Metrics> {
    const { ports, rooms, fleet } = await this.#opening;
    if (this.#metrics !== undefined) return this.#metrics;
    const { createMetrics } = await import('./node-metrics.js');
    const stand = () => ({
      ...rooms.figures(),
      connections: this.#sockets.clients.size,
      rooms: rooms.size,
      commitMs: ports.counters.commitMs,
      engineSilentMs: fleet?.silentMs ?? 0,
    });
    return (this.#metrics ??= createMetrics(ports.counters, stand, ports.federation?.figures));
  }

  async revoke(selector: Revocation): Promise<number> {
    if (selector.room === undefined && selector.replica === undefined && selector.subject === undefined)
      throw new MangroveError('OPTION_INVALID', { option: 'revoke', reason: 'it names no room, replica or subject' });
    return await (await this.#opening).rooms.revoke(selector);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { origin } = request.headers;
    const name = readRoomName(pathOf(request.url), ROOM_PATH);
    if (name === undefined) return refuse(socket, 404);
    if (name === null) return refuse(socket, 400);
    if (origin !== undefined && this.#allowedOrigins?.includes(origin) === false) return refuse(socket, 403);
    const { rooms } = await this.#opening;
    if (this.#isLeaving) return refuse(socket, 503);
    const room = await rooms.open(name);
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#alive.add(webSocket);
      // Behind a long upload a pong comes late; what comes before it is a sign of life too.
      for (const sign of ['pong', 'message']) webSocket.on(sign, () => this.#alive.add(webSocket));
      this.#log.debug(
        { room: name, origin, address: addressOf(request, this.#options.trustProxy) },
        'connection opened',
      );
      attachSocket(webSocket, socket, room, origin);
    });
  }

  #beat(): void {
    for (const socket of this.#sockets.clients) {
      if (!this.#alive.delete(socket)) socket.terminate();
      else socket.ping();
    }
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#log.info({ connections: this.#sockets.clients.size }, 'stopping');
    const server = this.#server;
    const isServerClosed = server && new Promise((resolve) => server.close(resolve));
    const opened = await this.#opening.catch(() => undefined);
    await opened?.rooms.close();
    await this.#sayGoodbye();
    server?.closeAllConnections();
    await isServerClosed;
    this.#metrics?.close();
    await opened?.fleet?.close();
    await opened?.environment.close();
  }

  /** The close frames have been sent; who does not answer is cut off. */
  async #sayGoodbye(): Promise<void> {
    const { clients } = this.#sockets;
    const gone = Promise.all([...clients].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    const timer = setTimeout(() => {
      for (const socket of clients) socket.terminate();
    }, GOODBYE_MS_MAX);
    await gone;
    clearTimeout(timer);
  }
}

/** It comes as one word of a header. */
const ADMIN_TOKEN = /^[\x21-\x7e]{16,}$/;

async function open(options: RelayOptions, report: (error: unknown) => void): Promise<Opened> {
  if (options.adminToken !== undefined && !ADMIN_TOKEN.test(options.adminToken)) {
    const reason = 'it is to be 16 characters of ASCII or more, without a space';
    throw new MangroveError('OPTION_INVALID', { option: 'adminToken', reason });
  }
  const federation = federationOf(options, nodeHash, dialBySocket, bytesToHex(nodeRandom.bytes(32)));
  if (federation !== undefined && options.engine !== undefined)
    throw new MangroveError('OPTION_INVALID', { option: 'peers', reason: 'a relay of a fleet can have no peers yet' });
  const environment = await openEnvironment(options.storage);
  const log = options.log ?? SILENT;
  const fleet = await joinFleet(options.engine, environment, log, report).catch(async (error: unknown) => {
    await environment.close();
    throw error;
  });
  const ports: RelayPorts = {
    environment,
    identity: fleet === undefined ? await openIdentity(environment) : identityOf(fleet.identity),
    hash: nodeHash,
    verifier: createVerifier(),
    clock: { nowMs: Date.now },
    later: (delayMs, run) => void setTimeout(run, delayMs).unref(),
    random: nodeRandom,
    ...portsOf(options),
    federation,
    once: fleet?.once() ?? onceOnly(environment, nodeHash),
    log,
    counters: new Counters(),
    turns: new Turns((run) => void setImmediate(run)),
    report,
  };
  return { environment, ports, rooms: new Rooms(ports, fleet), fleet };
}

async function joinFleet(
  engine: RelayOptions['engine'],
  environment: Environment,
  log: RelayLog,
  report: (error: unknown) => void,
): Promise<Fleet | undefined> {
  if (engine === undefined) return undefined;
  // A relay alone loads nothing of it.
  const [{ openEngine }, { Fleet }] = await Promise.all([
    import('../fleet/open-engine.js'),
    import('../fleet/fleet.js'),
  ]);
  const opened = await openEngine(typeof engine === 'string' ? { url: engine } : engine);
  try {
    return await Fleet.join(opened, { environment, hash: nodeHash, random: nodeRandom, log, report, makeIdentity });
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function openEnvironment(storage: string | undefined): Promise<Environment> {
  if (storage === undefined) return openMemory();
  // A native module: who keeps rooms in memory does not load it.
  const { openLmdb } = await import('../storage/lmdb-store.js');
  const lock = await lockFolder(storage);
  try {
    const environment = openLmdb(storage);
    return {
      room: (roomId) => environment.room(roomId),
      rooms: () => environment.rooms(),
      getMeta: (name) => environment.getMeta(name),
      putMeta: (name, value) => environment.putMeta(name, value),
      close: () => environment.close().finally(() => lock.release()),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** What a proxy in front of our own one says, anybody could have written. */
function addressOf(request: IncomingMessage, trustProxy = false): string | undefined {
  const forwarded = trustProxy ? [request.headers['x-forwarded-for']].flat().at(-1) : undefined;
  return forwarded?.split(',').at(-1)?.trim() ?? request.socket.remoteAddress;
}

function refuse(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function reportToStandardError(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}
