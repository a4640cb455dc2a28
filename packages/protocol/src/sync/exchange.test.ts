import { describe, expect, test } from 'vitest';
import { contextOf, makeDelta, publicKeyOf, replicaOf, room } from '../../../../test/interop/fixture.js';
import { concatBytes } from '../bytes.js';
import { PROTOCOL_VERSION } from '../wire/version.js';
import type { Certificate } from '../certificate.js';
import { type Delta, trieKeyOf } from '../delta.js';
import { hlcFromMs } from '../hlc.js';
import { deriveRoomId, type ReplicaId } from '../ids.js';
import { defaultLimits } from '../limits.js';
import { PART_BYTES } from '../parts.js';
import type { Hello, RelayMessage, ReplicaMessage } from '../wire/messages.js';
import type { ReplicaEffect } from './effect.js';
import type { RelayEvent, ReplicaEvent } from './event.js';
import { deltaToStub } from '../stub.js';
import { greeting, type LinkConfig, offline, type RelayState, type ReplicaState } from './state.js';
import { stepSync } from './step.js';
import { messageToBytes } from '../wire/codec.js';
import { CLOSE } from './step-relay.js';

const me = replicaOf(0);
const other = replicaOf(1);
const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const saltOf = (byte: number): Uint8Array => filled(8, byte);
const config: LinkConfig = { room, roomConfig: { history: 'current', encrypted: false }, limits: defaultLimits };
const keys = { relayKey: filled(32, 1), storeId: filled(8, 2), challenge: filled(32, 3) };
const positionAt = (offset: number, root = 50) => ({ offset, roll: filled(8, offset), root: filled(32, root) });
const cursorAt = (offset: number) => ({ storeId: keys.storeId, offset, roll: filled(8, offset) });
const standingAt = (root: number, outbox = 0) => ({ root: filled(32, root), outbox });
const NOTHING = { deltas: 0, bytes: 0 };
const mine = makeDelta({ replica: me, seq: 1, hlc: 9 });
const theirs = makeDelta({ replica: other, seq: 1, hlc: 8 });
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

/** A link under test: events go in, what it wants done comes out. */
function createReplica() {
  let state: ReplicaState = offline(config, me);
  const self = {
    get state(): ReplicaState {
      return state;
    },
    step(event: ReplicaEvent) {
      const step = stepSync(state, event);
      state = step.state;
      return step.effects;
    },
    hear: (message: RelayMessage) => self.step({ kind: 'message', message, nowMs: 0 }),
    /** Up to where the relay has admitted it. */
    connect(options: { resumed: boolean; rights?: readonly ('read' | 'write')[] }) {
      self.step({ kind: 'opened' });
      self.hear({ kind: 'welcome', version: PROTOCOL_VERSION, ...keys });
      self.step({ kind: 'greeting-ready', hello });
      const { resumed, rights = ['read', 'write'] } = options;
      const effects = self.hear({
        kind: 'admitted',
        rights,
        certificate: undefined,
        resumed,
        lastSeq: 7,
        lastId: undefined,
        window: 1_000_000,
      });
      // What the outbox held: nothing.
      if (rights.includes('write')) self.step({ kind: 'outbox-read', deltas: [], nextSeq: undefined });
      return effects;
    },
    /** A pass of the Merkle diff begins with this salt. */
    open(byte: number): Uint8Array {
      self.step({ kind: 'diff-opened', salt: saltOf(byte), root: filled(32, 9), entries: [] });
      return saltOf(byte);
    },
    /** Live, with the relay at a root. */
    goLive(root: number, vector = new Map<ReplicaId, number>()) {
      self.connect({ resumed: true });
      return self.hear({ kind: 'caught-up', position: positionAt(3, root), vector });
    },
  };
  return self;
}

function createRelay(limits = defaultLimits) {
  let state: RelayState = greeting({ ...config, limits }, keys);
  const self = {
    get state(): RelayState {
      return state;
    },
    step(event: RelayEvent) {
      const step = stepSync(state, event);
      state = step.state;
      return step.effects;
    },
    hear: (message: ReplicaMessage, nowMs = 1_000) => self.step({ kind: 'message', message, nowMs }),
    admit(after: number | undefined, rights: readonly ('read' | 'write')[] = ['read', 'write']) {
      self.step({ kind: 'opened' });
      self.hear(hello);
      const facts = {
        rights,
        certificate: undefined,
        lastSeq: 4,
        lastId: undefined,
        present: [],
        end: 5,
        ahead: NOTHING,
      };
      const effects = [
        ...self.step({ kind: 'authenticated', replica: me, after, ...facts }),
        ...self.step({ kind: 'introduction-read', certificates: [], heads: [], next: undefined }),
      ];
      // A pull that nothing came of.
      if (after === undefined)
        self.step({ kind: 'beyond-done', pulled: new Map(), position: positionAt(5), vector: new Map() });
      return effects;
    },
  };
  return self;
}

const kindsOf = (effects: readonly { kind: string }[]): string[] =>
  effects.map((effect) =>
    'message' in effect
      ? `${effect.kind} ${(effect as never as { message: { kind: string } }).message.kind}`
      : effect.kind,
  );

