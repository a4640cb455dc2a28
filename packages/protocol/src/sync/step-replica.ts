import { unreachable } from '../assert.js';
import { toldEntries } from '../head-statement.js';
import type { Position } from '../room/log.js';
import { isStub } from '../stub.js';
import type { VersionVector } from '../version-vector.js';
import { PROTOCOL_VERSION } from '../wire/version.js';
import type { CaughtUp, Deltas, RelayMessage } from '../wire/messages.js';
import { certificateMessages } from './chunk.js';
import type { ReplicaEffect } from './effect.js';
import type { ReplicaEvent } from './event.js';
import { bytesOf, startFlow } from './flow.js';
import { answered } from './offers.js';
import { announced, NO_PROGRESS } from './progress.js';
import {
  after,
  type InSession,
  isWaiting,
  readOutbox,
  type Result,
  resume,
  send,
  stay,
  stepBeyondRead,
  stepCommitted,
  stepCredit,
  stepOutboxRead,
  stepPart,
  stepPartKept,
  stepPartsRead,
  stepSealed,
  stepWant,
  tookDeltas,
} from './replica-flow.js';
import {
  cursorAt,
  hasMoved,
  live,
  type Settling,
  settle,
  stepDiff,
  stepDiffAnswered,
  toldAt,
} from './replica-compare.js';
import type { ReplicaState } from './state.js';

/** What a relay may say for hours while nothing that was asked for comes. */
const IDLE_WORDS: ReadonlySet<RelayMessage['kind']> = new Set(['presence', 'peer', 'heads', 'certificates']);
/** Before the first delta comes all that there is of these, which takes its time in a large room. */
const INTRODUCTION: ReadonlySet<RelayMessage['kind']> = new Set(['heads', 'certificates']);

/** [SY25] What a replica that may only write knows of how the relay stands: nothing, for good. */
const UNTOLD = {
  position: { offset: 0, roll: new Uint8Array(8), root: new Uint8Array(32) },
  isBehind: true,
  vector: new Map(),
  settled: false,
  passes: 0,
} as const;

export function stepReplica(state: ReplicaState, event: ReplicaEvent): Result {
  if (state.kind === 'refused') return stay(state);
  switch (event.kind) {
    case 'opened':
      return { state: base(state, 'connecting'), effects: [] };
    case 'closed':
      return { state: base(state, 'offline'), effects: [] };
    case 'message':
      return stepMessage(state, event.message, event.nowMs);
    case 'greeting-ready':
      return state.kind === 'greeting' ? { state, effects: [send(event.hello)] } : stay(state);
    case 'sealed':
      return isInSession(state) ? stepSealed(unsettle(state), event) : stay(state);
    case 'outbox-read':
      return isInSession(state) ? stepOutboxRead(state, event) : stay(state);
    case 'certificates-read':
      return isInSession(state) ? { state, effects: certificateMessages(event.certificates).map(send) } : stay(state);
    case 'vector-read':
      return isInSession(state) ? stepVectorRead(state, event.vector) : stay(state);
    case 'beyond-read':
      return isInSession(state) ? stepBeyondRead(state, event) : stay(state);
    case 'accepted':
      return stepAccepted(state, event);
    case 'acknowledged':
      return state.kind === 'live' ? settle(state, event.standing) : stay(state);
    case 'incoming-read':
      return isInSession(state) ? stepCommitted(state, event.fetches) : stay(state);
    case 'part-kept':
      return isInSession(state) ? stepPartKept(state, event) : stay(state);
    case 'parts-read':
      return isInSession(state) ? stepPartsRead(state, event) : stay(state);
    case 'check':
      return isInSession(state) ? stepCheck(state, event) : stay(state);
    case 'diff-opened':
      if (state.kind !== 'comparing') return stay(state);
      return { state: { ...state, salt: event.salt }, effects: [send({ ...event, kind: 'diff' })] };
    case 'diff-answered':
      return state.kind === 'comparing' ? stepDiffAnswered(state, event) : stay(state);
    default:
      return unreachable(event);
  }
}

