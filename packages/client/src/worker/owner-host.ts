import type { KeyId, Peer } from '@mangrove/protocol';
import type { TabNotice } from '../tabs/room-channel.js';
import type { Received } from './receive.js';
import type { StatusBoard } from './status-board.js';

/** What an owner needs of its tab. */
export interface OwnerHost {
  readonly status: StatusBoard;
  token(): Promise<string | undefined>;
  /** To this tab and to all others, in the same words. */
  tell(notice: TabNotice): void;
  /** Whether anything is sealed that no relay has acknowledged, as far as tabs have told. */
  hasUnacknowledged(): boolean;
  /** Whether the tab that wrote the row has told of it. */
  isKnown(row: number): boolean;
  /** To the other tabs; this one has acted already. */
  post(notice: TabNotice): void;
  received(received: Received): void;
  show(peer: string, keyId: KeyId, state: Uint8Array): void;
  peers(replica: Peer['replica'] | 'all', present: boolean): void;
  /** [JS9] Another tab has become the owner: this one is to be stopped, and writes nothing meanwhile. */
  passed(): void;
}