describe('greeting', () => {
  test('[SY1] the relay speaks first, then the hello, then admitted', () => {
    const replica = createReplica();
    const relay = createRelay();
    const welcome = { kind: 'welcome', version: PROTOCOL_VERSION, ...keys } as const;
    expect(relay.step({ kind: 'opened' })).toEqual([{ kind: 'send', message: welcome }]);
    expect(replica.step({ kind: 'opened' })).toEqual([]);
    expect(replica.hear(welcome)).toEqual([{ kind: 'greet', ...keys }]);
    expect(replica.step({ kind: 'greeting-ready', hello })).toEqual([{ kind: 'send', message: hello }]);
    expect(relay.hear(hello)).toEqual([{ kind: 'authenticate', hello }]);
    const facts = {
      rights: ['read'],
      certificate: undefined,
      lastSeq: 4,
      lastId: undefined,
    } as const;
    const log = { end: 5, ahead: NOTHING, present: [] };
    const effects = relay.step({ kind: 'authenticated', replica: me, after: undefined, ...facts, ...log });
    expect(effects[0]).toEqual({
      kind: 'send',
      message: {
        kind: 'admitted',
        rights: ['read'],
        certificate: undefined,
        resumed: false,
        lastSeq: 4,
        lastId: undefined,
        window: defaultLimits.windowBytes,
      },
    });
    expect([replica.state.kind, relay.state.kind]).toEqual(['greeting', 'replaying']);
  });

  test('[SY1] nothing is answered before the hello, and there is one hello', () => {
    const relay = createRelay();
    relay.step({ kind: 'opened' });
    expect(kindsOf(relay.hear({ kind: 'pull', vector: new Map() }))).toEqual(['send fault']);
    relay.hear(hello);
    expect(kindsOf(relay.hear(hello))).toEqual(['send fault']);
    expect(kindsOf(relay.hear({ kind: 'push', repair: false, deltas: [mine.bytes] }))).toEqual(['send fault']);
  });

  test('[AE4] a relay that has lost something without a word is found out by a probe, which is one byte', () => {
    expect(messageToBytes({ kind: 'probe' })).toHaveLength(1);
    const replica = createReplica();
    replica.goLive(50);
    replica.step({ kind: 'acknowledged', standing: standingAt(50) });
    replica.step({ kind: 'check', standing: standingAt(50), nowMs: 0 });
    const said = { kind: 'ack', seqs: [], position: positionAt(3, 7) } as const;
    expect(replica.hear(said)).toMatchObject([{ kind: 'acknowledge', seqs: [] }]);
    expect(replica.step({ kind: 'acknowledged', standing: standingAt(50) })).toEqual([{ kind: 'open-diff' }]);
  });

  test('[AE4] while something waits, or roots differ already, nothing is asked', () => {
    const replica = createReplica();
    replica.goLive(50);
    replica.step({ kind: 'acknowledged', standing: standingAt(50) });
    const waiting = standingAt(50, 1);
    expect(kindsOf(replica.step({ kind: 'check', standing: waiting, nowMs: 0 }))).toEqual(['acknowledge']);
    expect(replica.step({ kind: 'check', standing: standingAt(9), nowMs: 0 })).toEqual([{ kind: 'open-diff' }]);
  });

  test('[AE7] where all was pushed and yet something waits, a check looks whether it was superseded or swept, and pushes nothing', () => {
    const replica = createReplica();
    replica.goLive(50);
    replica.step({ kind: 'acknowledged', standing: standingAt(50, 1) });
    const check = { kind: 'check', standing: standingAt(50, 1), nowMs: 0 } as const;
    expect(replica.step(check)).toEqual([{ kind: 'acknowledge', seqs: [], cursor: undefined }]);
    const reader = createReplica();
    reader.connect({ resumed: true, rights: ['read'] });
    reader.hear({ kind: 'caught-up', position: positionAt(3, 50), vector: new Map() });
    reader.step({ kind: 'acknowledged', standing: standingAt(50, 1) });
    expect(reader.step(check), 'who may not write waits for nothing').toEqual([]);
  });

  test('[SY1] another version is refused by either side, and refused stays refused', () => {
    const replica = createReplica();
    replica.step({ kind: 'opened' });
    const effects = replica.hear({ kind: 'welcome', version: PROTOCOL_VERSION + 1, ...keys });
    expect(effects).toEqual([
      {
        kind: 'fault',
        code: 'VERSION_UNSUPPORTED',
        facts: { version: PROTOCOL_VERSION + 1, supported: PROTOCOL_VERSION },
      },
      { kind: 'close' },
    ]);
    for (const event of [{ kind: 'closed' }, { kind: 'opened' }] as const) expect(replica.step(event)).toEqual([]);
    expect(replica.hear({ kind: 'welcome', version: PROTOCOL_VERSION, ...keys })).toEqual([]);
    expect(replica.state.kind).toBe('refused');

    const relay = createRelay();
    expect(relay.hear({ ...hello, version: PROTOCOL_VERSION + 1 })).toContainEqual({
      kind: 'close',
      code: CLOSE.versionUnsupported,
      reason: 'VERSION_UNSUPPORTED',
    });
    expect(relay.state.kind).toBe('closed');
  });

  test('[SY1] a room of another configuration is refused', () => {
    const relay = createRelay();
    const roomId = deriveRoomId(room.hash, 'team', { history: 'full', encrypted: false });
    expect(relay.hear({ ...hello, roomId })).toContainEqual({
      kind: 'close',
      code: CLOSE.roomConfigMismatch,
      reason: 'ROOM_CONFIG_MISMATCH',
    });
  });

  test('[SY1] a denied replica is told why and let go, also while it is connected', () => {
    for (const relay of [createRelay(), createRelay()]) {
      relay.hear(hello);
      const effects = relay.step({ kind: 'denied', code: 'UNAUTHORIZED', facts: { reason: 'no' } });
      expect(effects).toEqual([
        { kind: 'send', message: { kind: 'fault', code: 'UNAUTHORIZED', facts: { reason: 'no' } } },
        { kind: 'close', code: CLOSE.notAllowed, reason: 'UNAUTHORIZED' },
      ]);
    }
    const live = createRelay();
    live.admit(undefined);
    live.step({ kind: 'denied', code: 'UNAUTHORIZED', facts: {} });
    expect(live.state.kind).toBe('closed');
  });
});

