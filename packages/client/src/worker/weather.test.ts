import { MangroveError } from '@mangrove/protocol';
import { expect, test } from 'vitest';
import { ClientWorld, type Profile, type RelayDisk, type Tab } from '../../../../test/support/client-world.js';
import type { Room } from '../room.js';

const SEEDS = process.env.MANGROVE_TEST_LONG ? 300 : 5;
const STEPS = 60;

interface Device {
  readonly profile: Profile;
  readonly tabs: Tab[];
  /** Its disk takes nothing that is written. */
  isFull: boolean;
}

/** What a seed makes happen; everything that was reported as on disk has to be everywhere in the end. */
class Weather {
  readonly world: ClientWorld;
  readonly devices: Device[] = [];
  readonly promised = new Set<string>();
  readonly typed = new Set<string>();
  readonly trace: string[] = [];
  #oldDisk: RelayDisk;
  #count = 0;

  readonly #mayBeFull: boolean;

  constructor(seed: number, options: { readonly mayBeFull: boolean }) {
    this.world = new ClientWorld(seed);
    this.#mayBeFull = options.mayBeFull;
    this.#oldDisk = this.world.relay.disk.copy();
    for (let i = 0; i < 3; i++) {
      const profile = this.world.profile();
      const device: Device = { profile, tabs: [], isFull: false };
      this.devices.push(device);
      this.#openTab(device);
    }
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.world.u32() % items.length] as Item;
  }

  async step(): Promise<void> {
    const device = this.pick(this.devices);
    const tab = device.tabs.length === 0 ? undefined : this.pick(device.tabs);
    const steps: Record<string, () => void | Promise<void>> = {
      put: () => tab && this.#put(tab),
      putAgain: () => tab && this.#put(tab),
      overwrite: () => tab && this.#overwrite(tab),
      type: () => tab && this.#type(tab),
      typeAgain: () => tab && this.#type(tab),
      cut: () => {
        device.profile.network.isUp = false;
      },
      restore: () => {
        device.profile.network.isUp = true;
      },
      slow: () => {
        device.profile.network.latencyMs = this.world.u32() % 300;
      },
      openTab: () => {
        if (device.tabs.length < 3) this.#openTab(device);
      },
      closeTab: () => {
        if (tab !== undefined) void this.#leave(device, tab).close();
      },
      crashTab: () => {
        if (tab !== undefined) this.#leave(device, tab).crash();
      },
      mute: () => {
        if (tab !== undefined) tab.isMute = !tab.isMute;
      },
      pause: () => tab?.room().pause(),
      resume: () => tab?.room().resume(),
      clockAhead: () => {
        device.profile.skewMs = this.pick([400_000, 100_000, 10_000_000]);
      },
      clockRight: () => {
        device.profile.skewMs = 0;
      },
      relayAgain: () => this.world.restartRelay(this.world.relay.disk.copy()),
      relayOld: () => this.world.restartRelay(this.#oldDisk.copy()),
      relayEmpty: () => this.world.restartRelay(),
      keepDisk: () => {
        this.#oldDisk = this.world.relay.disk.copy();
      },
      wait: () => this.world.pass(this.world.u32() % 3_000),
      waitLonger: () => this.world.pass(this.world.u32() % 20_000, 500),
      turns: () => this.world.quiet(this.world.u32() % 30),
      ...(this.#mayBeFull && {
        // A disk that was full before the room was there is another matter.
        fill: async () => {
          if (tab !== undefined) await this.world.run(tab.room().ready);
          device.isFull = tab !== undefined;
        },
        makeRoom: () => {
          device.isFull = false;
        },
      }),
    };
    const name = this.pick(Object.keys(steps));
    this.trace.push(`${name} ${this.devices.indexOf(device)}.${tab === undefined ? '-' : device.tabs.indexOf(tab)}`);
    await steps[name]?.();
  }

  async heal(): Promise<Room[]> {
    // Whoever pauses in one tab and resumes in another does so one after the other: what was said is heard before the next.
    await this.world.pass(1_000);
    for (const device of this.devices) {
      const { profile, tabs } = device;
      if (tabs.length === 0) this.#openTab(device);
      device.isFull = false;
      profile.skewMs = 0;
      profile.network.isUp = true;
      profile.network.latencyMs = 0;
      for (const tab of tabs) {
        tab.isMute = false;
        tab.room().resume();
      }
    }
    const rooms = this.devices.flatMap(({ tabs }) => tabs.map((tab) => tab.room()));
    await this.world.run(Promise.all(rooms.map((room) => room.ready)));
    await this.world.pass(90_000, 1_000);
    return rooms;
  }

  #openTab(device: Device): void {
    const tab = device.profile.tab();
    device.tabs.push(tab);
    tab.beforeTransact = ({ mode }) => {
      if (device.isFull && mode === 'write') throw new MangroveError('STORAGE_FULL');
    };
  }

  #leave(device: Device, tab: Tab): Tab {
    device.tabs.splice(device.tabs.indexOf(tab), 1);
    return tab;
  }

  #put(tab: Tab): void {
    const id = `w${++this.#count}`;
    tab
      .room()
      .collection('writes')
      .put(id, id)
      .then((receipt) => (receipt.rung === 'disk' ? undefined : receipt.reached('disk')))
      .then(
        () => this.promised.add(id),
        () => {},
      );
  }

  #overwrite(tab: Tab): void {
    const value = ++this.#count;
    const todos = tab.room().collection('todos');
    const id = this.pick(['a', 'b']);
    (value % 5 === 0 ? todos.delete(id) : todos.put(id, value)).catch(() => {});
  }

  #type(tab: Tab): void {
    const token = `<${++this.#count}>`;
    const note = tab.room().document('note');
    note.ydoc.getText('t').insert(note.ydoc.getText('t').length, token);
    const onDisk = this.#mayBeFull ? note.reached('disk') : note.flush();
    onDisk.then(
      () => tab.isGone || this.typed.add(token),
      () => {},
    );
  }
}

