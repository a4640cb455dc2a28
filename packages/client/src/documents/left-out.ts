import * as Y from 'yjs';
import type { LeftOut } from '../worker/engine-api.js';
import { deletionsOf, deletionsToUpdate, type OperationRange } from './deletions.js';

/**
 * Takes out of the page's document what was left out for everybody else, and puts back what it had replaced. The update that tells the others
 * of the latter; undefined, and nothing changed, where all of it was deleted here meanwhile: who undid it has put back what there was.
 */
export function takeOut(ydoc: Y.Doc, { ranges, replaced }: LeftOut, origin: unknown): Uint8Array | undefined {
  if (!ranges.some((range) => isShown(ydoc, range))) return undefined;
  const deletion = deletionsToUpdate(deletionsOf(ranges));
  const update = replaced === undefined ? deletion : Y.mergeUpdates([deletion, replaced]);
  Y.applyUpdate(ydoc, update, origin);
  return update;
}

function isShown({ store }: Y.Doc, { client, clock }: OperationRange): boolean {
  return Y.getState(store, client) > clock && !Y.getItem(store, Y.createID(client, clock)).deleted;
}
