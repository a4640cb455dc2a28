import fc from 'fast-check';
import { errorCodeFromWire } from '../../packages/protocol/src/errors.js';
import type { KeyId, ReplicaId, RoomId } from '../../packages/protocol/src/ids.js';
import { countChildren } from '../../packages/protocol/src/merkle/node.js';
import type { Slot } from '../../packages/protocol/src/merkle/slot.js';
import type { Message } from '../../packages/protocol/src/wire/messages.js';

/** Any message of each kind, and one fixed set of each whose bytes are pinned. A new kind does not compile without both. */

export type MessageOf<Kind extends Message['kind']> = Extract<Message, { kind: Kind }>;

const fixed = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const hex = (bytes: number) =>
  fixed(bytes).map((value) => Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join(''));
const natural = fc.oneof(fc.nat(300), fc.maxSafeNat());
const replica = hex(8).map((id) => id as ReplicaId);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const bytes = fc.uint8Array({ maxLength: 40 });
const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const certificate = fc.record({ publicKey: fixed(32), issuedAtMs: natural, issuer: fixed(32), signature: fixed(64) });
const position = fc.record({ offset: natural, roll: fixed(8), root: fixed(32) });
const vector = fc
  .uniqueArray(fc.tuple(replica, natural), { selector: ([id]) => id, maxLength: 6 })
  .map((entries) => new Map(entries));
const seqs = fc
  .uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 20 })
  .chain((some) =>
    optional(fc.maxSafeNat()).map((one) => [...new Set([...some, ...(one ? [one] : [])])].sort((a, b) => a - b)),
  );
const failure = {
  code: fc.integer({ min: 1, max: 28 }).map(errorCodeFromWire),
  facts: fc.dictionary(
    fc.stringMatching(/^\w{1,40}$/),
    fc.oneof(
      text,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value || 0),
    ),
    { maxKeys: 4, noNullPrototype: true },
  ),
};
const slot = fc.stringMatching(/^[0-9a-f]{0,20}$/).map((nibbles) => nibbles as Slot);
const u32 = fc.nat(0xffffffff);
const cuts = (min: number, max: number) => fc.array(u32, { minLength: min, maxLength: max });
const entry = fc.oneof(
  fc.record({ kind: fc.constantFrom('list' as const, 'need' as const), slot, cuts: cuts(0, 32) }),
  fc.record({ kind: fc.constant('want' as const), slot }),
  fc.record({ kind: fc.constant('sum' as const), slot, count: fc.nat(255), sum: u32 }),
  fc.record({ slot, below: slot, map: fc.nat(0xffff) }).chain(({ slot: at, below, map }) =>
    cuts(countChildren(map), countChildren(map)).map((own) => ({
      kind: 'node' as const,
      slot: at,
      prefix: (at + below) as Slot,
      map,
      cuts: own,
    })),
  ),
);

const kind = <Kind extends Message['kind']>(name: Kind) => ({ kind: fc.constant(name) });

const statement = fc.record({
  replica,
  timeMs: natural,
  root: fixed(32),
  headsRoot: fixed(32),
  vector,
  signature: fixed(64),
});

