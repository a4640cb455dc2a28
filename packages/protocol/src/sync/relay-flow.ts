import { equalBytes } from '../bytes.js';
import type { MangroveError } from '../errors.js';
import { defaultLimits } from '../limits.js';
import type { RoomRef } from '../room/accept.js';
import type { Position } from '../room/log.js';
import type { VersionVector } from '../version-vector.js';
import type { DeltaBytes, Message, Part, Pull, Want } from '../wire/messages.js';
import { chunkDeltas } from './chunk.js';
import type { RelayEffect } from './effect.js';
import type { CommittedDelta, RelayEvent } from './event.js';
import { advance, arrived, bytesOf, fetchOfPart, type Flow, partCame, partKept, spend } from './flow.js';
import type { RelayState } from './state.js';
import type { Step } from './transition.js';

export type Result = Step<RelayState, RelayEffect>;
export type Admitted = Extract<RelayState, { rights: unknown }>;

/** Close codes from 4400 on are final: the client does not try again by itself. */
export const CLOSE = {
  displaced: 4000,
  roomNotBegun: 4001,
  tokenExpired: 4002,
  notAllowed: 4401,
  revoked: 4403,
  versionUnsupported: 4406,
  roomConfigMismatch: 4409,
  tooManyFaults: 4429,
} as const;

/** [SY17] Goes on reading where credit ran out: the answer to a pull, then the log. */
export function resume(state: Admitted): Result {
  if (state.flow.credit <= 0) return stay(state);
  if (state.beyond !== undefined) {
    const { beyond } = state;
    return { state: { ...state, beyond: undefined }, effects: [{ kind: 'read-beyond', cursor: beyond }] };
  }
  if (state.kind !== 'replaying' || state.pulled === 'awaited') return stay(state);
  return { state, effects: [{ kind: 'read-log', after: state.after, met: state.met }] };
}

/** A page of the log went out; the next one follows while there is credit. */
export function stepLogRead(
  state: RelayState & { kind: 'replaying' },
  event: RelayEvent & { kind: 'log-read' },
): Result {
  const { deltas, end, met, caughtUp } = event;
  const effects: RelayEffect[] = [];
  if (deltas.length > 0) effects.push(send({ kind: 'deltas', position: { ...end, root: undefined }, deltas }));
  const sent = { ...state, flow: spend(state.flow, deltas) };
  if (caughtUp === undefined) {
    const next = resume({ ...sent, after: end.offset, met });
    return { state: next.state, effects: [...effects, ...next.effects] };
  }
  if (state.pulled !== undefined && state.pulled !== 'awaited')
    return { state: { ...sent, after: end.offset, met }, effects: [...effects, finishBeyond(state.pulled)] };
  effects.push(send({ kind: 'caught-up', position: caughtUp, vector: event.vector }));
  return { state: live(sent), effects };
}

export function stepPull(state: Admitted, { vector }: Pull): Result {
  return resume({ ...state, beyond: { vector, of: 'all', after: new Uint8Array() } });
}

export function stepBeyondRead(state: Admitted, event: RelayEvent & { kind: 'beyond-read' }): Result {
  const { deltas, next, vector, ahead, pulled } = event;
  const sent = sendOutOfOrder(state, deltas);
  const effects = [...sent.effects];
  if (ahead !== undefined && ahead.deltas > 0) effects.unshift(send({ kind: 'ahead', ...ahead }));
  if (next !== undefined) {
    const resumed = resume({ ...sent.state, beyond: next });
    return { state: resumed.state, effects: [...effects, ...resumed.effects] };
  }
  effects.push(send({ kind: 'vector', vector }), finishBeyond(pulled));
  return { state: sent.state, effects };
}

/** What was committed while the answer was read is in the log. */
export function stepBeyondDone(state: Admitted, event: RelayEvent & { kind: 'beyond-done' }): Result {
  if (state.kind !== 'replaying' || state.pulled === undefined) return { state, effects: [caughtUp(event)] };
  if (event.position.offset === state.after) return { state: live(state), effects: [caughtUp(event)] };
  return resume({ ...state, pulled: event.pulled });
}

