import { equalBytes } from '../bytes.js';
import {
  bytesToCertificate,
  type Certificate,
  certificateMessage,
  certificateToBytes,
  helloMessage,
} from '../certificate.js';
import { bytesToDelta, type Delta, deltaMessage } from '../delta.js';
import { deriveReplicaId, idToBytes, type ReplicaId } from '../ids.js';
import { bytesToHeadStatement, headMessage, type HeadStatement, headStatementToBytes } from '../head-statement.js';
import { removeDelta } from '../room/accept.js';
import { siftAhead } from '../room/ahead.js';
import { keepPart, keepStubs, readJoined } from '../room/incoming.js';
import { isCursorValid, readAhead, readLogPage, readPosition } from '../room/log.js';
import { readLastTaken } from '../room/taken.js';
import { readVectorRows } from '../room/vector.js';
import type { Stub } from '../stub.js';
import { readIntroduction } from '../sync/introduction.js';
import { planFor } from '../sync/plans.js';
import type { PushedDelta, PushedStub, RelayEffect } from '../sync/effect.js';
import type { Refusal, RelayEvent } from '../sync/event.js';
import type { Cursor, Hello } from '../wire/messages.js';
import type { RelayConduct, RelayLink, SimRelay } from './relay.js';

type Done = (answer?: RelayEvent) => void;

/** Does what the step function asked for. A read and its answer are one moment: that is the order a relay owes its links. */
export const honestRelay: RelayConduct = (link, effect, done) => {
  const { relay } = link;
  if (effect.kind === 'send') {
    link.send(effect.message);
    done();
  } else if (effect.kind === 'close') {
    link.finish();
    done();
  } else if (effect.kind === 'accept-push') {
    relay.later(relay.random.between(0, 3), () => acceptPush(link, effect, done));
  } else if (effect.kind === 'join') {
    relay.later(relay.random.between(0, 3), () => join(link, effect.trieKey, done));
  } else {
    const takesMs = relay.random.between(0, 2);
    if (takesMs === 0) done(perform(link, effect));
    else relay.later(takesMs, () => done(perform(link, effect)));
  }
};

function perform(
  link: RelayLink,
  effect: Exclude<RelayEffect, { kind: 'send' | 'close' | 'accept-push' | 'join' }>,
): RelayEvent | undefined {
  const { relay } = link;
  const { room } = relay.world;
  switch (effect.kind) {
    case 'authenticate':
      return authenticate(link, effect.hello);
    case 'read-log': {
      const page = relay.transact((tx) => readLogPage(tx, room, effect.after, effect.met));
      return { kind: 'log-read', ...page };
    }
    case 'keep-part': {
      const have = relay.transact((tx) => keepPart(tx, room, effect.part));
      return { kind: 'part-kept', trieKey: effect.part.trieKey, have };
    }
    case 'read-beyond':
    case 'answer-diff':
    case 'read-parts':
      return relay.transact(planFor(room, effect));
    case 'read-position':
      return { kind: 'position-read', position: relay.transact(readPosition) };
    case 'finish-beyond':
      return relay.transact(function* (tx) {
        return {
          kind: 'beyond-done',
          pulled: effect.pulled,
          position: yield* readPosition(tx),
          vector: yield* readVectorRows(tx),
        };
      });
    case 'read-introduction':
      return relay.transact((tx) => readIntroduction(tx, effect.at));
    case 'keep-shown':
      keepShown(link, effect.certificates);
      return undefined;
    case 'accept-head':
      acceptHead(relay, effect.statement);
      return undefined;
    case 'check-reported':
      checkReported(relay, effect.trieKey);
      return undefined;
    case 'broadcast':
      relay.announce({ kind: 'forward', message: effect.message }, link);
      return undefined;
    case 'joined':
      relay.announce({ kind: 'forward', message: { kind: 'peer', replica: effect.replica, present: true } }, link);
      return undefined;
  }
}