describe('catching up', () => {
  test.each([
    ['says that it has', { kind: 'caught-up', position: positionAt(3, 40), vector: new Map() } as const],
    ['shows by its root that it has', { kind: 'ack', seqs: [], position: positionAt(3, 40) } as const],
  ])('[AE6] a vector is not adopted where the relay %s less by then, though roots are equal', (_, message) => {
    const replica = createReplica();
    replica.connect({ resumed: true });
    replica.hear({ kind: 'caught-up', position: positionAt(3), vector: new Map([[other, 1]]) });
    replica.hear(message);
    expect(kindsOf(replica.step({ kind: 'acknowledged', standing: standingAt(40) }))).not.toContain('adopt');
    expect(replica.state).toMatchObject({ kind: 'live', settled: true });
  });

  test('[SY2] by cursor: pages are cursors, the end is live, equal roots are settled and adopt the vector', () => {
    const replica = createReplica();
    expect(kindsOf(replica.connect({ resumed: true }))).toEqual([
      'trust',
      'check-identity',
      'read-incoming',
      'read-outbox',
    ]);
    expect(replica.state).toMatchObject({ kind: 'catching-up', by: 'cursor' });
    const page = { kind: 'deltas', position: { ...positionAt(2), root: undefined }, deltas: [theirs.bytes] } as const;
    expect(replica.hear(page)).toEqual([{ kind: 'accept', deltas: [theirs.bytes], cursor: cursorAt(2) }]);
    expect(replica.step({ kind: 'accepted', standing: standingAt(9) })).toEqual([]);
    const vector = new Map([[other, 1]]);
    const end = replica.hear({ kind: 'caught-up', position: positionAt(3), vector });
    expect(end).toEqual([{ kind: 'acknowledge', seqs: [], cursor: undefined }]);
    expect(replica.state).toMatchObject({ kind: 'live', settled: false });
    expect(replica.step({ kind: 'acknowledged', standing: standingAt(50) })).toEqual([
      { kind: 'adopt', vector, cursor: cursorAt(3) },
    ]);
    expect(replica.state).toMatchObject({ kind: 'live', settled: true });
    // Adopted once: a later look has nothing new to say, and asks whether the relay has.
    const probe = { kind: 'send', message: { kind: 'probe' } };
    expect(replica.step({ kind: 'check', standing: standingAt(50), nowMs: 0 })).toEqual([probe]);
  });

  test('[SY3] by vector: deltas are no cursor, the relay is sent what it lacks, and then roots decide', () => {
    const replica = createReplica();
    expect(kindsOf(replica.connect({ resumed: false }))).toContain('read-vector');
    const vector = new Map([[me, 4]]);
    expect(replica.step({ kind: 'vector-read', vector })).toEqual([
      { kind: 'send', message: { kind: 'pull', vector } },
    ]);
    expect(replica.hear({ kind: 'deltas', position: undefined, deltas: [theirs.bytes] })).toEqual([
      { kind: 'accept', deltas: [theirs.bytes], cursor: undefined },
    ]);
    // What is committed meanwhile is forwarded with a position that says nothing of what is still to come.
    expect(replica.hear({ kind: 'deltas', position: positionAt(40), deltas: [theirs.bytes] })).toEqual([
      { kind: 'accept', deltas: [theirs.bytes], cursor: undefined },
    ]);
    const theirVector = new Map([[me, 3]]);
    expect(replica.hear({ kind: 'vector', vector: theirVector })).toEqual([
      { kind: 'read-beyond', cursor: { vector: theirVector, of: 'named', after: new Uint8Array() } },
    ]);
    const next = { vector: theirVector, of: 'named', after: filled(16, 1) } as const;
    const pulled = theirVector;
    expect(replica.step({ kind: 'beyond-read', deltas: [mine.bytes], next, pulled, vector })).toEqual([
      { kind: 'send', message: { kind: 'push', repair: true, deltas: [mine.bytes] } },
      { kind: 'read-beyond', cursor: next },
    ]);
    // It names what is not as it was pulled, and says with that what is.
    replica.hear({ kind: 'caught-up', position: positionAt(41), vector: new Map([[other, 1]]) });
    expect(replica.step({ kind: 'acknowledged', standing: standingAt(50) })).toEqual([
      { kind: 'adopt', vector: new Map([...vector, [other, 1]]), cursor: cursorAt(41) },
    ]);
  });

  test('[SY3] the relay answers a pull page by page, then what it lacks, then where it stands', () => {
    const relay = createRelay();
    relay.admit(undefined);
    const vector = new Map([[me, 1]]);
    const start = { vector, of: 'all', after: new Uint8Array() };
    expect(relay.hear({ kind: 'pull', vector })).toEqual([{ kind: 'read-beyond', cursor: start }]);
    const next = { vector, of: 'all', after: filled(16, 1) } as const;
    const deltas = [theirs.bytes];
    const outOfOrder = { kind: 'send', message: { kind: 'deltas', position: undefined, deltas } } as const;
    expect(relay.step({ kind: 'beyond-read', deltas, next, pulled: vector, vector: new Map() })).toEqual([
      outOfOrder,
      { kind: 'read-beyond', cursor: next },
    ]);
    expect(relay.step({ kind: 'beyond-read', deltas, next: undefined, pulled: vector, vector })).toEqual([
      outOfOrder,
      { kind: 'send', message: { kind: 'vector', vector } },
      { kind: 'finish-beyond', pulled: vector },
    ]);
    const done = { kind: 'beyond-done', position: positionAt(4) } as const;
    const saidOf = (pulled: Map<ReplicaId, number>, own: Map<ReplicaId, number>): unknown => {
      const [effect] = relay.step({ ...done, pulled, vector: own });
      return effect;
    };
    const caughtUp = (own: Map<ReplicaId, number>): unknown => ({
      kind: 'send',
      message: { kind: 'caught-up', position: positionAt(4), vector: own },
    });
    expect(saidOf(vector, vector), 'as pulled').toEqual(caughtUp(new Map()));
    expect(saidOf(vector, new Map([...vector, [other, 2]]))).toEqual(caughtUp(new Map([[other, 2]])));
    expect(saidOf(vector, new Map([[me, 3]]))).toEqual(caughtUp(new Map([[me, 3]])));
    expect(saidOf(vector, new Map()), 'unknown here').toEqual(caughtUp(new Map([[me, 0]])));
  });

  test('[SY2] a replaying relay reads what is committed, and does not forward it', () => {
    const relay = createRelay();
    expect(kindsOf(relay.admit(2))).toEqual(['send admitted', 'joined', 'read-introduction', 'read-log']);
    const committed = {
      kind: 'committed',
      deltas: [{ bytes: theirs.bytes, via: filled(32, 4) }],
      position: positionAt(9),
      tells: true,
    } as const;
    expect(relay.step(committed)).toEqual([]);
    const page = { deltas: [theirs.bytes], vector: new Map(), met: [other] };
    const end = { offset: 5, roll: filled(8, 5) };
    expect(relay.step({ kind: 'log-read', ...page, end, caughtUp: undefined })).toEqual([
      { kind: 'send', message: { kind: 'deltas', position: { ...end, root: undefined }, deltas: page.deltas } },
      { kind: 'read-log', after: 5, met: [other] },
    ]);
    const last = { offset: 9, roll: filled(8, 9) };
    const vector = new Map([[other, 1]]);
    expect(kindsOf(relay.step({ kind: 'log-read', ...page, end: last, caughtUp: positionAt(9), vector }))).toEqual([
      'send deltas',
      'send caught-up',
    ]);
    expect(relay.state.kind).toBe('live');
    expect(kindsOf(relay.step(committed))).toEqual(['send deltas']);
  });

  test('[SY2] a page in which nothing stands any more is not sent', () => {
    const relay = createRelay();
    relay.admit(2);
    const nothing = { deltas: [], vector: new Map(), met: [other], end: { offset: 5, roll: filled(8, 5) } };
    expect(kindsOf(relay.step({ kind: 'log-read', ...nothing, caughtUp: undefined }))).toEqual(['read-log']);
  });

  test('[SY6] an acknowledgement inside a catch-up is no cursor, one in live is', () => {
    const replica = createReplica();
    replica.connect({ resumed: true });
    const ack = { kind: 'ack', seqs: [1], position: positionAt(60) } as const;
    expect(replica.hear(ack)).toEqual([{ kind: 'acknowledge', seqs: [1], cursor: undefined }]);
    replica.hear({ kind: 'caught-up', position: positionAt(3), vector: new Map() });
    expect(replica.hear(ack)).toEqual([{ kind: 'acknowledge', seqs: [1], cursor: cursorAt(60) }]);
    expect(replica.state).toMatchObject({ kind: 'live', position: positionAt(60) });
  });

  test('[SY2] no disconnection leaves anything behind', () => {
    const replica = createReplica();
    replica.goLive(50);
    replica.step({ kind: 'closed' });
    expect(replica.state).toEqual(offline(config, me));
    expect(replica.hear({ kind: 'deltas', position: positionAt(9), deltas: [theirs.bytes] })).toEqual([]);
  });
});

