import type { RelayEffect, ReplicaEffect, SyncEffect } from './effect.js';
import type { RelayEvent, ReplicaEvent, SyncEvent } from './event.js';
import type { RelayState, ReplicaState, SyncState } from './state.js';
import type { Step } from './transition.js';
import { stepRelay } from './step-relay.js';
import { stepReplica } from './step-replica.js';

/**
 * One step of one link: the next state and what is to be done. Pure: clocks, stores, keys and sockets are behind the effects,
 * so that a client, a relay and a simulated world run the same decisions.
 *
 * Contract with who runs it: events of one link are stepped one at a time; the effects of a step are run in order, and the answer
 * to each is stepped before the next message from the peer.
 */
export function stepSync(state: ReplicaState, event: ReplicaEvent): Step<ReplicaState, ReplicaEffect>;
export function stepSync(state: RelayState, event: RelayEvent): Step<RelayState, RelayEffect>;
export function stepSync(state: SyncState, event: SyncEvent): Step<SyncState, SyncEffect> {
  return state.role === 'replica' ? stepReplica(state, event as ReplicaEvent) : stepRelay(state, event as RelayEvent);
}
