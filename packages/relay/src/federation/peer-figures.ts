/** How the links to one peer stand, over all rooms. */
export interface PeerFigure {
  /** Rooms that are connected. */
  rooms: number;
  /** Rooms that are connected and were equal when they were last compared. */
  settled: number;
  /** Connections that could not be made, or have ended. */
  failures: number;
}

/** What is known of each peer, for who watches the relay. */
export class PeerFigures {
  readonly #byUrl = new Map<string, PeerFigure>();
  /** Since when rooms differ, by whatever stands for one. */
  readonly #unevenSinceMs = new Map<object, { readonly url: string; readonly sinceMs: number }>();

  constructor(urls: Iterable<string>) {
    for (const url of urls) this.of(url);
  }

  get urls(): readonly string[] {
    return [...this.#byUrl.keys()];
  }

  of(url: string): PeerFigure {
    let figure = this.#byUrl.get(url);
    if (figure === undefined) this.#byUrl.set(url, (figure = { rooms: 0, settled: 0, failures: 0 }));
    return figure;
  }

  /** A room has been connected, is equal, differs, or is connected no more. */
  note(room: object, url: string, is: 'uneven' | 'settled' | 'gone', nowMs: number): void {
    if (is !== 'uneven') this.#unevenSinceMs.delete(room);
    else if (!this.#unevenSinceMs.has(room)) this.#unevenSinceMs.set(room, { url, sinceMs: nowMs });
  }

  /** How long the room that has differed from the peer's for longest has done so. */
  lagMs(url: string, nowMs: number): number {
    let lagMs = 0;
    for (const uneven of this.#unevenSinceMs.values())
      if (uneven.url === url) lagMs = Math.max(lagMs, nowMs - uneven.sinceMs);
    return lagMs;
  }
}