describe('in sync', () => {
  test('[SY5] not while something waits in the outbox, whatever the roots say', () => {
    const replica = createReplica();
    replica.goLive(50);
    expect(replica.step({ kind: 'acknowledged', standing: standingAt(50, 1) })).toEqual([]);
    expect(replica.state).toMatchObject({ kind: 'live', settled: false });
    expect(replica.step({ kind: 'acknowledged', standing: standingAt(51, 1) })).toEqual([]);
    replica.step({ kind: 'acknowledged', standing: standingAt(50) });
    expect(replica.state).toMatchObject({ settled: true });
    expect(kindsOf(replica.step({ kind: 'sealed', deltas: [mine.bytes], fromSeq: 1 }))).toEqual(['send push']);
    expect(replica.state).toMatchObject({ settled: false });
  });

  test('[SY4][SY5] unequal roots are compared, and equal ones after it are settled', () => {
    const replica = createReplica();
    replica.goLive(50);
    expect(replica.step({ kind: 'acknowledged', standing: standingAt(9) })).toEqual([{ kind: 'open-diff' }]);
    const opened = { kind: 'diff-opened', salt: saltOf(1), root: filled(32, 9), entries: [] } as const;
    expect(replica.step(opened)).toEqual([{ kind: 'send', message: { ...opened, kind: 'diff' } }]);
    const diff = {
      kind: 'diff',
      salt: saltOf(1),
      root: filled(32, 50),
      entries: [{ kind: 'want', slot: 'a' as never }],
    } as const;
    expect(replica.hear(diff)).toEqual([{ kind: 'answer-diff', bytesMax: 1_000_000, message: diff }]);
    const answer = {
      kind: 'diff-answered',
      salt: saltOf(1),
      root: filled(32, 9),
      entries: [],
      deltas: [mine.bytes],
    } as const;
    expect(replica.step(answer)).toEqual([
      { kind: 'send', message: { kind: 'push', repair: true, deltas: [mine.bytes] } },
    ]);
    replica.hear({ kind: 'ack', seqs: [], position: positionAt(4, 9) });
    expect(replica.state).toMatchObject({ kind: 'live', settled: false });
    replica.step({ kind: 'acknowledged', standing: standingAt(9) });
    expect(replica.state).toMatchObject({ kind: 'live', settled: true });
  });

  test('[SY4] a pass goes on as long as there is something to say', () => {
    const replica = createReplica();
    replica.goLive(50);
    replica.step({ kind: 'acknowledged', standing: standingAt(9) });
    const salt = replica.open(1);
    const entries = [{ kind: 'want', slot: 'a' as never }] as const;
    for (let round = 0; round < 80; round++) {
      const effects = replica.hear({ kind: 'diff', salt, root: filled(32, 50), entries });
      expect(kindsOf(effects)).toEqual(['answer-diff diff']);
      const answer = replica.step({ kind: 'diff-answered', salt, root: filled(32, 9), entries, deltas: [] });
      // A peer that never comes to an end is not followed for ever.
      expect(kindsOf(answer)).toEqual(round < 79 ? ['send diff'] : ['acknowledge']);
    }
    expect(replica.state.kind).toBe('live');
  });

  test('[SY4] a diff of another pass, or none that was asked for, is passed over', () => {
    const replica = createReplica();
    replica.goLive(50);
    const diff = { kind: 'diff', salt: saltOf(3), root: filled(32, 50), entries: [] } as const;
    expect(replica.hear(diff)).toEqual([]);
    replica.step({ kind: 'acknowledged', standing: standingAt(9) });
    expect(replica.hear(diff), 'before this pass was opened').toEqual([]);
    replica.open(4);
    expect(replica.hear(diff)).toEqual([]);
    expect(kindsOf(replica.hear({ ...diff, salt: saltOf(4) }))).toEqual(['answer-diff diff']);
  });

  test('[MK7] passes that move nothing are tried again with a salt of their own, a few times, and then wait for a check', () => {
    const replica = createReplica();
    replica.goLive(50);
    let opened = 0;
    for (let pass = 0; pass < 10; pass++) {
      replica.step({ kind: 'acknowledged', standing: standingAt(9) });
      if (replica.state.kind !== 'comparing') break;
      expect(replica.state.salt).toBeUndefined();
      const salt = replica.open(opened++);
      replica.hear({ kind: 'diff', salt, root: filled(32, 50), entries: [] });
      replica.step({ kind: 'diff-answered', salt, root: filled(32, 9), entries: [], deltas: [] });
    }
    expect(opened).toBe(4);
    expect(replica.step({ kind: 'check', standing: standingAt(9), nowMs: 0 })).toEqual([{ kind: 'open-diff' }]);
  });

  test('[SY4][SY7] a relay that refuses what a pass sends it is not sent it without end', () => {
    const replica = createReplica();
    replica.goLive(50);
    let pushes = 0;
    for (let pass = 0; pass < 20; pass++) {
      replica.step({ kind: 'acknowledged', standing: standingAt(9) });
      if (replica.state.kind !== 'comparing') break;
      const salt = replica.open(pass);
      replica.hear({ kind: 'diff', salt, root: filled(32, 50), entries: [] });
      replica.step({ kind: 'diff-answered', salt, root: filled(32, 9), entries: [], deltas: [theirs.bytes] });
      pushes++;
      replica.hear({ kind: 'refused', replica: other, seq: 1, code: 'CLOCK_AHEAD', facts: {} });
      replica.hear({ kind: 'ack', seqs: [], position: positionAt(3, 50) });
    }
    expect(pushes).toBe(4);
  });

  test('[SY4] a pass that moves something is followed by as many as it takes', () => {
    const replica = createReplica();
    replica.goLive(50);
    for (let pass = 0; pass < 8; pass++) {
      expect(replica.step({ kind: 'acknowledged', standing: standingAt(9) })).toEqual([{ kind: 'open-diff' }]);
      const salt = replica.open(pass);
      replica.hear({ kind: 'diff', salt, root: filled(32, 50 + pass), entries: [] });
      replica.step({ kind: 'diff-answered', salt, root: filled(32, 9), entries: [], deltas: [theirs.bytes] });
      replica.hear({ kind: 'ack', seqs: [], position: positionAt(4 + pass, 51 + pass) });
    }
  });

  test('[SY5] live deltas move the cursor and where the relay is known to stand', () => {
    const replica = createReplica();
    replica.goLive(50);
    const deltas = [theirs.bytes];
    expect(replica.hear({ kind: 'deltas', position: undefined, deltas })).toEqual([
      { kind: 'accept', deltas, cursor: undefined },
    ]);
    expect(replica.hear({ kind: 'deltas', position: positionAt(8, 60), deltas })).toEqual([
      { kind: 'accept', deltas, cursor: cursorAt(8) },
    ]);
    replica.step({ kind: 'accepted', standing: standingAt(60) });
    expect(replica.state).toMatchObject({ kind: 'live', settled: true, position: positionAt(8, 60) });
  });
});

