import type { Store } from '@mangrove/protocol';
import type { RoomChannel } from '../tabs/room-channel.js';
import type { Collections } from './collections.js';
import type { RoomListener } from './engine-api.js';
import type { OpenDocuments } from './open-documents.js';
import type { Pending } from './pending.js';
import type { Rungs } from './rungs.js';
import type { StatusBoard } from './status-board.js';
import type { Unkept } from './unkept.js';
import type { Unsent } from './unsent.js';

/** What every tab has of a room, and what those who act on it share. */
export interface RoomParts {
  readonly listener: RoomListener;
  readonly channel: RoomChannel;
  readonly pending: Pending;
  readonly status: StatusBoard;
  readonly rungs: Rungs;
  readonly documents: OpenDocuments;
  readonly collections: Collections;
  readonly unkept: Unkept;
  readonly unsent: Unsent;
  /** The store as it reads with what no disk has taken. */
  readonly shown: Store;
}