function stepMessage(before: ReplicaState, message: RelayMessage, nowMs: number): Result {
  const isIdle = IDLE_WORDS.has(message.kind) && !(before.kind === 'catching-up' && INTRODUCTION.has(message.kind));
  const state = isIdle ? before : moved(before, nowMs);
  if (message.kind === 'fault') {
    if (message.code === 'BASE_UNKNOWN') return stepForgotten(state);
    return { state, effects: [message.code === 'DOT_REUSED' ? { kind: 'renew-identity' } : message] };
  }
  if (message.kind === 'welcome') return stepWelcome(state, message);
  if (message.kind === 'admitted') return stepAdmitted(state, message, nowMs);
  // [SY12] Who is there already is told before the session begins.
  if (message.kind === 'peer' && state.kind === 'greeting') return { state, effects: [{ kind: 'show', message }] };
  if (!isInSession(state)) return stay(state);
  switch (message.kind) {
    case 'certificates':
      return { state, effects: [{ kind: 'trust', issuer: state.relayKey, certificates: message.certificates }] };
    case 'deltas':
      return stepDeltas(state, message);
    case 'caught-up':
      return stepCaughtUp(state, message);
    case 'ack':
      return stepPushAnswered(state, message);
    case 'refused':
      return stepRefused(state, message);
    case 'vector':
      return resume({ ...state, beyond: { vector: message.vector, of: 'named', after: new Uint8Array() } });
    case 'diff':
      return stepDiff(state, message);
    case 'heads':
      return { state, effects: [{ kind: 'store-heads', statements: message.statements }] };
    case 'want':
      return stepWant(state, message);
    case 'part':
      return stepPart(state, message);
    case 'credit':
      return stepCredit(state, message);
    case 'ahead':
      return { state: { ...state, progress: announced(state.progress, message) }, effects: [] };
    case 'presence':
    case 'peer':
      return { state, effects: [{ kind: 'show', message }] };
    default:
      return unreachable(message);
  }
}

/** [SY21] What was pushed in between did not come through. */
function stepForgotten(state: ReplicaState): Result {
  const effects: ReplicaEffect[] = [{ kind: 'forget-told' }];
  if (!isInSession(state) || state.outbox !== 'pushed' || !state.rights.includes('write')) return { state, effects };
  return after({ state, effects }, readOutbox(state, 1));
}

/** [SY1] */
function stepWelcome(state: ReplicaState, welcome: RelayMessage & { kind: 'welcome' }): Result {
  if (state.kind !== 'connecting') return stay(state);
  const { version, storeId, relayKey, challenge } = welcome;
  if (version !== PROTOCOL_VERSION) {
    const facts = { version, supported: PROTOCOL_VERSION };
    return {
      state: base(state, 'refused'),
      effects: [{ kind: 'fault', code: 'VERSION_UNSUPPORTED', facts }, { kind: 'close' }],
    };
  }
  return {
    state: { ...base(state, 'greeting'), kind: 'greeting', storeId, relayKey },
    effects: [{ kind: 'greet', storeId, relayKey, challenge }],
  };
}

function stepAdmitted(state: ReplicaState, admitted: RelayMessage & { kind: 'admitted' }, nowMs: number): Result {
  if (state.kind !== 'greeting') return stay(state);
  const { certificate, rights, lastSeq, lastId, window } = admitted;
  const isWriter = rights.includes('write');
  const isReader = rights.includes('read');
  const resumed = admitted.resumed || !isReader;
  const trust: ReplicaEffect = {
    kind: 'trust',
    issuer: state.relayKey,
    certificates: certificate === undefined ? [] : [certificate],
  };
  const effects: ReplicaEffect[] = [trust, { kind: 'check-identity', last: { lastSeq, lastId } }];
  if (isReader) effects.push({ kind: 'read-incoming' });
  if (isWriter) effects.push({ kind: 'read-outbox', fromSeq: 1 });
  if (!resumed) {
    // A relay that knows nothing of our cursor may have lost its disk, and its certificates with it.
    if (isWriter) effects.push({ kind: 'read-certificates' });
    effects.push({ kind: 'read-vector' });
  }
  const session = {
    rights,
    flow: startFlow(window),
    taken: 0,
    outbox: isWriter ? { from: 1, missed: undefined } : ('pushed' as const),
    offers: [],
    beyond: undefined,
    progress: NO_PROGRESS,
    movedAtMs: nowMs,
    hasShown: !resumed && isWriter,
  };
  if (!isReader) {
    effects.push({ kind: 'acknowledge', seqs: [], cursor: undefined });
    return { state: { ...state, ...session, ...UNTOLD, kind: 'live' }, effects };
  }
  const by = resumed ? 'cursor' : 'vector';
  return { state: { ...state, ...session, kind: 'catching-up', by, pulled: new Map() }, effects };
}

