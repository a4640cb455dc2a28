import { bytesToDelta, type Delta, mayDrop, trieKeyOf } from '../delta.js';
import { errorToFacts, isMangroveError, type MangroveError } from '../errors.js';
import { msAhead } from '../hlc.js';
import { PART_BYTES } from '../parts.js';
import { bytesToStub, isStub, type Stub } from '../stub.js';
import type { DeltaBytes, Push } from '../wire/messages.js';
import type { PushedDelta, PushedStub, RelayEffect } from './effect.js';
import type { RelayEvent } from './event.js';
import { addFetches, bytesOf, committed } from './flow.js';
import { type Admitted, fault, flowOn, mayRead, type Result, send } from './relay-flow.js';
import type { RelayState } from './state.js';

/** [SY7, SY9] What bytes alone show is answered here; clocks, signatures and dots are looked at by `accept-push`, which knows what is held. */
export function stepPush(state: Admitted, push: Push, nowMs: number): Result {
  const effects: RelayEffect[] = [];
  const deltas: PushedDelta[] = [];
  const stubs: PushedStub[] = [];
  let next: RelayState = state;
  for (const bytes of push.deltas) {
    const entry = parse(state, bytes);
    if (isMangroveError(entry)) {
      const refused = fault(next, entry.code, errorToFacts(entry).facts as Record<string, string | number>);
      next = refused.state;
      effects.push(...refused.effects);
      continue;
    }
    const header = 'stub' in entry ? entry.stub : entry.delta;
    const aheadMs = msAhead(header.hlc, nowMs);
    const isOwn = header.replica === state.replica;
    const manner = {
      verify: !isOwn || mayDrop(header),
      from: isOwn && !push.repair ? ('author' as const) : ('others' as const),
      ...(aheadMs > state.config.limits.clockAheadMsMax && { aheadMs }),
    };
    if ('stub' in entry) stubs.push({ ...entry, ...manner });
    else deltas.push({ ...entry, ...manner });
  }
  if (next.kind !== 'closed') effects.push({ kind: 'accept-push', deltas, stubs, bytes: bytesOf(push.deltas) });
  return { state: next, effects };
}

/** [SY6, SY17, SY22] What was committed is acknowledged, and its bytes are granted again. */
export function stepPushed(state: Admitted, event: RelayEvent & { kind: 'pushed' }): Result {
  const { seqs, refusals, position, bytes, tells } = event;
  const passed = passOwn(state, event);
  const isTold = tells && mayRead(state);
  const owesPosition = mayRead(state) && (state.owesPosition || !tells);
  const granted = flowOn({ ...passed, owesPosition }, committed(state.flow, bytes));
  const answers = [
    ...refusals.map((refusal) => send({ kind: 'refused', ...refusal })),
    send({ kind: 'ack', seqs, position: isTold ? position : undefined }),
  ];
  return { state: granted.state, effects: [...answers, ...granted.effects] };
}

/** [SY6] A peer that is read the log later on is not read what it has just pushed, where nothing else stands between. */
function passOwn(state: Admitted, { logged, position }: RelayEvent & { kind: 'pushed' }): Admitted {
  if (state.kind !== 'replaying' || position.offset !== state.after + logged) return state;
  return { ...state, after: position.offset };
}

/** [SY18] What is held already is acknowledged as if it had come whole. */
export function stepStubsKept(state: Admitted, event: RelayEvent & { kind: 'stubs-kept' }): Result {
  const asked = flowOn(state, addFetches(state.flow, event.fetches));
  const joins = event.held.map((trieKey): RelayEffect => ({ kind: 'join', trieKey }));
  return { state: asked.state, effects: [...asked.effects, ...joins] };
}

/** Of what was committed: the deltas that may be fetched over other links at the same time. */
export function arrivedInParts(pushed: readonly PushedDelta[]): readonly Uint8Array[] {
  return pushed.flatMap(({ delta }) => (delta.body.length > PART_BYTES ? [trieKeyOf(delta)] : []));
}

function parse(state: RelayState, bytes: DeltaBytes): { delta: Delta } | { stub: Stub } | MangroveError {
  const { hash, roomId } = state.config.room;
  try {
    if (isStub(bytes)) return { stub: bytesToStub(hash, roomId, bytes) };
    return { delta: bytesToDelta(hash, roomId, bytes) };
  } catch (error) {
    if (isMangroveError(error)) return error;
    throw error;
  }
}
