import type { HealingStore, LinkConfig, MangroveError, RelayChoice, ReplicaId } from '@mangrove/protocol';
import type { Identity } from '../environment.js';
import type { Place } from '../stores/places.js';
import type { RoomStatus } from '../types.js';
import type { Carried } from './carried.js';

/** What a room's runtime is made of, besides the environment. */
export interface RuntimeOptions {
  readonly room: string;
  readonly relays: readonly RelayChoice[];
  readonly config: LinkConfig;
  readonly identity: Identity;
  readonly store: HealingStore;
  readonly storage: RoomStatus['storage'];
  readonly place: Place;
  /** False: the rows live as long as this tab, which shares them with nobody, and no write is ever on disk. */
  readonly isPersistent: boolean;
  /** The database's name: tabs that share it share the replica. */
  readonly database: string;
  /** What it takes along from a database that has failed. */
  readonly carried?: Carried | undefined;
  /** Opens the room anew under another identity, as this one is used by a copy of the profile. */
  readonly reopen: (spent: ReplicaId) => void;
  /** Opens all rooms in the next best database, as this one does not keep what is written to it [AE8]. */
  readonly leave: (reason: MangroveError) => void;
}