describe('pushing', () => {
  const verdictOf = (
    relay: ReturnType<typeof createRelay>,
    push: Partial<ReplicaMessage & { kind: 'push' }>,
    nowMs?: number,
  ) => relay.hear({ kind: 'push', repair: false, deltas: [], ...push }, nowMs);

  test('[SY9] own additive deltas are vouched for by the connection, all others are verified', () => {
    const relay = createRelay();
    relay.admit(undefined);
    const replacing = makeDelta({ replica: me, seq: 2, hlc: 20, context: contextOf([[other, 8]]) });
    const effects = verdictOf(relay, { deltas: [mine.bytes, replacing.bytes, theirs.bytes] });
    expect(effects).toEqual([
      {
        kind: 'accept-push',
        deltas: [
          { delta: mine, verify: false, from: 'author' },
          { delta: replacing, verify: true, from: 'author' },
          { delta: theirs, verify: true, from: 'others' },
        ],
        stubs: [],
        bytes: mine.bytes.length + replacing.bytes.length + theirs.bytes.length,
      },
    ]);
  });

  test('[CX7] what repairs is from others, whoever wrote it', () => {
    const relay = createRelay();
    relay.admit(undefined);
    expect(verdictOf(relay, { repair: true, deltas: [mine.bytes] })).toMatchObject([
      { deltas: [{ from: 'others', verify: false }] },
    ]);
  });

  test('[HLC4][SY8] a delta from too far ahead is handed on with how far, as it may have been taken before', () => {
    const relay = createRelay();
    relay.admit(undefined);
    const { clockAheadMsMax } = defaultLimits;
    const ahead = makeDelta({ replica: me, seq: 5, hlc: hlcFromMs(1_000 + clockAheadMsMax + 1) });
    const within = makeDelta({ replica: me, seq: 6, hlc: hlcFromMs(1_000 + clockAheadMsMax) });
    expect(verdictOf(relay, { deltas: [ahead.bytes, within.bytes] }, 1_000)).toEqual([
      {
        kind: 'accept-push',
        deltas: [
          { delta: ahead, verify: false, from: 'author', aheadMs: clockAheadMsMax + 1 },
          { delta: within, verify: false, from: 'author' },
        ],
        stubs: [],
        bytes: ahead.bytes.length + within.bytes.length,
      },
    ]);
  });

  test('[SY7] bytes that are no delta are answered by a fault, the others of their push are taken', () => {
    const relay = createRelay();
    relay.admit(undefined);
    const wrongRoom = mine.bytes.slice();
    wrongRoom[1] = (wrongRoom[1] as number) ^ 1;
    const effects = verdictOf(relay, {
      deltas: [filled(9, 9), wrongRoom, concatBytes(mine.bytes, filled(1, 0)), mine.bytes],
    });
    expect(
      effects.map((effect) =>
        effect.kind === 'send' && effect.message.kind === 'fault' ? effect.message.code : effect.kind,
      ),
    ).toEqual(['DELTA_MALFORMED', 'WRONG_ROOM', 'DELTA_MALFORMED', 'accept-push']);
    expect(relay.state.kind).toBe('live');
  });

  test('[SY6][SY7] refusals go to the sender with dot and code, and then the acknowledgement with the position', () => {
    const relay = createRelay();
    relay.admit(undefined);
    const refusal = { replica: me, seq: 2, code: 'DOT_REUSED', facts: {} } as const;
    expect(
      relay.step({
        kind: 'pushed',
        seqs: [1],
        refusals: [refusal],
        position: positionAt(7),
        bytes: 0,
        logged: 0,
        tells: true,
      }),
    ).toEqual([
      { kind: 'send', message: { kind: 'refused', ...refusal } },
      { kind: 'send', message: { kind: 'ack', seqs: [1], position: positionAt(7) } },
    ]);
    const replica = createReplica();
    replica.goLive(50);
    const refused = { kind: 'refused', ...refusal } as const;
    expect(replica.hear(refused)).toEqual([{ kind: 'withdraw', refused }]);
    expect(replica.state.kind).toBe('live');
  });

  test('[SY8] a push of nothing new is acknowledged all the same', () => {
    const relay = createRelay();
    relay.admit(undefined);
    expect(verdictOf(relay, {})).toEqual([{ kind: 'accept-push', deltas: [], stubs: [], bytes: 0 }]);
    expect(
      kindsOf(
        relay.step({
          kind: 'pushed',
          seqs: [1],
          refusals: [],
          position: positionAt(7),
          bytes: 0,
          logged: 0,
          tells: true,
        }),
      ),
    ).toEqual(['send ack']);
  });

  test('[SY1] rights: who may not write is refused, and pushes nothing by itself', () => {
    const relay = createRelay();
    relay.admit(undefined, ['read']);
    for (const message of [
      { kind: 'push', repair: false, deltas: [mine.bytes] },
      { kind: 'certificates', certificates: [] },
    ] as const)
      expect(kindsOf(relay.hear(message))).toEqual(['send fault']);
    expect(kindsOf(relay.hear({ kind: 'pull', vector: new Map() }))).toEqual(['read-beyond']);

    const replica = createReplica();
    expect(kindsOf(replica.connect({ resumed: true, rights: ['read'] }))).toEqual([
      'trust',
      'check-identity',
      'read-incoming',
    ]);
    replica.hear({ kind: 'caught-up', position: positionAt(3), vector: new Map() });
    expect(replica.step({ kind: 'sealed', deltas: [mine.bytes], fromSeq: 1 })).toEqual([]);
    expect(
      replica.step({
        kind: 'beyond-read',
        deltas: [mine.bytes],
        next: undefined,
        pulled: new Map(),
        vector: new Map(),
      }),
    ).toEqual([]);
    expect(createRelayWithout('read').hear({ kind: 'pull', vector: new Map() })).toMatchObject([
      { message: { kind: 'fault', code: 'UNAUTHORIZED' } },
    ]);
  });

  test('[SY25] who may only write is told nothing of others, and its pushes are answered by numbers', () => {
    const relay = createRelay();
    relay.step({ kind: 'opened' });
    relay.hear(hello);
    const facts = { rights: ['write'], certificate: undefined, lastSeq: 4, lastId: undefined } as const;
    const log = { end: 5, ahead: { deltas: 3, bytes: 900 }, present: [other] };
    for (const after of [0, undefined]) {
      const fresh = createRelay();
      fresh.step({ kind: 'opened' });
      fresh.hear(hello);
      const effects = fresh.step({ kind: 'authenticated', replica: me, after, ...facts, ...log });
      expect(kindsOf(effects)).toEqual(['send admitted', 'joined']);
      expect(effects[0]).toMatchObject({ message: { resumed: true, lastSeq: 4 } });
    }
    relay.step({ kind: 'authenticated', replica: me, after: 0, ...facts, ...log });
    const position = positionAt(9);
    const committed = { kind: 'committed', deltas: [{ bytes: theirs.bytes, via: undefined }], position } as const;
    for (const tells of [true, false]) expect(relay.step({ ...committed, tells })).toEqual([]);
    expect(relay.step({ ...committed, deltas: [], tells: true })).toEqual([]);
    expect(relay.step({ kind: 'overtaken', after: 2 })).toEqual([]);
    for (const message of [
      { kind: 'peer', replica: other, present: true },
      { kind: 'certificates', certificates: [] },
      { kind: 'heads', statements: [] },
      { kind: 'presence', replica: other, tab: 1, keyId: theirs.keyId, state: filled(1, 1) },
    ] as const)
      expect(relay.step({ kind: 'forward', message })).toEqual([]);
    expect(kindsOf(relay.hear({ kind: 'push', repair: false, deltas: [mine.bytes] }))).toEqual(['accept-push']);
    for (const tells of [true, false])
      expect(relay.step({ kind: 'pushed', seqs: [1], refusals: [], position, bytes: 0, logged: 1, tells })).toEqual([
        { kind: 'send', message: { kind: 'ack', seqs: [1], position: undefined } },
      ]);
    expect(relay.step({ kind: 'position-due', position })).toEqual([]);
  });

  test('[SY25] who may only write asks for nothing, and is in sync when all that it wrote is acknowledged', () => {
    const replica = createReplica();
    const effects = replica.connect({ resumed: false, rights: ['write'] });
    expect(kindsOf(effects)).toEqual(['trust', 'check-identity', 'read-outbox', 'acknowledge']);
    const settledBy = (outbox: number): unknown => {
      replica.step({ kind: 'acknowledged', standing: { root: filled(32, 50), outbox } });
      return replica.state.kind === 'live' && replica.state.settled;
    };
    expect([settledBy(0), settledBy(1)]).toEqual([true, false]);
    expect(kindsOf(replica.step({ kind: 'sealed', deltas: [mine.bytes], fromSeq: 1 }))).toEqual(['send push']);
    expect(replica.hear({ kind: 'ack', seqs: [1], position: undefined })).toEqual([
      { kind: 'acknowledge', seqs: [1], cursor: undefined },
    ]);
    expect(settledBy(0)).toBe(true);
    const check = { kind: 'check', standing: { root: filled(32, 50), outbox: 0 } } as const;
    for (const nowMs of [60_000, 600_000]) expect(replica.step({ ...check, nowMs })).toEqual([]);
  });

  test('[SY6, SY17] the outbox is read page by page, each when the one before it was answered, and pushed as own', () => {
    const replica = createReplica();
    replica.connect({ resumed: true });
    expect(replica.step({ kind: 'outbox-read', deltas: [mine.bytes], nextSeq: 2 })).toEqual([
      { kind: 'send', message: { kind: 'push', repair: false, deltas: [mine.bytes] } },
    ]);
    const position = { offset: 1, roll: new Uint8Array(8), root: new Uint8Array(32) };
    const answered = replica.step({ kind: 'message', message: { kind: 'ack', seqs: [], position }, nowMs: 0 });
    expect(answered).toContainEqual({ kind: 'read-outbox', fromSeq: 2 });
    expect(replica.step({ kind: 'outbox-read', deltas: [], nextSeq: undefined })).toEqual([]);
  });

  test('[SY13] many deltas go in messages that fit a frame, in order', () => {
    const replica = createReplica();
    replica.goLive(50);
    const deltas = Array.from({ length: 1_500 }, (_, i) => filled(i % 7 === 0 ? 4_000 : 100, 1));
    const sent = replica
      .step({ kind: 'sealed', deltas, fromSeq: 1 })
      .flatMap((effect) => (effect.kind === 'send' ? [effect.message] : []));
    const chunks = sent.map((message) => (message.kind === 'push' ? message.deltas : []));
    expect(chunks.flat().map((delta, i) => delta === deltas[i])).not.toContain(false);
    expect(chunks.flat()).toHaveLength(deltas.length);
    for (const chunk of chunks) {
      expect(chunk.length).toBeLessThanOrEqual(defaultLimits.deltasPerMessageMax);
      expect(concatBytes(...chunk).length).toBeLessThan(defaultLimits.frameBytesMax);
    }
    const large = makeDelta({ replica: me, seq: 2, hlc: 10, text: 'x'.repeat(500_000) });
    const stub = deltaToStub(room.hash, room.roomId, large);
    expect(replica.step({ kind: 'sealed', deltas: [mine.bytes, large.bytes, mine.bytes], fromSeq: 1 })).toEqual([
      { kind: 'send', message: { kind: 'push', repair: false, deltas: [mine.bytes, stub, mine.bytes] } },
    ]);
  });

  describe('with stubs that were offered', () => {
    const PARTS = 20;
    const large = [1, 2].map((seq) =>
      makeDelta({ replica: me, seq, hlc: 20 + seq, text: 'x'.repeat((PARTS - 1) * PART_BYTES) }),
    ) as [Delta, Delta];
    const stubs = large.map((delta) => deltaToStub(room.hash, room.roomId, delta));
    const ack = (...seqs: number[]) => ({ kind: 'ack', seqs, position: positionAt(1) }) as const;
    const want = (from: number, count: number, delta = large[0]) =>
      ({ kind: 'want', wanted: [{ trieKey: trieKeyOf(delta), from, count }] }) as const;

    function offer() {
      const replica = createReplica();
      replica.goLive(50);
      replica.step({ kind: 'sealed', deltas: [], fromSeq: 1 });
      expect(replica.step({ kind: 'outbox-read', deltas: [stubs[0] as Uint8Array], nextSeq: 2 })).toHaveLength(1);
      return replica;
    }

    test('[SY17] the outbox is read no further until most of their parts were asked for, and those go first', () => {
      const replica = offer();
      expect(kindsOf(replica.hear(ack()))).toEqual(['acknowledge']);
      expect(kindsOf(replica.hear(want(0, 4)))).toEqual(['read-parts']);
      expect(kindsOf(replica.hear(want(4, 1)))).toEqual(['read-parts', 'read-outbox']);
    });

    test('[SY17, SY18] what the relay has from an earlier connection counts as asked for', () => {
      expect(kindsOf(offer().hear(want(PARTS - 4, 1)))).toEqual(['read-parts', 'read-outbox']);
    });

    test.each<[string, RelayMessage]>([
      ['acknowledged', ack(1)],
      ['refused', { kind: 'refused', replica: me, seq: 1, code: 'CLOCK_AHEAD', facts: {} }],
    ])('[SY17] one that is %s is waited for no more', (_, message) => {
      expect(kindsOf(offer().hear(message))).toContain('read-outbox');
    });

    test('[SY17] nor is one that we do not hold any more', () => {
      const replica = offer();
      replica.hear(want(0, 1));
      const lost = { kind: 'part', trieKey: trieKeyOf(large[0]), index: 0, bytes: new Uint8Array() } as const;
      expect(kindsOf(replica.step({ kind: 'parts-read', parts: [lost] }))).toEqual(['send part', 'read-outbox']);
    });

    test('[SY17] a small delta that is sealed meanwhile goes at once, a large one from the outbox in its time', () => {
      const replica = createReplica();
      replica.goLive(50);
      expect(kindsOf(replica.step({ kind: 'sealed', deltas: [large[0].bytes], fromSeq: 1 }))).toEqual(['send push']);
      expect(kindsOf(replica.step({ kind: 'sealed', deltas: [mine.bytes], fromSeq: 3 }))).toEqual(['send push']);
      expect(replica.step({ kind: 'sealed', deltas: [large[1].bytes], fromSeq: 2 })).toEqual([]);
      expect(replica.hear(want(0, 16))).toContainEqual({ kind: 'read-outbox', fromSeq: 2 });
    });

    test('[SY17] what is sealed and does not come along is read from the outbox', () => {
      const replica = createReplica();
      replica.goLive(50);
      expect(replica.step({ kind: 'sealed', deltas: [], fromSeq: 4 })).toEqual([{ kind: 'read-outbox', fromSeq: 4 }]);
    });

    test('[SY19] one that is not answered is pushed again over another connection', () => {
      const replica = offer();
      replica.hear(want(0, 16));
      replica.step({ kind: 'outbox-read', deltas: [], nextSeq: undefined });
      const later = { kind: 'check', standing: standingAt(50, 1), nowMs: defaultLimits.stallMsMax + 1 } as const;
      expect(kindsOf(replica.step(later))).toEqual(['reconnect']);
    });
  });

  function createRelayWithout(right: 'read' | 'write'): ReturnType<typeof createRelay> {
    const relay = createRelay();
    relay.admit(
      undefined,
      (['read', 'write'] as const).filter((each) => each !== right),
    );
    return relay;
  }
});

