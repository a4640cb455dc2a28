import { describe, expect, test } from 'vitest';
import { type ClientWorld, setWorld } from '../../../../test/support/client-world.js';
import { initialStatus } from '../page-status.js';
import type { Health, RoomStatus } from '../types.js';
import type { Vitals } from '../worker/engine-api.js';
import { HealthWatch } from './health-watch.js';

let world: ClientWorld;
setWorld((fresh) => (world = fresh));

const LOOK_MS = 5_000;

describe('[API] health of a room', () => {
  test('a relay that takes nothing, or sends nothing, is told while the connection stands, and is over when it goes on', async () => {
    const profile = world.profile();
    const room = profile.tab().room();
    await world.agree(room);
    const heard: string[] = [];
    const stop = room.on('health', ({ reasons }) => heard.push(String(reasons)));
    expect(room.health()).toEqual({ score: 1, reasons: [] });
    profile.network.isStalled = true;
    await world.run(room.collection('todos').put('a', 1));
    await world.pass(25_000);
    expect(room.health().reasons).toEqual([]);
    await world.pass(10_000);
    expect(room.status.connection).toBe('connected');
    expect(room.health()).toEqual({ score: 0.5, reasons: ['not-taken'] });
    profile.network.resume();
    await world.agree(room);
    await world.pass(LOOK_MS);
    expect(heard).toEqual(['not-taken', '']);
    stop();
    profile.network.isUp = false;
    await world.pass(60_000);
    expect(heard, 'who does not listen any more is told nothing').toHaveLength(2);
  });

  test('offline is told when it lasts, what waits for an hour with it, and that the room is closed', async () => {
    const profile = world.profile();
    const room = profile.tab().room();
    await world.agree(room);
    const heard: Health[] = [];
    room.on('health', (health) => heard.push(health));
    profile.network.isUp = false;
    await world.run(room.collection('todos').put('a', 1));
    await world.pass(8_000);
    expect(heard).toEqual([]);
    await world.pass(10_000);
    await world.pass(3_600_000, LOOK_MS);
    room.close();
    expect(heard.map(({ reasons }) => String(reasons))).toEqual(['offline', 'offline,unsent', 'closed']);
    expect(room.health()).toEqual({ score: 0, reasons: ['closed'] });
  });

  test('[JS3] another tab owns the replica and is silent: told by the tab that waits for it, until it speaks', async () => {
    const profile = world.profile();
    const [first, second] = [profile.tab(), profile.tab()];
    await world.agree(first.room());
    await world.agree(second.room());
    // Nobody looks at it: it takes its time before it takes over by force.
    second.isVisible = false;
    await world.pass(5_000);
    const look = async (times: number): Promise<readonly string[]> => {
      for (let i = 0; i < times; i++) {
        second.room().health();
        await world.pass(LOOK_MS);
      }
      return second.room().health().reasons;
    };
    expect(await look(5), 'an owner that answers').toEqual([]);
    first.isMute = true;
    expect(await look(5)).toEqual(['owner-silent']);
    expect(first.room().health().reasons).toEqual([]);
    first.isMute = false;
    expect(await look(2)).toEqual([]);
    first.isMute = true;
    expect(await look(5)).toEqual(['owner-silent']);
    first.crash();
    expect(await look(3), 'it owns the replica itself now').toEqual([]);
  });

  test('a room that nobody has used is not opened by asking', async () => {
    const room = world.profile().tab().room();
    expect(room.health()).toEqual({ score: 0, reasons: ['closed'] });
    await world.quiet();
    expect(room.status.storage).toBe('opening');
  });

  test('a worker that does not answer is told at the second look after, and a page that slept in between is no worker that did', () => {
    const clock = { nowMs: 0 };
    let answer: (vitals: Vitals) => void = () => {};
    let asked = 0;
    const status: RoomStatus = { ...initialStatus(true), connection: 'connected', storage: 'indexeddb' };
    const watch = new HealthWatch({
      clock: { steadyMs: () => clock.nowMs, nowMs: () => clock.nowMs },
      ask: () => {
        asked++;
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
      storage: () => ({ place: 'main', lostWrites: 0, persisted: null }),
      status: () => ({ ...status, sync: 'in-sync' }),
      openedAtMs: () => 0,
    });
    const lookAt = (nowMs: number): readonly string[] => {
      clock.nowMs = nowMs;
      return watch.look().reasons;
    };
    expect(lookAt(1_000)).toEqual([]);
    expect(lookAt(900_000), 'slept').toEqual([]);
    expect(lookAt(905_000)).toEqual(['worker-silent']);
    expect(asked).toBe(1);
    answer({ ownerSilentMs: 0, isUnguarded: false });
    return Promise.resolve().then(() => expect(lookAt(910_000)).toEqual([]));
  });
});
