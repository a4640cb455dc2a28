import { bodyOfDelta } from '../body.js';
import { equalBytes } from '../bytes.js';
import { bytesToCertificate, type Certificate, certificateMessage, certificateToBytes } from '../certificate.js';
import { bytesToDelta, type Delta, deltaMessage, FLAG, hasContext, hasFlag, trieKeyOf } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { floorOf } from '../floor.js';
import { headMessage, type HeadStatement, headStatementToBytes } from '../head-statement.js';
import { msAhead } from '../hlc.js';
import { deriveKeyId, deriveReplicaId, idToBytes, type ReplicaId } from '../ids.js';
import type { Arrival } from '../room/arrival.js';
import { keepStubs, readJoined } from '../room/incoming.js';
import { proveByHead } from '../room/prove.js';
import type { Rejected } from '../room/quarantine.js';
import { receiveDeltas } from '../room/receive.js';
import { bytesToStub, isStub, type Stub } from '../stub.js';
import type { ReplicaEvent } from '../sync/event.js';
import type { Cursor, DeltaBytes } from '../wire/messages.js';
import { compareIds, writesOfBody } from './content.js';
import type { SimReplica } from './replica.js';

/** Keeps the certificates that the relay one is connected to has signed [SG3]. */
export function trust(replica: SimReplica, issuer: Uint8Array, certificates: readonly Certificate[]): void {
  const { room, crypto } = replica.world;
  const admitted = certificates.filter((certificate) => {
    const message = certificateMessage(room.roomId, certificate.publicKey, certificate.issuedAtMs);
    const isIssuers = equalBytes(certificate.issuer, issuer);
    return isIssuers && crypto.verify(issuer, message, certificate.signature);
  });
  replica.disk.write(function* (tx) {
    for (const certificate of admitted) {
      const id = deriveReplicaId(room.hash, room.roomId, certificate.publicKey);
      tx.put('certificates', idToBytes(id), certificateToBytes(certificate));
    }
  }, replica.durability);
}

export function certificateOf(replica: SimReplica, id: ReplicaId): Certificate | undefined {
  const row = replica.disk.tables.table('certificates').get(idToBytes(id));
  return row === undefined ? undefined : bytesToCertificate(row);
}

/** Verifies everything, looks into every body, and takes what is good in one transaction with the cursor. */
export function accept(
  replica: SimReplica,
  batch: readonly DeltaBytes[],
  cursor: Cursor | undefined,
): ReplicaEvent & { kind: 'accepted' } {
  const { room, config, crypto, count } = bind(replica);
  const nowMs = replica.nowMs();
  const arrivals: Arrival[] = [];
  const rejected: Rejected[] = [];
  const stubs: Stub[] = [];
  const forged: Uint8Array[] = [];
  for (const bytes of batch) {
    const delta = parse(replica, bytes);
    if (delta === undefined) continue;
    const author = certificateOf(replica, delta.replica)?.publicKey;
    // Left aside: roots stay different, so it is fetched again.
    if (msAhead(delta.hlc, nowMs) > config.limits.clockAheadMsMax) count('deltas left aside: clock ahead');
    else if (author === undefined) count('deltas left aside: uncertified');
    else {
      const isSigned = crypto.verify(author, deltaMessage(delta.id), delta.signature);
      if (!isSigned) forged.push(trieKeyOf(delta));
      if ('partHashes' in delta) stubs.push(...(isSigned ? [delta] : []));
      else if (isSigned) arrivals.push(inspect(replica, delta));
      else rejected.push({ delta, fault: 'SIGNATURE_INVALID' });
    }
  }
  const options = { nowMs, cursor, replica: replica.id, compare: compareIds, takenSeq: replica.takenSeq };
  const { judgement, outcomes, swept, withdrawn, unseen, returned, fetches } = replica.disk.write(function* (tx) {
    const reception = yield* receiveDeltas(tx, room, arrivals, rejected, options);
    const kept = stubs.map((stub) => ({ stub, sender: undefined, isAuthors: false }));
    return { ...reception, fetches: (yield* keepStubs(tx, kept, nowMs)).fetches };
  }, replica.durability);
  replica.desk.swept(swept, withdrawn);
  replica.desk.covered(unseen);
  for (const seq of returned)
    for (const id of replica.world.ledger.ownDelta(replica.index, replica.id, seq)?.writes ?? [])
      replica.world.ledger.get(id).onRelay = true;
  count('own deltas that came back', returned.length);
  count('stubs kept', fetches.length);
  const wrong = judgement.arrivals.filter(({ fault }) => fault === 'CHECKPOINT_WRONG').length;
  if (wrong > 0) replica.world.alarm('an honest checkpoint was found wrong');
  count('checkpoints found wrong', wrong);
  const touched = judgement.arrivals.filter(
    ({ delta, name, fault }) => name?.kind === 'document' || (fault !== undefined && hasContext(delta)),
  );
  replica.compactor.added(touched.map(({ delta }) => delta.keyId));
  count('deltas received', arrivals.length);
  count('deltas that came under a floor', outcomes.filter((outcome) => outcome === 'trashed').length);
  count('deltas rejected', rejected.length);
  return { kind: 'accepted', standing: replica.standing(), forged, fetches };
}

/** [SY18] All parts are here: the delta as if it had come whole. It is verified again, as a row of a disk is only a row. */
export function join(replica: SimReplica, trieKey: Uint8Array): ReplicaEvent & { kind: 'accepted' } {
  const joined = replica.disk.read((tx) => readJoined(tx, replica.world.room, trieKey));
  replica.world.count('deltas joined');
  return accept(replica, joined === undefined ? [] : [joined.delta.bytes], undefined);
}

/** What is no delta is left aside too. */
function parse(replica: SimReplica, bytes: DeltaBytes): Delta | Stub | undefined {
  const { room, count } = bind(replica);
  const { hash, roomId } = room;
  try {
    return isStub(bytes) ? bytesToStub(hash, roomId, bytes) : bytesToDelta(hash, roomId, bytes);
  } catch (error) {
    if (!isMangroveError(error)) throw error;
    count('deltas left aside: malformed');
    return undefined;
  }
}

/** [CX8] What cannot be read is kept, and said to be so. */
function inspect(replica: SimReplica, delta: Delta): Arrival {
  const { room } = replica.world;
  // It has no name, and what it says is for the set.
  if (hasFlag(delta, FLAG.floor)) return { delta, name: undefined, fault: floorOf(delta) ? undefined : 'UNDECODABLE' };
  try {
    const { name } = bodyOfDelta(delta);
    writesOfBody(delta);
    if (deriveKeyId(room.hash, room.roomId, name) === delta.keyId) return { delta, name, fault: undefined };
  } catch {
    replica.world.count('bodies that could not be decoded');
  }
  return { delta, name: undefined, fault: 'UNDECODABLE' };
}

export function storeHead(replica: SimReplica, statement: HeadStatement): void {
  const author = certificateOf(replica, statement.replica)?.publicKey;
  const { room, crypto } = replica.world;
  const message = headMessage(room.roomId, statement);
  if (author === undefined || !crypto.verify(author, message, statement.signature)) return;
  replica.disk.write(function* (tx) {
    tx.put('heads', idToBytes(statement.replica), headStatementToBytes(statement));
    yield* proveByHead(tx, room, statement);
  }, replica.durability);
  replica.collector.look();
}

function bind({ world }: SimReplica) {
  return {
    room: world.room,
    config: world.config,
    crypto: world.crypto,
    count: (what: string, by?: number) => world.count(what, by),
  };
}
