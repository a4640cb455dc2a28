/**
 * What waits, in a line for each who has brought it. One of each line is taken in turn, so that a long line makes nobody wait but those who stand in
 * it; within a line the order is that of their coming.
 */
export class FairQueue<Who, Item> {
  /** The line whose turn it is comes first. */
  readonly #lines = new Map<Who, Item[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(who: Who, item: Item): void {
    const line = this.#lines.get(who);
    if (line === undefined) this.#lines.set(who, [item]);
    else line.push(item);
    this.#size++;
  }

  /** Takes until `fits` says no of the next one, which stays; the first is taken whatever it says. */
  take(fits: (item: Item) => boolean): readonly Item[] {
    const taken: Item[] = [];
    const takenOf = new Map<Who, number>();
    // Whoever is moved to the end is met again in the same pass.
    for (const [who, line] of this.#lines) {
      const at = takenOf.get(who) ?? 0;
      const item = line[at] as Item;
      if (!fits(item) && taken.length > 0) break;
      taken.push(item);
      takenOf.set(who, at + 1);
      this.#lines.delete(who);
      if (at + 1 < line.length) this.#lines.set(who, line);
    }
    for (const [who, count] of takenOf) this.#lines.get(who)?.splice(0, count);
    this.#size -= taken.length;
    return taken;
  }

  /** Takes out what may not wait any more. */
  remove(isMeant: (item: Item) => boolean): readonly Item[] {
    const removed: Item[] = [];
    for (const [who, line] of this.#lines) {
      const left = line.filter((item) => !isMeant(item));
      if (left.length === line.length) continue;
      removed.push(...line.filter(isMeant));
      if (left.length === 0) this.#lines.delete(who);
      else this.#lines.set(who, left);
    }
    this.#size -= removed.length;
    return removed;
  }
}
