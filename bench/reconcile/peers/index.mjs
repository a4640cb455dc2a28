import { automergeFirst, automergeResumed } from './automerge.mjs';
import { evolu } from './evolu.mjs';
import { mangroveCursor, mangroveVector } from './mangrove.mjs';
import { merkleSearchTree } from './merkle-search-tree.mjs';
import { negentropy } from './negentropy.mjs';
import { yjs } from './yjs.mjs';

/** In the order of the tables. */
export const peers = [
  mangroveCursor,
  mangroveVector,
  negentropy,
  evolu,
  merkleSearchTree,
  automergeFirst,
  automergeResumed,
  yjs,
];
