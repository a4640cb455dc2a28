import {
  type Arrival,
  bytesToDeltaId,
  concatBytes,
  type DeltaId,
  idToBytes,
  type Steps,
  type Transaction,
  utf8ToBytes,
} from '@mangrove/protocol';

/** `row := n × (id 32 • u8 sessions)`: what is set aside until it has been tried, and how often it was taken up again. */
const TRIALS = utf8ToBytes('trials');
const ID_BYTES = 32;
const ENTRY_BYTES = ID_BYTES + 1;
/** It may be what ended the tabs that tried it. */
const SESSIONS_MAX = 3;

/** Of these arrivals the ones on trial are noted, and the others are not any more. */
export function* noteTrials(tx: Transaction, arrivals: readonly Arrival[], onTrial: ReadonlySet<DeltaId>): Steps<void> {
  const sessions = yield* readTrials(tx);
  if (sessions.size === 0 && onTrial.size === 0) return;
  for (const { delta } of arrivals) {
    if (!onTrial.has(delta.id)) sessions.delete(delta.id);
    else if (!sessions.has(delta.id)) sessions.set(delta.id, 0);
  }
  write(tx, sessions);
}

/** What was on trial when a room was last open: in a few sessions, so that what ends a browser is not tried each time it begins. */
export function* takeTrials(tx: Transaction): Steps<readonly DeltaId[]> {
  const sessions = yield* readTrials(tx);
  if (sessions.size === 0) return [];
  const left = new Map([...sessions].filter(([, count]) => count < SESSIONS_MAX).map(([id, count]) => [id, count + 1]));
  write(tx, left);
  return [...left.keys()];
}

function* readTrials(tx: Transaction): Steps<Map<DeltaId, number>> {
  const row = yield* tx.get('meta', TRIALS);
  const sessions = new Map<DeltaId, number>();
  // One that a disk has spoiled says nothing: what it named stays set aside.
  if (row === undefined || row.length % ENTRY_BYTES !== 0) return sessions;
  for (let at = 0; at < row.length; at += ENTRY_BYTES)
    sessions.set(bytesToDeltaId(row.subarray(at, at + ID_BYTES)), row[at + ID_BYTES] as number);
  return sessions;
}

function write(tx: Transaction, sessions: ReadonlyMap<DeltaId, number>): void {
  const entries = [...sessions].flatMap(([id, count]) => [idToBytes(id), Uint8Array.of(count)]);
  if (entries.length === 0) tx.delete('meta', TRIALS);
  else tx.put('meta', TRIALS, concatBytes(...entries));
}
