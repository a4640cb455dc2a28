import { MangroveError, type Right } from '@mangrove/protocol';
import {
  createRemoteJWKSet,
  decodeJwt,
  errors,
  importSPKI,
  type CryptoKey,
  type JWK,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
  SignJWT,
} from 'jose';
import type { Authenticate, Authentication, AuthenticationRequest } from './ports.js';

export type { Authenticate, Authentication, AuthenticationContext, AuthenticationRequest } from './ports.js';

/** A shared secret of 32 bytes at least, a public key as JWK, `CryptoKey` or PEM (SPKI). */
export type VerifyKey = Uint8Array | JWK | CryptoKey | string;

export interface JwtOptions {
  /** One of these two. */
  readonly key?: VerifyKey | undefined;
  /** Where the keys of an identity provider are, fetched when they are first needed and again when an unknown one is named. */
  readonly jwksUrl?: string | URL | undefined;
  /** A token has to be meant for this relay: its `aud`. */
  readonly audience: string;
  /** Its `iss`; anybody who has the key, without it. */
  readonly issuer?: string | undefined;
  /** Algorithms that count; without it HS256 for a secret and those of public keys for all else, never both. */
  readonly algorithms?: readonly string[] | undefined;
  /** How far clocks may be apart, 5,000 without it. */
  readonly clockToleranceMs?: number | undefined;
  /** What the claims give; without it those of the claims `rooms` and `rights`. */
  readonly rightsOf?: ((claims: JWTPayload, request: AuthenticationRequest) => readonly Right[]) | undefined;
  /** Tokens that count no more, by any claim; asked on each connection, and again where the relay has `recheckMs`. */
  readonly isRevoked?: ((claims: JWTPayload) => boolean | Promise<boolean>) | undefined;
}

export interface TicketOptions extends Omit<JwtOptions, 'jwksUrl' | 'audience'> {
  readonly key: VerifyKey;
  readonly audience?: string | undefined;
  /** How long a connection lasts that a ticket has opened; the client then comes with another one. An hour without it. */
  readonly sessionMs?: number | undefined;
}

export interface TicketGrant {
  /** The secret that `ticketAuthenticator` has, or a private key as JWK or `CryptoKey`, with its algorithm. */
  readonly key: Uint8Array | JWK | CryptoKey;
  readonly algorithm?: string | undefined;
  readonly audience?: string | undefined;
  /** Names of rooms; one that ends with `*` stands for all that begin so. */
  readonly rooms: readonly string[];
  readonly rights: readonly Right[];
  readonly subject?: string | undefined;
  /** For how long it may be used, 30,000 without it, 600,000 at most. */
  readonly ttlMs?: number | undefined;
}

const SECRET_BYTES_MIN = 32;
const SECRET_ALGORITHMS = ['HS256'];
/** RS256 before PS256, as a key in PEM may be for either and counts for the first. */
const PUBLIC_ALGORITHMS = ['EdDSA', 'Ed25519', 'ES256', 'ES384', 'RS256', 'PS256'];
const CLOCK_TOLERANCE_MS = 5_000;
const TICKET_AUDIENCE = 'mangrove-ticket';
const TICKET_MS = 30_000;
const TICKET_MS_MAX = 600_000;
const SESSION_MS = 3_600_000;
const RIGHTS: readonly Right[] = ['read', 'write', 'admin'];

/**
 * Tokens that an identity provider, or your own server, has signed. Claims: `rooms`, names of rooms or beginnings of names with `*`; `rights`, of
 * `read`, `write` and `admin`; `aud` and `exp`, both required; `sub`, for `revoke`. Throws `OPTION_INVALID`.
 */
export function jwtAuthenticator(options: JwtOptions): Authenticate {
  const verify = verifierOf(options);
  return async (request, { nowMs }) => {
    const claims = await verify(request, nowMs);
    if (claims === undefined) return null;
    return await authenticationOf(options, claims, request, (claims.exp as number) * 1_000);
  };
}

/**
 * Tickets of {@link issueTicket}: signed, for some seconds, and for one connection each. What was used is kept in the relay's store, as its hash.
 * A ticket that was used, or is too old, is `TOKEN_EXPIRED`: the client comes back with another one. Throws `OPTION_INVALID`.
 */
export function ticketAuthenticator(options: TicketOptions): Authenticate {
  const { audience = TICKET_AUDIENCE, sessionMs = SESSION_MS } = options;
  const asJwt = { ...options, audience };
  const verify = verifierOf(asJwt);
  return async (request, context) => {
    const claims = await verify(request, context.nowMs);
    if (claims === undefined) return null;
    const untilMs = (claims.exp as number) * 1_000;
    if (typeof claims.jti !== 'string') return null;
    // The connection that asks again has used it.
    if (request.isRecheck !== true) {
      const toleranceMs = options.clockToleranceMs ?? CLOCK_TOLERANCE_MS;
      const isTooLong = untilMs > context.nowMs + TICKET_MS_MAX + toleranceMs;
      if (isTooLong) return null;
      if (!(await context.once(claims.jti, untilMs + toleranceMs)))
        throw new MangroveError('TOKEN_EXPIRED', { reason: 'the ticket was used' });
    }
    return await authenticationOf(asJwt, claims, request, context.nowMs + sessionMs);
  };
}