/** While catching up by vector deltas come in no order of the log, so a position must not become the cursor. */
function stepDeltas(before: InSession, message: Deltas): Result {
  const { position, deltas } = message;
  const state = tookDeltas(before, deltas, bytesOf(deltas));
  const countsForCursor = typeof position === 'object' && !(state.kind === 'catching-up' && state.by === 'vector');
  const cursor = countsForCursor ? cursorAt(state, position) : undefined;
  const effects: ReplicaEffect[] = [{ kind: 'accept', deltas, cursor }];
  if (position === undefined && state.kind === 'comparing')
    return { state: { ...state, moved: state.moved || !deltas.every(isStub) }, effects };
  if (!isSettling(state) || position === undefined) return { state, effects };
  if (position === 'later') return { state: { ...state, isBehind: true }, effects };
  return position.root === undefined ? { state, effects } : { state: toldAt(state, position as Position), effects };
}

function stepCaughtUp(state: InSession, message: CaughtUp): Result {
  const { position } = message;
  // A relay that we read too slowly has gone back to its log, and has reached its end again.
  if (isSettling(state)) return stepAck({ ...state, vector: message.vector }, [], position);
  const vector = new Map([...state.pulled, ...message.vector]);
  const live: ReplicaState = {
    ...sessionOf(state),
    kind: 'live',
    position,
    isBehind: false,
    vector,
    settled: false,
    passes: 0,
  };
  // An empty acknowledgement tells how the replica stands, now that all before has been committed.
  return { state: live, effects: [{ kind: 'acknowledge', seqs: [], cursor: undefined }] };
}

/** [SY17] Each push is answered, if only with a position: then the next page of the outbox goes. */
function stepPushAnswered(before: InSession, { seqs, position }: RelayMessage & { kind: 'ack' }): Result {
  const state = { ...before, offers: answered(before.offers, seqs) };
  const acknowledged = stepAck(state, seqs, position);
  if (!isInSession(acknowledged.state)) return acknowledged;
  const resumed = resume(acknowledged.state);
  return { state: resumed.state, effects: [...acknowledged.effects, ...resumed.effects] };
}

/** Inside a catch-up an acknowledgement's position is ahead of what has come, so it is no cursor yet. */
function stepAck(state: InSession, seqs: readonly number[], position: Position | undefined): Result {
  const settling = isSettling(state);
  const cursor = settling && position !== undefined ? cursorAt(state, position) : undefined;
  const effects: ReplicaEffect[] = [{ kind: 'acknowledge', seqs, cursor }];
  if (!settling) return { state, effects };
  const told = position === undefined ? { ...state, isBehind: true } : toldAt(state, position);
  // A pass that sent deltas is over when they are acknowledged; then roots are looked at again.
  if (told.kind !== 'comparing') return { state: told, effects };
  const next = { ...told, moved: told.moved || position === undefined || hasMoved(state, position.root) };
  return { state: told.rounds === 0 ? live(next) : next, effects };
}

function stepVectorRead(state: InSession, vector: VersionVector): Result {
  const pulled = state.kind === 'catching-up' ? { ...state, pulled: new Map(toldEntries(vector)) } : state;
  return { state: pulled, effects: [send({ kind: 'pull', vector })] };
}

