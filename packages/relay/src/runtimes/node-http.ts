import type { IncomingMessage, ServerResponse } from 'node:http';
import { timingSafeEqual } from 'node:crypto';
import { assertName, bytesToHex, isMangroveError, type ReplicaId, type Right, utf8ToBytes } from '@mangrove/protocol';
import { askWhoItIs } from '../admission.js';
import type { RelayPorts } from '../ports.js';
import type { RelayLog } from '../log.js';
import type { Rooms } from '../rooms.js';
import { nodeHash } from './node-crypto.js';
import type { Metrics } from './node-metrics.js';

/** What a token has to be for where all rooms are meant. */
const EVERY_ROOM = '*';

/** What the HTTP side of a relay answers from. */
export interface HttpHost {
  readonly isClosing: boolean;
  /** Rejects while the disk cannot be opened. */
  ready(): Promise<{ readonly ports: RelayPorts; readonly rooms: Rooms }>;
  metrics(): Promise<Metrics>;
  readonly adminToken: string | undefined;
  readonly log: RelayLog;
  drain(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: string | object;
  readonly contentType?: string;
}

/** The room that a path names, `undefined` for another path, `null` for a name that is none. */
export function readRoomName(url: string | undefined, pattern: RegExp): string | null | undefined {
  const encoded = pattern.exec(pathOf(url))?.[1];
  if (encoded === undefined) return undefined;
  try {
    const name = decodeURIComponent(encoded);
    assertName('room', name);
    return name;
  } catch {
    return null;
  }
}

/** True when the request was one of the relay's own, which is answered then. */
export function answerHttp(host: HttpHost, request: IncomingMessage, response: ServerResponse): boolean {
  const path = pathOf(request.url);
  if (!/^\/(?:parties\/|rooms\/|(?:healthz|readyz|metrics|admin\/drain)$)/.test(path)) return false;
  reply(host, path, request)
    .catch((): Reply => ({ status: 503, body: 'The relay cannot answer now.' }))
    .then((answer) => {
      // The path alone: whatever else somebody has put into an address is nobody's business.
      host.log.debug({ method: request.method, path, status: answer.status }, 'request');
      send(response, answer, request.method === 'HEAD');
    })
    .catch(() => response.destroy());
  return true;
}

async function reply(host: HttpHost, path: string, request: IncomingMessage): Promise<Reply> {
  if (path === '/admin/drain') return await replyToDrain(host, request);
  if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, body: 'Only GET is answered here.' };
  switch (path) {
    case '/healthz':
      return { status: 200, body: 'ok' };
    case '/readyz':
      if (host.isClosing) return { status: 503, body: 'stopping' };
      // The storage has to answer, and to be where it was.
      await (await host.ready()).ports.environment.getMeta('ready');
      return { status: 200, body: 'ready' };
    case '/metrics': {
      const metrics = await host.metrics();
      return { status: 200, body: await metrics.text(), contentType: metrics.contentType };
    }
  }
  if (path.startsWith('/parties/')) return { status: 426, body: 'Rooms are reached by WebSocket.' };
  const name = readRoomName(request.url, /^\/rooms\/([^/]+)\/version$/);
  if (name === undefined) return { status: 404, body: 'There is nothing at this address.' };
  if (name === null) return { status: 400, body: 'This is not the name of a room.' };
  return await readVersion(host, name, request);
}

async function readVersion(host: HttpHost, name: string, request: IncomingMessage): Promise<Reply> {
  const { ports, rooms } = await host.ready();
  const denial = await denialOf(ports, name, request);
  if (denial !== undefined) return denial;
  const version = await rooms.version(name);
  if (version === undefined) return { status: 404, body: 'This room is not here.' };
  const { offset, vector, root } = version;
  return { status: 200, body: { room: name, offset, vector: Object.fromEntries(vector), root: bytesToHex(root) } };
}

/** Answered when nobody is connected any more and all that was acknowledged is on disk. */
async function replyToDrain(host: HttpHost, request: IncomingMessage): Promise<Reply> {
  if (request.method !== 'POST') return { status: 405, body: 'Only POST is answered here.' };
  const denial = await denialOfAdmin(host, request);
  if (denial !== undefined) return denial;
  await host.drain();
  return { status: 200, body: 'drained' };
}

/** Where nothing says who is an admin, nobody is. */
async function denialOfAdmin(host: HttpHost, request: IncomingMessage): Promise<Reply | undefined> {
  const token = tokenOf(request);
  if (host.adminToken !== undefined && token !== undefined && isSame(token, host.adminToken)) return undefined;
  const { ports } = await host.ready();
  if (ports.authenticate === undefined) return { status: 403, body: 'No admin is known to this relay.' };
  return await denialOf(ports, EVERY_ROOM, request, 'admin');
}

/** In the same time whatever of it is right. */
function isSame(token: string, secret: string): boolean {
  return timingSafeEqual(nodeHash(utf8ToBytes(token)), nodeHash(utf8ToBytes(secret)));
}

async function denialOf(
  ports: RelayPorts,
  room: string,
  request: IncomingMessage,
  right: Right = 'read',
): Promise<Reply | undefined> {
  if (ports.authenticate === undefined) return undefined;
  const token = tokenOf(request);
  const { origin } = request.headers;
  const authentication = await askWhoItIs(ports, {
    room,
    // Nobody proves a key here.
    replica: '' as ReplicaId,
    ...(token === undefined ? {} : { token }),
    ...(origin === undefined ? {} : { origin }),
  }).catch((error: unknown) => {
    if (isMangroveError(error) && error.code === 'TOKEN_EXPIRED') return null;
    throw error;
  });
  if (authentication === null) return { status: 401, body: `A token with the right to ${right} is needed.` };
  return authentication.rights.includes(right)
    ? undefined
    : { status: 403, body: `The token has no right to ${right}.` };
}

function tokenOf({ headers }: IncomingMessage): string | undefined {
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

function send(response: ServerResponse, { status, body, contentType }: Reply, headOnly: boolean): void {
  const isText = typeof body === 'string';
  const text = isText ? (body.endsWith('\n') ? body : `${body}\n`) : JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': contentType ?? (isText ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8'),
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(headOnly ? undefined : text);
}

function pathOf(url: string | undefined): string {
  return (url ?? '').split('?', 1)[0] as string;
}
