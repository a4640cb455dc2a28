import { isMangroveError, MangroveError } from '@mangrove/protocol';
import type { RoomStatus } from '../types.js';

/** Where a client keeps its rooms, the best first. `bucket`: a database apart from the site's others. */
export type Place = 'main' | 'bucket' | 'memory';

/** Why a database is of no use, in words that stay the same. */
export type Failure =
  /** Site data are not allowed, or there is no IndexedDB. */
  | 'denied'
  /** The browser cannot open it any more, this database or any other of the site. */
  | 'broken'
  /** A tab of an older version keeps it open and does not listen. */
  | 'blocked'
  /** A newer version of the app has made it, or is about to. */
  | 'newer'
  /** It was deleted under us: somebody cleared the site's data. */
  | 'deleted'
  /** The connection went and a new one was of no use. */
  | 'lost'
  /** There is no room to begin with. */
  | 'full';

/** Where rooms go when a place has failed. A bucket is another database in another folder: it helps where that of the site is broken. */
export function refugeFrom(place: Place, failure: Failure, hasBuckets: boolean): Place {
  return place === 'main' && failure === 'broken' && hasBuckets ? 'bucket' : 'memory';
}

/** `hadRows`: there was a database in this session or before, so that a person has something to miss. */
export function storageStatus(place: Place, hadRows: boolean): RoomStatus['storage'] {
  if (place !== 'memory') return 'indexeddb';
  return hadRows ? 'lost' : 'memory';
}

export function unavailable(failure: Failure, reason: string, cause?: unknown): MangroveError {
  if (failure === 'newer') return new MangroveError('STORAGE_NEWER', {}, { cause });
  return new MangroveError('STORAGE_UNAVAILABLE', { reason, failure }, { cause });
}

/** Undefined for what is no failure of the storage. */
export function failureOf(error: unknown): Failure | undefined {
  if (!isMangroveError(error)) return undefined;
  if (error.code === 'STORAGE_FULL') return 'full';
  if (error.code === 'STORAGE_NEWER') return 'newer';
  if (error.code === 'STORAGE_DAMAGED') return error.facts.isLeft ? 'broken' : undefined;
  if (error.code !== 'STORAGE_UNAVAILABLE') return undefined;
  return (error.facts.failure as Failure | undefined) ?? 'lost';
}

/** What the platform's error says about the database. */
export function failureOfPlatform(cause: unknown): Failure {
  switch (cause instanceof Error ? cause.name : '') {
    case 'SecurityError':
    case 'NotAllowedError':
    case 'ReferenceError':
    case 'TypeError':
      return 'denied';
    case 'VersionError':
      return 'newer';
    case 'UnknownError':
      return 'broken';
    default:
      return 'lost';
  }
}
