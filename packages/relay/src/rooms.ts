import type { Fleet } from './fleet/fleet.js';
import { Janitor } from './janitor.js';
import { RETRY } from './link.js';
import type { RelayPorts } from './ports.js';
import { RelayRoom, type RoomVersion } from './room.js';
import { figuresOf, type Revocation, revokeLinks, type RoomFigures } from './watch.js';

/** A room without connections is kept this long: people reload pages. */
const IDLE_MS = 60_000;
/** One that nobody was ever admitted to: anybody can make up names. */
const UNBORN_IDLE_MS = 2_000;

/** The rooms of one relay that are in use: opened on demand, let go when idle. */
export class Rooms {
  readonly #ports: RelayPorts;
  readonly #fleet: Fleet | undefined;
  readonly #rooms = new Map<string, { readonly room: Promise<RelayRoom>; usedAtMs: number }>();
  readonly #opened = new Set<RelayRoom>();
  /** A room that is being let go of has to be gone before it can be opened again. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #janitor: Janitor;
  #isClosed = false;

  constructor(ports: RelayPorts, fleet?: Fleet) {
    this.#ports = ports;
    this.#fleet = fleet;
    this.#janitor = new Janitor(ports);
  }

  get size(): number {
    return this.#rooms.size;
  }

  /** The caller connects in the same turn, or calls again. Throws `NAME_INVALID`. */
  open(name: string): Promise<RelayRoom> {
    const usedAtMs = this.#ports.clock.nowMs();
    let entry = this.#rooms.get(name);
    if (entry === undefined) {
      const left = this.#leaving.get(name) ?? Promise.resolve();
      const room = left.then(() => RelayRoom.open(name, this.#ports, this.#fleet));
      this.#rooms.set(name, (entry = { room, usedAtMs }));
      room.then(
        (opened) => this.#opened.add(opened),
        () => this.#rooms.delete(name),
      );
    }
    entry.usedAtMs = usedAtMs;
    return entry.room;
  }

  /** Undefined for a room that nobody was ever admitted to. Throws `NAME_INVALID`. */
  async version(name: string): Promise<RoomVersion | undefined> {
    const inUse = this.#rooms.get(name);
    if (inUse !== undefined) return await (await inUse.room).version();
    // Whoever asks for names that do not exist leaves nothing behind.
    const room = await RelayRoom.open(name, this.#ports, this.#fleet);
    try {
      return await room.version();
    } finally {
      await room.close();
    }
  }

  /** Of all rooms together. */
  figures(): RoomFigures {
    const all = { pushesWaiting: 0, queuedBytes: 0, catchingUp: 0, lagMs: 0 };
    for (const room of this.#opened) {
      const figures = figuresOf(room.links, room.opened?.commits.waiting ?? 0, this.#ports.clock.nowMs());
      all.pushesWaiting += figures.pushesWaiting;
      all.queuedBytes += figures.queuedBytes;
      all.catchingUp += figures.catchingUp;
      all.lagMs = Math.max(all.lagMs, figures.lagMs);
    }
    return all;
  }

  /** Lets go of connections; how many. Whether they may come back is for `authenticate` to say. */
  async revoke(selector: Revocation): Promise<number> {
    let count = 0;
    for (const [name, { room: opening }] of this.#rooms) {
      if (selector.room !== undefined && selector.room !== name) continue;
      count += revokeLinks((await opening.catch(() => undefined))?.links ?? [], selector);
    }
    return count;
  }

  /** To be called every few seconds. */
  async sweep(): Promise<void> {
    const nowMs = this.#ports.clock.nowMs();
    for (const [name, { room: opening, usedAtMs }] of this.#rooms) {
      const room = await opening.catch(() => undefined);
      if (room === undefined || this.#isClosed) continue;
      room.sweep();
      await room.scrub();
      const isIdle = room.linkCount === 0 && nowMs - usedAtMs >= (room.exists ? IDLE_MS : UNBORN_IDLE_MS);
      if (isIdle && this.#rooms.get(name)?.usedAtMs === usedAtMs) this.#leave(name, room);
    }
    // What is cleaned away in a fleet is cleaned away by all of its relays, by an entry of the room's log.
    if (!this.#isClosed && this.#fleet === undefined) await this.#janitor.visit();
  }

  /** Lets all connections go, spread over this time, so that they do not all come somewhere else in one moment. */
  async drain(withinMs: number): Promise<void> {
    const rooms = [...this.#opened];
    const links = rooms.flatMap((room) => [...room.links]);
    const beganMs = performance.now();
    for (const [i, link] of links.entries()) {
      const waitMs = (withinMs * i) / links.length - (performance.now() - beganMs);
      if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
      await link.committed();
      link.shut(RETRY.goingAway, 'the relay is stopping');
    }
    await Promise.all(rooms.map((room) => room.opened?.commits.idle()));
  }

  /** Every room finishes what it has begun. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#rooms.values()].map(async ({ room }) => (await room.catch(() => undefined))?.close()));
    await Promise.all(this.#leaving.values());
    this.#rooms.clear();
  }

  #leave(name: string, room: RelayRoom): void {
    this.#opened.delete(room);
    this.#rooms.delete(name);
    const left = room
      .close()
      .catch((error: unknown) => this.#ports.report(error))
      .finally(() => this.#leaving.delete(name));
    this.#leaving.set(name, left);
  }
}
