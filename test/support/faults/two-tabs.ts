import type { Tab } from '../engines/engine.js';
import type { Person } from '../person.js';
import { Load } from './load.js';

/**
 * What becomes of the network once some writes have reached the relay. `silent`: all goes up and no answer comes, and the owner
 * alone writes on, so that no barrier but that of its seals keeps what is sent.
 */
const WEATHERS = ['silent', 'cut', 'open'] as const;
export type Weather = (typeof WEATHERS)[number];

/** Each in its turn. */
export function weatherOf(round: number): Weather {
  return WEATHERS[round % WEATHERS.length] as Weather;
}

/** A person writes in the tab they have and in another: one is the owner of the replica, and the other is not. */
export async function writeInTwoTabs(
  anna: Person,
  mark: string,
  weather: Weather,
): Promise<{ tabs: Tab[]; loads: Load[] }> {
  const tabs = [anna.page, await anna.openTab()];
  const [first, second] = tabs.map((tab) => anna.inTab(tab)) as [Person, Person];
  const loads = await Promise.all([
    Load.start(first, `${mark}a`, ['first', 'records']),
    Load.start(second, `${mark}b`, ['second']),
  ]);
  await Promise.all(loads.map((load) => load.until('relay', 3)));
  if (weather === 'cut') anna.network.cut();
  if (weather === 'silent') {
    anna.network.hold('down');
    await loads[1]?.stop();
  }
  await Promise.all(loads.filter(({ isOn }) => isOn).map((load) => load.until('disk', 3)));
  return { tabs, loads };
}