function authenticate(link: RelayLink, hello: Hello): RelayEvent {
  const { relay } = link;
  const { room, crypto } = relay.world;
  const replica = deriveReplicaId(room.hash, room.roomId, hello.publicKey);
  const { relayKey, storeId, challenge } = link.state;
  const message = helloMessage(room.roomId, relayKey, storeId, challenge);
  if (!crypto.verify(hello.publicKey, message, hello.proof))
    return { kind: 'denied', code: 'SIGNATURE_INVALID', facts: { replica } };
  if (!relay.displace(replica, link)) return { kind: 'displaced', replica };
  const issued = certify(relay, hello.publicKey);
  if (issued !== undefined)
    relay.announce({ kind: 'forward', message: { kind: 'certificates', certificates: [issued] } }, link);
  const after = readAfter(relay, hello.cursor);
  const { offset: end } = relay.transact(readPosition);
  return {
    kind: 'authenticated',
    replica,
    rights: ['read', 'write'],
    certificate: certificateOf(relay, replica),
    after,
    end,
    ahead: relay.transact((tx) => readAhead(tx, after ?? end)),
    ...relay.transact((tx) => readLastTaken(tx, replica)),
    present: present(link, replica),
  };
}

/** [SY12] */
function present({ relay }: RelayLink, newcomer: ReplicaId): readonly ReplicaId[] {
  const others = new Set([...relay.links].flatMap(({ replica }) => replica ?? []));
  others.delete(newcomer);
  return [...others].slice(0, relay.world.config.limits.peersToldMax);
}

function readAfter(relay: SimRelay, cursor: Cursor | undefined): number | undefined {
  if (cursor === undefined) return relay.world.options.newcomers === 'log' ? 0 : undefined;
  if (!equalBytes(cursor.storeId, relay.storeId)) return undefined;
  return relay.transact((tx) => isCursorValid(tx, cursor)) ? cursor.offset : undefined;
}

/** A certificate of this relay for a key that has none of it yet [SG3, SG4]. */
function certify(relay: SimRelay, publicKey: Uint8Array): Certificate | undefined {
  const { room, crypto } = relay.world;
  const key = idToBytes(deriveReplicaId(room.hash, room.roomId, publicKey));
  const row = relay.tables.table('certificates').get(key);
  if (row !== undefined && equalBytes(bytesToCertificate(row).issuer, relay.publicKey)) return undefined;
  const issuedAtMs = relay.nowMs();
  const signature = crypto.sign(relay.publicKey, certificateMessage(room.roomId, publicKey, issuedAtMs));
  const certificate = { publicKey, issuedAtMs, issuer: relay.publicKey, signature };
  relay.tables.table('certificates').put(key, certificateToBytes(certificate));
  return certificate;
}

/** [SG4] */
function keepShown({ relay, shown }: RelayLink, certificates: readonly Certificate[]): void {
  const keys = certificates.map(({ publicKey }) => publicKey);
  const isKnown = (key: Uint8Array): boolean =>
    certificateOf(relay, deriveReplicaId(relay.world.room.hash, relay.world.room.roomId, key)) !== undefined;
  issue(relay, keys.filter(isKnown));
  const unknown = keys.filter((key) => !isKnown(key));
  relay.world.count('keys shown to a relay that did not know them', unknown.length);
  shown.add(relay.world.room, unknown);
}

function issue(relay: SimRelay, publicKeys: readonly Uint8Array[]): void {
  const certificates = publicKeys.flatMap((key) => certify(relay, key) ?? []);
  if (certificates.length > 0) relay.announce({ kind: 'forward', message: { kind: 'certificates', certificates } });
}

function certificateOf(relay: SimRelay, replica: ReplicaId): Certificate | undefined {
  const row = relay.tables.table('certificates').get(idToBytes(replica));
  return row === undefined ? undefined : bytesToCertificate(row);
}

function publicKeyOf(relay: SimRelay, replica: ReplicaId): Uint8Array | undefined {
  return certificateOf(relay, replica)?.publicKey;
}

