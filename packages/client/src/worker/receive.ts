import {
  type Arrival,
  bodyOfDelta,
  bytesToDelta,
  bytesToStub,
  countOutbox,
  type Cursor,
  type Delta,
  type DeltaBytes,
  type DeltaId,
  defaultLimits,
  errorToFacts,
  type ErrorFacts,
  type Fetch,
  FLAG,
  floorOf,
  hasContext,
  hasFlag,
  isMangroveError,
  isStub,
  type JournalRow,
  type KeptStub,
  keepStubs,
  type KeyId,
  type KeyName,
  MangroveError,
  msAhead,
  type Outcome,
  readRoot,
  receiveDeltas,
  type Reception,
  type Rejected,
  type ReplicaId,
  type RoomRef,
  type Standing,
  type Store,
  type Stub,
  trieKeyOf,
  type Unseen,
  updateOfDelta,
} from '@mangrove/protocol';
import { checkpointFault } from '../documents/compare.js';
import type { ReceivedKey } from '../tabs/room-channel.js';
import type { Certifier } from './certifier.js';
import { noteTrials } from './guard/trial-rows.js';
import { type Inspected, inspectDelta } from './inspect.js';
import { type Marks, readMarks } from './load.js';

/** What came of a batch of deltas from a peer. */
export interface Received {
  readonly standing: Standing;
  readonly keys: readonly ReceivedKey[];
  readonly rejected: readonly Rejected[];
  /** Trie keys of all whose signature did not verify. */
  readonly forged: readonly Uint8Array[];
  /** Stubs whose parts are to be fetched. */
  readonly fetches: readonly Fetch[];
  /** What could not be taken, beyond forgeries: shown, and looked for again when roots differ. */
  readonly faults: readonly ErrorFacts[];
  readonly marks: Marks;
  /** Own deltas that were lost here and that the relay has shown to have. */
  readonly returned: readonly number[];
  /** Trie keys of what is in the set and was not before. */
  readonly added: readonly Uint8Array[];
  /** The root that was there before; of a backup alone [BK9]. */
  readonly rootBefore: Uint8Array | undefined;
  /** Keys of what cannot be used and covers something: whoever has that answers it [CP6]. */
  readonly disputed: readonly KeyId[];
  /** Own deltas that others have covered who cannot have seen them [CX10]. */
  readonly unseen: readonly Unseen[];
  /** Own unsent deltas that a floor has swept, and what they have become [FL5]. */
  readonly withdrawn: { readonly seqs: readonly number[]; readonly rows: readonly JournalRow[] };
}

/** Who receives, and whom it believes. */
export interface Receiver {
  readonly room: RoomRef;
  readonly replica: ReplicaId;
  readonly certifier: Certifier;
  /** The highest own seq that a relay has said to know [SY24]. */
  readonly takenSeq?: () => number;
}

/** A batch as it was found, before any of it is taken. */
export interface Batch {
  readonly arrivals: readonly Inspected[];
  readonly rejected: readonly Rejected[];
  readonly stubs: readonly KeptStub[];
  readonly forged: readonly Uint8Array[];
  readonly faults: readonly ErrorFacts[];
}

export interface TakeOptions {
  readonly cursor?: Cursor | undefined;
  readonly nowMs: number;
  readonly source?: 'relay' | 'backup' | undefined;
  /** What is set aside only until it has been tried: nothing is wrong with it yet [CX9]. */
  readonly onTrial?: ReadonlySet<DeltaId>;
}

/**
 * Decodes, verifies and inspects what a peer sent, or a backup holds, then takes it in one transaction. Bad deltas change nothing but the
 * quarantine.
 */
export async function receive(
  store: Store,
  receiver: Receiver,
  batch: readonly DeltaBytes[],
  options: TakeOptions,
): Promise<Received> {
  return take(store, receiver, await inspectBatch(receiver, batch, options.nowMs), options);
}

export async function inspectBatch(
  { room, certifier }: Receiver,
  batch: readonly DeltaBytes[],
  nowMs: number,
): Promise<Batch> {
  const faults: ErrorFacts[] = [];
  const entries: (Delta | Stub)[] = [];
  for (const bytes of batch) {
    const entry = parse(room, bytes, nowMs);
    if (isMangroveError(entry)) faults.push(errorToFacts(entry));
    else entries.push(entry);
  }
  const verdicts = await Promise.all(entries.map((entry) => certifier.verifyDelta(entry)));
  const arrivals: Inspected[] = [];
  const rejected: Rejected[] = [];
  const stubs: KeptStub[] = [];
  const forged: Uint8Array[] = [];
  for (const [i, entry] of entries.entries()) {
    const verdict = verdicts[i];
    if (verdict === 'SIGNATURE_INVALID') forged.push(trieKeyOf(entry));
    if (verdict === 'UNCERTIFIED') {
      faults.push(errorToFacts(new MangroveError(verdict, { replica: entry.replica })));
    } else if ('partHashes' in entry) {
      if (verdict === 'valid') stubs.push({ stub: entry, sender: undefined, isAuthors: false });
      else faults.push(errorToFacts(new MangroveError('SIGNATURE_INVALID', { replica: entry.replica })));
    } else if (verdict === 'valid') {
      arrivals.push(inspectDelta(room, entry));
    } else {
      rejected.push({ delta: entry, fault: 'SIGNATURE_INVALID' });
    }
  }
  return { arrivals, rejected, stubs, forged, faults };
}

