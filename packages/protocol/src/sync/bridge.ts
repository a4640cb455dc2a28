import { equalBytes } from '../bytes.js';
import type { ErrorCode } from '../errors.js';
import { toldEntries } from '../head-statement.js';
import type { ReplicaId } from '../ids.js';
import type { DiffEntry } from '../merkle/diff.js';
import type { Limits } from '../limits.js';
import type { Position } from '../room/log.js';
import type { VersionVector } from '../version-vector.js';
import { PROTOCOL_VERSION } from '../wire/version.js';
import { peerWordToPresence } from '../wire/peer-word.js';
import type { Admitted, Diff, RelayMessage, ReplicaMessage } from '../wire/messages.js';

/** The two relays that a bridge stands between: the one that it belongs to, and that one's peer. */
export type Shore = 'home' | 'away';

/** A comparison that is under way. */
interface Pass {
  readonly salt: Uint8Array;
  readonly rounds: number;
  readonly movedAtMs: number;
}

/** How a relay stands, as it has told. */
interface Told {
  readonly isAdmitted: boolean;
  /** Undefined where something has been told or pushed since, whose position follows. */
  readonly root: Uint8Array | undefined;
}

export interface BridgeState {
  readonly kind: 'dialling' | 'landing' | 'open' | 'closed';
  readonly home: Told;
  readonly away: Told;
  /** What either has said before there was anybody to pass it on to. */
  readonly held: readonly { readonly from: Shore; readonly message: RelayMessage }[];
  /** What the peer may be sent, from its admission until this is granted at home. */
  readonly window: number;
  /** The own vector that the peer was asked by last, until it has answered. */
  readonly pulled: VersionVector | undefined;
  /** Where the peer reaches less far than it was asked by. */
  readonly lacks: VersionVector;
  /** Whether home was asked for what the peer lacks: once for each connection. */
  readonly hasPulled: boolean;
  readonly pass: Pass | undefined;
  /** Checks in a row that have found a difference, or could not look. */
  readonly uneven: number;
  /** The root at which both were told last how the other stands. */
  readonly agreed: Uint8Array | undefined;
  readonly isSettled: boolean;
}

export type BridgeEvent =
  | { readonly kind: 'heard'; readonly from: Shore; readonly message: RelayMessage; readonly nowMs: number }
  /** How far the own relay reaches, what it holds or has covered without a gap, and its root: in one moment. */
  | {
      readonly kind: 'home-read';
      readonly reach: VersionVector;
      readonly vector: VersionVector;
      readonly root: Uint8Array;
    }
  | {
      readonly kind: 'diff-opened';
      readonly salt: Uint8Array;
      readonly root: Uint8Array;
      readonly entries: readonly DiffEntry[];
      readonly nowMs: number;
    }
  /** Time to look whether roots are equal. */
  | { readonly kind: 'check'; readonly nowMs: number };

export type BridgeEffect =
  | { readonly kind: 'send'; readonly to: Shore; readonly message: ReplicaMessage }
  /** Sign the challenge and say hello; `window`: what that relay may send before it is granted more. */
  | {
      readonly kind: 'greet';
      readonly to: Shore;
      readonly storeId: Uint8Array;
      readonly relayKey: Uint8Array;
      readonly challenge: Uint8Array;
      readonly window: number;
    }
  /** The peer has admitted us: begin at the own relay. */
  | { readonly kind: 'land' }
  /** → `home-read` */
  | { readonly kind: 'read-home' }
  /** → `diff-opened` */
  | { readonly kind: 'open-diff' }
  | {
      readonly kind: 'fault';
      readonly from: Shore;
      readonly code: ErrorCode;
      readonly facts: Readonly<Record<string, string | number>>;
    }
  | { readonly kind: 'close' };

interface Result {
  readonly state: BridgeState;
  readonly effects: readonly BridgeEffect[];
}

const ROUNDS_MAX = 80;
/** While things move roots differ for no reason; after so many checks they are compared all the same. */
const UNEVEN_MAX = 8;

const UNTOLD: Told = { isAdmitted: false, root: undefined };

export const BRIDGE_BEGINS: BridgeState = {
  kind: 'dialling',
  home: UNTOLD,
  away: UNTOLD,
  held: [],
  window: 0,
  pulled: undefined,
  lacks: new Map(),
  hasPulled: false,
  pass: undefined,
  uneven: 0,
  agreed: undefined,
  isSettled: false,
};

