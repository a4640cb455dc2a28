import type { IncomingMessage, ServerResponse } from 'node:http';
import { timingSafeEqual } from 'node:crypto';
import { utf8ToBytes } from '@mangrove/protocol';
import {
  type Asker,
  denialOf,
  readRoomName,
  renderReply,
  REPLIES,
  type Reply,
  tokenOf,
  VERSION_PATH,
  versionReply,
} from '../http.js';
import type { Fleet } from '../fleet/fleet.js';
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
  ready(): Promise<{ readonly ports: RelayPorts; readonly rooms: Rooms; readonly fleet: Fleet | undefined }>;
  metrics(): Promise<Metrics>;
  readonly adminToken: string | undefined;
  readonly log: RelayLog;
  drain(): Promise<void>;
}

/** True when the request was one of the relay's own, which is answered then. */
export function answerHttp(host: HttpHost, request: IncomingMessage, response: ServerResponse): boolean {
  const path = pathOf(request.url);
  if (!/^\/(?:parties\/|rooms\/|(?:healthz|readyz|metrics|admin\/drain)$)/.test(path)) return false;
  reply(host, path, request)
    .catch((): Reply => REPLIES.unable)
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
  if (request.method !== 'GET' && request.method !== 'HEAD') return REPLIES.onlyGet;
  switch (path) {
    case '/healthz':
      return REPLIES.healthy;
    case '/readyz':
      if (host.isClosing) return { status: 503, body: 'stopping' };
      return await replyToReady(host);
    case '/metrics': {
      const metrics = await host.metrics();
      return { status: 200, body: await metrics.text(), contentType: metrics.contentType };
    }
  }
  if (path.startsWith('/parties/')) return REPLIES.noSocket;
  const name = readRoomName(path, VERSION_PATH);
  if (name === undefined) return REPLIES.nothing;
  if (name === null) return REPLIES.noName;
  const { ports, rooms } = await host.ready();
  const denial = await denialOf(ports, name, askerOf(request));
  return denial ?? versionReply(name, await rooms.version(name));
}

async function replyToReady(host: HttpHost): Promise<Reply> {
  const { ports, fleet } = await host.ready();
  // The storage has to answer, and to be where it was.
  await ports.environment.getMeta('ready');
  if (fleet?.isAway === true) return { status: 503, body: 'the engine of the fleet is away' };
  return { status: 200, body: 'ready' };
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
  const token = tokenOf(askerOf(request));
  if (host.adminToken !== undefined && token !== undefined && isSame(token, host.adminToken)) return undefined;
  const { ports } = await host.ready();
  if (ports.authenticate === undefined) return { status: 403, body: 'No admin is known to this relay.' };
  return await denialOf(ports, EVERY_ROOM, askerOf(request), 'admin');
}

/** In the same time whatever of it is right. */
function isSame(token: string, secret: string): boolean {
  return timingSafeEqual(nodeHash(utf8ToBytes(token)), nodeHash(utf8ToBytes(secret)));
}

function askerOf({ headers: { authorization, origin } }: IncomingMessage): Asker {
  return { authorization, origin };
}

function send(response: ServerResponse, reply: Reply, headOnly: boolean): void {
  const { text, headers } = renderReply(reply);
  response.writeHead(reply.status, { ...headers, 'Content-Length': Buffer.byteLength(text) });
  response.end(headOnly ? undefined : text);
}

export function pathOf(url: string | undefined): string {
  return (url ?? '').split('?', 1)[0] as string;
}
