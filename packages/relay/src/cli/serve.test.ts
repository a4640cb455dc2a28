import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readFlags } from './options.js';
import { readServing } from './serve.js';

const tls = (name: string): string =>
  fileURLToPath(new URL(`../../../../test/support/tls/${name}.pem`, import.meta.url));
const read = async (args: readonly string[], env: Record<string, string> = {}) => readServing(readFlags(args, env));

test('every option can come from the environment, and a flag counts before it', async () => {
  const env = {
    MANGROVE_PORT: '1',
    MANGROVE_HOST: '0.0.0.0',
    MANGROVE_TRUST_PROXY: 'true',
    MANGROVE_ROOM_BYTES_MAX: '7',
  };
  expect(await read(['--port', '2', '--origins', 'https://a.example, https://b.example'], env)).toMatchObject({
    listen: { port: 2, host: '0.0.0.0', tls: undefined },
    relay: {
      storage: './relay-data',
      trustProxy: true,
      allowedOrigins: ['https://a.example', 'https://b.example'],
      quota: { bytesMax: 7, deltasMax: Number.POSITIVE_INFINITY },
      authenticate: undefined,
    },
    logLevel: 'info',
    drainMs: 10_000,
  });
});

test('what cannot be meant is refused before anything is opened', async () => {
  const wrong: [string[], string][] = [
    [['--log-level', 'loud'], '--log-level takes one of'],
    [['--tls-cert', tls('cert')], 'given together'],
    [['--tls-cert', '/nowhere', '--tls-key', tls('key')], '--tls-cert: '],
    [['--jwt-key-file', tls('key'), '--jwt-audience', 'x'], 'takes a public key'],
    [['--jwt-key-file', tls('cert')], '--jwt-audience'],
    [['--ticket-key-file', '/nowhere'], '--ticket-key-file: '],
    [['--ticket-key-file', tls('key'), '--jwks-url', 'https://id.example.com'], 'not both'],
    [['--recheck-seconds', 'x'], '--recheck-seconds takes a number'],
    [['--port', '65536'], 'from 0 to 65535'],
    [['--data', ''], '--data takes a folder'],
    [['--nonsense'], 'nonsense'],
  ];
  for (const [args, why] of wrong) await expect((async () => read(args))(), args.join(' ')).rejects.toThrow(why);
});
