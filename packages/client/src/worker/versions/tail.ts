import {
  type Delta,
  FLAG,
  hasFlag,
  hlcToMs,
  type KeyId,
  readDocumentDeltas,
  readJournalOf,
  type RoomRef,
  type Store,
  trieKeyOf,
  updateOfDelta,
} from '@mangrove/protocol';
import { updatesToState } from '../../documents/merge.js';
import type { Version } from '../../types.js';
import { isBelow, type Place, placeToId, stepsOf, type Told } from './told.js';

/** How a document can be read as it was in a room that keeps what is current: from its latest checkpoint on [VS5]. */
export class Tail implements Told {
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #keyId: KeyId;

  constructor(store: Store, room: RoomRef, keyId: KeyId) {
    this.#store = store;
    this.#room = room;
    this.#keyId = keyId;
  }

  async list(limit: number, below: Place | undefined): Promise<readonly Version[]> {
    const [room, keyId] = [this.#room, this.#keyId];
    const { deltas, rows } = await this.#store.transact(
      function* (tx) {
        return { deltas: yield* readDocumentDeltas(tx, room, keyId), rows: yield* readJournalOf(tx, keyId) };
      },
      { mode: 'read' },
    );
    const since = sinceCheckpoint(deltas);
    const deltaByKey = new Map(since.map((delta) => [trieKeyOf(delta), delta]));
    const steps = stepsOf([...deltaByKey.keys()]).map((step) => step.map((key) => deltaByKey.get(key) as Delta));
    // How it reads now is no earlier state.
    const earlier = rows.length === 0 ? steps.slice(0, -1) : steps;
    const page = below === undefined ? earlier : earlier.filter((step) => isBelow(step.at(-1) as Delta, below));
    return page.slice(-limit).map(stepToVersion).reverse();
  }

  async read(place: Place): Promise<{ readonly state: Uint8Array; readonly atMs: number } | undefined> {
    const deltas = await this.#store.transact((tx) => readDocumentDeltas(tx, this.#room, this.#keyId), {
      mode: 'read',
    });
    const last = sinceCheckpoint(deltas).find((delta) => delta.hlc === place.hlc);
    if (last === undefined) return undefined;
    const state = updatesToState(deltas.filter((delta) => delta.hlc <= last.hlc).map(updateOfDelta));
    return { state, atMs: hlcToMs(last.writtenAt) };
  }
}

export function stepToVersion(step: readonly Delta[]): Version {
  const { hlc, writtenAt, replica } = step.at(-1) as Delta;
  const bytes = step.reduce((sum, { body }) => sum + body.length, 0);
  return { id: placeToId({ hlc }), kind: 'recent', name: null, atMs: hlcToMs(writtenAt), replica, bytes };
}

/** In the order of stamps, which follows causes: the latest checkpoint, and what is not in it or came later. */
function sinceCheckpoint(deltas: readonly Delta[]): readonly Delta[] {
  const inOrder = deltas.toSorted((a, b) => a.hlc - b.hlc);
  const latest = inOrder.findLastIndex((delta) => hasFlag(delta, FLAG.checkpoint));
  return inOrder.slice(Math.max(0, latest));
}