/** [SY3] A room may have thousands of replicas, and a pull has just told how far each of them has come at the other side. */
function caughtUp({ pulled, position, vector }: RelayEvent & { kind: 'beyond-done' }): RelayEffect {
  const unlike = [...pulled].flatMap(([replica, seq]) => {
    const own = vector.get(replica) ?? 0;
    return own === seq ? [] : [[replica, own] as const];
  });
  // Those come first where there is no room for all: silence about them would say something.
  const others = [...vector].filter(([replica]) => !pulled.has(replica));
  const room = Math.max(0, defaultLimits.replicasPerKeyMax - unlike.length);
  return send({ kind: 'caught-up', position, vector: new Map([...unlike, ...others.slice(0, room)]) });
}

function finishBeyond(pulled: VersionVector): RelayEffect {
  return { kind: 'finish-beyond', pulled };
}

export function stepDiffAnswered(state: Admitted, event: RelayEvent & { kind: 'diff-answered' }): Result {
  const { deltas, salt, root, entries } = event;
  const sent = sendOutOfOrder(state, deltas);
  return { state: sent.state, effects: [...sent.effects, send({ kind: 'diff', salt, root, entries })] };
}

/** [SY17] A peer that has no room for what is committed now reads it from the log when it has. */
export function stepCommitted(state: RelayState & { kind: 'live' }, event: RelayEvent & { kind: 'committed' }): Result {
  const { deltas, position } = event;
  const { room } = state.config;
  const isOurs = ({ via }: CommittedDelta) => via !== undefined && equalBytes(via, state.challenge);
  const isPusher = deltas.some(isOurs);
  const telling = isPusher
    ? tell(
        room,
        event,
        deltas.filter((delta) => !isOurs(delta)),
      )
    : toldToOthers(room, event);
  const { credit } = state.flow;
  if (telling.bytes === 0 || telling.bytes <= credit) {
    const owesPosition = state.owesPosition || (telling.effects.length > 0 && !event.tells);
    const flow = { ...state.flow, credit: credit - telling.bytes };
    return { state: { ...state, flow, owesPosition }, effects: telling.effects };
  }
  return backToLog(state, position.offset - deltas.length);
}

/** What was committed after this offset is read to the peer from the log. */
export function backToLog(state: RelayState & { kind: 'live' }, after: number): Result {
  return resume({ ...state, kind: 'replaying', after, met: [], pulled: undefined });
}

/**
 * [SY22] In a message without deltas, to those who were told some without it. Only this settles the debt: whoever runs the steps may send another
 * position before what was told without one.
 */
export function stepPositionDue(state: RelayState & { kind: 'live' }, position: Position): Result {
  if (!state.owesPosition) return stay(state);
  return { state: { ...state, owesPosition: false }, effects: [send({ kind: 'deltas', position, deltas: [] })] };
}

interface Telling {
  readonly effects: readonly RelayEffect[];
  readonly bytes: number;
}

const told = new WeakMap<RelayEvent, Telling>();

/** Whoever pushed nothing of a batch is told the same, in the same message objects, so that the edge encodes them once. */
function toldToOthers(room: RoomRef, event: RelayEvent & { kind: 'committed' }): Telling {
  let telling = told.get(event);
  if (telling === undefined)
    told.set(
      event,
      (telling = event.deltas.length === 0 ? lessIsHere(event.position) : tell(room, event, event.deltas)),
    );
  return telling;
}

/** Something was taken out again [SY10], or is lost: with it goes what was told of the vector before [AE6]. */
function lessIsHere(position: Position): Telling {
  return { effects: [send({ kind: 'caught-up', position, vector: new Map() })], bytes: 0 };
}

