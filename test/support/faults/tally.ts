import type { Verdict } from './survivors.js';

/** What a loop of faults has seen, for its last line and for whoever asserts it. */
export class Tally {
  tries = 0;
  /** Writes that were said to be on this device's disk or the relay's. */
  acknowledged = 0;
  /** Written and not yet acknowledged when the fault came: they may be there or not. */
  underWay = 0;
  readonly lost: string[] = [];
  readonly holes: string[] = [];
  readonly torn: string[] = [];
  /** The relay had them, and the disk that they came from did not. */
  readonly forgotten: string[] = [];

  add(what: string, { lost, holes, torn }: Verdict, forgotten: readonly number[] = []): void {
    const name = (n: number): string => `${what} ${n}`;
    this.lost.push(...lost.map(name));
    this.holes.push(...holes.map(name));
    this.torn.push(...torn.map(name));
    this.forgotten.push(...forgotten.map(name));
  }

  /** What a loop is to end with. */
  get damage(): Record<'lost' | 'holes' | 'torn' | 'forgotten', readonly string[]> {
    const { lost, holes, torn, forgotten } = this;
    return { lost, holes, torn, forgotten };
  }

  say(title: string, ...more: readonly string[]): void {
    const { tries, acknowledged, underWay } = this;
    const counts = Object.entries(this.damage).map(([what, all]) => `${what} ${all.length}`);
    const all = [`${tries} tries`, `acknowledged ${acknowledged}`, `under way ${underWay}`, ...counts, ...more];
    console.log(`${title}: ${all.join(', ')}`);
  }
}

export const NO_DAMAGE = { lost: [], holes: [], torn: [], forgotten: [] } as const;
