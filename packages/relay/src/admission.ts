import {
  type Certificate,
  type Cursor,
  deriveReplicaId,
  equalBytes,
  type Hello,
  helloMessage,
  isCursorValid,
  isMangroveError,
  isStrictSignature,
  type LastTaken,
  readAhead,
  readLastTaken,
  readPosition,
  type RelayEvent,
  type ReplicaId,
  type Right,
  type RoomRef,
  type Steps,
  type Transaction,
} from '@mangrove/protocol';
import { readCertificates } from './certificates.js';
import type { Authentication, AuthenticationRequest, RelayPorts } from './ports.js';

type Denied = RelayEvent & { kind: 'denied' };

const EVERYBODY: Authentication = { rights: ['read', 'write'] };
const PEER: Authentication = { rights: ['read', 'write'], isPeer: true };

/** [SY1] Who it is that says hello, and what they may do; or why they may not. */
export async function authenticate(
  ports: RelayPorts,
  room: RoomRef & { readonly name: string },
  hello: Hello,
  challenge: Uint8Array,
  origin: string | undefined,
): Promise<({ kind: 'allowed'; replica: ReplicaId; access: Access } & Authentication) | Denied> {
  const { relayKey, storeId } = ports.identity;
  const replica = deriveReplicaId(room.hash, room.roomId, hello.publicKey);
  const message = helloMessage(room.roomId, relayKey, storeId, challenge);
  const isProven =
    isStrictSignature(hello.publicKey, hello.proof) &&
    (await ports.verifier.verify(hello.publicKey, message, hello.proof));
  if (!isProven) return { kind: 'denied', code: 'SIGNATURE_INVALID', facts: { replica } };
  const request = {
    room: room.name,
    replica,
    ...(hello.token === undefined ? {} : { token: hello.token }),
    ...(origin === undefined ? {} : { origin }),
  };
  let authentication: Authentication | null;
  try {
    authentication = await askWhoItIs(ports, request);
  } catch (error) {
    if (!isMangroveError(error) || error.code !== 'TOKEN_EXPIRED') throw error;
    return { kind: 'denied', code: error.code, facts: { reason: String(error.facts.reason) } };
  }
  if (authentication === null || authentication.rights.length === 0)
    return { kind: 'denied', code: 'UNAUTHORIZED', facts: { reason: 'the token gives no right to this room' } };
  const access = accessOf(authentication, request, ports);
  const peer = authentication.isPeer === true ? { peerKey: hello.publicKey } : {};
  return { kind: 'allowed', replica, ...authentication, access: { ...access, ...peer } };
}

/** By what a connection is open. */
export interface Access {
  readonly request: AuthenticationRequest;
  readonly rights: readonly Right[];
  readonly expiresAtMs: number;
  readonly subject: string | undefined;
  readonly checkedAtMs: number;
  /** Where it is a relay: the key by which others know it [FD5]. */
  readonly peerKey?: Uint8Array;
}

function accessOf(
  { rights, expiresAtMs, subject }: Authentication,
  request: AuthenticationRequest,
  { clock }: RelayPorts,
): Access {
  const checkedAtMs = clock.nowMs();
  return { request, rights, expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY, subject, checkedAtMs };
}

/** What the connection may do by now: `less` where the client has to come back to be told of it. Rejects where nobody can tell now. */
export async function recheck(ports: RelayPorts, access: Access): Promise<Access | 'nothing' | 'less'> {
  const { request, rights } = access;
  let now: Authentication | null;
  try {
    now = await askWhoItIs(ports, { ...request, isRecheck: true });
  } catch (error) {
    if (!isMangroveError(error) || error.code !== 'TOKEN_EXPIRED') throw error;
    return 'less';
  }
  if (now === null || now.rights.length === 0) return 'nothing';
  return rights.every((right) => now.rights.includes(right))
    ? { ...access, ...accessOf({ ...now, rights }, request, ports) }
    : 'less';
}

export type Asking = Pick<RelayPorts, 'authenticate' | 'clock' | 'federation' | 'once'>;

export async function askWhoItIs(
  { authenticate, clock, federation, once }: Asking,
  request: AuthenticationRequest,
): Promise<Authentication | null> {
  if (federation?.isPeer(request.token) === true) return PEER;
  if (authenticate === undefined) return EVERYBODY;
  const nowMs = clock.nowMs();
  return await authenticate(request, { nowMs, once: (id, untilMs) => once(id, untilMs, nowMs) });
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