describe('forwarding', () => {
  const here = keys.challenge;
  const elsewhere = filled(32, 4);
  const committed = (via: readonly (Uint8Array | undefined)[], bytes = theirs.bytes) =>
    ({
      kind: 'committed',
      deltas: via.map((each) => ({ bytes, via: each })),
      position: positionAt(9),
      tells: true,
    }) as const;

  test('[SY6] what is committed goes to all but the one it came from, with the position', () => {
    const relay = createRelay();
    relay.admit(undefined);
    const deltas = [theirs.bytes];
    const message = { kind: 'deltas', position: positionAt(9), deltas } as const;
    expect(relay.step(committed([elsewhere]))).toEqual([{ kind: 'send', message }]);
    expect(relay.step(committed([undefined]))).toEqual([{ kind: 'send', message }]);
    expect(relay.step(committed([here]))).toEqual([]);
    expect(relay.step(committed([here, elsewhere]))).toEqual([{ kind: 'send', message }]);
  });

  test.each([
    ['nothing but what it pushed was committed', 2, 7],
    ['something of another stands between', 1, 5],
  ])('[SY6] who is read the log later on is not read what it pushed itself, where %s', (_, logged, after) => {
    const relay = createRelay();
    relay.step({ kind: 'opened' });
    relay.hear(hello);
    const facts = {
      certificate: undefined,
      lastSeq: 0,
      lastId: undefined,
      certificates: [],
      heads: [],
      end: 5,
      ahead: NOTHING,
      present: [],
    };
    relay.step({ kind: 'authenticated', replica: me, rights: ['read', 'write'], after: undefined, ...facts });
    relay.hear({ kind: 'pull', vector: new Map() });
    relay.step({ kind: 'pushed', seqs: [1, 2], refusals: [], position: positionAt(7), bytes: 9, logged, tells: true });
    expect(relay.state).toMatchObject({ kind: 'replaying', after });
  });

  test('[SY6] of a batch in several messages only the last one says the position', () => {
    const relay = createRelay();
    relay.admit(undefined);
    const effects = relay.step(committed([elsewhere, elsewhere, elsewhere, elsewhere, elsewhere], filled(65_000, 1)));
    const positions = effects.map((effect) =>
      effect.kind === 'send' && effect.message.kind === 'deltas' ? effect.message.position : 'none',
    );
    expect(positions).toEqual([undefined, undefined, positionAt(9)]);
  });

  test('[SY10] [AE6] when something was taken out, everybody is told where the room stands, and no vector', () => {
    const relay = createRelay();
    relay.admit(undefined);
    expect(relay.step(committed([]))).toEqual([
      { kind: 'send', message: { kind: 'caught-up', position: positionAt(9), vector: new Map() } },
    ]);
    const replica = createReplica();
    replica.goLive(50);
    replica.hear({ kind: 'deltas', position: positionAt(9), deltas: [] });
    expect(replica.state).toMatchObject({ position: positionAt(9) });
  });

  test('[SY12] presence goes to the others under the name of its sender, whatever it says', () => {
    const relay = createRelay();
    relay.admit(undefined);
    const presence = {
      kind: 'presence',
      replica: other,
      tab: 1,
      keyId: 'c'.repeat(32) as never,
      state: filled(2, 1),
    } as const;
    expect(relay.hear(presence)).toEqual([{ kind: 'broadcast', message: { ...presence, replica: me } }]);
    const replica = createReplica();
    replica.goLive(50);
    expect(replica.hear(presence)).toEqual([{ kind: 'show', message: presence }]);
    const peer = { kind: 'peer', replica: other, present: false } as const;
    expect(replica.hear(peer)).toEqual([{ kind: 'show', message: peer }]);
  });

  test('[SY11] a head statement counts from its own replica only', () => {
    const relay = createRelay();
    relay.admit(undefined);
    const statement = {
      replica: me,
      timeMs: 1,
      root: filled(32, 1),
      headsRoot: filled(32, 2),
      vector: new Map(),
      signature: filled(64, 3),
    };
    expect(relay.hear({ kind: 'head', statement })).toEqual([{ kind: 'accept-head', statement }]);
    expect(kindsOf(relay.hear({ kind: 'head', statement: { ...statement, replica: other } }))).toEqual(['send fault']);
    const replica = createReplica();
    replica.goLive(50);
    const statements = [statement];
    expect(replica.hear({ kind: 'heads', statements })).toEqual([{ kind: 'store-heads', statements }]);
  });

  test('[SY10] a forged delta is reported by its trie key, and looked at by the relay', () => {
    const replica = createReplica();
    replica.goLive(50);
    const trieKey = filled(64, 1);
    const report = { kind: 'report', trieKey } as const;
    expect(replica.step({ kind: 'accepted', standing: standingAt(50), forged: [trieKey] })).toEqual([
      { kind: 'send', message: report },
    ]);
    const relay = createRelay();
    relay.admit(undefined);
    expect(relay.hear(report)).toEqual([{ kind: 'check-reported', trieKey }]);
  });

  const certificate = { publicKey: filled(32, 1), issuedAtMs: 1, issuer: filled(32, 9), signature: filled(64, 1) };

  test('[SG3] a newcomer is told of the replicas of the room a page at a time, and reads the log after the last', () => {
    const relay = createRelay();
    relay.step({ kind: 'opened' });
    relay.hear(hello);
    const facts = { rights: ['read'], certificate: undefined, lastSeq: 0, lastId: undefined, present: [] } as const;
    const log = { end: 5, ahead: NOTHING, after: 2 };
    const begin = { of: 'certificates', after: new Uint8Array() } as const;
    const admitted = relay.step({ kind: 'authenticated', replica: me, ...facts, ...log });
    expect(admitted.at(-1)).toEqual({ kind: 'read-introduction', at: begin });
    const next = { of: 'heads', after: new Uint8Array() } as const;
    const page = { kind: 'introduction-read', certificates: [certificate], heads: [] } as const;
    expect(relay.step({ ...page, next })).toEqual([
      { kind: 'send', message: { kind: 'certificates', certificates: [certificate] } },
      { kind: 'read-introduction', at: next },
    ]);
    const statement = {
      timeMs: 5,
      root: filled(32, 1),
      headsRoot: filled(32, 2),
      vector: new Map(),
      signature: filled(64, 3),
    };
    const heads = [me, other].map((replica) => ({ ...statement, replica }));
    expect(relay.step({ ...page, certificates: [], heads, next: undefined })).toEqual([
      { kind: 'send', message: { kind: 'heads', statements: [heads[1]] } },
      { kind: 'read-log', after: 2, met: [] },
    ]);
  });

  test('[SY19] a catch-up moves while the certificates of a large room come, a settled link does not', () => {
    const replica = createReplica();
    replica.connect({ resumed: true });
    const movedAt = (): unknown => ('movedAtMs' in replica.state ? replica.state.movedAtMs : undefined);
    for (const message of [
      { kind: 'certificates', certificates: [certificate] },
      { kind: 'heads', statements: [] },
    ] as const) {
      const nowMs = (movedAt() as number) + 20_000;
      replica.step({ kind: 'message', message, nowMs });
      expect(movedAt(), message.kind).toBe(nowMs);
    }
    const before = movedAt() as number;
    const hearLater = (message: RelayMessage) => replica.step({ kind: 'message', message, nowMs: before + 20_000 });
    hearLater({ kind: 'peer', replica: other, present: true });
    expect(movedAt()).toBe(before);
    replica.step({
      kind: 'message',
      message: { kind: 'caught-up', position: positionAt(3, 50), vector: new Map() },
      nowMs: before,
    });
    hearLater({ kind: 'certificates', certificates: [certificate] });
    expect(movedAt()).toBe(before);
  });

  test('[SG3][SG4] certificates: the issuer is the relay that was connected to; an admitted writer may show others', () => {
    const replica = createReplica();
    replica.goLive(50);
    expect(replica.hear({ kind: 'certificates', certificates: [certificate] })).toEqual([
      { kind: 'trust', issuer: keys.relayKey, certificates: [certificate] },
    ]);
    const relay = createRelay();
    relay.admit(undefined);
    expect(relay.hear({ kind: 'certificates', certificates: [certificate] })).toEqual([
      { kind: 'keep-shown', certificates: [certificate] },
    ]);
  });
});

