import { cleanRoom, type RoomId } from '@mangrove/protocol';
import type { RelayPorts } from './ports.js';

/** Rows that one visit looks at: a short transaction beside those of the rooms that are in use. */
const VISIT_ROWS_MAX = 1_024;
/** A relay that has been everywhere begins again after this long. */
const ROUND_INTERVAL_MS = 3_600_000;

/** Cleans the rooms that nobody uses, one after the other: a busy room cleans itself as it commits. */
export class Janitor {
  readonly #ports: RelayPorts;
  #ahead: RoomId[] = [];
  #roundAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: RelayPorts) {
    this.#ports = ports;
  }

  /** To be called every few seconds: visits one room. */
  async visit(): Promise<void> {
    const { environment, clock, limits } = this.#ports;
    const nowMs = clock.nowMs();
    if (this.#ahead.length === 0) {
      if (nowMs - this.#roundAtMs < ROUND_INTERVAL_MS) return;
      this.#roundAtMs = nowMs;
      this.#ahead = [...environment.rooms()];
    }
    const roomId = this.#ahead.at(-1);
    if (roomId === undefined) return;
    const store = environment.room(roomId);
    // What a power cut brings back is cleaned again.
    const isMore = await store.transact((tx) => cleanRoom(tx, nowMs, limits, VISIT_ROWS_MAX), {
      mode: 'write',
      durability: 'relaxed',
    });
    if (!isMore) this.#ahead.pop();
  }
}
