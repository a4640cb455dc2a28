import { MangroveError } from '@mangrove/protocol';
import type { Place } from '../stores/places.js';

/** What is known when a room is opened. */
export interface Opening {
  readonly place: Place;
  /** No key of this profile was there: the room is new to the database. */
  readonly isNew: boolean;
  /** The browser says that it has thrown the database away, as it could not read it. */
  readonly wasDiscarded: boolean;
  /** What the page remembers of the room: so many writes were in this database alone. */
  readonly mark: { readonly writes: number; readonly atMs: number } | undefined;
}

/**
 * The database was emptied, or lost, since the last visit; undefined where nothing says so. How much was at stake is not known where the
 * page has no mark.
 */
export function lossOf({ place, isNew, wasDiscarded, mark }: Opening): MangroveError | undefined {
  if (place !== 'main' || !isNew) return undefined;
  if (mark !== undefined) return new MangroveError('STORAGE_LOST', { writes: mark.writes, markedAtMs: mark.atMs });
  return wasDiscarded ? new MangroveError('STORAGE_LOST', {}) : undefined;
}
