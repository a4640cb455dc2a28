import { compareBytes, equalBytes } from '@mangrove/protocol';
import type { OpenedRoom } from '../opened-room.js';
import type { Connection, RelayPorts } from '../ports.js';
import type { Present } from '../present.js';
import { Bridge, type HomeLink } from './bridge.js';
import type { Peer } from './federation.js';

/** Peers hear of a room while somebody is in it, and so long after anything new came: what others brought is passed on, and then everybody rests. */
const LINGER_MS = 60_000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
const RETRY_GROWTH = 2;

/** The room, as its peers are concerned. */
export interface RoomPeersHost {
  readonly name: string;
  readonly ports: RelayPorts;
  readonly opened: OpenedRoom | undefined;
  readonly isClosing: boolean;
  connect(connection: Connection): HomeLink;
}

interface Place {
  readonly peer: Peer;
  bridge: Bridge | undefined;
  retryAtMs: number;
  failures: number;
  isSelf: boolean;
  wasOpen: boolean;
  wasSettled: boolean;
}

/** The links of one room to the peers of its relay: when they are wanted, made, and let go. */
export class RoomPeers {
  readonly #host: RoomPeersHost;
  readonly #present: Pick<Present, 'hasClients' | 'peerKeys'>;
  readonly #places: readonly Place[];
  #newsAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(host: RoomPeersHost, present: Pick<Present, 'hasClients' | 'peerKeys'>) {
    this.#host = host;
    this.#present = present;
    const fresh = { bridge: undefined, retryAtMs: 0, failures: 0, isSelf: false, wasOpen: false, wasSettled: false };
    this.#places = (host.ports.federation?.peers ?? []).map((peer) => ({ peer, ...fresh }));
  }

  /** Something new is in the room, whoever brought it. */
  news(): void {
    if (this.#places.length === 0) return;
    this.#newsAtMs = this.#host.ports.clock.nowMs();
    for (const { bridge } of this.#places) bridge?.lookSoon();
    this.look();
  }

  /** Now and then, and when somebody comes or goes. */
  look(): void {
    const { opened } = this.#host;
    if (this.#places.length === 0 || opened === undefined) return;
    const nowMs = this.#host.ports.clock.nowMs();
    const isWanted = this.#isWanted(nowMs);
    for (const place of this.#places) {
      if (!isWanted) this.#leave(place);
      else if (place.bridge === undefined && !place.isSelf && nowMs >= place.retryAtMs) this.#dial(place, opened);
    }
  }

  /** Another relay has come by itself. Of two links one is enough, and both sides keep the same one: that of the lower key. */
  peerCame(relayKey: Uint8Array): void {
    for (const place of this.#places) {
      const key = place.bridge?.peerKey;
      if (key !== undefined && equalBytes(key, relayKey) && this.#isReached(relayKey)) this.#leave(place);
    }
  }

  /** Its link has ended: the own one may be wanted now. */
  peerLeft(): void {
    if (this.#places.length === 0) return;
    for (const place of this.#places) if (place.failures === 0) place.retryAtMs = 0;
    this.#later(0);
  }

  close(): void {
    this.#isClosed = true;
    for (const place of this.#places) this.#leave(place);
  }

  #isWanted(nowMs: number): boolean {
    if (this.#isClosed || this.#host.isClosing) return false;
    return this.#present.hasClients || nowMs - this.#newsAtMs < LINGER_MS;
  }

  #isReached(relayKey: Uint8Array): boolean {
    const { relayKey: own } = this.#host.ports.identity;
    if (compareBytes(own, relayKey) < 0) return false;
    for (const key of this.#present.peerKeys) if (equalBytes(key, relayKey)) return true;
    return false;
  }

  #dial(place: Place, opened: OpenedRoom): void {
    const { name, ports } = this.#host;
    place.bridge = new Bridge(
      {
        name,
        ports,
        opened,
        enter: (connection) => this.#host.connect(connection),
        isReached: (relayKey) => this.#isReached(relayKey),
        ended: (_, again) => this.#ended(place, again),
        changed: (bridge) => this.#changed(place, bridge),
      },
      place.peer,
    );
  }

  #leave(place: Place): void {
    const { bridge } = place;
    place.bridge = undefined;
    bridge?.close();
    this.#note(place, false, false);
  }

  #ended(place: Place, again: boolean): void {
    const { ports } = this.#host;
    const key = place.bridge?.peerKey;
    place.bridge = undefined;
    place.isSelf = !again;
    this.#note(place, false, false);
    // Where the other relay is here by itself nothing has failed.
    if (key !== undefined && this.#isReached(key)) {
      place.retryAtMs = ports.clock.nowMs() + RETRY_MAX_MS;
      return;
    }
    if (again) this.#retryLater(place);
  }

  #retryLater(place: Place): void {
    const { ports } = this.#host;
    if (ports.federation !== undefined) ports.federation.figures.of(place.peer.url).failures++;
    const jitter = 1 - (ports.random.bytes(1)[0] as number) / 512;
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * RETRY_GROWTH ** place.failures) * jitter;
    place.failures++;
    place.retryAtMs = ports.clock.nowMs() + delayMs;
    this.#later(delayMs + 1);
  }

  #later(delayMs: number): void {
    this.#host.ports.later(delayMs, () => this.look());
  }

  #changed(place: Place, bridge: Bridge): void {
    if (place.bridge !== bridge) return;
    if (bridge.isOpen) place.failures = 0;
    this.#note(place, bridge.isOpen, bridge.isSettled);
  }

  #note(place: Place, isOpen: boolean, isSettled: boolean): void {
    const { federation, clock } = this.#host.ports;
    if (federation === undefined) return;
    const figure = federation.figures.of(place.peer.url);
    figure.rooms += Number(isOpen) - Number(place.wasOpen);
    figure.settled += Number(isSettled) - Number(place.wasSettled);
    place.wasOpen = isOpen;
    place.wasSettled = isSettled;
    const is = isOpen ? (isSettled ? 'settled' : 'uneven') : 'gone';
    federation.figures.note(place, place.peer.url, is, clock.nowMs());
  }
}
