import { bytesToHex } from '../bytes.js';
import { bytesToCertificate, helloMessage } from '../certificate.js';
import { headMessage } from '../head-statement.js';
import { roomConfigToByte } from '../ids.js';
import { keepPart, readFetches } from '../room/incoming.js';
import { isWrittenElsewhere } from '../room/taken.js';
import { readCursor, writeCursor } from '../room/receive.js';
import { readOutboxPage } from '../room/outbox.js';
import { acknowledge } from '../room/seal.js';
import { dropSettled } from '../room/unsent.js';
import { adoptVector, headsRootOf, readReach, readVectorRows } from '../room/vector.js';
import type { ReplicaEffect } from '../sync/effect.js';
import type { ReplicaEvent } from '../sync/event.js';
import { planFor, planOpenDiff } from '../sync/plans.js';
import type { Cursor, Refused } from '../wire/messages.js';
import { PROTOCOL_VERSION } from '../wire/version.js';
import type { ReplicaConduct, SimReplica } from './replica.js';
import { accept, join, storeHead, trust } from './replica-receive.js';

type Done = (answer?: ReplicaEvent) => void;
type EffectOf<Kind extends ReplicaEffect['kind']> = Extract<ReplicaEffect, { kind: Kind }>;

/** So few that most worlds page. */
const OUTBOX_PAGE = { deltas: 4, bytes: 200_000 };
/** What an honest world may meet: a clock that was wrong, a relay that forgot whom it had admitted, a floor before the acknowledgement. */
const EXPECTED_REFUSALS: ReadonlySet<string> = new Set(['CLOCK_AHEAD', 'UNCERTIFIED', 'UNDER_FLOOR', 'COVERED_UNSEEN']);
const RELOAD_MS = 2_000;
const HEAD_EVERY_MS = 1_000;

/** An honest device. */
export const honestReplica: ReplicaConduct = { run: runEffect, settled: publishHead };

/** Does what the step function asked for; what takes time on a device takes some here. */
function runEffect(replica: SimReplica, effect: ReplicaEffect, done: Done): void {
  if (effect.kind === 'send') {
    replica.send(effect.message);
    done();
    return;
  }
  const takesMs = replica.random.between(0, effect.kind === 'accept' || effect.kind === 'greet' ? 8 : 2);
  if (takesMs === 0) done(perform(replica, effect));
  else replica.later(takesMs, () => done(perform(replica, effect)));
}

function perform(replica: SimReplica, effect: Exclude<ReplicaEffect, { kind: 'send' }>): ReplicaEvent | undefined {
  const { disk, world } = replica;
  const { room } = world;
  switch (effect.kind) {
    case 'greet':
      return greet(replica, effect);
    case 'trust':
      trust(replica, effect.issuer, effect.certificates);
      return undefined;
    case 'check-identity': {
      if (disk.read((tx) => isWrittenElsewhere(tx, effect.last))) {
        world.alarm(`a relay knows delta ${effect.last.lastSeq} of replica ${replica.index}, which never gave it`);
        replica.renew();
      }
      replica.takenSeq = Math.max(replica.takenSeq, effect.last.lastSeq);
      return undefined;
    }
    case 'renew-identity':
      world.alarm(`replica ${replica.index} was displaced`);
      replica.renew();
      return undefined;
    case 'accept':
      return accept(replica, effect.deltas, effect.cursor);
    case 'acknowledge':
      return acknowledged(replica, effect.seqs, effect.cursor);
    case 'adopt':
      disk.write(function* (tx) {
        yield* adoptVector(tx, effect.vector);
        writeCursor(tx, effect.cursor);
      }, replica.durability);
      return undefined;
    case 'read-certificates':
      return {
        kind: 'certificates-read',
        certificates: disk.tables
          .table('certificates')
          .rows({ from: new Uint8Array() })
          .map(([, row]) => bytesToCertificate(row)),
      };
    case 'read-vector':
      return { kind: 'vector-read', vector: disk.read(readReach) };
    case 'read-outbox':
      return readOutbox(replica, effect.fromSeq);
    case 'read-incoming':
      return readIncoming(replica);
    case 'keep-part': {
      const { trieKey } = effect.part;
      const have = disk.write((tx) => keepPart(tx, room, effect.part), replica.durability);
      return { kind: 'part-kept', trieKey, have };
    }
    case 'join':
      return join(replica, effect.trieKey);
    case 'open-diff':
      world.count('diffs');
      return disk.read(planOpenDiff(room, replica.random.bytes(8)));
    case 'read-beyond':
    case 'answer-diff':
    case 'read-parts':
      return disk.read(planFor(room, effect));
    case 'store-heads':
      for (const statement of effect.statements) storeHead(replica, statement);
      return undefined;
    case 'withdraw':
      return withdraw(replica, effect.refused);
    case 'show':
      return undefined;
    case 'forget-told':
      replica.connection?.forgetTold();
      return undefined;
    case 'fault':
      world.count(`told of ${effect.code}`);
      // What was sent did not arrive as it was: begin anew, or somebody waits for an answer for ever.
      replica.disconnect();
      // Final for a link that is refused, but not for a user who starts it again.
      replica.later(RELOAD_MS, () => replica.reload());
      return undefined;
    case 'reconnect':
      world.count('links begun anew');
      replica.disconnect();
      return undefined;
    case 'close':
      replica.disconnect();
      return undefined;
  }
}