export async function take(
  store: Store,
  { room, replica, certifier, takenSeq = () => 0 }: Receiver,
  { arrivals, rejected, stubs, forged, faults: found }: Batch,
  { cursor, nowMs, source = 'relay', onTrial = new Set() }: TakeOptions,
): Promise<Received> {
  const faults = [...found];
  const isBackup = source === 'backup';
  const { reception, rootBefore, outbox, marks, fetches } = await store.transact(
    function* (tx) {
      const rootBefore = isBackup ? (yield* readRoot(tx)).root : undefined;
      const options = { nowMs, cursor, replica, compare: checkpointFault, isBackup, takenSeq: takenSeq() };
      const reception = yield* receiveDeltas(tx, room, arrivals, rejected, options);
      yield* noteTrials(tx, arrivals, onTrial);
      // With the cursor that passes them by [SY18].
      const { fetches } = yield* keepStubs(tx, stubs, nowMs);
      const outbox = yield* countOutbox(tx);
      return { reception, rootBefore, outbox, marks: yield* readMarks(tx), fetches };
    },
    // A relay has it, and what is later written strictly, or stated in a head, takes it along to the disk.
    { mode: 'write', durability: 'relaxed' },
  );
  for (const { delta, fault, reason = 'its body cannot be decoded' } of reception.judgement.arrivals)
    if (fault !== undefined && !onTrial.has(delta.id))
      faults.push(errorToFacts(new MangroveError(fault, { replica: delta.replica, reason })));
  for (const { delta } of addedFloors(reception)) faults.push(...(await auditFloor(certifier, delta)));
  return {
    standing: { root: reception.root, outbox },
    keys: changedKeys(reception),
    rejected,
    forged,
    fetches,
    faults,
    marks,
    returned: reception.returned,
    added: reception.judgement.arrivals.flatMap(({ delta }, i) =>
      isNew(reception.outcomes[i]) ? [trieKeyOf(delta)] : [],
    ),
    rootBefore,
    disputed: reception.judgement.arrivals
      // That this device has no time for one does not make it wrong.
      .filter(({ delta, fault = 'UPDATE_TOO_COSTLY' }) => fault !== 'UPDATE_TOO_COSTLY' && hasContext(delta))
      .map(({ delta }) => delta.keyId),
    unseen: reception.unseen,
    withdrawn: { seqs: reception.withdrawnSeqs, rows: reception.withdrawn },
  };
}

const isNew = (outcome: Outcome | undefined): boolean => outcome === 'added' || outcome === 'forked';

const addedFloors = ({ outcomes, judgement: { arrivals } }: Reception): readonly Arrival[] =>
  arrivals.filter(({ delta }, i) => hasFlag(delta, FLAG.floor) && outcomes[i] !== 'known');

/**
 * [FL6] Whether its witnesses have really said what it says of them, as far as their certificates are here. One that lies is shown and in force
 * all the same: sets must not differ by who holds which certificates.
 */
async function auditFloor(certifier: Certifier, delta: Delta): Promise<readonly ErrorFacts[]> {
  const { replica } = delta;
  const witnesses = floorOf(delta)?.witnesses ?? [];
  const verdicts = await Promise.all(witnesses.map((witness) => certifier.judgeHead(witness)));
  const liar = verdicts.indexOf('SIGNATURE_INVALID');
  if (liar < 0) return [];
  return [errorToFacts(new MangroveError('WITNESS_INVALID', { replica, witness: witnesses[liar]?.replica }))];
}

function parse({ hash, roomId }: RoomRef, bytes: DeltaBytes, nowMs: number): Delta | Stub | MangroveError {
  try {
    const delta = isStub(bytes) ? bytesToStub(hash, roomId, bytes) : bytesToDelta(hash, roomId, bytes);
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
function changedKeys({ outcomes, judgement, swept, released }: Reception): readonly ReceivedKey[] {
  const keys = new Map<string, ReceivedKey & { updates: Uint8Array[]; bytes: number }>();
  for (const [i, { delta, name, fault }] of judgement.arrivals.entries()) {
    const isOld = outcomes[i] === 'known' && !released.has(delta.id);
    if (isOld || outcomes[i] === 'trashed' || name === undefined) continue;
    const isDocument = name.kind === 'document';
    const key = keys.get(delta.keyId) ?? {
      keyId: delta.keyId,
      document: isDocument ? name.id : undefined,
      collection: isDocument ? undefined : name.collection,
      id: name.id,
      updates: [],
      bytes: 0,
    };
    key.bytes += delta.bytes.length;
    // A checkpoint that says what is held says nothing new.
    if (isDocument && fault === undefined && !judgement.proven.has(delta.id)) key.updates.push(updateOfDelta(delta));
    keys.set(delta.keyId, key);
  }
  // A document's page keeps what it shows until it is opened again: an update cannot be taken back.
  for (const name of recordsOf(swept)) {
    const { keyId, collection, id } = name;
    if (!keys.has(keyId)) keys.set(keyId, { keyId, document: undefined, collection, id, updates: [], bytes: 0 });
  }
  return [...keys.values()];
}

function recordsOf(swept: readonly Delta[]): readonly (KeyName & { readonly keyId: KeyId })[] {
  return swept.flatMap((delta) => {
    try {
      const { name } = bodyOfDelta(delta);
      return name.kind === 'record' ? [{ ...name, keyId: delta.keyId }] : [];
    } catch (error) {
      if (isMangroveError(error)) return [];
      throw error;
    }
  });
}
