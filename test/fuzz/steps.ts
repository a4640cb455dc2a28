import { bytesToRelayMessage, bytesToReplicaMessage, messageToBytes } from '../../packages/protocol/src/wire/codec.js';
import type { Hello, Message, RelayMessage, ReplicaMessage } from '../../packages/protocol/src/wire/messages.js';
import { PROTOCOL_VERSION } from '../../packages/protocol/src/wire/version.js';
import { defaultLimits } from '../../packages/protocol/src/limits.js';
import type { RelayEvent, ReplicaEvent } from '../../packages/protocol/src/sync/event.js';
import {
  greeting,
  offline,
  type RelayState,
  type ReplicaState,
  type SyncState,
} from '../../packages/protocol/src/sync/state.js';
import { trieKeyOf } from '../../packages/protocol/src/delta.js';
import { stepSync } from '../../packages/protocol/src/sync/step.js';
import { publicKeyOf, replicaOf, room } from '../interop/fixture.js';
import type { Random } from '../support/random.js';
import { Finding, type Tally } from './case.js';
import * as corpus from './corpus.js';
import { gauge } from './gauge.js';
import { mutateValue, pick } from './mutate.js';

/** Walks of the step function: what its own edge says is honest, what the peer says is anything that can be decoded. */

const NOW_MS = 10_000;
const STEPS = 24;
const ALLOWED = { base: 4 * 1024 * 1024, perByte: 600 };
const config = { room, roomConfig: { history: 'current', encrypted: false }, limits: defaultLimits } as const;
const relay = {
  relayKey: new Uint8Array(32).fill(1),
  storeId: new Uint8Array(8).fill(2),
  challenge: new Uint8Array(32).fill(3),
};
const position = { offset: 5, roll: new Uint8Array(8), root: new Uint8Array(32).fill(5) };
const vector = new Map([[replicaOf(1), 3]]);
const me = replicaOf(0);
const deltas = corpus.deltas.slice(0, 3).map(({ bytes }) => bytes);
const hello: Hello = {
  ...{ kind: 'hello', version: PROTOCOL_VERSION, roomId: room.roomId, config: 0, publicKey: publicKeyOf(0) },
  ...{ token: undefined, cursor: undefined, window: 100_000, proof: new Uint8Array(64) },
};
const standing = { root: new Uint8Array(32).fill(5), outbox: 0 };
const rights = ['read', 'write'] as const;
const beyond = {
  kind: 'beyond-read',
  deltas,
  next: undefined,
  pulled: vector,
  vector,
  ahead: { deltas: 1, bytes: 9 },
} as const;
const trieKey = corpus.deltas[0] === undefined ? new Uint8Array(64) : trieKeyOf(corpus.deltas[0]);
const fetches = [{ trieKey, parts: 40, have: 1, bodyBytes: 39 * 65_536 + 1 }];
const partsRead = {
  kind: 'parts-read',
  parts: [{ kind: 'part', trieKey, index: 1, bytes: new Uint8Array(9) }],
} as const;
const partKept = { kind: 'part-kept', trieKey, have: 2 } as const;
const answered = { kind: 'diff-answered', salt: new Uint8Array(8), root: position.root, entries: [], deltas } as const;

const relayEvents: readonly RelayEvent[] = [
  {
    kind: 'authenticated',
    replica: me,
    rights,
    certificate: undefined,
    after: 0,
    end: 5,
    ahead: { deltas: 5, bytes: 900 },
    lastSeq: 0,
    lastId: undefined,
    present: [me],
  },
  { kind: 'introduction-read', certificates: [], heads: [], next: undefined },
  { kind: 'log-read', deltas, end: position, caughtUp: position, vector, met: [] },
  { kind: 'pushed', seqs: [1], refusals: [], position, bytes: 900_000, logged: 1, tells: true },
  { kind: 'stubs-kept', fetches, held: [trieKey] },
  { kind: 'arrived', trieKeys: [trieKey] },
  partsRead,
  partKept,
  { kind: 'committed', deltas: [{ bytes: deltas[0] as Uint8Array, via: undefined }], position, tells: false },
  { kind: 'position-due', position },
  { kind: 'position-read', position },
  { kind: 'beyond-done', pulled: vector, position, vector },
  beyond,
  answered,
];
const replicaEvents: readonly ReplicaEvent[] = [
  { kind: 'opened' },
  { kind: 'greeting-ready', hello },
  { kind: 'accepted', standing, forged: [new Uint8Array(64)] },
  { kind: 'acknowledged', standing: { ...standing, root: new Uint8Array(32) } },
  { kind: 'certificates-read', certificates: [] },
  { kind: 'vector-read', vector },
  { kind: 'outbox-read', deltas, nextSeq: undefined },
  { kind: 'diff-opened', salt: new Uint8Array(8), root: position.root, entries: [] },
  { kind: 'sealed', deltas, fromSeq: 1 },
  { kind: 'check', standing, nowMs: NOW_MS + 100_000 },
  { kind: 'incoming-read', fetches },
  partsRead,
  partKept,
  beyond,
  answered,
];

