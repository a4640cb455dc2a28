import { PART_BYTES } from '../parts.js';
import type { Fetch } from '../room/incoming.js';
import type { Credit, DeltaBytes, Part, Want } from '../wire/messages.js';
import { chunkDeltas } from './chunk.js';
import type { ReplicaEffect } from './effect.js';
import type { ReplicaEvent } from './event.js';
import { addFetches, advance, committed, fetchOfPart, type Flow, partCame, partKept, refill, spend } from './flow.js';
import { addOffers, askedFor, partsLeft, withoutLost } from './offers.js';
import { cameWhole, type Progress } from './progress.js';
import type { OutboxRead, ReplicaState } from './state.js';
import type { Step } from './transition.js';

export type InSession = Extract<ReplicaState, { rights: unknown }>;
export type Result = Step<ReplicaState, ReplicaEffect>;

/** After any change of what is fetched, taken or granted. */
export function flowOn(state: InSession, flow: Flow): Step<InSession, ReplicaEffect> {
  const step = advance(flow, state.config.limits);
  const effects: ReplicaEffect[] = step.messages.map((message) => ({ kind: 'send', message }));
  effects.push(...step.joins.map((trieKey): ReplicaEffect => ({ kind: 'join', trieKey })));
  return { state: { ...state, flow: step.flow }, effects };
}

/** A message of deltas came: what it took is granted again when it is committed. */
export function tookDeltas(state: InSession, deltas: readonly DeltaBytes[], bytes: number): InSession {
  return { ...state, taken: state.taken + bytes, progress: cameWhole(state.progress, deltas) };
}

export function stepCommitted(state: InSession, fetches: readonly Fetch[]): Step<InSession, ReplicaEffect> {
  const flow = addFetches(committed(state.flow, state.taken), fetches);
  return flowOn({ ...state, taken: 0 }, flow);
}

/** [SY18] A part that was not asked for is passed over. Without bytes it says that the relay has not got the delta any more. */
export function stepPart(state: InSession, part: Part): Step<InSession, ReplicaEffect> {
  const flow = partCame(state.flow, part);
  const fetch = fetchOfPart(flow, part);
  if (fetch === undefined) return flow === state.flow ? { state, effects: [] } : flowOn(state, flow);
  if (part.bytes.length === 0) return stepLost(state, partKept(flow, part.trieKey, undefined));
  const { deltas, bytes, ...totals } = state.progress;
  // The last part completes its delta.
  const progress = {
    ...totals,
    deltas: deltas + (fetch.have + 1 === fetch.parts ? 1 : 0),
    bytes: bytes + part.bytes.length,
  };
  return { state: { ...state, flow, progress }, effects: [{ kind: 'keep-part', part }] };
}

export function stepPartKept(
  state: InSession,
  { trieKey, have }: ReplicaEvent & { kind: 'part-kept' },
): Step<InSession, ReplicaEffect> {
  const flow = partKept(state.flow, trieKey, have);
  return flow.fetches.length < state.flow.fetches.length ? stepLost(state, flow) : flowOn(gained(state), flow);
}

/** A verified part is worth another pass of the Merkle diff; a stub alone is not, as a relay may have nothing behind it. */
function gained(state: InSession): InSession {
  if (state.kind === 'comparing') return { ...state, moved: true };
  return state.kind === 'live' ? { ...state, passes: 0 } : state;
}

/** With the last fetch gone, roots say whether something is missing. */
function stepLost(state: InSession, flow: Flow): Step<InSession, ReplicaEffect> {
  const step = flowOn(state, flow);
  if (step.state.flow.fetches.length > 0) return step;
  return { state: step.state, effects: [...step.effects, { kind: 'acknowledge', seqs: [], cursor: undefined }] };
}

/**
 * Deltas that are in the outbox already when this is stepped: what is not pushed now is read from there, as is what does not come along.
 * A small one need not wait behind a large one whose parts are still asked for.
 */
export function stepSealed(
  state: InSession,
  { deltas, fromSeq }: ReplicaEvent & { kind: 'sealed' },
): Step<InSession, ReplicaEffect> {
  // Without the right to write each push would be answered by a fault, and enough of them close the connection.
  if (!state.rights.includes('write')) return { state, effects: [] };
  if (state.outbox !== 'pushed') return { state: { ...state, outbox: withMissed(state.outbox, fromSeq) }, effects: [] };
  const isHere = deltas.length > 0 && state.flow.credit > 0;
  const isSmall = deltas.every((delta) => delta.length <= PART_BYTES);
  if (isHere && (isSmall || !hasOffered(state))) return push(state, deltas, false);
  return resume({ ...state, outbox: fromSeq });
}

export function stepOutboxRead(
  state: InSession,
  { deltas, nextSeq }: ReplicaEvent & { kind: 'outbox-read' },
): Step<InSession, ReplicaEffect> {
  const pushed = push(state, deltas, false);
  const missed = typeof state.outbox === 'object' ? state.outbox.missed : undefined;
  if (missed !== undefined) return after(pushed, resume({ ...pushed.state, outbox: missed }));
  // The next page waits for an answer to this one. Else parts that the relay asks for meanwhile would wait for the whole outbox to be
  // read, and on a link that is cut before that end none would ever go.
  if (deltas.length > 0 && nextSeq !== undefined)
    return { state: { ...pushed.state, outbox: nextSeq }, effects: pushed.effects };
  return after(pushed, resume({ ...pushed.state, outbox: nextSeq ?? 'pushed' }));
}