function tell(
  room: RoomRef,
  { position, tells }: RelayEvent & { kind: 'committed' },
  deltas: readonly CommittedDelta[],
): Telling {
  const chunks =
    deltas.length === 0
      ? []
      : chunkDeltas(
          room,
          deltas.map(({ bytes }) => bytes),
        );
  // The position belongs to the last chunk: before it, something of the batch is still missing.
  const last = tells ? position : 'later';
  const effects = chunks.map((chunk, i) =>
    send({ kind: 'deltas', position: i === chunks.length - 1 ? last : undefined, deltas: chunk }),
  );
  return { effects, bytes: chunks.reduce((sum, chunk) => sum + bytesOf(chunk), 0) };
}

/** [SY18] More than may be on the way at once was not asked for by anybody honest. */
export function stepWant(state: Admitted, { wanted }: Want): Result {
  const count = wanted.reduce((sum, run) => sum + run.count, 0);
  if (count > state.config.limits.wantedPartsMax)
    return fault(state, 'FRAME_MALFORMED', { reason: `${count} parts are wanted at once` });
  return { state, effects: [{ kind: 'read-parts', wanted }] };
}

/** A part that was not asked for is passed over; so are those behind one that was not what its stub says. */
export function stepPart(state: Admitted, part: Part): Result {
  const flow = partCame(state.flow, part);
  if (fetchOfPart(flow, part) === undefined) return flow === state.flow ? stay(state) : flowOn(state, flow);
  if (part.bytes.length === 0) return flowOn(state, partKept(flow, part.trieKey, undefined));
  return { state: { ...state, flow }, effects: [{ kind: 'keep-part', part }] };
}

/** [SY18] Where nothing is known of a delta any more, another link has brought it: who offered it here is to hear of it too. */
export function stepPartKept(state: Admitted, { trieKey, have }: RelayEvent & { kind: 'part-kept' }): Result {
  const flow = have === undefined ? arrived(state.flow, [trieKey]) : partKept(state.flow, trieKey, have);
  return flowOn(state, flow);
}

/** After any change of what is fetched, taken or granted. */
export function flowOn(state: Admitted, flow: Flow): Step<Admitted, RelayEffect> {
  const step = advance(flow, state.config.limits);
  const effects: RelayEffect[] = step.messages.map(send);
  effects.push(...step.joins.map((trieKey): RelayEffect => ({ kind: 'join', trieKey })));
  return { state: { ...state, flow: step.flow }, effects };
}

function sendOutOfOrder(state: Admitted, deltas: readonly DeltaBytes[]): Step<Admitted, RelayEffect> {
  let { flow } = state;
  const effects = chunkDeltas(state.config.room, deltas).map((chunk) => {
    flow = spend(flow, chunk);
    return send({ kind: 'deltas', position: undefined, deltas: chunk });
  });
  return { state: { ...state, flow }, effects };
}

function live({ after: _, met: __, pulled: ___, ...rest }: RelayState & { kind: 'replaying' }): RelayState & {
  kind: 'live';
} {
  return { ...rest, kind: 'live' };
}

/** The sender is told and the connection lives, until it has sent too many more faults than messages [SY16]. */
export function fault(
  state: RelayState,
  code: MangroveError['code'],
  facts: Readonly<Record<string, string | number>>,
): Result {
  if (state.kind === 'closed') return stay(state);
  const badFrames = state.badFrames + 1;
  const effects: RelayEffect[] = [send({ kind: 'fault', code, facts })];
  if (badFrames < state.config.limits.badFramesMax) return { state: { ...state, badFrames }, effects };
  effects.push({ kind: 'close', code: CLOSE.tooManyFaults, reason: code });
  return { state: closed(state), effects };
}

export function isAdmitted(state: RelayState): state is Admitted {
  return 'rights' in state;
}

/** [SY25] Who may not is told nothing of others. */
export function mayRead({ rights }: Admitted): boolean {
  return rights.includes('read');
}

export function closed(state: RelayState): RelayState {
  const { role, config, relayKey, storeId, challenge } = state;
  return { role, kind: 'closed', config, relayKey, storeId, challenge };
}

export function send(message: Message): RelayEffect {
  return { kind: 'send', message };
}

export function stay(state: RelayState): Result {
  return { state, effects: [] };
}