const fromRelay = readable(bytesToRelayMessage);
const fromReplica = readable(bytesToReplicaMessage);

/** One walk; the number of messages in it. */
export function fuzzSteps(random: Random, tally: Tally): number {
  return random.below(2) === 0 ? walkRelay(random, tally) : walkReplica(random, tally);
}

function walkRelay(random: Random, tally: Tally): number {
  let state: RelayState = greeting(config, relay);
  let said = 0;
  const path: Uint8Array[] = [];
  for (let i = 0; i < STEPS && state.kind !== 'closed'; i++) {
    let event = pick(random, relayEvents);
    if (i === 0 || random.below(3) > 0) {
      const message: ReplicaMessage = i === 0 && random.below(8) > 0 ? hello : draw(random, fromReplica);
      const nowMs = NOW_MS + random.below(3) * 400_000;
      event = { kind: 'message', message, nowMs };
      path.push(messageToBytes(message));
      said++;
    }
    const before: RelayState = state;
    const { state: next, effects } = checked(path, () => stepSync(before, event));
    if (effects.length > 0 && effects.every((effect) => effect.kind === 'send' && effect.message.kind === 'fault')) {
      tally.add('step refused');
      if (!isSameBut(before, next)) throw new Finding('stepSync', path, 'a refused message has changed the state');
    } else tally.add('step taken');
    for (const effect of effects) if (effect.kind === 'send') checkSent(path, effect.message, bytesToRelayMessage);
    state = next;
  }
  return said;
}

function walkReplica(random: Random, tally: Tally): number {
  let state: ReplicaState = offline(config, me);
  let said = 0;
  const path: Uint8Array[] = [];
  for (let i = 0; i < STEPS; i++) {
    let event: ReplicaEvent = i === 0 ? { kind: 'opened' } : pick(random, replicaEvents);
    if (i > 0 && random.below(3) > 0) {
      const message = i === 1 ? welcome : i === 2 ? admitted : draw(random, fromRelay);
      event = { kind: 'message', message, nowMs: NOW_MS };
      path.push(messageToBytes(message));
      said++;
    }
    const before: ReplicaState = state;
    const { state: next, effects } = checked(path, () => stepSync(before, event));
    tally.add(`step ${next.kind}`);
    for (const effect of effects) if (effect.kind === 'send') checkSent(path, effect.message, bytesToReplicaMessage);
    state = next;
  }
  return said;
}

const welcome: RelayMessage = { kind: 'welcome', version: PROTOCOL_VERSION, ...relay };
const admitted: RelayMessage = {
  kind: 'admitted',
  rights,
  certificate: undefined,
  resumed: false,
  lastSeq: 0,
  lastId: undefined,
  window: 100_000,
};

function checked<Result>(path: readonly Uint8Array[], work: () => Result): Result {
  try {
    const { result, fault } = gauge(path.at(-1)?.length ?? 0, ALLOWED, work);
    if (fault !== undefined) throw new Error(fault);
    return result;
  } catch (error) {
    throw new Finding('stepSync', path, 'threw', error);
  }
}

/** Whatever a step says must be something that its peer can read. */
function checkSent(path: readonly Uint8Array[], message: Message, read: (bytes: Uint8Array) => Message): void {
  try {
    read(messageToBytes(message));
  } catch (error) {
    throw new Finding('stepSync', path, `says a ${message.kind} that its peer cannot read`, error);
  }
}

/** What is counted is all that a refusal may change. */
function isSameBut(before: SyncState, after: SyncState): boolean {
  const { badFrames: _, ...a } = before as RelayState & { badFrames?: number };
  const { badFrames: __, ...b } = after as RelayState & { badFrames?: number };
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => a[key as keyof typeof a] === b[key as keyof typeof b]);
}

function readable<M extends Message>(read: (bytes: Uint8Array) => M): readonly M[] {
  return corpus.messageBytes.flatMap((bytes) => {
    try {
      return [read(bytes)];
    } catch {
      return [];
    }
  });
}

/** A message as it comes out of the decoder, also of one that was changed. */
function draw<M extends Message>(random: Random, messages: readonly M[]): M {
  const message = pick(random, messages);
  const read = (messages as readonly Message[]) === fromRelay ? bytesToRelayMessage : bytesToReplicaMessage;
  try {
    return read(messageToBytes(mutateValue(random, message, pick(random, messages)) as Message)) as M;
  } catch {
    return message;
  }
}