export function readOutbox(state: InSession, from: number): Step<InSession, ReplicaEffect> {
  return {
    state: { ...state, outbox: { from, missed: undefined } },
    effects: [{ kind: 'read-outbox', fromSeq: from }],
  };
}

/** What lies behind where the outbox is read was passed by before it was there. */
function withMissed(outbox: number | OutboxRead, fromSeq: number): number | OutboxRead {
  if (typeof outbox === 'number') return Math.min(outbox, fromSeq);
  return fromSeq < outbox.from ? { ...outbox, missed: Math.min(outbox.missed ?? fromSeq, fromSeq) } : outbox;
}

/** [SY18] Parts that are asked for go before more of the outbox. */
export function stepWant(state: InSession, { wanted }: Want): Step<InSession, ReplicaEffect> {
  const read: ReplicaEffect = { kind: 'read-parts', wanted };
  const resumed = resume({ ...state, offers: askedFor(state.offers, wanted) });
  return { state: resumed.state, effects: [read, ...resumed.effects] };
}

export function stepPartsRead(
  state: InSession,
  { parts }: ReplicaEvent & { kind: 'parts-read' },
): Step<InSession, ReplicaEffect> {
  const sent = parts.map((message): ReplicaEffect => ({ kind: 'send', message }));
  const resumed = resume({ ...state, offers: withoutLost(state.offers, parts) });
  return { state: resumed.state, effects: [...sent, ...resumed.effects] };
}

export function stepBeyondRead(
  state: InSession,
  { deltas, next }: ReplicaEvent & { kind: 'beyond-read' },
): Step<InSession, ReplicaEffect> {
  if (!state.rights.includes('write')) return { state, effects: [] };
  const pushed = push(state, deltas, true);
  return after(pushed, resume({ ...pushed.state, beyond: next }));
}

export function stepCredit(state: InSession, credit: Credit): Step<InSession, ReplicaEffect> {
  return resume({ ...state, flow: refill(state.flow, credit) });
}

/** [SY17] Goes on sending where it stopped: first what is own, then what repairs the relay. */
export function resume(state: InSession): Step<InSession, ReplicaEffect> {
  const { flow, outbox, beyond } = state;
  if (flow.credit <= 0) return { state, effects: [] };
  if (typeof outbox === 'number') {
    if (hasOffered(state)) return { state, effects: [] };
    return readOutbox(state, outbox);
  }
  if (outbox !== 'pushed' || beyond === undefined) return { state, effects: [] };
  return { state: { ...state, beyond: undefined }, effects: [{ kind: 'read-beyond', cursor: beyond }] };
}

/**
 * [SY17] Whether the relay has stubs enough to ask for parts until the next page is there. More of them would be pushed again over each new
 * connection, until they alone are all that a link carries in its life.
 */
function hasOffered({ offers, config }: InSession): boolean {
  return partsLeft(offers) >= config.limits.wantedPartsMax;
}

export function push(state: InSession, deltas: readonly DeltaBytes[], repair: boolean): Step<InSession, ReplicaEffect> {
  const { room } = state.config;
  let { flow, offers } = state;
  const effects = chunkDeltas(room, deltas).map((chunk): ReplicaEffect => {
    flow = spend(flow, chunk);
    // What repairs is not acknowledged by number, as a number says nothing of whose delta it is.
    if (!repair) offers = addOffers(offers, room, chunk);
    return { kind: 'send', message: { kind: 'push', repair, deltas: chunk } };
  });
  return { state: { ...state, flow, offers }, effects };
}

/** What something should come for: then silence is not peace. */
export function isWaiting(state: InSession): boolean {
  const { kind, flow, outbox, offers, beyond } = state;
  return kind !== 'live' || flow.fetches.length > 0 || outbox !== 'pushed' || offers.length > 0 || beyond !== undefined;
}

export function after(
  first: Step<InSession, ReplicaEffect>,
  then: Step<InSession, ReplicaEffect>,
): Step<InSession, ReplicaEffect> {
  return { state: then.state, effects: [...first.effects, ...then.effects] };
}

/** What is shown while something is on its way; undefined when nothing is. */
export function progressOf(state: ReplicaState): Progress | undefined {
  if (!('progress' in state)) return undefined;
  if (state.kind === 'live' && state.flow.fetches.length === 0) return undefined;
  const { deltas, deltasTotal, bytes, bytesTotal } = state.progress;
  const { count, missing } = stillMissing(state.flow);
  return {
    deltas,
    deltasTotal: Math.max(deltasTotal, deltas + count),
    bytes,
    bytesTotal: Math.max(bytesTotal, bytes + missing),
  };
}

function stillMissing({ fetches }: Flow): { count: number; missing: number } {
  const missing = fetches.reduce((sum, { bodyBytes, have, parts }) => sum + bodyBytes * (1 - have / parts), 0);
  return { count: fetches.length, missing: Math.ceil(missing) };
}

export function send(message: Extract<ReplicaEffect, { kind: 'send' }>['message']): ReplicaEffect {
  return { kind: 'send', message };
}

export function stay(state: ReplicaState): Result {
  return { state, effects: [] };
}