const listOf = async (world: ClientWorld, room: Room, collection: string): Promise<unknown> =>
  world.run(room.collection(collection).entries());

const seeds = Array.from({ length: SEEDS }, (_, i) => i + 1);

test.each(seeds)(
  '[SY5] in any weather nothing that was on disk is lost, and all agree when it is over: seed %i',
  (seed) => comeThrough(seed, { mayBeFull: false }),
);

test.each(seeds)('[SY5] [JS7] the same with disks that are full for a while: seed %i', (seed) =>
  comeThrough(seed, { mayBeFull: true }),
);

async function comeThrough(seed: number, options: { readonly mayBeFull: boolean }): Promise<void> {
  const weather = new Weather(seed, options);
  const { world } = weather;
  try {
    for (let i = 0; i < STEPS; i++) await weather.step();
    const rooms = await weather.heal();
    await world.until('all in sync', async () => {
      const root = await world.relay.root('team');
      return rooms.every(
        ({ status }) => status.sync === 'in-sync' && status.root === root && status.pending.writes === 0,
      );
    });
    const [first] = rooms as [Room];
    const writes = (await listOf(world, first, 'writes')) as [string, unknown][];
    const ids = new Set(writes.map(([id]) => id));
    expect([...weather.promised].filter((id) => !ids.has(id))).toEqual([]);
    const notes = rooms.map((room) => room.document('note'));
    await world.run(Promise.all(notes.map((note) => note.ready)));
    await world.quiet();
    const text = notes[0]?.ydoc.getText('t').toString() ?? '';
    expect([...weather.typed].filter((token) => !text.includes(token))).toEqual([]);
    for (const [i, room] of rooms.entries()) {
      expect(await listOf(world, room, 'writes')).toEqual(writes);
      expect(await listOf(world, room, 'todos')).toEqual(await listOf(world, first, 'todos'));
      expect(notes[i]?.ydoc.getText('t').toString()).toBe(text);
    }
    expect(world.bugs).toEqual([]);
  } catch (error) {
    throw new Error(`seed ${seed}: ${weather.trace.join(', ')}`, { cause: error });
  } finally {
    await world.close();
  }
}
