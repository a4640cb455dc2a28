import { bytesToBody } from '../body.js';
import { equalBytes } from '../bytes.js';
import { bytesToCertificate, type Certificate, certificateMessage, certificateToBytes } from '../certificate.js';
import { bytesToDelta, type Delta, deltaMessage, FLAG, hasFlag, trieKeyOf } from '../delta.js';
import { isMangroveError } from '../errors.js';
import { headMessage, type HeadStatement, headStatementToBytes } from '../head-statement.js';
import { msAhead } from '../hlc.js';
import { deriveKeyId, deriveReplicaId, idToBytes, type ReplicaId } from '../ids.js';
import type { Arrival } from '../room/arrival.js';
import { receiveDeltas, type Rejected } from '../room/receive.js';
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
  for (const bytes of batch) {
    const delta = parse(replica, bytes);
    if (delta === undefined) continue;
    const author = certificateOf(replica, delta.replica)?.publicKey;
    // Left aside: roots stay different, so it is fetched again.
    if (msAhead(delta.hlc, nowMs) > config.limits.clockAheadMsMax) count('deltas left aside: clock ahead');
    else if (author === undefined) count('deltas left aside: uncertified');
    else if (crypto.verify(author, deltaMessage(delta.id), delta.signature)) arrivals.push(inspect(replica, delta));
    else rejected.push({ delta, fault: 'SIGNATURE_INVALID' });
  }
  const options = { nowMs, cursor, replica: replica.id, compare: compareIds };
  const { judgement } = replica.disk.write(
    (tx) => receiveDeltas(tx, room, arrivals, rejected, options),
    replica.durability,
  );
  const wrong = judgement.arrivals.filter(({ fault }) => fault === 'CHECKPOINT_WRONG').length;
  if (wrong > 0) replica.world.alarm('an honest checkpoint was found wrong');
  count('checkpoints found wrong', wrong);
  const touched = arrivals.filter(({ delta, name }) => name?.kind === 'document' || hasFlag(delta, FLAG.checkpoint));
  replica.compactor.added(touched.map(({ delta }) => delta.keyId));
  count('deltas received', arrivals.length);
  count('deltas rejected', rejected.length);
  return { kind: 'accepted', standing: replica.standing(), forged: rejected.map(({ delta }) => trieKeyOf(delta)) };
}

/** What is no delta is left aside too. */
function parse(replica: SimReplica, bytes: DeltaBytes): Delta | undefined {
  const { room, count } = bind(replica);
  try {
    return bytesToDelta(room.hash, room.roomId, bytes);
  } catch (error) {
    if (!isMangroveError(error)) throw error;
    count('deltas left aside: malformed');
    return undefined;
  }
}

/** [CX8] What cannot be read is kept, and said to be so. */
function inspect(replica: SimReplica, delta: Delta): Arrival {
  const { room } = replica.world;
  try {
    const { name } = bytesToBody(delta.body);
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
  }, replica.durability);
}

function bind({ world }: SimReplica) {
  return {
    room: world.room,
    config: world.config,
    crypto: world.crypto,
    count: (what: string, by?: number) => world.count(what, by),
  };
}
