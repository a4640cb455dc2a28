import { expect, test } from 'vitest';
import { type ClientOptions, createClient } from './client.js';

const withRelay = (relay: ClientOptions['relay']) => () => createClient({ name: 'app', relay: relay ?? [] });

test.each([
  ['one', 'wss://a.example'],
  ['several', ['wss://a.example', 'https://b.example/base/']],
  ['weights', [{ url: 'wss://a.example', weight: 0.5 }, { url: 'wss://b.example' }, 'wss://c.example']],
  ['none', []],
])('[FD1] relays may be given as %s', async (_, relay) => {
  await withRelay(relay)().close();
});

test.each([
  ['what is no URL', ['wss://a.example', 'b.example']],
  ['another scheme', ['ftp://a.example']],
  ['a weight of 0', [{ url: 'wss://a.example', weight: 0 }]],
  ['a weight without an end', [{ url: 'wss://a.example', weight: Number.POSITIVE_INFINITY }]],
  ['what is no weight', [{ url: 'wss://a.example', weight: Number.NaN }]],
])('[FD1] %s is refused', (_, relay) => {
  expect(withRelay(relay)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
});
