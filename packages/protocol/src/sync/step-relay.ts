import { unreachable } from '../assert.js';
import type { MangroveError } from '../errors.js';
import { type ReplicaId, roomConfigToByte } from '../ids.js';
import type { Hello, ReplicaMessage } from '../wire/messages.js';
import { PROTOCOL_VERSION } from '../wire/version.js';
import { certificateMessages, headMessages } from './chunk.js';
import type { RelayEffect } from './effect.js';
import type { RelayEvent } from './event.js';
import { arrived, refill, startFlow } from './flow.js';
import { INTRODUCTION_BEGINS } from './introduction.js';
import {
  type Admitted,
  backToLog,
  CLOSE,
  closed,
  fault,
  flowOn,
  isAdmitted,
  mayRead,
  type Result,
  resume,
  send,
  stay,
  stepBeyondDone,
  stepBeyondRead,
  stepCommitted,
  stepDiffAnswered,
  stepLogRead,
  stepPart,
  stepPartKept,
  stepPositionDue,
  stepPull,
  stepWant,
} from './relay-flow.js';
import { stepPush, stepPushed, stepStubsKept } from './relay-push.js';
import type { RelayState } from './state.js';

export { CLOSE };

const WRITES: ReadonlySet<ReplicaMessage['kind']> = new Set(['push', 'certificates', 'head', 'part']);

const DENIAL_CLOSES: Readonly<Partial<Record<MangroveError['code'], number>>> = {
  ROOM_CONFIG_MISMATCH: CLOSE.roomConfigMismatch,
  ROOM_NOT_BEGUN: CLOSE.roomNotBegun,
  TOKEN_EXPIRED: CLOSE.tokenExpired,
  VERSION_UNSUPPORTED: CLOSE.versionUnsupported,
};

export function stepRelay(state: RelayState, event: RelayEvent): Result {
  if (state.kind === 'closed') return stay(state);
  switch (event.kind) {
    case 'opened': {
      if (state.kind !== 'greeting') return stay(state);
      const { storeId, relayKey, challenge } = state;
      return { state, effects: [send({ kind: 'welcome', version: PROTOCOL_VERSION, storeId, relayKey, challenge })] };
    }
    case 'closed':
      return { state: closed(state), effects: [] };
    case 'malformed':
      return fault(state, event.code, event.facts);
    case 'message':
      if (event.message.kind === 'hello') return stepHello(state, event.message);
      return isAdmitted(state)
        ? forgive(state, stepMessage(state, event.message, event.nowMs))
        : fault(state, 'UNAUTHORIZED', { reason: 'say hello first' });
    case 'authenticated':
      return state.kind === 'admitting' ? stepAuthenticated(state, event) : stay(state);
    case 'displaced':
      return state.kind === 'greeting' ? stay(state) : stepDisplaced(state, event.replica);
    case 'denied':
      return stepDenied(state, event);
    case 'introduction-read':
      return state.kind === 'replaying' ? stepIntroductionRead(state, event) : stay(state);
    case 'log-read':
      return state.kind === 'replaying' ? stepLogRead(state, event) : stay(state);
    case 'beyond-read':
      return isAdmitted(state) ? stepBeyondRead(state, event) : stay(state);
    case 'beyond-done':
      return isAdmitted(state) ? stepBeyondDone(state, event) : stay(state);
    case 'position-read':
      return isAdmitted(state)
        ? { state, effects: [send({ kind: 'ack', seqs: [], position: event.position })] }
        : stay(state);
    case 'pushed':
      return isAdmitted(state) ? stepPushed(state, event) : stay(state);
    case 'stubs-kept':
      return isAdmitted(state) ? stepStubsKept(state, event) : stay(state);
    case 'part-kept':
      return isAdmitted(state) ? stepPartKept(state, event) : stay(state);
    case 'arrived':
      return isAdmitted(state) ? flowOn(state, arrived(state.flow, event.trieKeys)) : stay(state);
    case 'parts-read':
      return isAdmitted(state) ? { state, effects: event.parts.map(send) } : stay(state);
    case 'diff-answered':
      return isAdmitted(state) ? stepDiffAnswered(state, event) : stay(state);
    case 'committed':
      return state.kind === 'live' && mayRead(state) ? stepCommitted(state, event) : stay(state);
    case 'overtaken':
      return state.kind === 'live' && mayRead(state) ? backToLog(state, event.after) : stay(state);
    case 'position-due':
      return state.kind === 'live' ? stepPositionDue(state, event.position) : stay(state);
    case 'forward':
      return isAdmitted(state) && mayRead(state) ? { state, effects: [send(event.message)] } : stay(state);
    default:
      return unreachable(event);
  }
}

function stepHello(state: RelayState, hello: Hello): Result {
  if (state.kind !== 'greeting') return fault(state, 'FRAME_MALFORMED', { reason: 'a second hello' });
  if (hello.version !== PROTOCOL_VERSION) {
    return stepDenied(state, {
      code: 'VERSION_UNSUPPORTED',
      facts: { version: hello.version, supported: PROTOCOL_VERSION },
    });
  }
  // A room that nobody has opened yet has no configuration: whoever runs the link takes what it knows how to serve from the hello.
  const { room, roomConfig } = state.config;
  if (hello.roomId !== room.roomId || hello.config !== roomConfigToByte(roomConfig))
    return stepDenied(state, { code: 'ROOM_CONFIG_MISMATCH', facts: {} });
  return { state: { ...state, kind: 'admitting', window: hello.window }, effects: [{ kind: 'authenticate', hello }] };
}

