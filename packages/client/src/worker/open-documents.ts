import type { KeyId } from '@mangrove/protocol';
import type { ReceivedKey } from '../tabs/room-channel.js';
import type { RoomListener } from './engine-api.js';

/** The documents that the page of this tab has open: what is made elsewhere, and who else is there, is told of these only. */
export class OpenDocuments {
  readonly #keyIds = new Map<string, KeyId>();
  readonly #listener: RoomListener;

  constructor(listener: RoomListener) {
    this.#listener = listener;
  }

  open(document: string, keyId: KeyId): void {
    this.#keyIds.set(document, keyId);
  }

  close(document: string): void {
    this.#keyIds.delete(document);
  }

  names(): readonly string[] {
    return [...this.#keyIds.keys()];
  }

  keyIds(): readonly KeyId[] {
    return [...this.#keyIds.values()];
  }

  deliver(keys: readonly Pick<ReceivedKey, 'document' | 'updates'>[]): void {
    for (const { document, updates } of keys) {
      if (document !== undefined && updates.length > 0 && this.#keyIds.has(document))
        this.#listener.updates(document, updates);
    }
  }

  /** An empty state means that the presence is over. */
  showPeer(peer: string, keyId: KeyId, state: Uint8Array): void {
    for (const [document, openKeyId] of this.#keyIds) {
      if (openKeyId === keyId) this.#listener.peerPresence(document, peer, state.length === 0 ? undefined : state);
    }
  }
}

/** How another tab of this profile is named among the peers. */
export const peerOfTab = (tab: number): string => `tab-${tab}`;
