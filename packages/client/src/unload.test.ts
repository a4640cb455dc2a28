import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ClientWorld, setWorld } from '../../../test/support/client-world.js';
import type { RoomStatus } from './types.js';
import { isAtRisk, UnloadWarning } from './unload.js';

const pending = (writes: number) => ({ writes, bytes: writes, oldestAgeMs: writes === 0 ? null : 1 });

/** For each place: with nothing pending, and with something that no relay has. */
const TABLE: Record<RoomStatus['storage'], readonly [boolean, boolean]> = {
  opening: [false, false],
  indexeddb: [false, false],
  full: [true, true],
  memory: [false, true],
  lost: [false, true],
};

describe('[API] what would be lost with a page', () => {
  test.each(Object.entries(TABLE) as [RoomStatus['storage'], readonly [boolean, boolean]][])(
    '%s',
    (storage, [idle, busy]) => {
      expect(isAtRisk({ storage, pending: pending(0) }, 0)).toBe(idle);
      expect(isAtRisk({ storage, pending: pending(2) }, 0)).toBe(busy);
      expect(isAtRisk({ storage, pending: pending(0) }, 1), 'what no journal has is always at risk').toBe(true);
    },
  );
});

describe('[API] the warning is there while something is at risk, and no longer', () => {
  let world: ClientWorld;
  setWorld((fresh) => (world = fresh));
  const page = new EventTarget();
  /** Whether the page is left without a question. */
  const leave = (): boolean => {
    const event = new Event('beforeunload', { cancelable: true });
    // Node's events know it as what can be read only.
    Object.defineProperty(event, 'returnValue', { value: '', writable: true });
    return page.dispatchEvent(event);
  };

  beforeEach(() => {
    vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
    vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
  });
  afterEach(() => vi.unstubAllGlobals());

  test('from the keystroke until it is on disk, also where nobody has asked for a status', async () => {
    const room = world.profile().tab({ relays: [] }).room();
    const note = room.document('note');
    await world.run(note.ready);
    const stop = room.warnBeforeUnload();
    expect(leave()).toBe(true);
    note.ydoc.getText('t').insert(0, 'x');
    expect(leave()).toBe(false);
    await world.run(note.reached('disk'));
    expect(leave()).toBe(true);
    const written = room.collection('todos').put('a', 1);
    expect(leave()).toBe(false);
    stop();
    expect(leave(), 'nobody wants it any more').toBe(true);
    await world.run(written);
  });

  test('in memory until the relay has it', async () => {
    const profile = world.profile();
    const tab = profile.tab({ memory: true });
    const room = tab.room();
    room.warnBeforeUnload();
    await world.agree(room);
    expect(leave()).toBe(true);
    profile.network.isUp = false;
    await world.run(room.collection('todos').put('a', 1));
    expect(leave()).toBe(false);
    profile.network.isUp = true;
    await world.agree(room);
    expect(leave()).toBe(true);
    void room.collection('todos').put('b', 2);
    expect(leave()).toBe(false);
    await world.run(tab.close());
    expect(leave(), 'the app has closed it').toBe(true);
  });

  test('a room that is safe leaves the warning of another one', () => {
    const risks = [true, true];
    const warnings = risks.map((_, i) => new UnloadWarning(() => risks[i] === true));
    const ends = warnings.map((warning) => warning.begin());
    risks[0] = false;
    warnings[0]?.update();
    expect(leave()).toBe(false);
    ends[1]?.();
    ends[1]?.();
    expect(leave()).toBe(true);
  });
});