function stepAuthenticated(
  state: RelayState & { kind: 'admitting' },
  event: RelayEvent & { kind: 'authenticated' },
): Result {
  const { replica, rights, certificate, present, after, end, ahead, isPeer = false } = event;
  const { lastSeq, lastId } = event;
  const { window, ...rest } = state;
  const session = { flow: startFlow(window), beyond: undefined, owesPosition: false, isPeer };
  const admit = (resumed: boolean): readonly RelayEffect[] => {
    const { windowBytes } = state.config.limits;
    const admitted = send({ kind: 'admitted', rights, certificate, resumed, lastSeq, lastId, window: windowBytes });
    // Nobody is told of a relay: it is not one of those who are there.
    return isPeer ? [admitted] : [admitted, { kind: 'joined', replica }];
  };
  // [SY25] There is nothing that it lacks.
  if (!rights.includes('read'))
    return { state: { ...rest, ...session, kind: 'live', replica, rights }, effects: admit(true) };
  const effects: RelayEffect[] = [
    ...present.map((other) => send({ kind: 'peer', replica: other, present: true })),
    ...admit(after !== undefined),
  ];
  if (after !== undefined && ahead.deltas > 0) effects.push(send({ kind: 'ahead', ...ahead }));
  effects.push({ kind: 'read-introduction', at: INTRODUCTION_BEGINS });
  const admitted = { ...rest, ...session, kind: 'replaying', replica, rights } as const;
  // Without a place in the log the client asks by vector; what is committed from now on is read to it after that.
  const pulled = after === undefined ? ('awaited' as const) : undefined;
  return { state: { ...admitted, after: after ?? end, met: [], pulled }, effects };
}

/** [SG3] In pages, as a room may have many replicas and a newcomer a slow link; before any delta, as those are verified. */
function stepIntroductionRead(
  state: RelayState & { kind: 'replaying' },
  { certificates, heads, next }: RelayEvent & { kind: 'introduction-read' },
): Result {
  const effects: RelayEffect[] = [
    ...certificateMessages(certificates).map(send),
    ...headMessages(heads.filter(({ replica }) => replica !== state.replica)).map(send),
  ];
  if (next !== undefined) return { state, effects: [...effects, { kind: 'read-introduction', at: next }] };
  const resumed = resume(state);
  return { state: resumed.state, effects: [...effects, ...resumed.effects] };
}

function stepDenied(
  state: RelayState,
  denial: { code: MangroveError['code']; facts: Readonly<Record<string, string | number>> },
): Result {
  const { code, facts } = denial;
  return {
    state: closed(state),
    effects: [
      send({ kind: 'fault', code, facts }),
      { kind: 'close', code: DENIAL_CLOSES[code] ?? CLOSE.notAllowed, reason: code },
    ],
  };
}

/**
 * [SY24] Who has given this connection up is not there to hear it. Who hears it is a copy of a profile that has just written elsewhere, or the one
 * that was copied: it is told so and goes on as another replica.
 */
function stepDisplaced(state: RelayState, replica: ReplicaId): Result {
  return {
    state: closed(state),
    effects: [
      send({ kind: 'fault', code: 'DOT_REUSED', facts: { replica } }),
      { kind: 'close', code: CLOSE.displaced, reason: 'the same replica is here over another connection' },
    ],
  };
}

function stepMessage(state: Admitted, message: Exclude<ReplicaMessage, Hello>, nowMs: number): Result {
  const needed = WRITES.has(message.kind) ? 'write' : 'read';
  if (!state.rights.includes(needed))
    return fault(state, 'UNAUTHORIZED', { reason: `the right to ${needed} is missing` });
  switch (message.kind) {
    case 'push':
      return stepPush(state, message, nowMs);
    case 'pull':
      return stepPull(state, message);
    case 'diff': {
      const bytesMax = Math.max(0, state.flow.credit);
      return { state, effects: [{ kind: 'answer-diff', message, bytesMax }] };
    }
    case 'want':
      return stepWant(state, message);
    case 'part':
      return stepPart(state, message);
    case 'credit':
      return resume({ ...state, flow: refill(state.flow, message) });
    case 'certificates':
      return { state, effects: [{ kind: 'keep-shown', certificates: message.certificates }] };
    case 'head':
      return state.isPeer || message.statement.replica === state.replica
        ? { state, effects: [{ kind: 'accept-head', statement: message.statement }] }
        : fault(state, 'UNAUTHORIZED', { reason: 'a head statement of another replica' });
    case 'report':
      return { state, effects: [{ kind: 'check-reported', trieKey: message.trieKey }] };
    case 'probe':
      return { state, effects: [{ kind: 'read-position' }] };
    case 'presence':
      return {
        state,
        effects: [{ kind: 'broadcast', message: state.isPeer ? message : { ...message, replica: state.replica } }],
      };
    default:
      return unreachable(message);
  }
}

/** A message without a fault makes up for one with: a connection of months is not let go for what went wrong now and then. */
function forgive(before: Admitted, result: Result): Result {
  const { state, effects } = result;
  if (!isAdmitted(state) || state.badFrames === 0 || state.badFrames > before.badFrames) return result;
  return { state: { ...state, badFrames: state.badFrames - 1 }, effects };
}