export const messages: { readonly [Kind in Message['kind']]: fc.Arbitrary<MessageOf<Kind>> } = {
  welcome: fc.record({
    ...kind('welcome'),
    version: natural,
    storeId: fixed(8),
    relayKey: fixed(32),
    challenge: fixed(32),
  }),
  hello: fc.record({
    ...kind('hello'),
    version: natural,
    roomId: hex(32).map((id) => id as RoomId),
    config: fc.nat(255),
    publicKey: fixed(32),
    token: optional(text),
    cursor: optional(fc.record({ storeId: fixed(8), offset: natural, roll: fixed(8) })),
    window: natural,
    proof: fixed(64),
  }),
  admitted: fc.record({
    ...kind('admitted'),
    rights: fc.subarray(['read', 'write', 'admin'] as const),
    certificate: optional(certificate),
    resumed: fc.boolean(),
    lastSeq: natural,
    lastId: optional(fc.uint8Array({ minLength: 8, maxLength: 8 })),
    window: natural,
  }),
  fault: fc.record({ ...kind('fault'), ...failure }),
  certificates: fc.record({ ...kind('certificates'), certificates: fc.array(certificate, { maxLength: 4 }) }),
  push: fc.record({ ...kind('push'), repair: fc.boolean(), deltas: fc.array(bytes, { maxLength: 5 }) }),
  deltas: fc.record({
    ...kind('deltas'),
    position: fc.option(
      fc.oneof(
        fc.constant('later' as const),
        fc.record({ offset: natural, roll: fixed(8), root: optional(fixed(32)) }),
      ),
      { nil: undefined },
    ),
    deltas: fc.array(bytes, { maxLength: 5 }),
  }),
  'caught-up': fc.record({ ...kind('caught-up'), position, vector }),
  ack: fc.record({ ...kind('ack'), seqs, position: optional(position) }),
  refused: fc.record({ ...kind('refused'), replica, seq: natural, ...failure }),
  pull: fc.record({ ...kind('pull'), vector }),
  vector: fc.record({ ...kind('vector'), vector }),
  diff: fc.record({
    ...kind('diff'),
    salt: fixed(8),
    root: fixed(32),
    entries: fc.array(entry, { maxLength: 6 }),
  }),
  head: fc.record({ ...kind('head'), statement }),
  report: fc.record({ ...kind('report'), trieKey: fixed(64) }),
  presence: fc.record({
    ...kind('presence'),
    replica,
    tab: natural,
    keyId: hex(16).map((id) => id as KeyId),
    state: bytes,
  }),
  peer: fc.record({ ...kind('peer'), replica, present: fc.boolean() }),
  want: fc.record({
    ...kind('want'),
    wanted: fc.array(fc.record({ trieKey: fixed(64), from: natural, count: fc.nat(16) }), { maxLength: 4 }),
  }),
  part: fc.record({ ...kind('part'), trieKey: fixed(64), index: natural, bytes }),
  credit: fc.record({ ...kind('credit'), bytes: natural }),
  ahead: fc.record({ ...kind('ahead'), deltas: natural, bytes: natural }),
  probe: fc.record(kind('probe')),
  heads: fc.record({ ...kind('heads'), statements: fc.array(statement, { maxLength: 4 }) }),
};

export const anyMessage: fc.Arbitrary<Message> = fc.oneof(...(Object.values(messages) as fc.Arbitrary<Message>[]));

const filled = (length: number, first: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (first + i) & 255);
const idOf = (digit: string, bytesOf: number): string => digit.repeat(2 * bytesOf);
const one = idOf('1', 8) as ReplicaId;
const two = idOf('2', 8) as ReplicaId;
const aCertificate = {
  publicKey: filled(32, 1),
  issuedAtMs: 1_700_000_000_000,
  issuer: filled(32, 100),
  signature: filled(64, 128),
};
const aPosition = { offset: 70_000, roll: filled(8, 3), root: filled(32, 9) };
const aVector = new Map([
  [two, 300],
  [one, Number.MAX_SAFE_INTEGER],
]);

const aStatement = {
  replica: one,
  timeMs: 1_700_000_000_000,
  root: filled(32, 1),
  headsRoot: filled(32, 2),
  vector: aVector,
  signature: filled(64, 3),
};

