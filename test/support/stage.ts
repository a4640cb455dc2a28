import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { type DemoSite, LOCAL_ONLY, openDemoSite } from './demo-site.js';
import type { Engine, Session } from './engines/engine.js';
import { openEngine as openEngineOfRun } from './engines/engines.js';
import { Notebook } from './notebook.js';
import { Person } from './person.js';
import { Profile } from './profile.js';
import { RelayProcess } from './relay-process.js';
import { TcpProxy } from './tcp-proxy.js';
import { until } from './until.js';

export interface ArriveOptions {
  /** By default one room for each test. */
  readonly room?: string;
  /** A browser whose profile lasts; by default one that forgets everything when it is closed. */
  readonly profile?: Profile;
  /** A browser that is open already; it is closed after the test. */
  readonly session?: Session;
  /** False: no relay at all. A string: another relay than that of the stage. */
  readonly relay?: boolean | string;
  /** By default that of the stage, which is always there. */
  readonly site?: DemoSite;
  /** Their network is cut until the test heals it, so that nothing comes before somebody looks. */
  readonly isCutOff?: boolean;
  /** What their browser may complain of, from the beginning. */
  readonly expectTrouble?: RegExp;
  /** Called before the page is opened. */
  readonly prepare?: (session: Session, origin: string) => Promise<void>;
}

/** What a test needs to put people in front of browsers. Everything a test opens is closed after it. */
export interface Stage {
  readonly relay: RelayProcess;
  readonly room: string;
  arrive(name: string, options?: ArriveOptions): Promise<Person>;
  /** Two people in one room, each with the editor open and in sync. */
  arriveTogether(): Promise<[Person, Person]>;
  /** `folder`: where its files are to be, by default anywhere. */
  newProfile(folder?: string): Promise<Profile>;
}

export interface StageOptions {
  readonly isRelayRunning?: boolean;
  /** By default the one that this run is about. */
  readonly openEngine?: () => Engine;
}

/**
 * Sets the stage for the tests of a file: one browser engine, one relay process and the built demo for all of them, a room and
 * people for each. A test fails when a page or a worker reports an error that nobody said to expect.
 */
export function setStage({ isRelayRunning = true, openEngine = openEngineOfRun }: StageOptions = {}): Stage {
  const engine: Engine = openEngine();
  let site: DemoSite;
  let relay: RelayProcess;
  let notebook: Notebook;
  let room = newRoom();
  let people: Person[] = [];
  let profiles: Profile[] = [];
  let networks: TcpProxy[] = [];

  beforeAll(async () => {
    relay = await RelayProcess.prepare();
    [site, notebook] = await Promise.all([openDemoSite(), Notebook.open()]);
    if (isRelayRunning) await relay.start();
  });

  afterEach(async () => {
    const troubles = people.flatMap((person) => person.troubles);
    await Promise.all(people.map(({ session }) => session.close().catch(() => {})));
    await Promise.all(profiles.map((profile) => profile.remove()));
    await Promise.all(networks.map((network) => network.close()));
    [people, profiles, networks, room] = [[], [], [], newRoom()];
    expect(troubles, 'errors of pages and workers').toEqual([]);
  });

  afterAll(async () => {
    await engine.close();
    await site?.close();
    await notebook?.close();
    await relay?.stop();
  });

  const arrive = async (name: string, options: ArriveOptions = {}): Promise<Person> => {
    const { profile, relay: wanted = true } = options;
    const session = options.session ?? (await (profile === undefined ? engine.open() : profile.open()));
    const network = wanted === true ? await TcpProxy.open(relay.port) : undefined;
    if (network !== undefined) networks.push(network);
    const address = (options.site ?? site).address(
      options.room ?? room,
      network?.url ?? (wanted || LOCAL_ONLY).toString(),
    );
    const { networkTrouble } = engine;
    const person = new Person({ name, session, networkTrouble, address, network, notebook });
    people.push(person);
    if (options.isCutOff === true) person.network.cut();
    // Their browser may say so before the page is there.
    if (!isRelayRunning && network !== undefined) person.expectNetworkTrouble();
    if (options.expectTrouble !== undefined) person.expectTrouble(options.expectTrouble);
    await options.prepare?.(session, new URL(address).origin);
    await person.openTab();
    await person.callThemself(name);
    return person;
  };

  return {
    get relay() {
      return relay;
    },
    get room() {
      return room;
    },
    arrive,
    arriveTogether: async () => {
      const [anna, ben] = await Promise.all([arrive('Anna'), arrive('Ben')]);
      await Promise.all([anna.waitUntilInSync(), ben.waitUntilInSync()]);
      return [anna, ben];
    },
    newProfile: async (folder) => {
      const profile = await Profile.create(engine, folder);
      profiles.push(profile);
      return profile;
    },
  };
}

/** All are in sync with one root, and with one text where that was not so before. Nobody presses anything meanwhile. */
export async function waitUntilEqual(
  people: readonly Person[],
  withinMs?: number,
): Promise<{ text: string; root: string }> {
  let roots: string[] = [];
  let texts: string[] = [];
  await until(
    'all to be in sync and equal',
    async () => {
      const statuses = await Promise.all(people.map((person) => person.status()));
      if (statuses.some(({ sync, pending }) => sync !== 'in-sync' || pending.writes > 0)) return false;
      roots = statuses.map(({ root }) => root);
      texts = await Promise.all(people.map((person) => person.text()));
      return new Set(roots).size === 1 && new Set(texts).size === 1;
    },
    {
      withinMs,
      explain: async () => JSON.stringify(await Promise.all(people.map((person) => person.status()))),
    },
  );
  return { text: texts[0] as string, root: roots[0] as string };
}

function newRoom(): string {
  return `room-${randomUUID()}`;
}