function readIncoming(replica: SimReplica): ReplicaEvent {
  const fetches = replica.disk.read((tx) => readFetches(tx, replica.world.room));
  if (fetches.some(({ have }) => have > 0)) replica.world.count('transfers resumed');
  return { kind: 'incoming-read', fetches };
}

function greet(replica: SimReplica, { storeId, relayKey, challenge }: EffectOf<'greet'>): ReplicaEvent {
  const { room, config, crypto } = replica.world;
  const proof = crypto.sign(replica.publicKey, helloMessage(room.roomId, relayKey, storeId, challenge));
  const cursor = replica.disk.read(readCursor);
  const { publicKey } = replica;
  const greeting = { kind: 'hello', version: PROTOCOL_VERSION, roomId: room.roomId } as const;
  const hello = {
    ...greeting,
    config: roomConfigToByte(config.roomConfig),
    publicKey,
    token: undefined,
    cursor,
    window: config.limits.windowBytes,
    proof,
  };
  return { kind: 'greeting-ready', hello };
}

function acknowledged(replica: SimReplica, seqs: readonly number[], cursor: Cursor | undefined): ReplicaEvent {
  const { ledger } = replica.world;
  replica.disk.write(function* (tx) {
    yield* acknowledge(tx, replica.world.room, replica.id, seqs);
    if (cursor !== undefined) writeCursor(tx, cursor);
    yield* dropSettled(tx, replica.world.room, replica.id);
  }, replica.durability);
  for (const seq of seqs) {
    const record = ledger.ownDelta(replica.index, replica.id, seq);
    for (const id of record?.writes ?? []) ledger.get(id).onRelay = true;
  }
  return { kind: 'acknowledged', standing: replica.standing() };
}

function readOutbox(replica: SimReplica, fromSeq: number): ReplicaEvent {
  const { disk, world } = replica;
  if (fromSeq === 1) disk.write((tx) => dropSettled(tx, world.room, replica.id), replica.durability);
  const { entries, nextSeq } = disk.read((tx) =>
    readOutboxPage(tx, world.room, replica.id, fromSeq, OUTBOX_PAGE, replica.stubs),
  );
  return { kind: 'outbox-read', deltas: entries, nextSeq };
}

/** Of a repaired delta of others only the reason is of interest. */
function withdraw(replica: SimReplica, refused: Refused): ReplicaEvent {
  const { replica: author, seq, code } = refused;
  const { world } = replica;
  world.count(`refused ${code}`);
  if (!EXPECTED_REFUSALS.has(code)) world.alarm(`delta (${author}, ${seq}) was refused with ${code}`);
  if (author === replica.id) replica.desk.withdraw(refused);
  if (author === replica.id && code === 'DOT_REUSED') replica.renew();
  return acknowledged(replica, [], undefined);
}

/** [SY11] Said when roots are equal, and again when they are equal at another root; not for every keystroke. */
function publishHead(replica: SimReplica): void {
  if (replica.isPublishing || bytesToHex(replica.standing().root) === replica.publishedRoot) return;
  replica.isPublishing = true;
  replica.later(replica.random.between(HEAD_EVERY_MS / 4, HEAD_EVERY_MS), () => {
    replica.isPublishing = false;
    if (!replica.isSettled) return;
    const { room, crypto } = replica.world;
    const { root } = replica.standing();
    const vector = replica.disk.read(readVectorRows);
    const headsRoot = headsRootOf(room.hash, vector);
    const claim = { replica: replica.id, timeMs: replica.nowMs(), root, headsRoot, vector };
    const signature = crypto.sign(replica.publicKey, headMessage(room.roomId, claim));
    replica.publishedRoot = bytesToHex(root);
    replica.send({ kind: 'head', statement: { ...claim, signature } });
    replica.collector.look();
  });
}
