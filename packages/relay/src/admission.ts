import {
  bytesToCertificate,
  bytesToHeadStatement,
  type Certificate,
  certificateMessage,
  certificateToBytes,
  type Cursor,
  deriveReplicaId,
  equalBytes,
  type Hello,
  type HeadStatement,
  helloMessage,
  idToBytes,
  isCursorValid,
  isStrictSignature,
  type LastTaken,
  readAhead,
  readLastTaken,
  readPosition,
  type RelayEvent,
  type ReplicaId,
  type RoomRef,
  type Steps,
  type Store,
  type Transaction,
} from '@mangrove/protocol';
import type { Authentication, RelayPorts } from './ports.js';

type Denied = RelayEvent & { kind: 'denied' };

const EVERYBODY: Authentication = { rights: ['read', 'write'] };
const ALL = { from: new Uint8Array() };

/** [SY1] Who it is that says hello, and what they may do; or why they may not. */
export async function authenticate(
  ports: RelayPorts,
  room: RoomRef & { readonly name: string },
  hello: Hello,
  challenge: Uint8Array,
  origin: string | undefined,
): Promise<({ kind: 'allowed'; replica: ReplicaId } & Authentication) | Denied> {
  const { relayKey, storeId } = ports.identity;
  const replica = deriveReplicaId(room.hash, room.roomId, hello.publicKey);
  const message = helloMessage(room.roomId, relayKey, storeId, challenge);
  const isProven =
    isStrictSignature(hello.publicKey, hello.proof) &&
    (await ports.verifier.verify(hello.publicKey, message, hello.proof));
  if (!isProven) return { kind: 'denied', code: 'SIGNATURE_INVALID', facts: { replica } };
  const authentication = await askWhoItIs(ports, {
    room: room.name,
    replica,
    ...(hello.token === undefined ? {} : { token: hello.token }),
    ...(origin === undefined ? {} : { origin }),
  });
  if (authentication === null || authentication.rights.length === 0)
    return { kind: 'denied', code: 'UNAUTHORIZED', facts: { reason: 'the token gives no right to this room' } };
  return { kind: 'allowed', replica, ...authentication };
}

function askWhoItIs(
  { authenticate }: RelayPorts,
  request: Parameters<NonNullable<RelayPorts['authenticate']>>[0],
): Promise<Authentication | null> {
  return authenticate === undefined ? Promise.resolve(EVERYBODY) : authenticate(request);
}

/** Certificates of the relay for the keys that have none of it yet; those that were written [SG3, SG4]. */
export async function certifyKeys(
  ports: RelayPorts,
  room: RoomRef,
  store: Store,
  publicKeys: readonly Uint8Array[],
): Promise<readonly Certificate[]> {
  const keys = new Map(publicKeys.map((key) => [deriveReplicaId(room.hash, room.roomId, key), key]));
  const held = await store.transact((tx) => readCertificates(tx, [...keys.keys()]), { mode: 'read' });
  for (const [replica, certificate] of held) {
    if (equalBytes(certificate.issuer, ports.identity.relayKey)) keys.delete(replica);
  }
  if (keys.size === 0) return [];
  const issued = await Promise.all(
    [...keys].map(async ([replica, publicKey]) => ({
      replica,
      certificate: await issue(ports, room, publicKey),
    })),
  );
  await store.transact(
    function* (tx) {
      for (const { replica, certificate } of issued)
        tx.put('certificates', idToBytes(replica), certificateToBytes(certificate));
    },
    { mode: 'write', durability: 'strict' },
  );
  return issued.map(({ certificate }) => certificate);
}

async function issue(ports: RelayPorts, room: RoomRef, publicKey: Uint8Array): Promise<Certificate> {
  const issuedAtMs = ports.clock.nowMs();
  const { relayKey: issuer } = ports.identity;
  const signature = await ports.identity.sign(certificateMessage(room.roomId, publicKey, issuedAtMs));
  return { publicKey, issuedAtMs, issuer, signature };
}

export interface Welcoming extends LastTaken {
  readonly after: number | undefined;
  /** Where the log ends, and about what it holds for this replica. */
  readonly end: number;
  readonly ahead: { readonly deltas: number; readonly bytes: number };
  readonly certificates: readonly Certificate[];
  readonly heads: readonly HeadStatement[];
}

/** What a replica is told when it is admitted. */
export function* readWelcoming(
  tx: Transaction,
  storeId: Uint8Array,
  replica: ReplicaId,
  cursor: Cursor | undefined,
): Steps<Welcoming> {
  const certificates = yield* tx.rows('certificates', ALL);
  const heads = yield* tx.rows('heads', ALL);
  const after = yield* readAfter(tx, storeId, cursor);
  const { offset: end } = yield* readPosition(tx);
  return {
    after,
    end,
    ahead: yield* readAhead(tx, after ?? end),
    ...(yield* readLastTaken(tx, replica)),
    certificates: certificates.map(([, bytes]) => bytesToCertificate(bytes)),
    heads: heads.map(([, bytes]) => bytesToHeadStatement(bytes)),
  };
}

/** [SY2] A newcomer reads the whole log; a cursor of another store, or of this one before it was restored, does not count. */
function* readAfter(tx: Transaction, storeId: Uint8Array, cursor: Cursor | undefined): Steps<number | undefined> {
  if (cursor === undefined) return 0;
  if (!equalBytes(cursor.storeId, storeId)) return undefined;
  return (yield* isCursorValid(tx, cursor)) ? cursor.offset : undefined;
}

function* readCertificates(
  tx: Transaction,
  replicas: readonly ReplicaId[],
): Steps<ReadonlyMap<ReplicaId, Certificate>> {
  const rows = yield* tx.getMany('certificates', replicas.map(idToBytes));
  return new Map(
    replicas.flatMap((replica, i) => {
      const row = rows[i];
      return row === undefined ? [] : [[replica, bytesToCertificate(row)] as const];
    }),
  );
}
