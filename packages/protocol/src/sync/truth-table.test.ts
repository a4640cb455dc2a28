import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyIdOf, makeDelta, publicKeyOf, record, replicaOf, room } from '../../../../test/interop/fixture.js';
import { goldenMessages } from '../../../../test/interop/messages.js';
import { bytesToHex } from '../bytes.js';
import { PROTOCOL_VERSION } from '../wire/version.js';
import type { ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import type { Hello, Message, RelayMessage, ReplicaMessage } from '../wire/messages.js';
import type { RelayEvent, ReplicaEvent, SyncEvent } from './event.js';
import { NO_PROGRESS } from './progress.js';
import type { LinkConfig, RelayState, ReplicaState, SyncState } from './state.js';
import { stepSync } from './step.js';

/**
 * Every state of a link and every event [SY15]: what it becomes and what is to be done. A new state, event or message does not
 * compile before it has its row. An empty cell: the event does not belong there and changes nothing.
 */

const me = replicaOf(0);
const other = replicaOf(1);
const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const config: LinkConfig = {
  room,
  roomConfig: { history: 'current', encrypted: false },
  limits: { ...defaultLimits, badFramesMax: 2 },
};
const relay = { relayKey: filled(32, 1), storeId: filled(8, 2), challenge: filled(32, 3) };
const position = { offset: 5, roll: filled(8, 4), root: filled(32, 5) };
const vector = new Map<ReplicaId, number>([[other, 3]]);
const delta = makeDelta({ replica: me, seq: 1, hlc: 9 });
const hello: Hello = {
  kind: 'hello',
  version: PROTOCOL_VERSION,
  roomId: room.roomId,
  config: 0,
  publicKey: publicKeyOf(0),
  token: undefined,
  cursor: undefined,
  window: 1_000_000,
  proof: filled(64, 6),
};
const standing = { root: filled(32, 7), outbox: 0 };
const rights = ['read', 'write'] as const;

const replicaBase = { role: 'replica', config, replica: me } as const;
const flow = { credit: 1_000_000, due: 0, fetches: [], runs: [] };
const trieKey = filled(64, 1);
const fetching = { ...flow, fetches: [{ trieKey, parts: 3, have: 1, asked: 3, bodyBytes: 150_000 }] };
const session = {
  storeId: relay.storeId,
  relayKey: relay.relayKey,
  rights,
  flow,
  taken: 0,
  outbox: 'pushed',
  offers: [],
  beyond: undefined,
  progress: NO_PROGRESS,
  movedAtMs: 0,
  hasShown: false,
} as const;
const replicaStates: { readonly [Kind in ReplicaState['kind']]: Extract<ReplicaState, { kind: Kind }> } = {
  offline: { ...replicaBase, kind: 'offline' },
  connecting: { ...replicaBase, kind: 'connecting' },
  greeting: { ...replicaBase, kind: 'greeting', storeId: relay.storeId, relayKey: relay.relayKey },
  'catching-up': { ...replicaBase, ...session, kind: 'catching-up', by: 'cursor', pulled: vector },
  comparing: {
    ...replicaBase,
    ...session,
    flow: fetching,
    kind: 'comparing',
    position,
    isBehind: false,
    vector,
    salt: filled(8, 9),
    passes: 0,
    rounds: 9,
    moved: false,
  },
  live: { ...replicaBase, ...session, kind: 'live', position, isBehind: false, vector, settled: false, passes: 0 },
  refused: { ...replicaBase, kind: 'refused' },
};

const next = { vector, of: 'all', after: filled(1, 1) } as const;
const beyond = {
  kind: 'beyond-read',
  deltas: [delta.bytes],
  next,
  pulled: vector,
  vector,
  ahead: { deltas: 1, bytes: 9 },
} as const;
const partsRead = { kind: 'parts-read', parts: [{ kind: 'part', trieKey, index: 1, bytes: filled(9, 1) }] } as const;
const answered = {
  kind: 'diff-answered',
  salt: filled(8, 9),
  root: filled(32, 8),
  entries: [],
  deltas: [delta.bytes],
} as const;
const replicaEvents: { readonly [Kind in ReplicaEvent['kind']]: Extract<ReplicaEvent, { kind: Kind }> } = {
  opened: { kind: 'opened' },
  closed: { kind: 'closed' },
  message: { kind: 'message', message: { kind: 'fault', code: 'INTERNAL', facts: {} }, nowMs: 0 },
  'greeting-ready': { kind: 'greeting-ready', hello },
  accepted: { kind: 'accepted', standing, forged: [filled(64, 1)] },
  acknowledged: { kind: 'acknowledged', standing },
  'certificates-read': { kind: 'certificates-read', certificates: goldenMessages.certificates.two?.certificates ?? [] },
  'vector-read': { kind: 'vector-read', vector },
  'outbox-read': { kind: 'outbox-read', deltas: [delta.bytes], nextSeq: 2 },
  'diff-opened': { kind: 'diff-opened', salt: filled(8, 9), root: filled(32, 8), entries: [] },
  sealed: { kind: 'sealed', deltas: [delta.bytes], fromSeq: 1 },
  check: { kind: 'check', standing, nowMs: 1_000_000 },
  'incoming-read': { kind: 'incoming-read', fetches: [{ trieKey, parts: 2, have: 0, bodyBytes: 70_000 }] },
  'parts-read': partsRead,
  'part-kept': { kind: 'part-kept', trieKey, have: undefined },
  'beyond-read': beyond,
  'diff-answered': answered,
};

const relayMessages: { readonly [Kind in RelayMessage['kind']]: Extract<RelayMessage, { kind: Kind }> } = {
  welcome: { kind: 'welcome', version: PROTOCOL_VERSION, ...relay },
  admitted: {
    kind: 'admitted',
    rights,
    certificate: undefined,
    resumed: false,
    lastSeq: 0,
    lastId: undefined,
    window: 1_000_000,
  },
  fault: { kind: 'fault', code: 'UNAUTHORIZED', facts: { reason: 'no' } },
  certificates: goldenMessages.certificates.two as never,
  deltas: { kind: 'deltas', position, deltas: [delta.bytes] },
  'caught-up': { kind: 'caught-up', position, vector },
  ack: { kind: 'ack', seqs: [1], position },
  refused: { kind: 'refused', replica: me, seq: 1, code: 'CLOCK_AHEAD', facts: {} },
  vector: { kind: 'vector', vector },
  diff: { kind: 'diff', salt: filled(8, 9), root: filled(32, 8), entries: [] },
  heads: goldenMessages.heads.usual as never,
  presence: goldenMessages.presence.usual as never,
  peer: goldenMessages.peer.came as never,
  want: { kind: 'want', wanted: [{ trieKey, from: 0, count: 2 }] },
  part: { kind: 'part', trieKey, index: 1, bytes: filled(9, 1) },
  credit: { kind: 'credit', bytes: 1_000 },
  ahead: { kind: 'ahead', deltas: 3, bytes: 900 },
};

const relayBase = { role: 'relay', config, ...relay } as const;
const admission = {
  replica: me,
  rights,
  isPeer: false,
  badFrames: 0,
  flow,
  beyond: undefined,
  owesPosition: true,
} as const;
const relayStates: { readonly [Kind in RelayState['kind']]: Extract<RelayState, { kind: Kind }> } = {
  greeting: { ...relayBase, kind: 'greeting', badFrames: 0 },
  admitting: { ...relayBase, kind: 'admitting', badFrames: 0, window: 1_000_000 },
  replaying: { ...relayBase, ...admission, kind: 'replaying', after: 2, met: [], pulled: undefined },
  live: { ...relayBase, ...admission, flow: fetching, kind: 'live' },
  closed: { ...relayBase, kind: 'closed' },
};

const end = { offset: 4, roll: filled(8, 4) };
const relayEvents: { readonly [Kind in RelayEvent['kind']]: Extract<RelayEvent, { kind: Kind }> } = {
  opened: { kind: 'opened' },
  closed: { kind: 'closed' },
  message: { kind: 'message', message: { kind: 'pull', vector }, nowMs: 0 },
  malformed: { kind: 'malformed', code: 'FRAME_MALFORMED', facts: {} },
  authenticated: {
    kind: 'authenticated',
    replica: me,
    rights,
    certificate: undefined,
    after: 3,
    end: 5,
    ahead: { deltas: 2, bytes: 600 },
    lastSeq: 0,
    lastId: undefined,
    present: [other],
  },
  displaced: { kind: 'displaced', replica: me },
  denied: { kind: 'denied', code: 'UNAUTHORIZED', facts: {} },
  'introduction-read': {
    kind: 'introduction-read',
    certificates: goldenMessages.certificates.two?.certificates ?? [],
    heads: [],
    next: undefined,
  },
  'log-read': { kind: 'log-read', deltas: [delta.bytes], end, caughtUp: undefined, vector, met: [other] },
  'position-read': { kind: 'position-read', position },
  'beyond-done': { kind: 'beyond-done', pulled: vector, position, vector },
  pushed: { kind: 'pushed', seqs: [1], refusals: [], position, bytes: 100, logged: 0, tells: true },
  committed: { kind: 'committed', deltas: [{ bytes: delta.bytes, via: filled(32, 4) }], position, tells: true },
  overtaken: { kind: 'overtaken', after: 3 },
  'position-due': { kind: 'position-due', position },
  forward: { kind: 'forward', message: goldenMessages.peer.came as never },
  'stubs-kept': {
    kind: 'stubs-kept',
    fetches: [{ trieKey, parts: 2, have: 0, bodyBytes: 70_000 }],
    held: [filled(64, 2)],
  },
  arrived: { kind: 'arrived', trieKeys: [trieKey] },
  'parts-read': partsRead,
  'part-kept': { kind: 'part-kept', trieKey, have: 2 },
  'beyond-read': beyond,
  'diff-answered': answered,
};

const replicaMessages: { readonly [Kind in ReplicaMessage['kind']]: Extract<ReplicaMessage, { kind: Kind }> } = {
  hello,
  certificates: goldenMessages.certificates.two as never,
  push: { kind: 'push', repair: false, deltas: [delta.bytes] },
  pull: { kind: 'pull', vector },
  diff: { kind: 'diff', salt: filled(8, 9), root: filled(32, 8), entries: [] },
  head: {
    kind: 'head',
    statement: { ...(goldenMessages.head.usual as { statement: object }).statement, replica: me } as never,
  },
  report: { kind: 'report', trieKey: filled(64, 1) },
  presence: { kind: 'presence', replica: other, tab: 1, keyId: keyIdOf(record('a')), state: filled(2, 1) },
  want: { kind: 'want', wanted: [{ trieKey, from: 0, count: 2 }] },
  part: { kind: 'part', trieKey, index: 1, bytes: filled(9, 1) },
  credit: { kind: 'credit', bytes: 1_000 },
  probe: { kind: 'probe' },
};

/** `next state: effects in order`, or nothing when nothing changes. */
function told(state: SyncState, event: SyncEvent): string {
  const step = stepSync(state as ReplicaState, event as ReplicaEvent);
  const effects = step.effects.map((effect) => (effect.kind === 'send' ? `send ${effect.message.kind}` : effect.kind));
  return step.state === state && effects.length === 0 ? '' : `${step.state.kind}: ${effects.join(', ')}`.trim();
}

const replicaTable: Readonly<Record<ReplicaState['kind'], Readonly<Record<ReplicaEvent['kind'], string>>>> = {
  offline: {
    opened: 'connecting:',
    closed: 'offline:',
    message: 'offline: fault',
    'greeting-ready': '',
    accepted: '',
    acknowledged: '',
    'certificates-read': '',
    'vector-read': '',
    'outbox-read': '',
    'diff-opened': '',
    sealed: '',
    check: '',
    'beyond-read': '',
    'diff-answered': '',
    'incoming-read': '',
    'parts-read': '',
    'part-kept': '',
  },
  connecting: {
    opened: 'connecting:',
    closed: 'offline:',
    message: 'connecting: fault',
    'greeting-ready': '',
    accepted: '',
    acknowledged: '',
    'certificates-read': '',
    'vector-read': '',
    'outbox-read': '',
    'diff-opened': '',
    sealed: '',
    check: '',
    'beyond-read': '',
    'diff-answered': '',
    'incoming-read': '',
    'parts-read': '',
    'part-kept': '',
  },
  greeting: {
    opened: 'connecting:',
    closed: 'offline:',
    message: 'greeting: fault',
    'greeting-ready': 'greeting: send hello',
    accepted: '',
    acknowledged: '',
    'certificates-read': '',
    'vector-read': '',
    'outbox-read': '',
    'diff-opened': '',
    sealed: '',
    check: '',
    'beyond-read': '',
    'diff-answered': '',
    'incoming-read': '',
    'parts-read': '',
    'part-kept': '',
  },
  'catching-up': {
    opened: 'connecting:',
    closed: 'offline:',
    message: 'catching-up: fault',
    'greeting-ready': '',
    accepted: 'catching-up: send report',
    acknowledged: '',
    'certificates-read': 'catching-up: send certificates',
    'vector-read': 'catching-up: send pull',
    'outbox-read': 'catching-up: send push',
    'diff-opened': '',
    sealed: 'catching-up: send push',
    check: 'catching-up: reconnect',
    'beyond-read': 'catching-up: send push, read-beyond',
    'diff-answered': '',
    'incoming-read': 'catching-up: send want',
    'parts-read': 'catching-up: send part',
    'part-kept': 'catching-up:',
  },
  comparing: {
    opened: 'connecting:',
    closed: 'offline:',
    message: 'comparing: fault',
    'greeting-ready': '',
    accepted: 'comparing: send report',
    acknowledged: '',
    'certificates-read': 'comparing: send certificates',
    'vector-read': 'comparing: send pull',
    'outbox-read': 'comparing: send push',
    'diff-opened': 'comparing: send diff',
    sealed: 'comparing: send push',
    check: 'comparing: reconnect',
    'beyond-read': 'comparing: send push, read-beyond',
    'diff-answered': 'comparing: send push',
    'incoming-read': 'comparing:',
    'parts-read': 'comparing: send part',
    'part-kept': 'comparing: acknowledge',
  },
  live: {
    opened: 'connecting:',
    closed: 'offline:',
    message: 'live: fault',
    'greeting-ready': '',
    accepted: 'comparing: send report, open-diff',
    acknowledged: 'comparing: open-diff',
    'certificates-read': 'live: send certificates',
    'vector-read': 'live: send pull',
    'outbox-read': 'live: send push',
    'diff-opened': '',
    sealed: 'live: send push',
    check: 'comparing: open-diff',
    'beyond-read': 'live: send push, read-beyond',
    'diff-answered': '',
    'incoming-read': 'live: send want',
    'parts-read': 'live: send part',
    'part-kept': 'live:',
  },
  refused: {
    opened: '',
    closed: '',
    message: '',
    'greeting-ready': '',
    accepted: '',
    acknowledged: '',
    'certificates-read': '',
    'vector-read': '',
    'outbox-read': '',
    'diff-opened': '',
    sealed: '',
    check: '',
    'beyond-read': '',
    'diff-answered': '',
    'incoming-read': '',
    'parts-read': '',
    'part-kept': '',
  },
};

const replicaMessageTable: Readonly<Record<ReplicaState['kind'], Readonly<Record<RelayMessage['kind'], string>>>> = {
  offline: {
    welcome: '',
    admitted: '',
    fault: 'offline: fault',
    certificates: '',
    deltas: '',
    'caught-up': '',
    ack: '',
    refused: '',
    vector: '',
    diff: '',
    heads: '',
    presence: '',
    peer: '',
    want: '',
    part: '',
    credit: '',
    ahead: '',
  },
  connecting: {
    welcome: 'greeting: greet',
    admitted: '',
    fault: 'connecting: fault',
    certificates: '',
    deltas: '',
    'caught-up': '',
    ack: '',
    refused: '',
    vector: '',
    diff: '',
    heads: '',
    presence: '',
    peer: '',
    want: '',
    part: '',
    credit: '',
    ahead: '',
  },
  greeting: {
    welcome: '',
    admitted: 'catching-up: trust, check-identity, read-incoming, read-outbox, read-certificates, read-vector',
    fault: 'greeting: fault',
    certificates: '',
    deltas: '',
    'caught-up': '',
    ack: '',
    refused: '',
    vector: '',
    diff: '',
    heads: '',
    presence: '',
    peer: 'greeting: show',
    want: '',
    part: '',
    credit: '',
    ahead: '',
  },
  'catching-up': {
    welcome: '',
    admitted: '',
    fault: 'catching-up: fault',
    certificates: 'catching-up: trust',
    deltas: 'catching-up: accept',
    'caught-up': 'live: acknowledge',
    ack: 'catching-up: acknowledge',
    refused: 'catching-up: withdraw',
    vector: 'catching-up: read-beyond',
    diff: '',
    heads: 'catching-up: store-heads',
    presence: 'catching-up: show',
    peer: 'catching-up: show',
    want: 'catching-up: read-parts',
    part: '',
    credit: 'catching-up:',
    ahead: 'catching-up:',
  },
  comparing: {
    welcome: '',
    admitted: '',
    fault: 'comparing: fault',
    certificates: 'comparing: trust',
    deltas: 'comparing: accept',
    'caught-up': 'comparing: acknowledge',
    ack: 'comparing: acknowledge',
    refused: 'comparing: withdraw',
    vector: 'comparing: read-beyond',
    diff: 'comparing: answer-diff',
    heads: 'comparing: store-heads',
    presence: 'comparing: show',
    peer: 'comparing: show',
    want: 'comparing: read-parts',
    part: 'comparing: keep-part',
    credit: 'comparing:',
    ahead: 'comparing:',
  },
  live: {
    welcome: '',
    admitted: '',
    fault: 'live: fault',
    certificates: 'live: trust',
    deltas: 'live: accept',
    'caught-up': 'live: acknowledge',
    ack: 'live: acknowledge',
    refused: 'live: withdraw',
    vector: 'live: read-beyond',
    diff: '',
    heads: 'live: store-heads',
    presence: 'live: show',
    peer: 'live: show',
    want: 'live: read-parts',
    part: '',
    credit: 'live:',
    ahead: 'live:',
  },
  refused: {
    welcome: '',
    admitted: '',
    fault: '',
    certificates: '',
    deltas: '',
    'caught-up': '',
    ack: '',
    refused: '',
    vector: '',
    diff: '',
    heads: '',
    presence: '',
    peer: '',
    want: '',
    part: '',
    credit: '',
    ahead: '',
  },
};

const relayTable: Readonly<Record<RelayState['kind'], Readonly<Record<RelayEvent['kind'], string>>>> = {
  greeting: {
    opened: 'greeting: send welcome',
    closed: 'closed:',
    message: 'greeting: send fault',
    malformed: 'greeting: send fault',
    authenticated: '',
    displaced: '',
    denied: 'closed: send fault, close',
    'introduction-read': '',
    'log-read': '',
    'position-read': '',
    'beyond-done': '',
    pushed: '',
    committed: '',
    overtaken: '',
    'position-due': '',
    forward: '',
    'beyond-read': '',
    'diff-answered': '',
    arrived: '',
    'stubs-kept': '',
    'parts-read': '',
    'part-kept': '',
  },
  admitting: {
    opened: '',
    closed: 'closed:',
    message: 'admitting: send fault',
    malformed: 'admitting: send fault',
    authenticated: 'replaying: send peer, send admitted, joined, send ahead, read-introduction',
    displaced: 'closed: send fault, close',
    denied: 'closed: send fault, close',
    'introduction-read': '',
    'log-read': '',
    'position-read': '',
    'beyond-done': '',
    pushed: '',
    committed: '',
    overtaken: '',
    'position-due': '',
    forward: '',
    'beyond-read': '',
    'diff-answered': '',
    arrived: '',
    'stubs-kept': '',
    'parts-read': '',
    'part-kept': '',
  },
  replaying: {
    opened: '',
    closed: 'closed:',
    message: 'replaying: read-beyond',
    malformed: 'replaying: send fault',
    authenticated: '',
    displaced: 'closed: send fault, close',
    denied: 'closed: send fault, close',
    'introduction-read': 'replaying: send certificates, read-log',
    'log-read': 'replaying: send deltas, read-log',
    'position-read': 'replaying: send ack',
    'beyond-done': 'replaying: send caught-up',
    pushed: 'replaying: send ack',
    committed: '',
    overtaken: '',
    'position-due': '',
    forward: 'replaying: send peer',
    'beyond-read': 'replaying: send ahead, send deltas, read-beyond',
    'diff-answered': 'replaying: send deltas, send diff',
    arrived: 'replaying:',
    'stubs-kept': 'replaying: send want, join',
    'parts-read': 'replaying: send part',
    'part-kept': 'replaying:',
  },
  live: {
    opened: '',
    closed: 'closed:',
    message: 'live: read-beyond',
    malformed: 'live: send fault',
    authenticated: '',
    displaced: 'closed: send fault, close',
    denied: 'closed: send fault, close',
    'introduction-read': '',
    'log-read': '',
    'position-read': 'live: send ack',
    'beyond-done': 'live: send caught-up',
    pushed: 'live: send ack',
    committed: 'live: send deltas',
    overtaken: 'replaying: read-log',
    'position-due': 'live: send deltas',
    forward: 'live: send peer',
    'beyond-read': 'live: send ahead, send deltas, read-beyond',
    'diff-answered': 'live: send deltas, send diff',
    arrived: 'live: join',
    'stubs-kept': 'live: join',
    'parts-read': 'live: send part',
    'part-kept': 'live:',
  },
  closed: {
    opened: '',
    closed: '',
    message: '',
    malformed: '',
    authenticated: '',
    displaced: '',
    denied: '',
    'introduction-read': '',
    'log-read': '',
    'position-read': '',
    'beyond-done': '',
    pushed: '',
    committed: '',
    overtaken: '',
    'position-due': '',
    forward: '',
    'beyond-read': '',
    'diff-answered': '',
    arrived: '',
    'stubs-kept': '',
    'parts-read': '',
    'part-kept': '',
  },
};

const relayMessageTable: Readonly<Record<RelayState['kind'], Readonly<Record<ReplicaMessage['kind'], string>>>> = {
  greeting: {
    hello: 'admitting: authenticate',
    certificates: 'greeting: send fault',
    push: 'greeting: send fault',
    pull: 'greeting: send fault',
    diff: 'greeting: send fault',
    head: 'greeting: send fault',
    report: 'greeting: send fault',
    presence: 'greeting: send fault',
    want: 'greeting: send fault',
    part: 'greeting: send fault',
    credit: 'greeting: send fault',
    probe: 'greeting: send fault',
  },
  admitting: {
    hello: 'admitting: send fault',
    certificates: 'admitting: send fault',
    push: 'admitting: send fault',
    pull: 'admitting: send fault',
    diff: 'admitting: send fault',
    head: 'admitting: send fault',
    report: 'admitting: send fault',
    presence: 'admitting: send fault',
    want: 'admitting: send fault',
    part: 'admitting: send fault',
    credit: 'admitting: send fault',
    probe: 'admitting: send fault',
  },
  replaying: {
    hello: 'replaying: send fault',
    certificates: 'replaying: keep-shown',
    push: 'replaying: accept-push',
    pull: 'replaying: read-beyond',
    diff: 'replaying: answer-diff',
    head: 'replaying: accept-head',
    report: 'replaying: check-reported',
    presence: 'replaying: broadcast',
    want: 'replaying: read-parts',
    part: '',
    credit: 'replaying: read-log',
    probe: 'replaying: read-position',
  },
  live: {
    hello: 'live: send fault',
    certificates: 'live: keep-shown',
    push: 'live: accept-push',
    pull: 'live: read-beyond',
    diff: 'live: answer-diff',
    head: 'live: accept-head',
    report: 'live: check-reported',
    presence: 'live: broadcast',
    want: 'live: read-parts',
    part: 'live: keep-part',
    credit: 'live:',
    probe: 'live: read-position',
  },
  closed: {
    hello: '',
    certificates: '',
    push: '',
    pull: '',
    diff: '',
    head: '',
    report: '',
    presence: '',
    want: '',
    part: '',
    credit: '',
    probe: '',
  },
};

const replicaCells = Object.values(replicaStates).flatMap((state) => [
  ...Object.values(replicaEvents).map((event) => ({ state, event, expected: replicaTable[state.kind][event.kind] })),
  ...Object.values(relayMessages).map((message) => ({
    state,
    event: asEvent(message),
    expected: replicaMessageTable[state.kind][message.kind],
  })),
]);
const relayCells = Object.values(relayStates).flatMap((state) => [
  ...Object.values(relayEvents).map((event) => ({ state, event, expected: relayTable[state.kind][event.kind] })),
  ...Object.values(replicaMessages).map((message) => ({
    state,
    event: asEvent(message),
    expected: relayMessageTable[state.kind][message.kind],
  })),
]);
const cells: readonly { readonly state: SyncState; readonly event: SyncEvent; readonly expected: string }[] = [
  ...replicaCells,
  ...relayCells,
];

function asEvent<M extends Message>(message: M) {
  return { kind: 'message', message, nowMs: 0 } as const;
}

describe('stepSync', () => {
  test.each(Object.values(replicaStates))('[SY15] a replica that is $kind answers each event and message', (state) => {
    for (const { event, expected } of replicaCells.filter((cell) => cell.state === state))
      expect(told(state, event), nameOf(event)).toBe(expected);
  });

  test.each(Object.values(relayStates))('[SY15] a relay that is $kind answers each event and message', (state) => {
    for (const { event, expected } of relayCells.filter((cell) => cell.state === state))
      expect(told(state, event), nameOf(event)).toBe(expected);
  });

  test('[SY18] a relay that knows nothing more of a delta it fetches joins it: another link has brought it', () => {
    const { state, effects } = stepSync(relayStates.live, { kind: 'part-kept', trieKey, have: undefined });
    expect(effects).toEqual([{ kind: 'join', trieKey }]);
    expect(state).toMatchObject({ flow: { fetches: [] } });
  });

  test('[SY15] no event throws in any state that a link can get into', () => {
    const walks = fc.array(fc.nat(), { minLength: 1, maxLength: 30 });
    const links: readonly (readonly [SyncState, readonly SyncEvent[]])[] = [
      [replicaStates.offline, replicaCells.map(({ event }) => event)],
      [relayStates.greeting, relayCells.map(({ event }) => event)],
    ];
    fc.assert(
      fc.property(walks, (walk) => {
        for (const [start, events] of links) {
          let state = start;
          for (const pick of walk)
            state = stepSync(state as ReplicaState, events[pick % events.length] as ReplicaEvent).state;
        }
      }),
      { numRuns: 500 },
    );
  });

  test('[SY15] a step is pure: it changes nothing it is given, and says the same twice', () => {
    for (const { state, event, expected } of cells) {
      const before = [written(state), written(event)];
      freeze(state);
      freeze(event);
      const [once, twice] = [0, 1].map(() => stepSync(state as ReplicaState, event as ReplicaEvent));
      expect(twice, expected).toEqual(once);
      expect([written(state), written(event)]).toEqual(before);
    }
  });
});

function nameOf(event: SyncEvent): string {
  return event.kind === 'message' ? `message ${event.message.kind}` : event.kind;
}

/** Everything in a value as text; what cannot be frozen is seen here. */
function written(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (item instanceof Uint8Array) return bytesToHex(item);
    return item instanceof Map ? [...item] : item;
  });
}

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  for (const item of Object.values(value)) freeze(item);
}
