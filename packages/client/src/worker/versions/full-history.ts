import {
  bodyOfDelta,
  bytesToHex,
  bytesToRecordPayload,
  type Delta,
  FLAG,
  hasFlag,
  hlcToMs,
  type KeyId,
  type KeyName,
  readJournalOf,
  readKeysByStamp,
  readReplacedKeys,
  readRuns,
  readUpdatesUpTo,
  type RoomRef,
  type Steps,
  type Store,
  type Transaction,
} from '@mangrove/protocol';
import { updatesToState } from '../../documents/merge.js';
import type { Version } from '../../types.js';
import { stepToVersion } from './tail.js';
import { isBelow, type Place, placeToId, stampOf, stepsOf, type Told } from './told.js';

/** How a key can be read as it was in a room that keeps everything: a document after each step since its beginning, a record by each value [VS6]. */
export class FullHistory implements Told {
  readonly #store: Store;
  readonly #room: RoomRef;
  readonly #keyId: KeyId;
  readonly #kind: KeyName['kind'];

  constructor(store: Store, room: RoomRef, keyId: KeyId, kind: KeyName['kind']) {
    this.#store = store;
    this.#room = room;
    this.#keyId = keyId;
    this.#kind = kind;
  }

  async list(limit: number, below: Place | undefined): Promise<readonly Version[]> {
    const steps = (tx: Transaction) => this.#readSteps(tx);
    const [room, isRecord] = [this.#room, this.#kind === 'record'];
    return this.#store.transact(
      function* (tx) {
        const earlier = yield* steps(tx);
        const page = (below === undefined ? earlier : earlier.filter((step) => isBelow(placeOf(step), below))).slice(
          -limit,
        );
        // One that cannot be read was never shown to anybody.
        const told = (yield* readRuns(tx, room, page)).filter(({ length }) => length > 0);
        const versions = told.map(isRecord ? valueToVersion : stepToVersion);
        return versions.reverse();
      },
      { mode: 'read' },
    );
  }

  async read(place: Place): Promise<{ readonly state: Uint8Array; readonly atMs: number } | undefined> {
    const [room, keyId] = [this.#room, this.#keyId];
    const isMeant = (trieKey: Uint8Array): boolean =>
      stampOf(trieKey) === place.hlc && (place.replica === undefined || replicaOf(trieKey) === place.replica);
    const isRecord = this.#kind === 'record';
    const found = await this.#store.transact(
      function* (tx) {
        const meant = (yield* readKeysByStamp(tx, keyId)).filter(isMeant);
        const [delta] = (yield* readRuns(tx, room, [meant])).flat();
        if (delta === undefined) return undefined;
        return { delta, updates: isRecord ? [] : yield* readUpdatesUpTo(tx, room, keyId, delta.hlc) };
      },
      { mode: 'read' },
    );
    if (found === undefined) return undefined;
    const { delta, updates } = found;
    return { state: isRecord ? valueBytesOf(delta) : updatesToState(updates), atMs: hlcToMs(delta.writtenAt) };
  }

  *#readSteps(tx: Transaction): Steps<readonly (readonly Uint8Array[])[]> {
    if (this.#kind === 'record') return (yield* readReplacedKeys(tx, this.#keyId)).map((trieKey) => [trieKey]);
    const steps = stepsOf(yield* readKeysByStamp(tx, this.#keyId));
    // How it reads now is no earlier state.
    return (yield* readJournalOf(tx, this.#keyId)).length === 0 ? steps.slice(0, -1) : steps;
  }
}

function placeOf(step: readonly Uint8Array[]): Place {
  const last = step.at(-1) as Uint8Array;
  return { hlc: stampOf(last), replica: replicaOf(last) };
}

const replicaOf = (trieKey: Uint8Array): string => bytesToHex(trieKey.subarray(16, 24));

function valueToVersion([delta]: readonly Delta[]): Version {
  const { hlc, writtenAt, replica } = delta as Delta;
  const bytes = valueBytesOf(delta as Delta).length;
  return { id: placeToId({ hlc, replica }), kind: 'recent', name: null, atMs: hlcToMs(writtenAt), replica, bytes };
}

/** Nothing where it was deleted. */
function valueBytesOf(delta: Delta): Uint8Array {
  return hasFlag(delta, FLAG.tombstone) ? new Uint8Array() : bytesToRecordPayload(bodyOfDelta(delta).payload).value;
}
