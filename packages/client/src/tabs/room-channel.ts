import type { ErrorFacts, JournalRow, KeyId, NumberRange, ReplicaId } from '@mangrove/protocol';
import type { LinkStatus } from '../worker/status.js';

/** What the tabs of one replica tell each other. But for `unkept` each notice is about rows that are committed: a tab never shows another's hopes. */
export type TabNotice =
  /** A tab came; the owner answers with how things stand. */
  | { readonly kind: 'arrived' }
  | { readonly kind: 'left'; readonly tab: number }
  | { readonly kind: 'journaled'; readonly rows: readonly JournaledRow[] }
  /** No disk takes them yet [JS7]: they are shown, and told as journaled when they are kept. */
  | { readonly kind: 'unkept'; readonly tab: number; readonly rows: readonly JournalRow[] }
  | { readonly kind: 'sealed'; readonly deltas: readonly SealedRows[] }
  | { readonly kind: 'acknowledged'; readonly seqs: readonly number[] }
  /** Refused by the relay, or covered unseen; what they stood for is in the journal again. Without an error who waits for them goes on waiting. */
  | {
      readonly kind: 'withdrawn';
      readonly seqs: readonly number[];
      readonly error: ErrorFacts | undefined;
      readonly rows: readonly JournaledRow[];
    }
  | { readonly kind: 'received'; readonly keys: readonly ReceivedKey[] }
  /** Something came into the store that is not from the owner; `fromSeq`: own deltas from there on, which were sealed for a backup. */
  | { readonly kind: 'stored'; readonly keys: readonly ReceivedKey[]; readonly fromSeq: number | undefined }
  | { readonly kind: 'status'; readonly status: LinkStatus }
  | { readonly kind: 'heads'; readonly heads: readonly HeadSeq[] }
  | { readonly kind: 'presence'; readonly tab: number; readonly keyId: KeyId; readonly state: Uint8Array }
  | { readonly kind: 'peer-presence'; readonly peer: string; readonly keyId: KeyId; readonly state: Uint8Array }
  | { readonly kind: 'peers'; readonly replica: ReplicaId | 'all'; readonly present: boolean }
  /** Whether the owner is awake: then it says so [JS10]. */
  | { readonly kind: 'asked' }
  | { readonly kind: 'owning' }
  /** The sender owns the replica now. What the former owner did last may not have been told. */
  | { readonly kind: 'took-over' }
  /** Another copy of the profile uses this id: every tab opens the room anew, under a new one. */
  | { readonly kind: 'identity-spent'; readonly replica: ReplicaId }
  /** Writes of this replica are gone for good, own deltas of these seqs among them; the facts say how many writes, where that is known. */
  | { readonly kind: 'lost'; readonly error: ErrorFacts; readonly seqs: readonly number[] }
  | { readonly kind: 'network'; readonly paused: boolean };

export interface JournaledRow {
  readonly number: number;
  readonly keyId: KeyId;
  readonly document: string | undefined;
  readonly collection: string | undefined;
  readonly id: string;
  readonly bytes: number;
  readonly atMs: number;
  /** Of all writes that the row stands for, its own among them [JS6]. */
  readonly numbers: readonly NumberRange[];
  /** A document's update, for the other tabs to show. */
  readonly update: Uint8Array | undefined;
  /** Its number while it was unkept. */
  readonly was?: number;
}

export interface SealedRows {
  readonly seq: number;
  readonly rows: readonly NumberRange[];
  readonly bytes: number;
  readonly atMs: number;
}

/** A key that changed by what came from others. */
export interface ReceivedKey {
  readonly keyId: KeyId;
  readonly document: string | undefined;
  readonly collection: string | undefined;
  readonly id: string;
  readonly updates: readonly Uint8Array[];
  /** Of the deltas that came. */
  readonly bytes: number;
}

/** How far another replica says it has come with this one's deltas. */
export interface HeadSeq {
  readonly replica: ReplicaId;
  readonly seq: number;
  readonly timeMs: number;
}

export interface RoomChannel {
  post(notice: TabNotice): void;
  listen(listener: (notice: TabNotice) => void): void;
  close(): void;
}

/** All tabs of one origin that have the room open; a tab does not hear itself. */
export function openBroadcastChannel(name: string): RoomChannel {
  const channel = new BroadcastChannel(name);
  let isClosed = false;
  return {
    post: (notice) => {
      if (!isClosed) channel.postMessage(notice);
    },
    listen: (listener) => {
      channel.onmessage = (event) => listener(event.data as TabNotice);
    },
    close: () => {
      isClosed = true;
      channel.close();
    },
  };
}

export function openSilentChannel(): RoomChannel {
  return { post: () => {}, listen: () => {}, close: () => {} };
}
