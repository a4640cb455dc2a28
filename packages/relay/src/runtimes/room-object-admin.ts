import { type CounterName, COUNTERS } from '../counters.js';
import { readRoomName } from '../http.js';
import type { RelayPorts } from '../ports.js';
import type { RelayRoom } from '../room.js';
import type { RowCount } from '../storage/sql/sql-database.js';
import { figuresOf, type Revocation, revokeLinks } from '../watch.js';

/** Whose connections to one room are meant: those for which all that is given holds. */
export type RoomRevocation = Omit<Revocation, 'room'>;

/** How a room stands. `counted` is since its object was made last: it forgets when it hibernates. */
export interface ObjectFigures {
  readonly connections: number;
  readonly pushesWaiting: number;
  readonly queuedBytes: number;
  readonly catchingUp: number;
  readonly lagMs: number;
  /** Of its database, which is what is paid for. */
  readonly rows: { readonly read: number; readonly written: number };
  readonly counted: Readonly<Record<CounterName, number>>;
  /** How often something was refused, by its code. */
  readonly refusals: Readonly<Record<string, number>>;
}

// Requests that only the Worker's own code makes: what comes from outside is let through to an object by `GET` and other paths alone.
const REVOKE_PATH = /^\/rooms\/([^/]+)\/revoke$/;
const FIGURES_PATH = /^\/rooms\/([^/]+)\/figures$/;

export function revokeRequest(room: string, selector: RoomRevocation): Request {
  const url = `https://room/rooms/${encodeURIComponent(room)}/revoke`;
  return new Request(url, { method: 'POST', body: JSON.stringify(selector) });
}

export function figuresRequest(room: string): Request {
  return new Request(`https://room/rooms/${encodeURIComponent(room)}/figures`, { method: 'POST' });
}

export interface Governed {
  /** Undefined where the room has not begun, and nobody is about to begin it. */
  readonly room: RelayRoom | undefined;
  readonly ports: RelayPorts;
  readonly rows: RowCount;
}

/** Undefined for another request. */
export async function govern(request: Request, { room, ports, rows }: Governed): Promise<Response | undefined> {
  if (request.method !== 'POST') return undefined;
  const { pathname } = new URL(request.url);
  if (readRoomName(pathname, REVOKE_PATH)) {
    const { replica, subject } = (await request.json()) as RoomRevocation;
    return Response.json(revokeLinks(room?.links ?? [], { replica, subject } as Revocation));
  }
  if (readRoomName(pathname, FIGURES_PATH)) return Response.json(figures(room, ports, rows));
  return undefined;
}

function figures(room: RelayRoom | undefined, { counters, clock }: RelayPorts, rows: RowCount): ObjectFigures {
  const counted = Object.fromEntries(Object.keys(COUNTERS).map((name) => [name, counters.get(name as CounterName)]));
  return {
    connections: room?.linkCount ?? 0,
    ...figuresOf(room?.links ?? [], room?.opened?.commits.waiting ?? 0, clock.nowMs()),
    rows: { read: rows.read, written: rows.written },
    counted: counted as Record<CounterName, number>,
    refusals: Object.fromEntries(counters.refusals),
  };
}