/** A ticket for {@link ticketAuthenticator}, made by your own server for somebody whom it knows. */
export async function issueTicket(grant: TicketGrant): Promise<string> {
  const { key, rooms, rights, subject, audience = TICKET_AUDIENCE, ttlMs = TICKET_MS } = grant;
  const isSecret = key instanceof Uint8Array;
  if (isSecret) assertSecret(key);
  if (!(ttlMs > 0 && ttlMs <= TICKET_MS_MAX)) invalid('ttlMs', `a ticket is for ${TICKET_MS_MAX} ms at most`);
  const alg = grant.algorithm ?? (isSecret ? 'HS256' : ('alg' in key && (key.alg as string)) || 'EdDSA');
  const ticket = new SignJWT({ rooms, rights })
    .setProtectedHeader({ alg })
    .setAudience(audience)
    .setJti(crypto.randomUUID())
    .setExpirationTime(new Date(Date.now() + ttlMs));
  if (subject !== undefined) ticket.setSubject(subject);
  return await ticket.sign(key);
}

/** Undefined where the token is none, or not for this relay. */
type Verify = (request: AuthenticationRequest, nowMs: number) => Promise<JWTPayload | undefined>;

function verifierOf(options: JwtOptions): Verify {
  const { key, jwksUrl, audience, issuer } = options;
  if ((key === undefined) === (jwksUrl === undefined)) invalid('key', 'there is to be one of key and jwksUrl');
  if (typeof audience !== 'string' || audience === '') invalid('audience', 'it names whom a token is meant for');
  const isSecret = key instanceof Uint8Array;
  if (isSecret) assertSecret(key);
  const algorithms = [...(options.algorithms ?? (isSecret ? SECRET_ALGORITHMS : PUBLIC_ALGORITHMS))];
  // Whoever has a public key could sign with it as if it were a secret.
  if (!isSecret && algorithms.some((name) => /^(HS|none)/i.test(name))) invalid('algorithms', 'HS needs a secret');
  const toleranceMs = options.clockToleranceMs ?? CLOCK_TOLERANCE_MS;
  const keyOf = keySource(key, jwksUrl, algorithms);
  return async ({ token, isRecheck = false }, nowMs) => {
    if (token === undefined) return undefined;
    const checks: JWTVerifyOptions = {
      audience,
      algorithms,
      requiredClaims: ['exp', 'aud'],
      clockTolerance: toleranceMs / 1_000,
      // A connection ends by its own time, which may be another one than that of what has opened it.
      currentDate: new Date(isRecheck ? Math.min(nowMs, expiryOf(token)) : nowMs),
      ...(issuer === undefined ? {} : { issuer }),
    };
    try {
      const source = await keyOf();
      const { payload } =
        typeof source === 'function' ? await jwtVerify(token, source, checks) : await jwtVerify(token, source, checks);
      return payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new MangroveError('TOKEN_EXPIRED', { reason: 'its time is over' });
      // Where keys cannot be fetched nobody can tell; the error has nothing of the token in it.
      if (isOutage(error)) throw new Error('the keys of the identity provider cannot be fetched', { cause: error });
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  };
}

function keySource(
  key: VerifyKey | undefined,
  jwksUrl: string | URL | undefined,
  algorithms: readonly string[],
): () => Promise<JWTVerifyGetKey | Uint8Array | JWK | CryptoKey> {
  if (jwksUrl !== undefined) {
    const set = createRemoteJWKSet(new URL(jwksUrl));
    return async () => set;
  }
  if (typeof key !== 'string') return async () => key as Uint8Array | JWK | CryptoKey;
  let imported: Promise<CryptoKey> | undefined;
  return () => (imported ??= importPublic(key, algorithms));
}

/** PEM does not say for which algorithm a key is, so the first one that takes it counts. */
async function importPublic(pem: string, algorithms: readonly string[]): Promise<CryptoKey> {
  for (const alg of algorithms) {
    try {
      return await importSPKI(pem, alg);
    } catch {}
  }
  throw new MangroveError('OPTION_INVALID', { option: 'key', reason: 'it is no public key in PEM' });
}

async function authenticationOf(
  options: JwtOptions,
  claims: JWTPayload,
  request: AuthenticationRequest,
  expiresAtMs: number,
): Promise<Authentication | null> {
  if ((await options.isRevoked?.(claims)) === true) return null;
  const rights = options.rightsOf?.(claims, request) ?? rightsByClaims(claims, request);
  if (rights.length === 0) return null;
  return { rights, expiresAtMs, ...(claims.sub === undefined ? {} : { subject: claims.sub }) };
}

/** Nothing without both claims: a token of the same provider for something else opens no room. */
function rightsByClaims({ rooms, rights }: JWTPayload, { room }: AuthenticationRequest): readonly Right[] {
  if (!Array.isArray(rooms) || !Array.isArray(rights)) return [];
  return rooms.some((name) => matches(name, room)) ? RIGHTS.filter((right) => rights.includes(right)) : [];
}

function matches(pattern: unknown, room: string): boolean {
  if (typeof pattern !== 'string') return false;
  return pattern.endsWith('*') ? room.startsWith(pattern.slice(0, -1)) : room === pattern;
}

function expiryOf(token: string): number {
  try {
    return (decodeJwt(token).exp ?? 0) * 1_000;
  } catch {
    return 0;
  }
}

function isOutage(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout) return true;
  // What `fetch` throws, and what jose makes of an answer that is no key set.
  const isFetch = error instanceof TypeError && 'cause' in error && error.cause !== undefined;
  const isAnswer = error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC';
  return isFetch || isAnswer || error instanceof errors.JWKSInvalid;
}

function assertSecret(secret: Uint8Array): void {
  if (secret.length < SECRET_BYTES_MIN) invalid('key', `a secret has ${SECRET_BYTES_MIN} bytes at least`);
}

function invalid(option: string, reason: string): never {
  throw new MangroveError('OPTION_INVALID', { option, reason });
}
