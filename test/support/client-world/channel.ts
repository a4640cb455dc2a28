import type { RoomChannel, TabNotice } from '../../../packages/client/src/tabs/room-channel.js';
import type { Tab } from './tab.js';

/** What one tab says to the others of its profile. */
export class MemoryChannel implements RoomChannel {
  readonly #all: Set<MemoryChannel>;
  readonly #tab: Tab;
  readonly #outgoing: TabNotice[] = [];
  #listener: (notice: TabNotice) => void = () => {};

  constructor(all: Set<MemoryChannel>, tab: Tab) {
    this.#all = all;
    this.#tab = tab;
  }

  post(notice: TabNotice): void {
    if (!this.#all.has(this) || this.#tab.isGone) return;
    this.#outgoing.push(structuredClone(notice));
    setImmediate(() => this.#deliver());
  }

  /** One notice a turn, in order: what was posted before is never overtaken by what the same tab posted later. */
  #deliver(): void {
    if (this.#tab.isMute && !this.#tab.isGone) {
      setImmediate(() => this.#deliver());
      return;
    }
    const notice = this.#outgoing.shift() as TabNotice;
    if (this.#tab.isMute) return;
    for (const other of this.#all)
      if (other !== this && !other.#tab.isGone) other.#tab.whenAwake(() => other.#listener(notice));
  }

  listen(listener: (notice: TabNotice) => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#all.delete(this);
  }
}