/** [SY9] Verifies what must be, keeps stubs, then leaves the deltas to the group commit. */
function acceptPush(link: RelayLink, effect: RelayEffect & { kind: 'accept-push' }, done: Done): void {
  const { relay } = link;
  const { clockAheadMsMax } = relay.world.config.limits;
  const near = relay.transact((tx) => siftAhead(tx, relay.world.room, effect.deltas, clockAheadMsMax));
  const nearStubs = relay.transact((tx) => siftAhead(tx, relay.world.room, effect.stubs, clockAheadMsMax));
  const refusals: Refusal[] = [...near.refusals, ...nearStubs.refusals];
  const deltas = near.passed.filter((pushed) => isTaken(link, pushed, pushed.delta, refusals));
  const stubs = nearStubs.passed.filter((pushed) => isTaken(link, pushed, pushed.stub, refusals));
  if (stubs.length > 0) {
    const sender = link.replica;
    const kept = stubs.map(({ stub, from }) => ({ stub, sender, isAuthors: from === 'author' }));
    const { fetches, held } = relay.transact((tx) => keepStubs(tx, kept, relay.nowMs()));
    link.executor.stepNow({ kind: 'stubs-kept', fetches, held });
  }
  relay.push({ link, deltas, refusals, bytes: effect.bytes, done });
}

function isTaken(
  { relay, shown }: RelayLink,
  { verify }: Pick<PushedDelta | PushedStub, 'verify'>,
  header: Delta | Stub,
  refusals: Refusal[],
): boolean {
  const { replica, seq } = header;
  const certified = publicKeyOf(relay, replica);
  const publicKey = certified ?? shown.get(replica);
  const refusal = relay.refuses?.(header);
  const isSigned =
    publicKey !== undefined &&
    (!verify || relay.world.crypto.verify(publicKey, deltaMessage(header.id), header.signature));
  if (isSigned && refusal === undefined) {
    if (certified === undefined) issue(relay, shown.take([replica]));
    return true;
  }
  const code = refusal ?? (publicKey === undefined ? 'UNCERTIFIED' : 'SIGNATURE_INVALID');
  refusals.push({ replica, seq, code, facts: { replica } });
  return false;
}

/** [SY18] Its stub was verified, and so was each part. */
function join(link: RelayLink, trieKey: Uint8Array, done: Done): void {
  const { relay, replica } = link;
  const joined = relay.transact((tx) => readJoined(tx, relay.world.room, trieKey));
  if (joined === undefined) {
    done();
    return;
  }
  const { delta, isAuthors } = joined;
  const from = isAuthors && delta.replica === replica ? 'author' : 'others';
  relay.push({ link, deltas: [{ delta, verify: false, from }], refusals: [], bytes: 0, done });
}

function acceptHead(relay: SimRelay, statement: HeadStatement): void {
  const publicKey = publicKeyOf(relay, statement.replica);
  const { room, crypto } = relay.world;
  const message = headMessage(room.roomId, statement);
  if (publicKey === undefined || !crypto.verify(publicKey, message, statement.signature)) return;
  const heads = relay.tables.table('heads');
  const row = heads.get(idToBytes(statement.replica));
  if (row !== undefined && bytesToHeadStatement(row).timeMs > statement.timeMs) return;
  heads.put(idToBytes(statement.replica), headStatementToBytes(statement));
  relay.keptHead(statement, row && bytesToHeadStatement(row));
}

/** [SY10] */
function checkReported(relay: SimRelay, trieKey: Uint8Array): void {
  const { room } = relay.world;
  const row = relay.tables.table('deltas').get(trieKey);
  if (row === undefined) return;
  const delta = bytesToDelta(room.hash, room.roomId, row);
  const publicKey = publicKeyOf(relay, delta.replica);
  if (publicKey !== undefined && relay.world.crypto.verify(publicKey, deltaMessage(delta.id), delta.signature)) return;
  const position = relay.transact(function* (tx) {
    yield* removeDelta(tx, room, delta);
    return yield* readPosition(tx);
  });
  relay.announce({ kind: 'committed', deltas: [], position, tells: true });
  relay.world.count('forged deltas evicted');
}
