import type { ErrorFacts } from '@mangrove/protocol';
import type { WorkerMetrics, RoomStatus } from '../types.js';
import type { Place } from '../stores/places.js';
import type { Pending } from './pending.js';
import { lastErrorOf, type LinkStatus, roomStatus } from './status.js';

export interface StatusBoardHost {
  readonly place: Place;
  nowMs(): number;
  /** Whether something is applied that no disk takes. */
  isFull(): boolean;
  /** At most once in a turn of the event loop. `isAnswered`: an answer to the page follows at once, which may take it along. */
  tell(status: RoomStatus, metrics: WorkerMetrics, isAnswered: boolean): void;
  /** At once after each change: somebody may wait for what is true now. */
  changed(status: LinkStatus): void;
}

/** How the room stands, kept in one place and told in a measured way. */
export class StatusBoard {
  readonly #pending: Pending;
  readonly #host: StatusBoardHost;
  #link: LinkStatus;
  #telling: ReturnType<typeof setTimeout> | undefined;
  /** Something has changed that was not told. */
  #isDue = false;
  #isClosed = false;

  constructor(initial: LinkStatus, pending: Pending, host: StatusBoardHost) {
    this.#link = initial;
    this.#pending = pending;
    this.#host = host;
  }

  get link(): LinkStatus {
    return this.#link;
  }

  get room(): RoomStatus {
    const storage = this.#host.isFull() ? 'full' : this.#link.storage;
    return roomStatus({ ...this.#link, storage }, this.#pending.summary(this.#host.nowMs()));
  }

  set(change: Partial<LinkStatus>): void {
    this.#link = { ...this.#link, ...change };
    this.#host.changed(this.#link);
    this.touch();
  }

  fault(error: ErrorFacts): void {
    this.set({ lastError: lastErrorOf(error, this.#host.nowMs()) });
  }

  /** What is pending has changed. A keystroke changes it several times, so the page is told once for all of them. */
  touch(): void {
    this.#isDue = true;
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined;
      this.#tell(false);
    });
  }

  /** As `touch`, of what a write has changed that is answered in this turn: whoever answers tells it. */
  touchAnswered(): void {
    this.#isDue = true;
  }

  /** Who waited for something is to find it in the status: what is to be told goes out before the answer. */
  tellNow(): void {
    this.#tell(true);
  }

  #tell(isAnswered: boolean): void {
    if (!this.#isDue || this.#isClosed) return;
    this.#isDue = false;
    this.#host.tell(this.room, this.#metrics(), isAnswered);
  }

  /** Writes are gone for good. */
  lost(error: ErrorFacts, writes: number): void {
    this.set({ lastError: lastErrorOf(error, this.#host.nowMs()), lostWrites: this.#link.lostWrites + writes });
  }

  #metrics(): WorkerMetrics {
    const { repairs, lostWrites } = this.#link;
    return { repairs, storage: { place: this.#host.place, lostWrites } };
  }

  close(): void {
    this.#isClosed = true;
  }
}
