import { Shadow, type ShadowOrder } from '../../../packages/client/src/documents/shadow.js';
import type { ShadowEvents, ShadowPort } from '../../../packages/client/src/worker/guard/shadow-host.js';

/** The shadows that a device starts: what they are asked is done at once, but for what the test says takes for ever. */
export class WorldShadows {
  /** Every order of every shadow, in the order in which they came. */
  readonly orders: ShadowOrder[] = [];
  started = 0;
  /** Whether an order is answered, and when: `never` until the worker is ended, `broken` when it fails. */
  behaves: (order: ShadowOrder) => number | 'never' | 'broken' = () => 1;
  isRefused = false;

  /** Updates that were tried. */
  get tried(): number {
    return this.orders.reduce((sum, order) => sum + (order.kind === 'try' ? order.tried.length : 0), 0);
  }

  start({ answered, broken }: ShadowEvents): ShadowPort | undefined {
    if (this.isRefused) return undefined;
    this.started++;
    const shadow = new Shadow();
    let isEnded = false;
    const soon = (act: () => void, ms = 1): void => void setTimeout(() => isEnded || act(), ms);
    soon(() => answered({ fault: undefined }));
    return {
      post: (order) => {
        this.orders.push(order);
        const how = this.behaves(order);
        if (how === 'broken') soon(broken);
        else if (how !== 'never') soon(() => answered(shadow.run(order)), how);
      },
      end: () => {
        isEnded = true;
      },
    };
  }
}
