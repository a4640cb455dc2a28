import { assertName, bytesToHex, isMangroveError, type ReplicaId, type Right } from '@mangrove/protocol';
import { type Asking, askWhoItIs } from './admission.js';
import type { RoomVersion } from './room.js';

/** What a relay answers over HTTP, whatever runs it. */
export interface Reply {
  readonly status: number;
  readonly body: string | object;
  /** Where it is none of the usual ones. */
  readonly contentType?: string;
}

/** Of a request: all that says who asks. */
export interface Asker {
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
}

export const ROOM_PATH = /^\/parties\/relay\/([^/]+)$/;
export const VERSION_PATH = /^\/rooms\/([^/]+)\/version$/;

export const REPLIES = {
  healthy: { status: 200, body: 'ok' },
  onlyGet: { status: 405, body: 'Only GET is answered here.' },
  noSocket: { status: 426, body: 'Rooms are reached by WebSocket.' },
  nothing: { status: 404, body: 'There is nothing at this address.' },
  noName: { status: 400, body: 'This is not the name of a room.' },
  noRoom: { status: 404, body: 'This room is not here.' },
  unable: { status: 503, body: 'The relay cannot answer now.' },
} as const satisfies Record<string, Reply>;

/** The room that a path names, `undefined` for another path, `null` for a name that is none. */
export function readRoomName(path: string, pattern: RegExp): string | null | undefined {
  const encoded = pattern.exec(path)?.[1];
  if (encoded === undefined) return undefined;
  try {
    const name = decodeURIComponent(encoded);
    assertName('room', name);
    return name;
  } catch {
    return null;
  }
}

export function versionReply(room: string, version: RoomVersion | undefined): Reply {
  if (version === undefined) return REPLIES.noRoom;
  const { offset, vector, root } = version;
  return { status: 200, body: { room, offset, vector: Object.fromEntries(vector), root: bytesToHex(root) } };
}

/** Why this is not for who asks; undefined where it is. */
export async function denialOf(
  asking: Asking,
  room: string,
  asker: Asker,
  right: Right = 'read',
): Promise<Reply | undefined> {
  if (asking.authenticate === undefined) return undefined;
  const { origin } = asker;
  const token = tokenOf(asker);
  const authentication = await askWhoItIs(asking, {
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

export function tokenOf({ authorization }: Asker): string | undefined {
  return /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];
}

/** With the headers that belong to it. */
export function renderReply({ body, contentType }: Reply): {
  readonly text: string;
  readonly headers: Record<string, string>;
} {
  const isText = typeof body === 'string';
  const text = isText ? (body.endsWith('\n') ? body : `${body}\n`) : JSON.stringify(body);
  const headers = {
    'Content-Type': contentType ?? (isText ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8'),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  };
  return { text, headers };
}
