import { equalBytes } from '../bytes.js';
import type { Position } from '../room/log.js';
import type { Cursor, Diff } from '../wire/messages.js';
import type { ReplicaEffect } from './effect.js';
import type { ReplicaEvent, Standing } from './event.js';
import { type InSession, push, type Result, send, stay } from './replica-flow.js';
import type { ReplicaState } from './state.js';
import type { Step } from './transition.js';

// Whether the roots of both sides are equal, and the passes of the Merkle diff that find out where they are not.

export type Settling = Extract<ReplicaState, { position: unknown }>;

/** Passes of the Merkle diff in a row before the link waits for the next check: a peer that withholds must not keep us busy. */
const PASSES_MAX = 4;
const ROUNDS_MAX = 80;

/**
 * Where the relay stands now. One that has another root and nothing new in its log has less than before: what it said of its vector is not so any
 * more, and equal roots would not make it right [AE6].
 */
export function toldAt<State extends Settling>(state: State, position: Position): State {
  const { offset, roll, root } = state.position;
  const isSamePlace = offset === position.offset && equalBytes(roll, position.roll);
  const hasLess = isSamePlace && !equalBytes(root, position.root);
  return { ...state, position, isBehind: false, vector: hasLess ? new Map() : state.vector };
}

/** [SY5] Equal roots with nothing on the way: in sync. Unequal ones: find out where. [SY25] Who may only write is told no root. */
export function settle(state: ReplicaState & { kind: 'live' }, standing: Standing): Result {
  if (!state.rights.includes('read')) return { state: { ...state, settled: standing.outbox === 0 }, effects: [] };
  if (standing.outbox > 0 || state.isBehind) return { state: { ...state, settled: false }, effects: [] };
  if (equalBytes(standing.root, state.position.root)) {
    const settled: ReplicaState = { ...state, settled: true, passes: 0, vector: new Map() };
    const effects: ReplicaEffect[] =
      state.vector.size === 0 ? [] : [{ kind: 'adopt', vector: state.vector, cursor: cursorAt(state, state.position) }];
    return { state: settled, effects };
  }
  // What is being fetched makes the difference, or a part of it.
  if (state.passes >= PASSES_MAX || state.flow.fetches.length > 0)
    return { state: { ...state, settled: false }, effects: [] };
  const { settled: _, ...rest } = state;
  return {
    state: { ...rest, kind: 'comparing', salt: undefined, rounds: ROUNDS_MAX, moved: false },
    effects: [{ kind: 'open-diff' }],
  };
}

export function stepDiff(state: InSession, message: Diff): Result {
  if (state.kind !== 'comparing' || state.rounds === 0) return stay(state);
  if (state.salt === undefined || !equalBytes(message.salt, state.salt)) return stay(state);
  const moved = state.moved || hasMoved(state, message.root);
  const next = { ...toldAt(state, { ...state.position, root: message.root }), isBehind: state.isBehind };
  return {
    state: { ...next, rounds: state.rounds - 1, moved },
    effects: [{ kind: 'answer-diff', message, bytesMax: Math.max(0, state.flow.credit) }],
  };
}

export function stepDiffAnswered(
  state: ReplicaState & { kind: 'comparing' },
  event: ReplicaEvent & { kind: 'diff-answered' },
): Result {
  const pushed = state.rights.includes('write') ? push(state, event.deltas, true) : stay(state);
  const { state: now } = pushed as Step<typeof state, ReplicaEffect>;
  const effects = [...pushed.effects];
  if (event.entries.length > 0 && state.rounds > 0) {
    effects.push(send({ kind: 'diff', salt: event.salt, root: event.root, entries: event.entries }));
    return { state: now, effects };
  }
  // The pass is over. What was sent will be acknowledged, and an acknowledgement looks at the roots.
  if (effects.length > 0) return { state: { ...now, rounds: 0 }, effects };
  const next = live(now);
  return { state: next, effects: [{ kind: 'acknowledge', seqs: [], cursor: undefined }] };
}

/** After a pass. One that moved deltas may have more to move; one that did not is tried again, a few times [MK7]. */
export function live(state: ReplicaState & { kind: 'comparing' }): ReplicaState & { kind: 'live' } {
  const { salt: _, rounds: __, moved, passes, ...rest } = state;
  return { ...rest, kind: 'live', settled: false, passes: moved ? 0 : passes + 1 };
}

/** What was sent counts when the relay's root shows it: a relay that refuses all of it would be sent the same for ever. */
export function hasMoved(state: Settling, root: Uint8Array): boolean {
  return !equalBytes(root, state.position.root);
}

export function cursorAt(session: { storeId: Uint8Array }, position: Pick<Position, 'offset' | 'roll'>): Cursor {
  return { storeId: session.storeId, offset: position.offset, roll: position.roll };
}