/** [SY10] */
function stepAccepted(state: ReplicaState, event: ReplicaEvent & { kind: 'accepted' }): Result {
  const forged = isInSession(state) ? (event.forged ?? []) : [];
  const reports = forged.map((trieKey) => send({ kind: 'report', trieKey }));
  if (!isInSession(state)) return stay(state);
  const flowed = stepCommitted(state, event.fetches ?? []);
  const next = flowed.state.kind === 'live' ? settle(flowed.state, event.standing) : stay(flowed.state);
  return { state: next.state, effects: [...reports, ...flowed.effects, ...next.effects] };
}

function stepRefused(before: InSession, refused: RelayMessage & { kind: 'refused' }): Result {
  const isOwn = refused.replica === before.replica;
  const state = isOwn ? { ...before, offers: answered(before.offers, [refused.seq]) } : before;
  const withdraw: ReplicaEffect = { kind: 'withdraw', refused };
  // The relay knows nothing of an author whose deltas repair it: show it the certificates, and the next pass goes through [SG4].
  if (refused.code === 'UNCERTIFIED' && !isOwn && !state.hasShown)
    return { state: { ...state, hasShown: true }, effects: [withdraw, { kind: 'read-certificates' }] };
  return after({ state, effects: [withdraw] }, resume(state));
}

/** [SY19] Where something should have come long ago, another connection may bring it. */
function stepCheck(state: InSession, event: ReplicaEvent & { kind: 'check' }): Result {
  const { standing, nowMs } = event;
  if (!isWaiting(state)) {
    // A relay that owes its position and has been silent for so long is not waited for.
    const isSilent = nowMs - state.movedAtMs > 2 * state.config.limits.positionEveryMs;
    const rested = { ...state, movedAtMs: nowMs };
    if (rested.kind !== 'live') return stay(rested);
    const looked = probe(settle({ ...rested, passes: 0, isBehind: rested.isBehind && !isSilent }, standing));
    return standing.outbox > 0 ? lookAgain(looked) : looked;
  }
  if (nowMs - state.movedAtMs <= state.config.limits.stallMsMax) return stay(state);
  return { state: { ...state, movedAtMs: nowMs }, effects: [{ kind: 'reconnect' }] };
}

/**
 * [AE7] What waits may have been superseded or swept since: an empty acknowledgement looks through the outbox. Nothing is pushed again, as an
 * answer may be on its way.
 */
function lookAgain({ state, effects }: Result): Result {
  const isWriter = isInSession(state) && state.rights.includes('write');
  return { state, effects: isWriter ? [...effects, { kind: 'acknowledge', seqs: [], cursor: undefined }] : effects };
}

/** [AE4] Roots that were equal at the last look: what the relay says now may be something else, as it may have lost something since. */
function probe({ state, effects }: Result): Result {
  const isSettled = state.kind === 'live' && state.settled && state.rights.includes('read');
  return { state, effects: isSettled ? [...effects, send({ kind: 'probe' })] : effects };
}

function moved(state: ReplicaState, nowMs: number): ReplicaState {
  return isInSession(state) && state.movedAtMs !== nowMs ? { ...state, movedAtMs: nowMs } : state;
}

function unsettle(state: InSession): InSession {
  return state.kind === 'live' ? { ...state, settled: false } : state;
}

function isInSession(state: ReplicaState): state is InSession {
  return 'rights' in state;
}

function isSettling(state: ReplicaState): state is Settling {
  return 'position' in state;
}

function sessionOf(state: InSession) {
  const { role, config, replica, storeId, relayKey, rights, hasShown } = state;
  const { flow, taken, outbox, offers, beyond, progress, movedAtMs } = state;
  const session = { storeId, relayKey, rights, hasShown, flow, taken, outbox, offers, beyond, progress, movedAtMs };
  return { role, config, replica, ...session };
}

function base<Kind extends 'offline' | 'connecting' | 'refused' | 'greeting' | 'live'>(
  state: ReplicaState,
  kind: Kind,
) {
  return { role: 'replica' as const, config: state.config, replica: state.replica, kind };
}
