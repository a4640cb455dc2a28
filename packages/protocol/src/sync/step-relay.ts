import { unreachable } from '../assert.js';
import { bytesToDelta, type Delta, hasContext } from '../delta.js';
import { errorToFacts, type MangroveError, isMangroveError } from '../errors.js';
import { msAhead } from '../hlc.js';
import { defaultLimits } from '../limits.js';
import type { DeltaBytes, Hello, Message, Push, ReplicaMessage } from '../wire/messages.js';
import { PROTOCOL_VERSION } from '../wire/version.js';
import { certificateMessages, chunkDeltas } from './chunk.js';
import type { PushedDelta, RelayEffect } from './effect.js';
import type { CommittedDelta, RelayEvent } from './event.js';
import type { RelayState } from './state.js';
import type { Step } from './transition.js';

type Result = Step<RelayState, RelayEffect>;
type Admitted = Extract<RelayState, { rights: unknown }>;

/** Close codes from 4400 on are final: the client does not try again by itself. */
export const CLOSE = {
  notAllowed: 4401,
  versionUnsupported: 4406,
  roomConfigMismatch: 4409,
  tooManyFaults: 4429,
} as const;

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
    case 'denied':
      return stepDenied(state, event);
    case 'log-read':
      return state.kind === 'replaying' ? stepLogRead(state, event) : stay(state);
    case 'beyond-read':
      return isAdmitted(state) ? stepBeyondRead(state, event) : stay(state);
    case 'beyond-done':
      if (!isAdmitted(state)) return stay(state);
      return { state, effects: [caughtUp(event)] };
    case 'pushed':
      if (!isAdmitted(state)) return stay(state);
      return {
        state,
        effects: [...event.refusals.map((refusal) => send({ kind: 'refused', ...refusal })), ack(event)],
      };
    case 'diff-answered':
      if (!isAdmitted(state)) return stay(state);
      return {
        state,
        effects: [
          ...outOfOrder(event.deltas),
          send({ kind: 'diff', salt: event.salt, root: event.root, entries: event.entries }),
        ],
      };
    case 'committed':
      return state.kind === 'live' ? stepCommitted(state, event) : stay(state);
    case 'forward':
      return isAdmitted(state) ? { state, effects: [send(event.message)] } : stay(state);
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
  if (hello.roomId !== state.config.room.roomId) return stepDenied(state, { code: 'ROOM_CONFIG_MISMATCH', facts: {} });
  return { state: { ...state, kind: 'admitting' }, effects: [{ kind: 'authenticate', hello }] };
}

function stepAuthenticated(
  state: RelayState & { kind: 'admitting' },
  event: RelayEvent & { kind: 'authenticated' },
): Result {
  const { replica, rights, certificate, certificates, heads, lastSeq, after } = event;
  const effects: RelayEffect[] = [
    send({ kind: 'admitted', rights, certificate, resumed: after !== undefined, lastSeq }),
    ...certificateMessages(certificates).map(send),
    ...heads.map((statement) => send({ kind: 'head', statement })),
    { kind: 'joined', replica },
  ];
  if (after === undefined) return { state: { ...state, kind: 'live', replica, rights }, effects };
  effects.push({ kind: 'read-log', after, met: [] });
  return { state: { ...state, kind: 'replaying', replica, rights, after, met: [] }, effects };
}

function stepDenied(
  state: RelayState,
  denial: { code: MangroveError['code']; facts: Readonly<Record<string, string | number>> },
): Result {
  const { code, facts } = denial;
  const closeCode =
    code === 'ROOM_CONFIG_MISMATCH'
      ? CLOSE.roomConfigMismatch
      : code === 'VERSION_UNSUPPORTED'
        ? CLOSE.versionUnsupported
        : CLOSE.notAllowed;
  return {
    state: closed(state),
    effects: [send({ kind: 'fault', code, facts }), { kind: 'close', code: closeCode, reason: code }],
  };
}

function stepMessage(state: Admitted, message: Exclude<ReplicaMessage, Hello>, nowMs: number): Result {
  const needed =
    message.kind === 'pull' || message.kind === 'presence'
      ? 'read'
      : message.kind === 'diff' || message.kind === 'report'
        ? 'read'
        : 'write';
  if (!state.rights.includes(needed))
    return fault(state, 'UNAUTHORIZED', { reason: `the right to ${needed} is missing` });
  switch (message.kind) {
    case 'push':
      return stepPush(state, message, nowMs);
    case 'pull':
      return {
        state,
        effects: [{ kind: 'read-beyond', cursor: { vector: message.vector, of: 'all', after: new Uint8Array() } }],
      };
    case 'diff':
      return { state, effects: [{ kind: 'answer-diff', message }] };
    case 'certificates':
      return { state, effects: [{ kind: 'certify', certificates: message.certificates }] };
    case 'head':
      return message.statement.replica === state.replica
        ? { state, effects: [{ kind: 'accept-head', statement: message.statement }] }
        : fault(state, 'UNAUTHORIZED', { reason: 'a head statement of another replica' });
    case 'report':
      return { state, effects: [{ kind: 'check-reported', trieKey: message.trieKey }] };
    case 'presence':
      return { state, effects: [{ kind: 'broadcast', message: { ...message, replica: state.replica } }] };
    default:
      return unreachable(message);
  }
}

