import {
  type Certificate,
  type Cursor,
  deriveReplicaId,
  equalBytes,
  type Hello,
  helloMessage,
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
  type Transaction,
} from '@mangrove/protocol';
import { readCertificates } from './certificates.js';
import type { Authentication, RelayPorts } from './ports.js';

type Denied = RelayEvent & { kind: 'denied' };

const EVERYBODY: Authentication = { rights: ['read', 'write'] };

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

export interface Welcoming extends LastTaken {
  readonly after: number | undefined;
  /** Where the log ends, and about what it holds for this replica. */
  readonly end: number;
  readonly ahead: { readonly deltas: number; readonly bytes: number };
  readonly certificate: Certificate | undefined;
}

/** What a replica is told when it is admitted. */
export function* readWelcoming(
  tx: Transaction,
  storeId: Uint8Array,
  replica: ReplicaId,
  cursor: Cursor | undefined,
): Steps<Welcoming> {
  const certificates = yield* readCertificates(tx, [replica]);
  const after = yield* readAfter(tx, storeId, cursor);
  const { offset: end } = yield* readPosition(tx);
  return {
    after,
    end,
    ahead: yield* readAhead(tx, after ?? end),
    ...(yield* readLastTaken(tx, replica)),
    certificate: certificates.get(replica),
  };
}

/** [SY2] A newcomer reads the whole log; a cursor of another store, or of this one before it was restored, does not count. */
function* readAfter(tx: Transaction, storeId: Uint8Array, cursor: Cursor | undefined): Steps<number | undefined> {
  if (cursor === undefined) return 0;
  if (!equalBytes(cursor.storeId, storeId)) return undefined;
  return (yield* isCursorValid(tx, cursor)) ? cursor.offset : undefined;
}
