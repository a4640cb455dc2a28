import { parseArgs } from 'node:util';

/** A flag, its environment variable (`MANGROVE_` and its name in capitals), and what it is for. */
interface Flag {
  readonly value?: string;
  readonly default?: string;
  /** May be given several times; several in one are separated by commas. */
  readonly isList?: boolean;
  readonly help: string;
}

/** Secrets come from files: what is on a command line everybody on the machine can read. */
const FLAGS = {
  port: { value: 'number', default: '8787', help: 'port to listen on, 0 for any free one' },
  host: { value: 'address', default: '127.0.0.1', help: 'address to listen on' },
  data: { value: 'folder', default: './relay-data', help: 'where rooms are kept' },
  engine: {
    value: 'url',
    help: 'nats://… or postgres://…: shares the rooms with all relays of this engine; alone without it',
  },
  'engine-name': { value: 'name', default: 'mangrove', help: 'of the fleet, where several share a server' },
  'engine-replicas': { value: 'number', default: '1', help: 'NATS: how many servers of a cluster keep each write' },
  'engine-accept-old-server': { help: 'NATS: take a cluster of servers before 2.11, which may not keep one order' },
  origins: { value: 'list', help: 'origins whose pages may connect, separated by commas; all without it' },
  'tls-cert': { value: 'file', help: 'certificate chain in PEM: https and wss, together with --tls-key' },
  'tls-key': { value: 'file', help: 'its private key in PEM' },
  'trust-proxy': { help: 'take the address of clients from the last entry of X-Forwarded-For' },
  'jwt-key-file': { value: 'file', help: 'public key in PEM or JWK, or a secret, that signs tokens' },
  'jwks-url': { value: 'url', help: 'or where the keys of an identity provider are' },
  'jwt-audience': { value: 'name', help: 'whom tokens have to be meant for; with one of the two above' },
  'jwt-issuer': { value: 'name', help: 'who has to have issued them; anybody with the key without it' },
  'ticket-key-file': {
    value: 'file',
    help: 'secret of 32 bytes or more that signs one-use tickets, in place of tokens',
  },
  'recheck-seconds': { value: 'number', help: 'how often it is looked again who may be connected; once without it' },
  'admin-token-file': { value: 'file', help: 'secret that opens POST /admin/drain' },
  peer: { value: 'url', isList: true, help: 'another relay to sync rooms with, with --peer-token-file' },
  'peer-token-file': { value: 'file', help: 'secret by which relays know each other as peers' },
  'room-bytes-max': { value: 'number', help: 'what one room may take up; as much as the disk has without it' },
  'room-deltas-max': { value: 'number', help: 'deltas of one room' },
  'drain-seconds': { value: 'number', default: '10', help: 'SIGTERM: how long it may take until it exits' },
  'log-level': { value: 'level', default: 'info', help: 'debug, info, warn, error or silent, to the standard error' },
  help: { help: 'show this' },
  version: { help: 'show the version' },
} as const satisfies Record<string, Flag>;

export type FlagName = keyof typeof FLAGS;

/** What was given, as text; a flag without a value is `'true'`. */
export type Given = Readonly<Partial<Record<FlagName, string>>>;

/** A flag counts before its environment variable, that before the default. Bad arguments throw an Error with one clear line. */
export function readFlags(args: readonly string[], environment: NodeJS.ProcessEnv): Given {
  const names = Object.keys(FLAGS) as FlagName[];
  const flagOf = (name: FlagName): Flag => FLAGS[name];
  const options = Object.fromEntries(
    names.map((name) => {
      const { value, isList = false } = flagOf(name);
      return [name, { type: value === undefined ? 'boolean' : 'string', multiple: isList } as const];
    }),
  );
  const { values } = parseArgs({ args: [...args], options });
  const given: Partial<Record<FlagName, string>> = {};
  for (const name of names) {
    const onLine = values[name];
    const value =
      (Array.isArray(onLine) ? onLine.join(',') : onLine) ?? environment[variableOf(name)] ?? flagOf(name).default;
    if (value === undefined || value === false) continue;
    if (value === '') throw new Error(`--${name} takes a ${flagOf(name).value}`);
    given[name] = String(value);
  }
  return given;
}

export function numberOf(given: Given, name: FlagName, max = Number.MAX_SAFE_INTEGER): number | undefined {
  const text = given[name];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > max) throw new Error(`--${name} takes a number from 0 to ${max}, not "${text}"`);
  return number;
}

export function helpOfFlags(): string {
  const rows = (Object.entries(FLAGS) as [FlagName, Flag][]).map(([name, { value, default: byDefault, help }]) => {
    const flag = `--${name}${value === undefined ? '' : ` <${value}>`}`;
    return `  ${flag.padEnd(26)}${help}${byDefault === undefined ? '' : ` (${byDefault})`}`;
  });
  return rows.join('\n');
}

function variableOf(name: FlagName): string {
  return `MANGROVE_${name.toUpperCase().replaceAll('-', '_')}`;
}
