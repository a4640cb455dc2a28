import type { Limits } from '../limits.js';
import { bytesOf } from '../sync/flow.js';
import type { Message } from '../wire/messages.js';

export type Side = 'replica' | 'relay';

/** One message may go beyond the window: it is sent as long as anything is left of it. */
const MESSAGE_BYTES_MAX = 256 * 1024;

/** [SY17, SY18] What one connection may have on its way to a side, counted from outside: that is what this side has to hold. */
export class FlowWatch {
  readonly #limits: Limits;
  readonly #bytes: Record<Side, number> = { replica: 0, relay: 0 };
  readonly #parts: Record<Side, number> = { replica: 0, relay: 0 };

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  sent(by: Side, message: Message): void {
    const to = by === 'replica' ? 'relay' : 'replica';
    const { windowBytes, wantedPartsMax } = this.#limits;
    switch (message.kind) {
      case 'push':
      case 'deltas':
        this.#bytes[to] += bytesOf(message.deltas);
        if (this.#bytes[to] > windowBytes + MESSAGE_BYTES_MAX)
          throw new Error(
            `[SY17] ${this.#bytes[to]} bytes are on their way to a ${to} with a window of ${windowBytes}`,
          );
        break;
      case 'credit':
        this.#bytes[by] -= message.bytes;
        break;
      case 'want':
        for (const { count } of message.wanted) this.#parts[by] += count;
        if (this.#parts[by] > wantedPartsMax) throw new Error(`[SY18] a ${by} has asked for ${this.#parts[by]} parts`);
        break;
      case 'part':
        // Without bytes it answers for what was asked beyond it, too.
        if (message.bytes.length === 0) this.#parts[to] = 0;
        else this.#parts[to] = Math.max(0, this.#parts[to] - 1);
        break;
    }
  }
}
