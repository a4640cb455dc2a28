import {
  commitSeal,
  draftSeal,
  hlcToMs,
  isMangroveError,
  numbersOf,
  oldestOf,
  readNumber,
  resetClock,
  type RoomRef,
  type SealedDraft,
  signDelta,
  type Store,
} from '@mangrove/protocol';
import { deflate } from '../deflate.js';
import { mergeUpdates } from '../documents/merge.js';
import type { Environment, Identity } from '../environment.js';
import type { SealedRows } from '../tabs/room-channel.js';

/** Drafts that lose a race with another tab are drafted again; more often than this, something is wrong. */
export const RETRIES_MAX = 8;

export type SealOutcome = 'empty' | 'lost' | { readonly sealed: readonly SealedDraft[]; readonly root: Uint8Array };

/**
 * Seals what is in the journal, as far as one transaction goes. `lost`: something moved in between, and nothing was written [JS3]. `epoch`: of
 * who seals as the owner; without it under the one that is stored, as any tab may where it holds all that a seal has to check.
 */
export async function sealOnce(
  env: Environment,
  store: Store,
  room: RoomRef,
  { replica, signer }: Identity,
  epoch?: () => number,
): Promise<SealOutcome> {
  const nowMs = env.clock.nowMs();
  try {
    const { drafts, stored } = await store.transact(
      function* (tx) {
        const drafts = yield* draftSeal(tx, room, { replica, nowMs, mergeUpdates, deflate });
        return { drafts, stored: epoch === undefined ? yield* readNumber(tx, 'epoch') : 0 };
      },
      { mode: 'read' },
    );
    if (drafts.length === 0) return 'empty';
    const sealed: SealedDraft[] = await Promise.all(
      drafts.map(async ({ unsigned, rows }) => ({
        delta: signDelta(unsigned, await signer.sign(unsigned.message)),
        rows,
      })),
    );
    const under = epoch?.() ?? stored;
    const acceptance = await store.transact((tx) => commitSeal(tx, room, sealed, under, nowMs), {
      mode: 'write',
      durability: 'strict',
    });
    return acceptance === undefined ? 'lost' : { sealed, root: acceptance.root };
  } catch (error) {
    if (!isMangroveError(error) || error.code !== 'CLOCK_AHEAD') throw error;
    // A clock that ran ahead and was set right: nothing was given away with its stamps, so the stamps can go back too.
    await store.transact((tx) => resetClock(tx, env.clock.nowMs()), { mode: 'write' });
    return 'lost';
  }
}

/** A sealed delta as the tabs tell each other of it. */
export function sealedRows({ delta, rows }: SealedDraft): SealedRows {
  return {
    seq: delta.seq,
    rows: rows.flatMap(numbersOf),
    bytes: delta.body.length,
    atMs: Math.min(...rows.map((row) => hlcToMs(oldestOf(row)))),
  };
}
