import { describe, expect, test } from 'vitest';
import { assertServer, type KnownServer } from './nats-guard.js';

const server = (version: string, cluster?: string): KnownServer =>
  ({ version, jetstream: true, cluster }) as KnownServer;
const alone = { replicas: 1, acceptsOldServer: false };

describe('which servers a fleet relies on', () => {
  test.each(['2.9.10', '2.10.4', '2.11.0', '2.12.1', '3.0.0'])('[RF9] %s alone is taken', (version) => {
    expect(() => assertServer(server(version), alone)).not.toThrow();
  });

  test.each(['2.9.10', '2.9.25', '2.10.27'])(
    '[RF9] %s in a cluster is refused, unless the risk is taken',
    (version) => {
      for (const [one, options] of [
        [server(version, 'c'), alone],
        [server(version), { ...alone, replicas: 3 }],
      ] as const) {
        expect(() => assertServer(one, options)).toThrow(expect.objectContaining({ code: 'ENGINE_UNSUITABLE' }));
        expect(() => assertServer(one, { ...options, acceptsOldServer: true })).not.toThrow();
      }
    },
  );

  test.each(['2.11.0', 'v2.11.0', '2.12.3'])('[RF9] %s in a cluster is taken', (version) => {
    expect(() => assertServer(server(version, 'c'), { ...alone, replicas: 3 })).not.toThrow();
  });

  test('[RF9] what is too old, has no version or no JetStream is refused, whatever risk is taken', () => {
    const options = { replicas: 1, acceptsOldServer: true };
    for (const one of [server('2.8.4'), server('1.4.1'), server(''), server('unknown'), undefined])
      expect(() => assertServer(one, options)).toThrow(expect.objectContaining({ code: 'ENGINE_UNSUITABLE' }));
    expect(() => assertServer({ ...server('2.11.0'), jetstream: false } as KnownServer, options)).toThrow(
      'without JetStream',
    );
  });
});
