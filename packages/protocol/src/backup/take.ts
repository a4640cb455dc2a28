import { compareBytes, keyAfter } from '../bytes.js';
import { bytesToCertificate, type Certificate } from '../certificate.js';
import { parseTrieKey, TRIE_KEY_BYTES } from '../delta.js';
import { deriveReplicaId, idToBytes, type RoomConfig } from '../ids.js';
import { buildTrie, readRoot } from '../merkle/trie.js';
import type { RoomRef } from '../room/room-ref.js';
import type { Steps, Transaction } from '../store/plan.js';
import { type BackupFrame, SECTION_BYTES_MAX, SECTION_DELTAS_MAX } from './frame.js';
import { listNews, readHeld } from './held.js';
import { type BackupMark, endOfHeld, type Held } from './mark.js';
import { type Found, readKeysWithin, readRowsWithin } from './rows.js';

const CERTIFICATES_PER_FRAME = 1_024;

/** How much one step does, in deltas; their bytes are bounded as well. */
export interface BackupBounds {
  readonly stepMax: number;
  /** So few that are new since the last look are read in the transaction that ends the backup. */
  readonly lastNewsMax: number;
}

const BOUNDS: BackupBounds = { stepMax: 1_024, lastNewsMax: 64 };

export interface BackupSpec {
  readonly room: string;
  readonly config: RoomConfig;
  readonly madeAtMs: number;
  readonly since: BackupMark | undefined;
  /** Of the own key: in the backup where no relay has given another [BK10]. */
  readonly certificate: Certificate;
}

/** How far a backup has come. */
export interface BackupState {
  readonly phase: BackupPhase;
  /** What is had once the phase is over: what the store had before it began. */
  readonly held: Held;
  /** Trie keys and bytes of the section that is not over. */
  readonly section: { readonly trieKeys: readonly Uint8Array[]; readonly bytes: number };
  readonly deltas: number;
}

type BackupPhase =
  | { readonly kind: 'begin' }
  | { readonly kind: 'certificates'; readonly from: Uint8Array }
  /** Superseded deltas that are still read, before the set and after it: what moves between the two is in one of them. */
  | { readonly kind: 'retained'; readonly from: Uint8Array; readonly isLast: boolean }
  /** The set, in the order of its trie keys. */
  | { readonly kind: 'set'; readonly from: Uint8Array }
  /** What has come since: listed, read, and looked for again, until it is little enough to be read at once. */
  | { readonly kind: 'news' }
  | {
      readonly kind: 'listed';
      /** What the store had when the list was begun. */
      readonly now: Held;
      readonly trieKeys: readonly Uint8Array[];
      readonly next: Uint8Array | undefined;
    };

export interface BackupStep {
  readonly frames: readonly BackupFrame[];
  /** Undefined at the end. */
  readonly state: BackupState | undefined;
}

const BEGINNING = new Uint8Array();
/** Where nothing of the set comes any more. */
const AFTER_SET = new Uint8Array(TRIE_KEY_BYTES).fill(0xff);
const NO_SECTION = { trieKeys: [], bytes: 0 } as const;
export const BACKUP_BEGINS: BackupState = {
  phase: { kind: 'begin' },
  held: new Map(),
  section: NO_SECTION,
  deltas: 0,
};

/**
 * One bounded step of a backup, in a transaction of its own: the set may change between two. Whatever replaces something that was still to
 * be read has come since, and so is among the news; the last step reads these and the root at one moment [BK5].
 */
export function* takeBackup(
  tx: Transaction,
  room: RoomRef,
  spec: BackupSpec,
  state: BackupState,
  bounds = BOUNDS,
): Steps<BackupStep> {
  const { phase } = state;
  switch (phase.kind) {
    case 'begin':
      return yield* begin(tx, spec);
    case 'certificates':
      return yield* takeCertificates(tx, room, spec, state, phase.from);
    case 'retained':
      return yield* takeRetained(tx, room, spec, state, phase);
    case 'set':
      return yield* takeSet(tx, room, state, phase.from, bounds);
    case 'news':
      return yield* takeNews(tx, room, state, bounds);
    case 'listed':
      return yield* takeListed(tx, room, state, phase, bounds);
  }
}

