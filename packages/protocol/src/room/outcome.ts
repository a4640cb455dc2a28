/**
 * What became of a delta:
 * `added` to the set · `superseded` on arrival, new to us · `known` already, nothing changed · `forked`: added beside another id
 * on its dot · `reused`: refused, its author has used the dot before [CX7] · `trashed`: it lies under a held floor [FL5] · `unseen`: refused,
 * it comes from its author for the first time, and what covers it was here before it [CX10].
 */
export type Outcome = 'added' | 'superseded' | 'known' | 'forked' | 'reused' | 'trashed' | 'unseen';

/** Whether a delta of this outcome was not here before and is now, in the set or superseded. */
export const isNews = (outcome: Outcome): boolean =>
  outcome === 'added' || outcome === 'superseded' || outcome === 'forked';