export const goldenMessages: { readonly [Kind in Message['kind']]: Readonly<Record<string, MessageOf<Kind>>> } = {
  welcome: {
    // The version is a field like the others here, and need not be that of the protocol.
    usual: { kind: 'welcome', version: 2, storeId: filled(8, 1), relayKey: filled(32, 10), challenge: filled(32, 50) },
  },
  hello: {
    whole: {
      kind: 'hello',
      version: 2,
      roomId: idOf('a', 32) as RoomId,
      config: 3,
      publicKey: filled(32, 1),
      token: 'tökén',
      cursor: { storeId: filled(8, 1), offset: 128, roll: filled(8, 60) },
      window: 2_097_152,
      proof: filled(64, 90),
    },
    bare: {
      kind: 'hello',
      version: 2,
      roomId: idOf('b', 32) as RoomId,
      config: 0,
      publicKey: filled(32, 1),
      token: undefined,
      cursor: undefined,
      window: 2_097_152,
      proof: filled(64, 90),
    },
  },
  admitted: {
    writer: {
      kind: 'admitted',
      rights: ['read', 'write'],
      certificate: aCertificate,
      resumed: true,
      lastSeq: 127,
      lastId: filled(8, 5),
      window: 2_097_152,
    },
    reader: {
      kind: 'admitted',
      rights: ['read'],
      certificate: undefined,
      resumed: false,
      lastSeq: 0,
      lastId: undefined,
      window: 0,
    },
    admin: {
      kind: 'admitted',
      rights: ['admin'],
      certificate: undefined,
      resumed: false,
      lastSeq: 128,
      lastId: undefined,
      window: 127,
    },
  },
  fault: {
    withFacts: { kind: 'fault', code: 'VERSION_UNSUPPORTED', facts: { version: 2, supported: 1, note: 'é' } },
    without: { kind: 'fault', code: 'INTERNAL', facts: {} },
  },
  certificates: {
    two: { kind: 'certificates', certificates: [aCertificate, { ...aCertificate, issuedAtMs: 0 }] },
    none: { kind: 'certificates', certificates: [] },
  },
  push: {
    own: { kind: 'push', repair: false, deltas: [filled(3, 1), new Uint8Array(), filled(200, 0)] },
    repair: { kind: 'push', repair: true, deltas: [] },
  },
  deltas: {
    live: { kind: 'deltas', position: aPosition, deltas: [filled(3, 1)] },
    inCatchUp: { kind: 'deltas', position: { ...aPosition, root: undefined }, deltas: [filled(3, 1), filled(2, 1)] },
    amongOthers: { kind: 'deltas', position: 'later', deltas: [filled(3, 1)] },
    outOfOrder: { kind: 'deltas', position: undefined, deltas: [filled(3, 1)] },
  },
  'caught-up': {
    usual: { kind: 'caught-up', position: aPosition, vector: aVector },
    empty: { kind: 'caught-up', position: { ...aPosition, offset: 0 }, vector: new Map() },
  },
  ack: {
    usual: { kind: 'ack', seqs: [1, 128, 129, 130, 16_384], position: aPosition },
    empty: { kind: 'ack', seqs: [], position: aPosition },
    amongOthers: { kind: 'ack', seqs: [300], position: undefined },
  },
  refused: {
    usual: {
      kind: 'refused',
      replica: one,
      seq: 300,
      code: 'CLOCK_AHEAD',
      facts: { aheadMs: 300_001, clockAheadMsMax: 300_000 },
    },
  },
  pull: { usual: { kind: 'pull', vector: aVector }, empty: { kind: 'pull', vector: new Map() } },
  vector: { usual: { kind: 'vector', vector: aVector } },
  diff: {
    everyEntry: {
      kind: 'diff',
      salt: filled(8, 0xd1),
      root: filled(32, 9),
      entries: [
        {
          kind: 'node',
          slot: '' as Slot,
          prefix: 'abc' as Slot,
          map: 0x8102,
          cuts: [1, 0x07080910, 0xffffffff],
        },
        { kind: 'list', slot: 'a' as Slot, cuts: [0x01020304, 9] },
        { kind: 'want', slot: 'ab' as Slot },
        { kind: 'need', slot: 'abcde' as Slot, cuts: [0x01020304] },
        { kind: 'sum', slot: 'abcd0123456789abcdef0123456789abcdef' as Slot, count: 32, sum: 0xfedcba98 },
        { kind: 'sum', slot: 'abcd0123456789abcdef0123456789abcdee' as Slot, count: 3, sum: 0 },
        { kind: 'list', slot: '' as Slot, cuts: [] },
      ],
    },
    end: { kind: 'diff', salt: filled(8, 0), root: filled(32, 9), entries: [] },
  },
  head: {
    usual: {
      kind: 'head',
      statement: aStatement,
    },
  },
  report: { usual: { kind: 'report', trieKey: filled(64, 5) } },
  presence: {
    usual: { kind: 'presence', replica: one, tab: 200, keyId: idOf('c', 16) as KeyId, state: filled(5, 1) },
    gone: { kind: 'presence', replica: one, tab: 0, keyId: idOf('c', 16) as KeyId, state: new Uint8Array() },
  },
  peer: {
    came: { kind: 'peer', replica: two, present: true },
    went: { kind: 'peer', replica: '00000000000000ff' as ReplicaId, present: false },
  },
  want: {
    two: {
      kind: 'want',
      wanted: [
        { trieKey: filled(64, 5), from: 0, count: 2 },
        { trieKey: filled(64, 9), from: 127, count: 1 },
      ],
    },
  },
  part: {
    usual: { kind: 'part', trieKey: filled(64, 5), index: 128, bytes: filled(200, 1) },
    notHere: { kind: 'part', trieKey: filled(64, 5), index: 0, bytes: new Uint8Array() },
  },
  credit: { usual: { kind: 'credit', bytes: 524_288 } },
  ahead: { usual: { kind: 'ahead', deltas: 300, bytes: 1_000_000 } },
  probe: { usual: { kind: 'probe' } },
  heads: {
    usual: { kind: 'heads', statements: [aStatement] },
    besideEachOther: {
      kind: 'heads',
      statements: [
        aStatement,
        { ...aStatement, replica: two, timeMs: aStatement.timeMs + 200, signature: filled(64, 4) },
        { ...aStatement, timeMs: aStatement.timeMs + 300, root: filled(32, 9), signature: filled(64, 5) },
      ],
    },
    none: { kind: 'heads', statements: [] },
  },
};
