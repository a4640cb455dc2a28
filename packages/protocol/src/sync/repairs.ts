import { isStub } from '../stub.js';
import type { ReplicaEffect } from './effect.js';
import type { ReplicaState } from './state.js';

/** What the Merkle diff and the probe have done on one side [AE5]. */
export interface Repairs {
  /** Passes of the Merkle diff that were opened. */
  readonly passes: number;
  readonly deltasFetched: number;
  readonly deltasSent: number;
  readonly probes: number;
}

export const NO_REPAIRS: Repairs = { passes: 0, deltasFetched: 0, deltasSent: 0, probes: 0 };

/** With what a step that was taken in `before` asks for. */
export function countRepairs(
  repairs: Repairs,
  before: ReplicaState['kind'],
  effects: readonly ReplicaEffect[],
): Repairs {
  return effects.reduce((sum, effect) => countEffect(sum, before, effect), repairs);
}

function countEffect(repairs: Repairs, before: ReplicaState['kind'], effect: ReplicaEffect): Repairs {
  const { passes, deltasFetched, deltasSent, probes } = repairs;
  switch (effect.kind) {
    case 'open-diff':
      return { ...repairs, passes: passes + 1 };
    case 'accept':
      // What comes without a place in the log while roots are compared was found by the comparison; a stub is not yet a delta.
      return before === 'comparing' && effect.cursor === undefined
        ? { ...repairs, deltasFetched: deltasFetched + effect.deltas.filter((entry) => !isStub(entry)).length }
        : repairs;
    case 'send': {
      const { message } = effect;
      if (message.kind === 'probe') return { ...repairs, probes: probes + 1 };
      return before === 'comparing' && message.kind === 'push' && message.repair
        ? { ...repairs, deltasSent: deltasSent + message.deltas.length }
        : repairs;
    }
    default:
      return repairs;
  }
}
