import type { Hash, MangroveError, ReplicaId, RoomId, Signer, Verifier } from '@mangrove/protocol';
import type { Database } from './stores/database.js';
import type { Place } from './stores/places.js';
import type { RoomChannel } from './tabs/room-channel.js';
import type { LeadOptions, Leadership } from './tabs/leadership.js';
import type { StartShadow } from './worker/guard/shadow-host.js';
import type { Transport, TransportEvents } from './transports/transport.js';

/** This replica's key in one room. The private half never leaves the platform's key store. */
export interface Identity {
  readonly replica: ReplicaId;
  readonly signer: Signer;
}

export interface OpenedIdentity extends Identity {
  /** It was made just now, as there was none. */
  readonly isNew: boolean;
}

/** Everything a platform provides. The worker's entry picks the implementations; nothing else creates them. */
export interface Environment {
  readonly hash: Hash;
  readonly verifier: Verifier;
  readonly clock: { nowMs(): number };
  readonly random: { u32(): number };
  /** Whether there is such a place as a bucket. */
  readonly hasBuckets: boolean;
  /** Memory never fails. `onLost`: the database cannot be used any more, and is told of at most once. */
  openDatabase(name: string, place: Place, onLost: (error: MangroveError) => void): Promise<Database>;
  /** What an earlier visit has left in a bucket, now that the site's own database opens again. */
  openRescued(name: string): Promise<Database | undefined>;
  /** Deletes what the client may have left in other places than this one; what cannot be deleted stays. */
  deleteElsewhere(name: string, place: Place): Promise<void>;
  /** This profile's key in a room. `spent`: where the stored one has this id, another copy of the profile uses it; make a new one. */
  openIdentity(database: Database, roomId: RoomId, spent?: ReplicaId): Promise<OpenedIdentity>;
  openChannel(name: string): RoomChannel;
  /** A worker beside this one, for what may take too long. */
  readonly startShadow: StartShadow;
  /** Whether somebody can see this tab's page. */
  isVisible(): boolean;
  lead(name: string, options?: LeadOptions): Leadership;
  /** `relays`: in the order of the room [FD1], one at least. */
  connect(relays: readonly string[], room: string, events: TransportEvents): Transport;
}