describe('faults', () => {
  const aCertificate: Certificate = {
    publicKey: filled(32, 1),
    issuedAtMs: 1,
    issuer: filled(32, 2),
    signature: filled(64, 3),
  };
  const malformed = { kind: 'malformed', code: 'FRAME_MALFORMED', facts: {} } as const;

  test('[SY7][SY15] each is answered, the connection lives, and enough of them close it', () => {
    const relay = createRelay({ ...defaultLimits, badFramesMax: 3 });
    relay.admit(undefined);
    const fault = { kind: 'send', message: { kind: 'fault', code: 'FRAME_MALFORMED', facts: {} } };
    expect(relay.step(malformed)).toEqual([fault]);
    expect(kindsOf(relay.hear(hello))).toEqual(['send fault']);
    expect(relay.state.kind).toBe('live');
    expect(relay.step(malformed)).toEqual([
      fault,
      { kind: 'close', code: CLOSE.tooManyFaults, reason: 'FRAME_MALFORMED' },
    ]);
    expect(relay.state.kind).toBe('closed');
    expect(relay.step(malformed)).toEqual([]);
  });

  test('[SY16] a message without a fault makes up for one with, so that a long connection is not let go for a few', () => {
    const relay = createRelay({ ...defaultLimits, badFramesMax: 3 });
    relay.admit(undefined);
    for (let i = 0; i < 50; i++) {
      relay.step(malformed);
      expect(kindsOf(relay.hear({ kind: 'pull', vector: new Map() }))).toEqual(['read-beyond']);
    }
    relay.step(malformed);
    relay.step(malformed);
    expect(relay.state.kind).toBe('live');
    relay.hear({ kind: 'push', repair: false, deltas: [filled(1, 9)] });
    expect(relay.state.kind).toBe('closed');
  });

  test('[SG4] [SY16] a relay that refuses for want of certificates is shown all of them once, however often it refuses', () => {
    const replica = createReplica();
    replica.goLive(50);
    const refused = { kind: 'refused', replica: replicaOf(5), seq: 1, code: 'UNCERTIFIED', facts: {} } as const;
    expect(kindsOf(replica.hear(refused))).toEqual(['withdraw', 'read-certificates']);
    for (let i = 0; i < 5; i++) expect(kindsOf(replica.hear({ ...refused, seq: 2 + i }))).toEqual(['withdraw']);
  });

  test('[SG4] certificates are shown in messages that can be read', () => {
    const replica = createReplica();
    replica.goLive(50);
    const { replicasPerKeyMax } = defaultLimits;
    const certificates = Array<Certificate>(replicasPerKeyMax + 1).fill(aCertificate);
    const effects = replica.step({ kind: 'certificates-read', certificates });
    const counts = effects.map(
      (effect) =>
        effect.kind === 'send' && effect.message.kind === 'certificates' && effect.message.certificates.length,
    );
    expect(counts).toEqual([replicasPerKeyMax, 1]);
  });

  test('[SY7] they count before and after the hello, and inside one push', () => {
    const relay = createRelay({ ...defaultLimits, badFramesMax: 4 });
    relay.step(malformed);
    relay.admit(2);
    relay.step(malformed);
    const effects = relay.hear({
      kind: 'push',
      repair: false,
      deltas: [filled(1, 9), filled(1, 9), filled(1, 9), mine.bytes],
    });
    expect(kindsOf(effects)).toEqual(['send fault', 'send fault', 'close']);
    expect(relay.state.kind).toBe('closed');
  });

  test('[SY7] the relay tells what it refused, and the replica shows it', () => {
    const replica = createReplica();
    replica.goLive(50);
    const facts = { reason: 'x' };
    expect(replica.hear({ kind: 'fault', code: 'UNAUTHORIZED', facts })).toEqual([
      { kind: 'fault', code: 'UNAUTHORIZED', facts },
    ]);
    expect(replica.state.kind).toBe('live');
  });
});

