import type { SyncEffect } from './effect.js';
import type { SyncState } from './state.js';

/** What one step of a link leads to. */
export interface Step<State extends SyncState, Effect extends SyncEffect> {
  readonly state: State;
  /** To be run in this order; their answers come back as events. */
  readonly effects: readonly Effect[];
}
