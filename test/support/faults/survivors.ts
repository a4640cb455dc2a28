/** What was promised of a stream of writes, beside what is there. */

/** Numbers of writes, each made in two places at once: a word in two texts of a document, or the id and the value of a record. */
export interface Found {
  readonly numbers: readonly number[];
  readonly twins: readonly number[];
}

export interface Verdict {
  /** Promised and not there. */
  readonly lost: readonly number[];
  /** Not there, and something that was written later is. */
  readonly holes: readonly number[];
  /** In one place and not in the other, or more than once. */
  readonly torn: readonly number[];
}

/** Pure. The numbers of a stream begin with 1. */
export function judge(promised: Iterable<number>, { numbers, twins }: Found): Verdict {
  const [first, second] = [new Set(numbers), new Set(twins)];
  const isWhole = (n: number): boolean => first.has(n) && second.has(n);
  const last = Math.max(0, ...first, ...second);
  const upTo = Array.from({ length: last }, (_, i) => i + 1);
  return {
    lost: [...promised].filter((n) => !isWhole(n)),
    holes: upTo.filter((n) => !first.has(n) && !second.has(n)),
    torn: [
      ...upTo.filter((n) => first.has(n) !== second.has(n)),
      ...[numbers, twins].flatMap((all) => all.filter((n, i) => all.indexOf(n) !== i)),
    ],
  };
}
