import { assertName, MangroveError } from '@mangrove/protocol';
import { denialOf, readRoomName, REPLIES, ROOM_PATH, VERSION_PATH } from '../http.js';
import type { RoomsOptions } from '../options.js';
import { respond, RoomObject } from './room-object.js';
import { figuresRequest, type ObjectFigures, revokeRequest, type RoomRevocation } from './room-object-admin.js';
import type { ObjectNamespace, ObjectSocket, ObjectState } from './workers-platform.js';

export type { Authenticate, Authentication, AuthenticationContext, AuthenticationRequest } from '../ports.js';
export type { RateOptions } from '../rates.js';
export type { ObjectFigures, RoomRevocation } from './room-object-admin.js';
/** What an operator says of the relay. `recheckMs` costs an alarm each time. */
export type RelayObjectOptions = RoomsOptions;

/** What Cloudflare calls of a room's object; the class is to be exported by the Worker's module. */
export interface RoomObjectHandlers {
  fetch(request: Request): Promise<Response>;
  webSocketMessage(socket: ObjectSocket, message: ArrayBuffer | string): Promise<void>;
  webSocketClose(socket: ObjectSocket): Promise<void>;
  webSocketError(socket: ObjectSocket): Promise<void>;
  alarm(): Promise<void>;
}

export interface RelayObject<Env> {
  /** One object a room; its binding is named by `binding`. */
  readonly MangroveRoom: new (
    state: ObjectState,
    env: Env,
  ) => RoomObjectHandlers;
  /** Answers `/parties/relay/<room>`, `/rooms/<room>/version` and `/healthz`, with 404 for all else. */
  fetch(request: Request, env: Env): Promise<Response>;
  /**
   * Lets go of connections to one room with 4403; how many. For the Worker's own code, which looks first who asks: `fetch` answers no path that leads
   * here. Whether they may come back is for `authenticate` to say.
   */
  revoke(env: Env, room: string, selector?: RoomRevocation): Promise<number>;
  /** How a room stands, and what its object has counted since it was made. It wakes the object. */
  figures(env: Env, room: string): Promise<ObjectFigures>;
}

/**
 * A relay on Cloudflare: a Durable Object per room. `options` may be a function of the Worker's environment, where secrets are.
 * `binding` names the namespace of the objects in that environment: `ROOMS` without it.
 */
export function createRelayObject<Env = unknown>(
  options: RelayObjectOptions | ((env: Env) => RelayObjectOptions) = {},
  { binding = 'ROOMS' }: { readonly binding?: string } = {},
): RelayObject<Env> {
  const optionsFor = (env: Env): RelayObjectOptions => (typeof options === 'function' ? options(env) : options);
  const objectOf = (env: Env, room: string) => {
    assertName('room', room);
    const rooms = (env as Readonly<Record<string, ObjectNamespace>>)[binding];
    if (rooms === undefined)
      throw new MangroveError('OPTION_INVALID', {
        option: 'binding',
        reason: `there is no ${binding} in the environment`,
      });
    return rooms.get(rooms.idFromName(room) as never);
  };
  return {
    revoke: async (env, room, selector = {}) => {
      const response = await objectOf(env, room).fetch(revokeRequest(room, selector));
      return (await response.json()) as number;
    },
    figures: async (env, room) => {
      const response = await objectOf(env, room).fetch(figuresRequest(room));
      return (await response.json()) as ObjectFigures;
    },
    MangroveRoom: class MangroveRoom extends RoomObject {
      constructor(state: ObjectState, env: Env) {
        super(state, optionsFor(env));
      }
    },
    fetch: (request, env) =>
      answer(request, optionsFor(env), (env as Readonly<Record<string, ObjectNamespace>>)[binding]),
  };
}

/** What is used once is remembered by a room's object: whoever asks where a room stands comes with a token. */
const onlyInRooms = (): Promise<boolean> => Promise.resolve(false);

/** What can be answered without the room's object does not wake it. */
async function answer(
  request: Request,
  { allowedOrigins, authenticate }: RelayObjectOptions,
  rooms: ObjectNamespace | undefined,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  const origin = request.headers.get('Origin') ?? undefined;
  const isSocket = request.headers.get('Upgrade')?.toLowerCase() === 'websocket';
  const isRoom = pathname.startsWith('/parties/');
  const isKnown = isRoom || pathname.startsWith('/rooms/') || pathname === '/healthz';
  if (!isKnown) return respond(REPLIES.nothing);
  if (request.method !== 'GET' && request.method !== 'HEAD') return respond(REPLIES.onlyGet);
  if (pathname === '/healthz') return respond(REPLIES.healthy);
  if (isRoom && !isSocket) return respond(REPLIES.noSocket);
  const name = readRoomName(pathname, isRoom ? ROOM_PATH : VERSION_PATH);
  if (name === undefined) return respond(REPLIES.nothing);
  if (name === null) return respond(REPLIES.noName);
  if (rooms === undefined) return respond(REPLIES.unable);
  if (isRoom) {
    const isAllowed = origin === undefined || allowedOrigins?.includes(origin) !== false;
    if (!isAllowed) return respond({ status: 403, body: 'Pages of this origin may not connect.' });
  } else {
    const authorization = request.headers.get('Authorization') ?? undefined;
    const denial = await denialOf({ authenticate, clock: { nowMs: Date.now }, once: onlyInRooms }, name, {
      authorization,
      origin,
    });
    if (denial !== undefined) return respond(denial);
  }
  return await rooms.get(rooms.idFromName(name) as never).fetch(request);
}
