import { readFileSync } from 'node:fs';
import type { Authenticate, ListenOptions, Relay, RelayOptions } from '../runtimes/node.js';
import { createLog, LOG_LEVELS, type LogLevel } from '../runtimes/node-log.js';
import { createRelay } from '../runtimes/node.js';
import { type Given, numberOf } from './options.js';

/** What `mangrove-relay` is to do: read from flags before anything is opened. */
export interface Serving {
  readonly listen: ListenOptions;
  readonly relay: Omit<RelayOptions, 'log' | 'onFault'>;
  readonly logLevel: LogLevel;
  readonly drainMs: number;
}

/** Throws an Error whose message is one clear line. */
export async function readServing(given: Given): Promise<Serving> {
  const level = given['log-level'] as LogLevel;
  if (!LOG_LEVELS.includes(level)) throw new Error(`--log-level takes one of ${LOG_LEVELS.join(', ')}, not "${level}"`);
  const [cert, key] = [readFile(given, 'tls-cert'), readFile(given, 'tls-key')];
  if ((cert === undefined) !== (key === undefined)) throw new Error('--tls-cert and --tls-key are given together');
  const recheckSeconds = numberOf(given, 'recheck-seconds');
  return {
    logLevel: level,
    drainMs: (numberOf(given, 'drain-seconds') as number) * 1_000,
    listen: {
      port: numberOf(given, 'port', 65_535) as number,
      host: given.host,
      tls: cert === undefined || key === undefined ? undefined : { cert, key },
    },
    relay: {
      storage: given.data,
      engine: engineOf(given),
      allowedOrigins: given.origins?.split(',').map((origin) => origin.trim()),
      authenticate: await readAuthenticate(given),
      recheckMs: recheckSeconds === undefined ? undefined : recheckSeconds * 1_000,
      quota: {
        bytesMax: numberOf(given, 'room-bytes-max') ?? Number.POSITIVE_INFINITY,
        deltasMax: numberOf(given, 'room-deltas-max') ?? Number.POSITIVE_INFINITY,
      },
      adminToken: readFile(given, 'admin-token-file')?.toString('utf8').trim(),
      peers: given.peer?.split(',').map((url) => url.trim()),
      peerToken: readFile(given, 'peer-token-file')?.toString('utf8').trim(),
      trustProxy: given['trust-proxy'] === 'true',
    },
  };
}

/** Serves until a signal: it prints where on the standard output, and logs to the standard error. */
export async function serve({ listen, relay: options, logLevel, drainMs }: Serving): Promise<void> {
  const log = createLog(logLevel);
  const relay = createRelay({ ...options, log, onFault: (error) => log.error({ err: describe(error) }, 'fault') });
  stopOnSignal(relay, drainMs, (message) => log.warn({}, message));
  try {
    const { url } = await relay.listen(listen);
    console.log(`Mangrove relay is ready at ${url}`);
    log.info({ url, data: options.storage }, 'ready');
  } catch (error) {
    console.error(`mangrove-relay: ${describeFailure(error, listen, options.storage)}`);
    await relay.close();
    process.exitCode = 1;
  }
}

/** The first signal drains, a second one does not wait. */
function stopOnSignal(relay: Relay, drainMs: number, warn: (message: string) => void): void {
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    // What was acknowledged is on disk since before it was; what is cut off here was not acknowledged, and its author has it.
    setTimeout(() => {
      warn('it took too long to say goodbye');
      process.exit(0);
    }, drainMs).unref();
    relay.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

async function readAuthenticate(given: Given): Promise<Authenticate | undefined> {
  const [key, ticketKey] = [readFile(given, 'jwt-key-file'), readFile(given, 'ticket-key-file')];
  const jwksUrl = given['jwks-url'];
  const isJwt = key !== undefined || jwksUrl !== undefined;
  if (!isJwt && ticketKey === undefined) return undefined;
  if (isJwt && ticketKey !== undefined) throw new Error('there are tokens or tickets, not both');
  // Loaded where it is used alone.
  const { jwtAuthenticator, ticketAuthenticator } = await import('../auth.js');
  if (ticketKey !== undefined) return ticketAuthenticator({ key: new Uint8Array(trimmed(ticketKey)) });
  const audience = given['jwt-audience'];
  if (audience === undefined) throw new Error('--jwt-audience says whom tokens have to be meant for');
  return jwtAuthenticator({ key: key && keyOf(key), jwksUrl, audience, issuer: given['jwt-issuer'] });
}

/** The password of an address is in an environment variable, or in what the library reads by itself. */
function engineOf(given: Given): RelayOptions['engine'] {
  const url = given.engine;
  if (url === undefined) return undefined;
  return {
    url,
    name: given['engine-name'],
    replicas: numberOf(given, 'engine-replicas', 5),
    acceptsOldServer: given['engine-accept-old-server'] === 'true',
  };
}

/** PEM, a JWK, or else a secret. */
function keyOf(file: Buffer): string | object | Uint8Array {
  const text = file.toString('utf8').trim();
  if (text.startsWith('-----BEGIN PUBLIC KEY')) return text;
  if (text.startsWith('{')) return JSON.parse(text) as object;
  if (text.startsWith('-----BEGIN'))
    throw new Error('--jwt-key-file takes a public key, and this is something else in PEM');
  return new Uint8Array(trimmed(file));
}

/** An editor ends a file with a line break that is not of the secret. */
function trimmed(file: Buffer): Buffer {
  return file.at(-1) === 10 ? file.subarray(0, -1) : file;
}

function readFile(
  given: Given,
  name: 'tls-cert' | 'tls-key' | 'jwt-key-file' | 'ticket-key-file' | 'admin-token-file' | 'peer-token-file',
) {
  const path = given[name];
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`--${name}: ${(error as Error).message}`);
  }
}

function describe(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const code = 'code' in error ? { code: error.code } : {};
  const cause = error.cause === undefined ? {} : { cause: describe(error.cause) };
  return { message: error.message, ...code, stack: error.stack, ...cause };
}

function describeFailure(error: unknown, { port, host }: ListenOptions, data: string | undefined): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return `port ${port} of ${host} is in use; choose another with --port`;
  if (code === 'EACCES') return `no permission for port ${port} or the folder ${data}`;
  return message;
}