function* begin(tx: Transaction, { room, config, madeAtMs, since }: BackupSpec): Steps<BackupStep> {
  const held = since?.held ?? (yield* readHeld(tx));
  const header: BackupFrame = { kind: 'header', room, config, madeAtMs, since };
  return { frames: [header], state: { ...BACKUP_BEGINS, held, phase: { kind: 'certificates', from: BEGINNING } } };
}

function* takeCertificates(
  tx: Transaction,
  { hash, roomId }: RoomRef,
  { since, certificate }: BackupSpec,
  state: BackupState,
  from: Uint8Array,
): Steps<BackupStep> {
  const rows = yield* tx.rows('certificates', { from, limit: CERTIFICATES_PER_FRAME });
  const certificates = rows.map(([, row]) => bytesToCertificate(row));
  const own = idToBytes(deriveReplicaId(hash, roomId, certificate.publicKey));
  if (from.length === 0 && (yield* tx.get('certificates', own)) === undefined) certificates.push(certificate);
  const frames: BackupFrame[] = certificates.length === 0 ? [] : [{ kind: 'certificates', certificates }];
  const last = rows.at(-1);
  if (last !== undefined && rows.length === CERTIFICATES_PER_FRAME)
    return { frames, state: { ...state, phase: { kind: 'certificates', from: keyAfter(last[0]) } } };
  return { frames, state: { ...state, phase: { kind: 'retained', from: BEGINNING, isLast: !isOfSet(since) } } };
}

function* takeRetained(
  tx: Transaction,
  room: RoomRef,
  { since }: BackupSpec,
  state: BackupState,
  { from, isLast }: Extract<BackupPhase, { kind: 'retained' }>,
): Steps<BackupStep> {
  const { found, next } = yield* readRowsWithin(tx, room, 'retained', from, SECTION_DELTAS_MAX);
  const isHad = ({ trieKey, seq }: Found): boolean => {
    const { replica } = parseTrieKey(trieKey);
    return since !== undefined && !isOfSet(since) && endOfHeld(since.held, replica, seq) !== undefined;
  };
  const inOrder = found.filter((one) => !isHad(one)).toSorted((a, b) => compareBytes(a.trieKey, b.trieKey));
  const distinct = inOrder.filter(({ trieKey }, i) => !isSame(trieKey, inOrder[i - 1]?.trieKey));
  const mark = isLast && isOfSet(since) ? { roomId: room.roomId, held: state.held, through: AFTER_SET } : since;
  const added = add(state, distinct);
  const set: BackupPhase = { kind: 'set', from: since?.through ? keyAfter(since.through) : BEGINNING };
  const phase: BackupPhase = next ? { kind: 'retained', from: next, isLast } : isLast ? { kind: 'news' } : set;
  return closed(room, added, phase, mark);
}

function* takeSet(
  tx: Transaction,
  room: RoomRef,
  state: BackupState,
  from: Uint8Array,
  { stepMax }: BackupBounds,
): Steps<BackupStep> {
  const { found, next } = yield* readRowsWithin(tx, room, 'deltas', from, Math.min(stepMax, roomLeft(state)));
  const added = add(state, found);
  const phase: BackupPhase = next ? { kind: 'set', from: next } : { kind: 'retained', from: BEGINNING, isLast: true };
  if (next !== undefined && !isFull(added.state)) return { ...added, state: { ...added.state, phase } };
  const through = (next && found.at(-1)?.trieKey) ?? AFTER_SET;
  return closed(room, added, phase, { roomId: room.roomId, held: state.held, through });
}

