import type { Cast } from './cast.js';
import type { SimReplica } from './replica.js';

/** A world that went wrong says which one it was. */
export class SimulationFailure extends Error {
  constructor(world: Cast, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const { seed, ...rest } = world.options;
    super(`seed ${seed}: ${reason} (at ${world.loop.nowMs} ms, options ${JSON.stringify(rest)})`, { cause });
    this.name = 'SimulationFailure';
  }
}

/** How everybody stands, in a line. */
export function describeWorld(world: Cast): string {
  const replicas = world.replicas.map((replica) => `replica ${replica.index} ${describeReplica(replica)}`);
  const roots = world.merkleRoots().map((root) => root.slice(0, 8));
  return `${replicas.join('; ')}; roots ${roots.join(' ')}`;
}

function describeReplica(replica: SimReplica): string {
  const { state, isDead, desk } = replica;
  if (isDead) return 'is gone';
  const settled = state.kind === 'live' && state.settled ? ' and settled' : '';
  return `is ${state.kind}${settled}, has ${desk.size} rows to seal and ${replica.standing().outbox} deltas to send`;
}
