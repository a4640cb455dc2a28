import {
  type Acceptance,
  type Arrival,
  bytesToBody,
  bytesToDelta,
  bytesToDeltaId,
  countOutbox,
  type Cursor,
  type Delta,
  type DeltaBytes,
  defaultLimits,
  errorToFacts,
  type ErrorFacts,
  idToBytes,
  isMangroveError,
  MangroveError,
  msAhead,
  receiveDeltas,
  type Rejected,
  type RoomRef,
  type Standing,
  type Steps,
  type Store,
  type Transaction,
  trieKeyOf,
} from '@mangrove/protocol';
import type { ReceivedKey } from '../tabs/room-channel.js';
import type { Certifier } from './certifier.js';
import { inspectDelta } from './inspect.js';

/** What came of a batch of deltas from a peer. */
export interface Received {
  readonly standing: Standing;
  readonly keys: readonly ReceivedKey[];
  readonly rejected: readonly Rejected[];
  /** What could not be taken, beyond forgeries: shown, and looked for again when roots differ. */
  readonly faults: readonly ErrorFacts[];
  /** How many deltas are in quarantine now. */
  readonly quarantined: number;
}

/** Decodes, verifies and inspects what a peer sent, then takes it in one transaction. Bad deltas change nothing but the quarantine. */
export async function receive(
  store: Store,
  room: RoomRef,
  certifier: Certifier,
  batch: readonly DeltaBytes[],
  cursor: Cursor | undefined,
  nowMs: number,
): Promise<Received> {
  const faults: ErrorFacts[] = [];
  const deltas: Delta[] = [];
  for (const bytes of batch) {
    const delta = parse(room, bytes, nowMs);
    if (isMangroveError(delta)) faults.push(errorToFacts(delta));
    else deltas.push(delta);
  }
  const verdicts = await Promise.all(deltas.map((delta) => certifier.verifyDelta(delta)));
  const arrivals: Arrival[] = [];
  const rejected: Rejected[] = [];
  for (const [i, delta] of deltas.entries()) {
    const verdict = verdicts[i];
    if (verdict === 'valid') arrivals.push(inspectDelta(room, delta));
    else if (verdict === 'SIGNATURE_INVALID') rejected.push({ delta, fault: verdict });
    else faults.push(errorToFacts(new MangroveError('UNCERTIFIED', { replica: delta.replica })));
  }
  for (const { delta, fault } of arrivals) {
    if (fault !== undefined)
      faults.push(
        errorToFacts(new MangroveError(fault, { replica: delta.replica, reason: 'its body cannot be decoded' })),
      );
  }
  const { acceptance, outbox, quarantined } = await store.transact(
    function* (tx) {
      const held = yield* tx.getMany(
        'deltas',
        rejected.map(({ delta }) => trieKeyOf(delta)),
      );
      const strange = rejected.filter((_, i) => held[i] === undefined);
      const acceptance = yield* receiveDeltas(tx, room, arrivals, strange, { nowMs, cursor });
      const quarantined = yield* release(tx, arrivals);
      return { acceptance, outbox: yield* countOutbox(tx), quarantined };
    },
    // A relay has it, and what is later written strictly, or stated in a head, takes it along to the disk.
    { mode: 'write', durability: 'relaxed' },
  );
  return {
    standing: { root: acceptance.root, outbox },
    keys: changedKeys(arrivals, acceptance),
    rejected,
    faults,
    quarantined,
  };
}

/**
 * A delta's id does not say how it is signed: what came with a bad signature first, and was quarantined, may be an honest delta that
 * somebody spoiled on the way; nor is one quarantined that is held. How many are left in quarantine.
 */
function* release(tx: Transaction, arrivals: readonly Arrival[]): Steps<number> {
  const quarantined = new Set((yield* tx.keys('quarantine', { from: new Uint8Array() })).map(bytesToDeltaId));
  for (const { delta, fault } of arrivals) {
    if (fault === undefined && quarantined.delete(delta.id)) tx.delete('quarantine', idToBytes(delta.id));
  }
  return quarantined.size;
}

function parse(room: RoomRef, bytes: DeltaBytes, nowMs: number): Delta | MangroveError {
  try {
    const delta = bytesToDelta(room.hash, room.roomId, bytes);
    const { clockAheadMsMax } = defaultLimits;
    const aheadMs = msAhead(delta.hlc, nowMs);
    // Left out for now: roots stay different, so it is fetched again when its time has come.
    return aheadMs > clockAheadMsMax ? new MangroveError('CLOCK_AHEAD', { aheadMs, clockAheadMsMax }) : delta;
  } catch (error) {
    if (isMangroveError(error)) return error;
    throw error;
  }
}

/** Keys that read differently now, with the updates that are new of each document. */
function changedKeys(arrivals: readonly Arrival[], acceptance: Acceptance): readonly ReceivedKey[] {
  const keys = new Map<string, ReceivedKey & { updates: Uint8Array[] }>();
  for (const [i, { delta, name, fault }] of arrivals.entries()) {
    if (acceptance.outcomes[i] === 'known' || name === undefined) continue;
    const isDocument = name.kind === 'document';
    const key = keys.get(delta.keyId) ?? {
      keyId: delta.keyId,
      document: isDocument ? name.id : undefined,
      collection: isDocument ? undefined : name.collection,
      id: name.id,
      updates: [],
    };
    if (isDocument && fault === undefined) key.updates.push(bytesToBody(delta.body).payload);
    keys.set(delta.keyId, key);
  }
  return [...keys.values()];
}
