import * as Y from 'yjs';

/** What an update asks of who applies it, as far as the update itself tells. */
export interface Cost {
  /** Pieces of content, gaps and collected pieces among them. */
  readonly structs: number;
  /** Pieces whose place Yjs may have to look for by walking over the document. */
  readonly walks: number;
  /** Marks of formatting: a text with many is tidied up slowly. */
  readonly formats: number;
  /** Operations that are deleted. */
  readonly deleted: number;
}

/**
 * Up to here an update is applied without being tried: its cost is at most so many walks over the document, and the walks of one that has a
 * million pieces are over within what a trial allows.
 */
export const FREE: Cost = { structs: 10_000, walks: 16, formats: 64, deleted: 4_096 };

type Decoded = ReturnType<typeof Y.decodeUpdate>;
type Struct = Decoded['structs'][number];

/** Whether the update is cheap in any document: no more than linear in that. */
export function isFree(cost: Cost): boolean {
  return (Object.keys(FREE) as (keyof Cost)[]).every((part) => cost[part] <= FREE[part]);
}

export function costOf({ structs, ds }: Decoded): Cost {
  let walks = 0;
  let formats = 0;
  let before: Struct | undefined;
  for (const struct of structs) {
    if (struct instanceof Y.Item) {
      if (!isBehind(struct, before)) walks++;
      if (struct.content instanceof Y.ContentFormat) formats++;
    }
    before = struct;
  }
  let deleted = 0;
  for (const ranges of ds.clients.values()) {
    let end = 0;
    for (const { clock, len } of ranges) {
      deleted += len;
      // Yjs writes them in order. Each that is not so may go over the same operations again.
      if (clock < end) walks++;
      end = Math.max(end, clock + len);
    }
  }
  return { structs: structs.length, walks, formats, deleted };
}

/**
 * Made right behind the piece before it. In between can only be what comes with the same update, and of that no piece is passed twice by
 * the pieces of one writer; each writer begins with a walk.
 */
function isBehind({ id, origin }: Y.Item, before: Struct | undefined): boolean {
  const isNext =
    before instanceof Y.Item && before.id.client === id.client && before.id.clock + before.length === id.clock;
  return isNext && origin?.client === id.client && origin.clock === id.clock - 1;
}
