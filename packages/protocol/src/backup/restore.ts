import { compareBytes, equalBytes } from '../bytes.js';
import type { Certificate } from '../certificate.js';
import { bytesToDelta, trieKeyOf } from '../delta.js';
import { isMangroveError } from '../errors.js';
import type { Hash } from '../hash.js';
import { deriveRoomId, type RoomConfig, type RoomId } from '../ids.js';
import { buildTrie } from '../merkle/trie.js';
import type { DeltaBytes } from '../wire/messages.js';
import { type BackupFrame, damaged, SECTION_BYTES_MAX, SECTION_DELTAS_MAX } from './frame.js';
import type { BackupMark } from './mark.js';

/** Where in a file a restore stands. */
export type RestoreState =
  | { readonly kind: 'between' }
  | {
      readonly kind: 'within';
      readonly roomId: RoomId;
      readonly isWhole: boolean;
      readonly hasDeltas: boolean;
      /** What has come of the section that is not over. */
      readonly section: { readonly deltas: readonly DeltaBytes[]; readonly trieKeys: readonly Uint8Array[] };
      readonly sectionBytes: number;
      /** In the sections before. */
      readonly deltas: number;
    };

/** What is to be done, in order. */
export type RestoreEffect =
  | { readonly kind: 'open'; readonly room: string; readonly config: RoomConfig; readonly roomId: RoomId }
  | { readonly kind: 'certify'; readonly certificates: readonly Certificate[] }
  /** A section, whose root is right: who has taken it has all that the mark says. */
  | { readonly kind: 'take'; readonly deltas: readonly DeltaBytes[]; readonly mark: BackupMark | undefined }
  | {
      readonly kind: 'finish';
      /** Of the room when it was backed up: what an empty room has to come to where the backup `isWhole` [BK9]. */
      readonly root: Uint8Array;
      readonly isWhole: boolean;
      readonly mark: BackupMark | undefined;
    };

interface RestoreStep {
  readonly state: RestoreState;
  readonly effect?: RestoreEffect | undefined;
}

type Within = Extract<RestoreState, { kind: 'within' }>;
type FrameOf<Kind extends BackupFrame['kind']> = Extract<BackupFrame, { kind: Kind }>;

export const RESTORE_BEGINS: RestoreState = { kind: 'between' };
const NO_SECTION = { section: { deltas: [], trieKeys: [] }, sectionBytes: 0 } as const;

/** Follows the frames of a file in their order and verifies each section by its root. Throws `BACKUP_DAMAGED` [BK1, BK3]. */
export function stepRestore(hash: Hash, state: RestoreState, frame: BackupFrame): RestoreStep {
  if (state.kind === 'between') {
    if (frame.kind !== 'header') throw damaged(`it begins with a frame of kind ${frame.kind}`);
    return begin(hash, frame);
  }
  const isOpen = state.section.deltas.length > 0;
  switch (frame.kind) {
    case 'header':
      throw damaged('a second header');
    case 'certificates':
      if (state.hasDeltas) throw damaged('certificates behind deltas');
      return { state, effect: { kind: 'certify', certificates: frame.certificates } };
    case 'deltas':
      return { state: addDeltas(hash, state, frame) };
    case 'section':
      if (!isOpen) throw damaged('a section without deltas');
      return endSection(hash, state, frame);
    case 'end':
      if (isOpen) throw damaged('deltas that are in no section');
      return finish(state, frame);
  }
}

function begin(hash: Hash, { room, config, since }: FrameOf<'header'>): RestoreStep {
  let roomId: RoomId;
  try {
    roomId = deriveRoomId(hash, room, config);
  } catch (error) {
    if (isMangroveError(error)) throw damaged(error.message);
    throw error;
  }
  assertMark(roomId, since);
  return {
    state: { kind: 'within', roomId, isWhole: since === undefined, hasDeltas: false, ...NO_SECTION, deltas: 0 },
    effect: { kind: 'open', room, config, roomId },
  };
}

function addDeltas(hash: Hash, state: Within, { deltas }: FrameOf<'deltas'>): RestoreState {
  const { section, sectionBytes } = state;
  if (sectionBytes >= SECTION_BYTES_MAX || section.deltas.length + deltas.length > SECTION_DELTAS_MAX)
    throw damaged('a section that is too long');
  const trieKeys = deltas.map((bytes) => trieKeyOfBytes(hash, state.roomId, bytes));
  const last = section.trieKeys.at(-1);
  for (const [i, key] of trieKeys.entries()) {
    const before = trieKeys[i - 1] ?? last;
    if (before !== undefined && compareBytes(before, key) >= 0) throw damaged('deltas out of order');
  }
  return {
    ...state,
    hasDeltas: true,
    section: { deltas: [...section.deltas, ...deltas], trieKeys: [...section.trieKeys, ...trieKeys] },
    sectionBytes: sectionBytes + deltas.reduce((sum, { length }) => sum + length, 0),
  };
}

function trieKeyOfBytes(hash: Hash, roomId: RoomId, bytes: DeltaBytes): Uint8Array {
  try {
    return trieKeyOf(bytesToDelta(hash, roomId, bytes));
  } catch (error) {
    if (isMangroveError(error)) throw damaged(error.message);
    throw error;
  }
}

function endSection(hash: Hash, state: Within, { root, count, mark }: FrameOf<'section'>): RestoreStep {
  const { deltas, trieKeys } = state.section;
  assertMark(state.roomId, mark);
  if (count !== deltas.length || !equalBytes(buildTrie(hash, trieKeys).root, root))
    throw damaged('a section is not what its root says');
  return {
    state: { ...state, ...NO_SECTION, deltas: state.deltas + count },
    effect: { kind: 'take', deltas, mark },
  };
}

function finish(state: Within, { root, deltas, mark }: FrameOf<'end'>): RestoreStep {
  assertMark(state.roomId, mark);
  if (deltas !== state.deltas) throw damaged(`${state.deltas} deltas are there where ${deltas} were written`);
  return { state: RESTORE_BEGINS, effect: { kind: 'finish', root, isWhole: state.isWhole, mark } };
}

function assertMark(roomId: RoomId, mark: BackupMark | undefined): void {
  if (mark !== undefined && mark.roomId !== roomId) throw damaged('a mark of another room');
}