/**
 * [FD4] Between two relays of one room, each of which takes it for a replica that has everything and writes nothing: what one relay tells goes to the other
 * as if that replica had found it missing there. It keeps no deltas and has no queue: each relay's credit for it is what the other has granted, so it is
 * the log of the faster one that waits. Pure: whoever runs it owns the two connections.
 */
export function stepBridge(state: BridgeState, event: BridgeEvent, limits: Limits): Result {
  if (state.kind === 'closed') return stay(state);
  switch (event.kind) {
    case 'heard':
      return stepHeard(state, event.from, event.message, event.nowMs, limits);
    case 'home-read':
      return stepHomeRead(state, event);
    case 'diff-opened': {
      const { salt, root, entries, nowMs } = event;
      const pass = { salt, rounds: ROUNDS_MAX, movedAtMs: nowMs };
      return { state: { ...state, pass }, effects: [send('away', { kind: 'diff', salt, root, entries })] };
    }
    case 'check':
      return stepCheck(state, event.nowMs, limits);
  }
}

function stepHeard(state: BridgeState, from: Shore, message: RelayMessage, nowMs: number, limits: Limits): Result {
  switch (message.kind) {
    case 'welcome': {
      if (message.version !== PROTOCOL_VERSION)
        return fail(state, from, 'VERSION_UNSUPPORTED', { version: message.version, supported: PROTOCOL_VERSION });
      const { storeId, relayKey, challenge } = message;
      const window = from === 'away' ? limits.windowBytes : state.window;
      return { state, effects: [{ kind: 'greet', to: from, storeId, relayKey, challenge, window }] };
    }
    case 'admitted':
      return from === 'away' ? stepAway(state, message) : stepHome(state, nowMs, limits);
    case 'fault':
      return { state, effects: [{ kind: 'fault', from, code: message.code, facts: message.facts }] };
  }
  // Who is there is told before the admission.
  if (state.kind !== 'open') return stay({ ...state, held: [...state.held, { from, message }] });
  return pass(state, from, message, nowMs);
}

/** [FD5] Who is no peer to the other relay gets a certificate of its own there, and would be taken for somebody who writes. */
function stepAway(state: BridgeState, { rights, certificate, window }: Admitted): Result {
  const isPeer = rights.includes('read') && rights.includes('write') && certificate === undefined;
  if (!isPeer)
    return fail(state, 'away', 'UNAUTHORIZED', { reason: 'the other relay does not take this one for a peer' });
  const away = { ...state.away, isAdmitted: true };
  return { state: { ...state, kind: 'landing', away, window }, effects: [{ kind: 'land' }] };
}

function stepHome(state: BridgeState, nowMs: number, limits: Limits): Result {
  const { held } = state;
  let next: BridgeState = { ...state, kind: 'open', home: { ...state.home, isAdmitted: true }, held: [] };
  const effects: BridgeEffect[] = [{ kind: 'read-home' }];
  for (const { from, message } of held) {
    const passed = stepHeard(next, from, message, nowMs, limits);
    next = passed.state;
    effects.push(...passed.effects);
  }
  return { state: next, effects };
}

/** The peer is asked for what is not here; its answer says what it lacks itself, or only how it stands. */
function stepHomeRead(state: BridgeState, { reach, vector, root }: BridgeEvent & { kind: 'home-read' }): Result {
  const pull = send('away', { kind: 'pull', vector: reach });
  const asked = { ...state, pulled: new Map(toldEntries(reach)), lacks: new Map() };
  if (state.away.root === undefined || !equalBytes(root, state.away.root)) return { state: asked, effects: [pull] };
  // Roots are equal, so what is held or covered here is held or covered there.
  const word = peerWordToPresence({ kind: 'stands', replica: NOBODY, root, vector: new Map(toldEntries(vector)) });
  return { state: { ...asked, home: { ...state.home, root }, agreed: root }, effects: [send('away', word), pull] };
}

/** It is the word of a relay, which is no replica. */
const NOBODY = '0000000000000000' as ReplicaId;