function* takeNews(
  tx: Transaction,
  room: RoomRef,
  state: BackupState,
  { lastNewsMax }: BackupBounds,
): Steps<BackupStep> {
  const now = yield* readHeld(tx);
  const { trieKeys, next } = yield* listNews(tx, state.held, BEGINNING, lastNewsMax + 1);
  const inOrder = trieKeys.toSorted(compareBytes);
  if (next === undefined) {
    const { found, taken } = yield* readKeysWithin(tx, room, inOrder, lastNewsMax, SECTION_BYTES_MAX);
    if (taken === inOrder.length) return yield* end(tx, room, add(state, found), now);
  }
  return { frames: [], state: { ...state, phase: { kind: 'listed', now, trieKeys: inOrder, next } } };
}

function* takeListed(
  tx: Transaction,
  room: RoomRef,
  state: BackupState,
  { now, trieKeys, next }: Extract<BackupPhase, { kind: 'listed' }>,
  { stepMax }: BackupBounds,
): Steps<BackupStep> {
  // What is not there any more was replaced by something that is news itself.
  const { found, taken } = yield* readKeysWithin(tx, room, trieKeys, Math.min(stepMax, roomLeft(state)));
  const added = add(state, found);
  const mark = { roomId: room.roomId, held: state.held, through: undefined };
  if (taken < trieKeys.length) {
    const phase: BackupPhase = { kind: 'listed', now, trieKeys: trieKeys.slice(taken), next };
    return isFull(added.state) ? closed(room, added, phase, mark) : { ...added, state: { ...added.state, phase } };
  }
  if (next === undefined) return closed(room, added, { kind: 'news' }, { ...mark, held: now }, now);
  const list = yield* listNews(tx, state.held, next, stepMax);
  const inOrder = list.trieKeys.toSorted(compareBytes);
  return closed(room, added, { kind: 'listed', now, trieKeys: inOrder, next: list.next }, mark);
}

/** The last of the news, with the root of the same moment. */
function* end(tx: Transaction, room: RoomRef, added: Added, now: Held): Steps<BackupStep> {
  const { root, count } = yield* readRoot(tx);
  const mark = { roomId: room.roomId, held: now, through: undefined };
  const { frames } = closed(room, added, { kind: 'news' }, mark);
  return { frames: [...frames, { kind: 'end', root, count, deltas: added.state.deltas, mark }], state: undefined };
}

interface Added {
  readonly frames: readonly BackupFrame[];
  readonly state: BackupState;
}

function add(state: BackupState, found: readonly Found[]): Added {
  if (found.length === 0) return { frames: [], state };
  const { trieKeys, bytes } = state.section;
  const section = {
    trieKeys: [...trieKeys, ...found.map(({ trieKey }) => trieKey)],
    bytes: found.reduce((sum, { delta }) => sum + delta.length, bytes),
  };
  const frame: BackupFrame = { kind: 'deltas', deltas: found.map(({ delta }) => delta) };
  return { frames: [frame], state: { ...state, section, deltas: state.deltas + found.length } };
}

/** The section ends here, if there is one. */
function closed(
  { hash }: RoomRef,
  { frames, state }: Added,
  phase: BackupPhase,
  mark: BackupMark | undefined,
  held = state.held,
): { readonly frames: readonly BackupFrame[]; readonly state: BackupState } {
  const { trieKeys } = state.section;
  if (trieKeys.length === 0) return { frames, state: { ...state, phase, held } };
  const { root } = buildTrie(hash, trieKeys);
  const section: BackupFrame = { kind: 'section', root, count: trieKeys.length, mark };
  return { frames: [...frames, section], state: { ...state, phase, held, section: NO_SECTION } };
}

/** Whether the set is gone through: for everything, or for the rest of it. */
const isOfSet = (since: BackupMark | undefined): boolean => since === undefined || since.through !== undefined;

const roomLeft = ({ section }: BackupState): number => SECTION_DELTAS_MAX - section.trieKeys.length;

const isFull = ({ section }: BackupState): boolean =>
  section.trieKeys.length >= SECTION_DELTAS_MAX || section.bytes >= SECTION_BYTES_MAX;

const isSame = (key: Uint8Array, other: Uint8Array | undefined): boolean =>
  other !== undefined && compareBytes(key, other) === 0;
