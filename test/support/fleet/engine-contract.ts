import { describe, expect, onTestFinished, test } from 'vitest';
import type { Engine, LogEntry } from '../../../packages/relay/dist/fleet/engine.js';
import type { Server } from './servers.js';

export interface EngineWorld {
  /** Another relay's way to the same logs. */
  open(): Promise<Engine>;
  /** One that can be killed, where there is one. */
  readonly server?: Server | undefined;
}

const text = (entries: readonly LogEntry[]): string[] => entries.map(({ bytes }) => Buffer.from(bytes).toString());
const bytes = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));

/** What every engine of a fleet owes [RF1]. */
export function describeEngine(name: string, makeWorld: () => Promise<EngineWorld>): void {
  const setUp = async (count: number) => {
    const world = await makeWorld();
    const engines = await Promise.all(Array.from({ length: count }, async () => await world.open()));
    onTestFinished(async () => {
      await Promise.all(engines.map((engine) => engine.close()));
    });
    return { world, engines: engines as [Engine, ...Engine[]] };
  };

  describe(name, () => {
    test('[RF1] entries of two writers have one order, which is the same for all who read and follow', async () => {
      const { engines } = await setUp(3);
      const [a, b, c] = engines as [Engine, Engine, Engine];
      const heard: LogEntry[] = [];
      const following = c.follow('room.one', 0, async (entries) => void heard.push(...entries));
      await Promise.all(
        [a, b].map(async (engine, of) => {
          for (let i = 0; i < 50; i++) await engine.append('room.one', `${of}-${i}`, bytes(`${of}-${i}`));
        }),
      );
      await a.append('room.two', 'other', bytes('other'));
      await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(100);
      const all = await b.read('room.one', 0, 1_000);
      expect(text(heard)).toEqual(text(all));
      expect(heard.map(({ position }) => position)).toEqual(all.map(({ position }) => position));
      for (const of of ['0', '1'])
        expect(text(all).filter((each) => each.startsWith(`${of}-`))).toEqual(
          Array.from({ length: 50 }, (_, i) => `${of}-${i}`),
        );
      const positions = all.map(({ position }) => position);
      expect(positions).toEqual([...new Set(positions)].sort((x, y) => x - y));
      expect((await a.last('room.one'))?.position).toBe(positions.at(-1));
      expect(text(await a.read('room.one', positions[9] as number, 3))).toEqual(text(all.slice(10, 13)));
      await following.close();
    });

    test('[RF1] an id is taken once, and an append is read by all as soon as it is acknowledged', async () => {
      const { engines } = await setUp(2);
      const [a, b] = engines as [Engine, Engine];
      const first = await a.append('room.one', 'same', bytes('first'));
      expect(await b.append('room.one', 'same', bytes('first'))).toBe(first);
      for (let i = 0; i < 30; i++) {
        const [writer, reader] = i % 2 === 0 ? [a, b] : [b, a];
        const position = await writer.append('room.one', `id-${i}`, bytes(`${i}`));
        expect((await reader.last('room.one'))?.position).toBe(position);
      }
      expect(await a.last('room.none')).toBeUndefined();
      expect(await a.read('room.none', 0, 10)).toEqual([]);
    });

    test('[RF2] of many who append to an empty log at once all read the same first entry', async () => {
      const { engines } = await setUp(3);
      for (let round = 0; round < 10; round++) {
        const log = `race.r${round}`;
        const seen = await Promise.all(
          engines.map(async (engine, of) => {
            await engine.append(log, `by-${of}`, bytes(`by-${of}`));
            return text(await engine.read(log, 0, 1))[0];
          }),
        );
        expect(new Set(seen).size).toBe(1);
      }
    });

    test('[RF1] who follows from a position gets what is after it, and waits for nobody else', async () => {
      const { engines } = await setUp(2);
      const [a, b] = engines as [Engine, Engine];
      const positions: number[] = [];
      for (let i = 0; i < 20; i++) positions.push(await a.append('room.one', `id-${i}`, bytes(`${i}`)));
      const heard: LogEntry[] = [];
      let isTaking = false;
      const following = b.follow('room.one', positions[9] as number, async (entries) => {
        expect(isTaking).toBe(false);
        isTaking = true;
        await new Promise((resolve) => setTimeout(resolve, 5));
        heard.push(...entries);
        isTaking = false;
      });
      await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(10);
      await following.close();
      await a.append('room.one', 'late', bytes('late'));
      expect(text(heard)).toEqual(Array.from({ length: 10 }, (_, i) => `${i + 10}`));
    });

    test('[RF5] a cut drops what is below it, and who follows goes on with what is left', async () => {
      const { engines } = await setUp(2);
      const [a, b] = engines as [Engine, Engine];
      const positions: number[] = [];
      for (let i = 0; i < 20; i++) positions.push(await a.append('room.one', `id-${i}`, bytes(`${i}`)));
      await a.append('room.two', 'other', bytes('other'));
      await a.cut('room.one', positions[15] as number);
      await expect
        .poll(async () => text(await b.read('room.one', 0, 100)), { timeout: 10_000 })
        .toEqual(['15', '16', '17', '18', '19']);
      expect(text(await b.read('room.two', 0, 1))).toEqual(['other']);
      const heard: LogEntry[] = [];
      const following = b.follow('room.one', positions[3] as number, async (entries) => void heard.push(...entries));
      await expect.poll(() => text(heard), { timeout: 20_000 }).toEqual(['15', '16', '17', '18', '19']);
      expect(await a.append('room.one', 'after', bytes('after'))).toBeGreaterThan(positions[19] as number);
      await expect.poll(() => text(heard).at(-1), { timeout: 20_000 }).toBe('after');
      await following.close();
    });

    test('[RF7] what is told goes to all who listen to the channel, whole', async () => {
      const { engines } = await setUp(2);
      const [a, b] = engines as [Engine, Engine];
      const heard: number[] = [];
      const listening = [a, b].map((engine) => engine.listen('room.one', (told) => void heard.push(told.length)));
      b.listen('room.two', () => void heard.push(-1));
      await expect
        .poll(() => {
          a.tell('room.one', new Uint8Array(3));
          return heard.length;
        })
        .toBeGreaterThan(1);
      heard.length = 0;
      b.tell('room.one', new Uint8Array(30_000).fill(7));
      await expect.poll(() => heard.filter((length) => length === 30_000), { timeout: 10_000 }).toHaveLength(2);
      await Promise.all(listening.map((each) => each.close()));
      expect(heard).not.toContain(-1);
    });

    test('[RF1] entries up to the largest are taken, and larger ones are refused', async () => {
      const { engines } = await setUp(1);
      const [a] = engines;
      const large = new Uint8Array(a.entryBytesMax).map((_, i) => i % 251);
      await a.append('room.one', 'large', large);
      expect(Buffer.compare((await a.read('room.one', 0, 1))[0]?.bytes as Uint8Array, large)).toBe(0);
      await expect(a.append('room.one', 'larger', new Uint8Array(a.entryBytesMax + 1))).rejects.toMatchObject({
        code: 'ENGINE_REFUSED',
      });
    });

    test('[RF1] the server is killed in the middle: everything acknowledged is there, once, in order, and who follows gets it', async ({
      skip,
    }) => {
      const { world, engines } = await setUp(2);
      const { server } = world;
      if (server === undefined) return skip();
      const [a, b] = engines as [Engine, Engine];
      const heard: LogEntry[] = [];
      const following = b.follow('room.one', 0, async (entries) => void heard.push(...entries));
      const acknowledged: string[] = [];
      let isDone = false;
      const writing = (async () => {
        for (let i = 0; !isDone; i++) {
          await a.append('room.one', `id-${i}`, bytes(`${i}`));
          acknowledged.push(`${i}`);
        }
      })();
      const until = async (count: number) =>
        await expect.poll(() => acknowledged.length, { timeout: 40_000 }).toBeGreaterThan(count);
      await until(100);
      for (let round = 0; round < 3; round++) {
        await server.kill();
        await server.start();
        await until(acknowledged.length + 50);
      }
      isDone = true;
      await writing;
      expect(text(await a.read('room.one', 0, 1_000_000))).toEqual(acknowledged);
      await expect.poll(() => heard.length, { timeout: 40_000 }).toBe(acknowledged.length);
      expect(text(heard)).toEqual(acknowledged);
      await following.close();
    }, 120_000);

    test('[RF1] what is closed or given up rejects and does not hang', async () => {
      const { engines } = await setUp(1);
      const [a] = engines;
      const stop = new AbortController();
      stop.abort();
      await expect(a.append('room.one', 'id', bytes('x'), stop.signal)).rejects.toMatchObject({ code: 'CLOSED' });
      const following = a.follow('room.one', 0, async () => {});
      await a.close();
      await following.close();
      await expect(a.append('room.one', 'id', bytes('x'))).rejects.toMatchObject({ code: 'CLOSED' });
    });
  });
}