function pass(state: BridgeState, from: Shore, message: RelayMessage, nowMs: number): Result {
  const to = from === 'home' ? 'away' : 'home';
  switch (message.kind) {
    case 'deltas': {
      const { position, deltas } = message;
      const told =
        position === undefined ? state : withRoot(state, from, position === 'later' ? undefined : position.root);
      if (deltas.length === 0) return stay(told);
      return {
        state: { ...withRoot(told, to, undefined), isSettled: false },
        effects: [send(to, { kind: 'push', repair: true, deltas })],
      };
    }
    case 'ack':
      return stay(withRoot(state, from, message.position?.root));
    case 'caught-up':
      return stepCaughtUp(state, from, message.position, message.vector);
    case 'vector':
      return stay(from === 'away' ? { ...state, lacks: message.vector } : state);
    case 'diff':
      return stepDiff(state, from, message, nowMs);
    case 'heads':
      return {
        state,
        effects: message.statements.map((statement) => send(to, { kind: 'head', statement })),
      };
    case 'peer': {
      const { replica, present } = message;
      return { state, effects: [send(to, peerWordToPresence({ kind: present ? 'came' : 'gone', replica }))] };
    }
    case 'certificates':
    case 'presence':
    case 'want':
    case 'part':
    case 'credit':
      return { state, effects: [send(to, message)] };
    default:
      return stay(state);
  }
}

function stepCaughtUp(state: BridgeState, from: Shore, position: Position, vector: VersionVector): Result {
  const told = withRoot(state, from, position.root);
  const { pulled, lacks } = state;
  if (from === 'home' || pulled === undefined) return stay(told);
  const answered = { ...told, pulled: undefined };
  const stands = new Map([...pulled, ...vector]);
  if (!state.hasPulled) {
    // How far it reaches: what it did not name reaches at least as far as it was asked by.
    const reach = new Map(stands);
    for (const [replica, seq] of pulled) reach.set(replica, Math.max(seq, reach.get(replica) ?? 0));
    for (const [replica, seq] of lacks) reach.set(replica, seq);
    return { state: { ...answered, hasPulled: true }, effects: [send('home', { kind: 'pull', vector: reach })] };
  }
  const word = peerWordToPresence({ kind: 'stands', replica: NOBODY, root: position.root, vector: stands });
  return { state: answered, effects: [send('home', word)] };
}

/** Each message carries all that is needed to answer it, so either relay answers the other's. */
function stepDiff(state: BridgeState, from: Shore, message: Diff, nowMs: number): Result {
  const { pass: under } = state;
  if (under === undefined || !equalBytes(message.salt, under.salt)) return stay(state);
  if (message.entries.length === 0 || under.rounds === 0) return stay({ ...state, pass: undefined });
  const passed = { ...state, pass: { ...under, rounds: under.rounds - 1, movedAtMs: nowMs } };
  return { state: passed, effects: [send(from === 'home' ? 'away' : 'home', message)] };
}

/** [FD6] */
function stepCheck(state: BridgeState, nowMs: number, limits: Limits): Result {
  if (state.kind !== 'open') return stay(state);
  const probes = [send('home', { kind: 'probe' }), send('away', { kind: 'probe' })];
  const isStuck = state.pass !== undefined && nowMs - state.pass.movedAtMs > limits.stallMsMax;
  const { home, away, uneven } = state;
  const pass = isStuck ? undefined : state.pass;
  const areKnown = home.root !== undefined && away.root !== undefined;
  if (areKnown && equalBytes(home.root as Uint8Array, away.root as Uint8Array)) {
    const isAgreed = state.agreed !== undefined && equalBytes(state.agreed, home.root as Uint8Array);
    const settled = { ...state, pass: undefined, uneven: 0, isSettled: true };
    return { state: settled, effects: isAgreed ? probes : [{ kind: 'read-home' }, ...probes] };
  }
  const looked = { ...state, pass, uneven: uneven + 1, isSettled: false };
  if (pass !== undefined || !(areKnown || uneven >= UNEVEN_MAX)) return { state: looked, effects: probes };
  return { state: { ...looked, uneven: 0 }, effects: [{ kind: 'open-diff' }, ...probes] };
}

function withRoot(state: BridgeState, shore: Shore, root: Uint8Array | undefined): BridgeState {
  return { ...state, [shore]: { ...state[shore], root } };
}

function fail(
  state: BridgeState,
  from: Shore,
  code: ErrorCode,
  facts: Readonly<Record<string, string | number>>,
): Result {
  return { state: { ...state, kind: 'closed' }, effects: [{ kind: 'fault', from, code, facts }, { kind: 'close' }] };
}

function send(to: Shore, message: ReplicaMessage): BridgeEffect {
  return { kind: 'send', to, message };
}

function stay(state: BridgeState): Result {
  return { state, effects: [] };
}