/** [SY7, SY9] What a header alone shows is refused here; signatures and dots are looked at by `accept-push`. */
function stepPush(state: Admitted, push: Push, nowMs: number): Result {
  const effects: RelayEffect[] = [];
  const pushed: PushedDelta[] = [];
  let next: RelayState = state;
  for (const bytes of push.deltas) {
    const delta = parse(state, bytes);
    if (isMangroveError(delta)) {
      const refused = fault(next, delta.code, errorToFacts(delta).facts as Record<string, string | number>);
      next = refused.state;
      effects.push(...refused.effects);
      continue;
    }
    const aheadMs = msAhead(delta.hlc, nowMs);
    const { clockAheadMsMax } = state.config.limits;
    if (aheadMs > clockAheadMsMax) {
      effects.push(
        send({
          kind: 'refused',
          replica: delta.replica,
          seq: delta.seq,
          code: 'CLOCK_AHEAD',
          facts: { aheadMs, clockAheadMsMax },
        }),
      );
      continue;
    }
    const isOwn = delta.replica === state.replica;
    pushed.push({ delta, verify: !isOwn || hasContext(delta), from: isOwn && !push.repair ? 'author' : 'others' });
  }
  if (next.kind !== 'closed') effects.push({ kind: 'accept-push', deltas: pushed });
  return { state: next, effects };
}

function stepLogRead(state: RelayState & { kind: 'replaying' }, event: RelayEvent & { kind: 'log-read' }): Result {
  const effects: RelayEffect[] = [];
  if (event.deltas.length > 0)
    effects.push(send({ kind: 'deltas', position: { ...event.end, root: undefined }, deltas: event.deltas }));
  if (event.caughtUp === undefined) {
    effects.push({ kind: 'read-log', after: event.end.offset, met: event.met });
    return { state: { ...state, after: event.end.offset, met: event.met }, effects };
  }
  effects.push(send({ kind: 'caught-up', position: event.caughtUp, vector: event.vector }));
  const { after: _, met: __, ...rest } = state;
  return { state: { ...rest, kind: 'live' }, effects };
}

function stepBeyondRead(state: Admitted, event: RelayEvent & { kind: 'beyond-read' }): Result {
  const effects: RelayEffect[] = outOfOrder(event.deltas);
  if (event.next !== undefined) effects.push({ kind: 'read-beyond', cursor: event.next });
  else effects.push(send({ kind: 'vector', vector: event.vector }), { kind: 'finish-beyond', pulled: event.pulled });
  return { state, effects };
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

function stepCommitted(state: Admitted, event: RelayEvent & { kind: 'committed' }): Result {
  const { deltas } = event;
  const isPusher = deltas.some((delta) => delta.via === state.replica);
  if (!isPusher) return { state, effects: toldToOthers(event) };
  return {
    state,
    effects: tell(
      event,
      deltas.filter((delta) => delta.via !== state.replica),
      [],
    ),
  };
}

const told = new WeakMap<RelayEvent, readonly RelayEffect[]>();

/** Whoever pushed nothing of a batch is told the same, in the same message objects, so that the edge encodes them once. */
function toldToOthers(event: RelayEvent & { kind: 'committed' }): readonly RelayEffect[] {
  let effects = told.get(event);
  // Without deltas the position alone is told: something was taken out again [SY10].
  if (effects === undefined) told.set(event, (effects = tell(event, event.deltas, [[]])));
  return effects;
}

function tell(
  { position }: RelayEvent & { kind: 'committed' },
  deltas: readonly CommittedDelta[],
  whenNone: readonly (readonly DeltaBytes[])[],
): readonly RelayEffect[] {
  const chunks = deltas.length === 0 ? whenNone : chunkDeltas(deltas.map(({ bytes }) => bytes));
  // The position belongs to the last chunk: before it, something of the batch is still missing.
  return chunks.map((chunk, i) =>
    send({ kind: 'deltas', position: i === chunks.length - 1 ? position : undefined, deltas: chunk }),
  );
}

function ack(event: RelayEvent & { kind: 'pushed' }): RelayEffect {
  return send({ kind: 'ack', seqs: event.seqs, position: event.position });
}

function outOfOrder(deltas: readonly DeltaBytes[]): RelayEffect[] {
  return chunkDeltas(deltas).map((chunk) => send({ kind: 'deltas', position: undefined, deltas: chunk }));
}

/** A message without a fault makes up for one with: a connection of months is not let go for what went wrong now and then. */
function forgive(before: Admitted, result: Result): Result {
  const { state, effects } = result;
  if (!isAdmitted(state) || state.badFrames === 0 || state.badFrames > before.badFrames) return result;
  return { state: { ...state, badFrames: state.badFrames - 1 }, effects };
}

/** The sender is told and the connection lives, until it has sent too many more faults than messages [SY16]. */
function fault(
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

function parse(state: RelayState, bytes: DeltaBytes): Delta | MangroveError {
  const { hash, roomId } = state.config.room;
  try {
    return bytesToDelta(hash, roomId, bytes);
  } catch (error) {
    if (isMangroveError(error)) return error;
    throw error;
  }
}

function isAdmitted(state: RelayState): state is Admitted {
  return 'rights' in state;
}

function closed(state: RelayState): RelayState {
  const { role, config, relayKey, storeId, challenge } = state;
  return { role, kind: 'closed', config, relayKey, storeId, challenge };
}

function send(message: Message): RelayEffect {
  return { kind: 'send', message };
}

function stay(state: RelayState): Result {
  return { state, effects: [] };
}