describe('[SY24] one connection of a replica', () => {
  test('a relay tells the earlier one that its place is taken, and ends it', () => {
    const relay = createRelay();
    relay.admit(5);
    const effects = relay.step({ kind: 'displaced', replica: me });
    expect(effects).toEqual([
      { kind: 'send', message: { kind: 'fault', code: 'DOT_REUSED', facts: { replica: me } } },
      { kind: 'close', code: 4_000, reason: expect.any(String) },
    ]);
    expect(relay.state.kind).toBe('closed');
    expect(relay.hear({ kind: 'push', repair: false, deltas: [] })).toEqual([]);
  });

  test('who is told so takes another identity, at whatever point of the session', () => {
    const greeted = createReplica();
    greeted.step({ kind: 'opened' });
    greeted.hear({ kind: 'welcome', version: PROTOCOL_VERSION, ...keys });
    const admitted = createReplica();
    admitted.connect({ resumed: true });
    for (const replica of [greeted, admitted])
      expect(replica.hear({ kind: 'fault', code: 'DOT_REUSED', facts: { replica: me } })).toEqual([
        { kind: 'renew-identity' },
      ]);
  });
});

test('[SY17] a delta that is told after one of a higher number is not passed by', () => {
  const waiting = createReplica();
  waiting.connect({ resumed: true });
  waiting.hear({ kind: 'credit', bytes: -1_000_000 });
  const sealed = (fromSeq: number): ReplicaEvent => ({ kind: 'sealed', deltas: [], fromSeq });
  const reads = (effects: readonly ReplicaEffect[]) => effects.filter(({ kind }) => kind === 'read-outbox');
  waiting.step(sealed(9));
  waiting.step(sealed(8));
  expect(reads(waiting.hear({ kind: 'credit', bytes: 1_000_000 }))).toEqual([{ kind: 'read-outbox', fromSeq: 8 }]);

  const reading = createReplica();
  reading.connect({ resumed: true });
  expect(reads(reading.step(sealed(9)))).toEqual([{ kind: 'read-outbox', fromSeq: 9 }]);
  expect(reading.step(sealed(7))).toEqual([]);
  expect(reading.step(sealed(8))).toEqual([]);
  expect(reading.step(sealed(10))).toEqual([]);
  const page = { kind: 'outbox-read', deltas: [], nextSeq: undefined } as const;
  expect(reads(reading.step(page)), 'the lowest one').toEqual([{ kind: 'read-outbox', fromSeq: 7 }]);
  expect(reads(reading.step(page))).toEqual([]);
});
