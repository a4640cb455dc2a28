import { bytesToU64, type Hlc, hlcFromMs, hlcToMs } from '@mangrove/protocol';
import type { Version } from '../../types.js';

/** Where a version stands among those of its key: the newest has the highest stamp. */
export interface Place {
  readonly hlc: number;
  /** Of two records with one stamp the one of the higher replica is the newer. */
  readonly replica?: string | undefined;
}

/** The earlier states of one key that its deltas tell, whether anybody has saved something or not. */
export interface Told {
  /** Newest first, of those below a place: as many as `limit`, or fewer where some cannot be read. */
  list(limit: number, below: Place | undefined): Promise<readonly Version[]>;
  /** The state of one; undefined where it is not told, or not any more. */
  read(place: Place): Promise<{ readonly state: Uint8Array; readonly atMs: number } | undefined>;
}

/** What one writer writes without a pause of this length is one step of a document. */
const PAUSE_MS = 60_000;
/** A step ends there all the same: a list tells what each weighs, and reads so many deltas for one line at most. */
const STEP_DELTAS_MAX = 256;
/** No version that was saved begins so. */
const MARK = '~';
const ID = /^~([0-9a-z]{1,11})(?:-([0-9a-f]{16}))?$/;
const REPLICA_AT = 16;
const STAMP_AT = 24;

export const isTold = (id: string): boolean => id.startsWith(MARK);

export function placeToId({ hlc, replica }: Place): string {
  return `${MARK}${hlc.toString(36)}${replica === undefined ? '' : `-${replica}`}`;
}

/** Undefined for what is no such id. */
export function idToPlace(id: string): Place | undefined {
  const [, hlc, replica] = ID.exec(id) ?? [];
  return hlc === undefined ? undefined : { hlc: Number.parseInt(hlc, 36), replica };
}

/** What was saved stands above what was written in the same millisecond. */
export const placeOfSaved = (atMs: number): Place => ({ hlc: hlcFromMs(atMs + 1) - 0.5 });

export function isBelow(place: Place, other: Place): boolean {
  return place.hlc < other.hlc || (place.hlc === other.hlc && (place.replica ?? '') < (other.replica ?? ''));
}

export const stampOf = (trieKey: Uint8Array): Hlc => bytesToU64(trieKey, STAMP_AT) as Hlc;

/** The trie keys of a document, ascending by stamp, as the steps in which it was written. */
export function stepsOf(trieKeys: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const steps: Uint8Array[][] = [];
  for (const trieKey of trieKeys) {
    const step = steps.at(-1);
    if (step !== undefined && belongs(trieKey, step)) step.push(trieKey);
    else steps.push([trieKey]);
  }
  return steps;
}

function belongs(trieKey: Uint8Array, step: readonly Uint8Array[]): boolean {
  const last = step.at(-1) as Uint8Array;
  const [hlc, before] = [stampOf(trieKey), stampOf(last)];
  // A state is told by a stamp, so what has one stamp is one step.
  if (hlc === before) return true;
  if (step.length >= STEP_DELTAS_MAX || hlcToMs(hlc) - hlcToMs(before) >= PAUSE_MS) return false;
  for (let at = REPLICA_AT; at < STAMP_AT; at++) if (trieKey[at] !== last[at]) return false;
  return true;
}
