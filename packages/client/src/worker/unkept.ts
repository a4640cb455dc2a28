import { compareWritten, type JournalRow, type Store, unkeptNumber, withUnkept } from '@mangrove/protocol';

/**
 * What was written in any tab and no disk has taken [JS7]: every tab shows it, and the one that wrote it tries again. When that tab
 * ends first, the owner of the replica goes on for it.
 */
export class Unkept {
  /** How the others know this tab. */
  readonly tab: number;
  readonly #rowsByTab = new Map<number, Map<number, JournalRow>>();
  readonly #ended = new Set<number>();
  #drafted = 0;

  constructor(tab: number) {
    this.tab = tab;
  }

  get isEmpty(): boolean {
    return this.#rowsByTab.size === 0;
  }

  /** As many writes of this tab are in its memory only. */
  get ownWrites(): number {
    return this.#rowsByTab.get(this.tab)?.size ?? 0;
  }

  /** Of all tabs, in the order in which they were written. */
  rows(): readonly JournalRow[] {
    const rows = [...this.#rowsByTab.values()].flatMap((ofTab) => [...ofTab.values()]);
    return rows.sort(compareWritten);
  }

  ownRows(): readonly JournalRow[] {
    return [...(this.#rowsByTab.get(this.tab)?.values() ?? [])].sort(compareWritten);
  }

  nextNumber(): number {
    return unkeptNumber(this.tab, this.#drafted++);
  }

  add(tab: number, rows: readonly JournalRow[]): void {
    if (rows.length === 0) return;
    // Adopted: they were another tab's until now.
    this.kept(rows.map(({ number }) => number));
    const ofTab = this.#rowsByTab.get(tab) ?? new Map<number, JournalRow>();
    for (const row of rows) ofTab.set(row.number, row);
    this.#rowsByTab.set(tab, ofTab);
  }

  /** The journal has taken them, under numbers of its own. */
  kept(numbers: readonly number[]): void {
    for (const [tab, ofTab] of this.#rowsByTab) {
      for (const number of numbers) ofTab.delete(number);
      if (ofTab.size === 0) this.#rowsByTab.delete(tab);
    }
  }

  tabEnded(tab: number): void {
    this.#ended.add(tab);
  }

  /** The rows of tabs that have ended are this tab's from now on. */
  adopt(): readonly JournalRow[] {
    const adopted: JournalRow[] = [];
    for (const tab of this.#ended) {
      adopted.push(...(this.#rowsByTab.get(tab)?.values() ?? []));
      this.#rowsByTab.delete(tab);
    }
    this.#ended.clear();
    this.add(this.tab, adopted);
    return adopted;
  }

  /** The store as it reads with all of this; what is written sees the disk alone, so that nothing else is sealed or sent. */
  over(store: Store): Store {
    return {
      transact: (plan, options) =>
        store.transact(options.mode === 'read' ? withUnkept(plan, this.rows()) : plan, options),
      close: () => store.close(),
    };
  }
}
