import { bytesToDelta } from '../delta.js';
import type { MemoryTables } from '../store/memory-store.js';
import type { Cast } from './cast.js';
import { markDamaged } from './damage.js';
import type { SimRelay } from './relay.js';
import type { SimReplica } from './replica.js';

const HOLE_RATIO = 0.1;
/** How long a hole may stay unseen in a world: a scrub comes by, or a plan stumbles over it. */
const UNSEEN_MS_MAX = 3_000;

/** A tenth of the relay's deltas go, and nothing else. */
export function holeRelay(world: Cast, relay: SimRelay): void {
  const { tables } = relay;
  punch(world, tables, () => true);
  world.loop.after(world.random.between(0, UNSEEN_MS_MAX), () => {
    if (relay.tables === tables) relay.scrub();
  });
}

/**
 * Of what every relay has as well, as nobody could bring back the rest. Not of what is the replica's own: its next write of the record covers
 * that as what it has written before [JS2], and what was seen of it when the disk had lost it is a matter of words.
 */
export function holeReplica(world: Cast, replica: SimReplica): void {
  const { tables } = replica.disk;
  replica.disk.barrier();
  replica.desk.noteDurable();
  const { hash, roomId } = world.room;
  punch(world, tables, (key, row) => {
    const isOwn = bytesToDelta(hash, roomId, row).replica === replica.id;
    return !isOwn && world.relays.every((relay) => relay.tables.table('deltas').get(key) !== undefined);
  });
  world.loop.after(world.random.between(0, UNSEEN_MS_MAX), () => replica.scrub());
}

function punch(world: Cast, tables: MemoryTables, mayGo: (key: Uint8Array, row: Uint8Array) => boolean): void {
  for (const [key, row] of tables.table('deltas').rows({ from: new Uint8Array() })) {
    if (!world.random.chance(HOLE_RATIO) || !mayGo(key, row)) continue;
    tables.table('deltas').delete(key);
    markDamaged(tables);
    world.count('deltas lost to holes');
    world.count('bytes lost to holes', row.length);
  }
}
