import { RelayTurns } from './relay-turns.js';
import { connectSocket } from './socket-transport.js';
import type { Transport, TransportEvents } from './transport.js';

/** One room at whichever of these relays is there, the first one where it can be. `relays`: ranked, one at least. */
export function connectRelays(
  relays: readonly string[],
  room: string,
  events: TransportEvents,
  random: () => number = Math.random,
): Transport {
  const [only] = relays;
  if (relays.length === 1) return connectSocket(only as string, room, events, random);
  return new SeveralRelays(relays, room, events, random);
}

type Ended = Parameters<TransportEvents['closed']>[0];

/** One connection, for as long as it lasts. */
interface Visit {
  readonly relay: number;
  socket?: Transport;
  isOpen: boolean;
  isOfUse: boolean;
}

class SeveralRelays implements Transport {
  readonly #relays: readonly string[];
  readonly #room: string;
  readonly #events: TransportEvents;
  readonly #random: () => number;
  readonly #turns: RelayTurns;
  #visit: Visit | undefined;
  /** A better relay that has not said anything yet, while the one in use goes on. */
  #scout: Visit | undefined;
  #next: ReturnType<typeof setTimeout> | undefined;
  #look: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(relays: readonly string[], room: string, events: TransportEvents, random: () => number) {
    this.#relays = relays;
    this.#room = room;
    this.#events = events;
    this.#random = random;
    this.#turns = new RelayTurns(relays.length, random);
    globalThis.addEventListener?.('online', this.#hurry);
    this.#begin(0);
  }

  send(frame: Uint8Array): void {
    this.#visit?.socket?.send(frame);
  }

  gained(): void {
    if (this.#visit?.isOpen === true) this.#visit.isOfUse = true;
  }

  /** At the same relay where it was of use, as its place in the log is known there; else at the next. */
  reconnect(): void {
    const isOfUse = this.#visit?.isOfUse === true;
    const relay = isOfUse ? this.#turns.current : this.#turns.ended({ code: 1006, isOfUse }, performance.now()).relay;
    this.#end();
    this.#begin(relay);
  }

  close(): void {
    this.#isClosed = true;
    globalThis.removeEventListener?.('online', this.#hurry);
    this.#leave();
  }

  #begin(relay: number): void {
    const visit: Visit = { relay, isOpen: false, isOfUse: false };
    this.#visit = visit;
    this.#connect(visit);
  }

  #connect(visit: Visit): void {
    const isInUse = (): boolean => this.#visit === visit;
    const events: TransportEvents = {
      connecting: () => isInUse() && this.#events.connecting(),
      opened: () => isInUse() && this.#opened(visit),
      frame: (bytes) => {
        if (this.#scout === visit) this.#moveTo(visit);
        if (isInUse()) this.#events.frame(bytes);
      },
      closed: (info) => {
        if (isInUse()) this.#closed(visit, info);
        else if (this.#scout === visit) this.#scoutFor(visit.relay + 1);
      },
    };
    const url = this.#relays[visit.relay] as string;
    visit.socket = connectSocket(url, this.#room, events, this.#random, 'once');
  }

  #opened(visit: Visit): void {
    visit.isOpen = true;
    this.#events.opened();
    this.#lookLater();
  }

  #closed(visit: Visit, info: Ended): void {
    // 1000 is our own: it has been silent for too long.
    const isOfUse = visit.isOfUse && info.code !== 1000;
    this.#leave();
    this.#events.closed(info);
    if (info.final || this.#isClosed) return;
    const { relay, afterMs } = this.#turns.ended({ code: info.code, isOfUse }, performance.now());
    this.#next = setTimeout(() => this.#begin(relay), afterMs);
  }

  /** Ends the connection that is in use, and says so. */
  #end(): void {
    const wasOpen = this.#visit?.isOpen === true;
    this.#leave();
    if (wasOpen) this.#events.closed({ code: 1000, reason: '', final: false });
  }

  #leave(): void {
    clearTimeout(this.#next);
    clearTimeout(this.#look);
    const sockets = [this.#visit?.socket, this.#scout?.socket];
    this.#visit = undefined;
    this.#scout = undefined;
    for (const socket of sockets) socket?.close();
  }

  readonly #hurry = (): void => {
    if (this.#visit?.isOpen === true) return;
    this.#leave();
    this.#begin(this.#turns.anew().relay);
  };

  /** [FD3] */
  #lookLater(): void {
    clearTimeout(this.#look);
    const afterMs = this.#turns.returnAfterMs();
    if (afterMs !== undefined) this.#look = setTimeout(() => this.#scoutFor(0), afterMs);
  }

  #scoutFor(relay: number): void {
    this.#scout?.socket?.close();
    this.#scout = undefined;
    if (relay >= this.#turns.current) {
      this.#lookLater();
      return;
    }
    const scout: Visit = { relay, isOpen: true, isOfUse: false };
    this.#scout = scout;
    this.#connect(scout);
  }

  /** A relay is there when it has said its first word: then it takes the place of the one in use, and the session begins with that word. */
  #moveTo(scout: Visit): void {
    this.#scout = undefined;
    this.#end();
    this.#turns.returned(scout.relay, performance.now());
    this.#visit = scout;
    this.#events.connecting();
    this.#opened(scout);
  }
}
