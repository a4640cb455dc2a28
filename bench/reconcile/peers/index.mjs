import { automergeFirst, automergeResumed } from './automerge.mjs';
import { mangroveCursor, mangroveVector } from './mangrove.mjs';
import { merkleSearchTree } from './merkle-search-tree.mjs';
import { negentropy } from './negentropy.mjs';
import { yjs } from './yjs.mjs';

/** In the order of the tables. */
export const peers = [
  mangroveCursor,
  mangroveVector,
  negentropy,
  merkleSearchTree,
  automergeFirst,
  automergeResumed,
  yjs,
];
