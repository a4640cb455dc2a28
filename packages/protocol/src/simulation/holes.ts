import { equalBytes } from '../bytes.js';
import type { MemoryTables } from '../store/memory-store.js';
import type { Cast } from './cast.js';
import { markDamaged } from './damage.js';
import type { SimRelay } from './relay.js';
import type { SimReplica } from './replica.js';

const HOLE_RATIO = 0.1;
/** How long a hole may stay unseen in a world: a scrub comes by, or a plan stumbles over it. */
const UNSEEN_MS_MAX = 3_000;

/** A tenth of the relay's deltas go, of what some replica has as well, and nothing else. */
export function holeRelay(world: Cast, relay: SimRelay): void {
  const { tables } = relay;
  punch(world, tables, (key, row) => world.replicas.some(({ disk }) => isIn(disk.tables, key, row)));
  world.loop.after(world.random.between(0, UNSEEN_MS_MAX), () => {
    if (relay.tables === tables) relay.scrub();
  });
}

/** Of what every relay has as well, as nobody could bring back the rest. */
export function holeReplica(world: Cast, replica: SimReplica): void {
  const { tables } = replica.disk;
  replica.disk.barrier();
  replica.desk.noteDurable();
  punch(world, tables, (key, row) => world.relays.every((relay) => isIn(relay.tables, key, row)));
  world.loop.after(world.random.between(0, UNSEEN_MS_MAX), () => replica.scrub());
}

/** To the byte: what a flipped bit has spoiled on its way is evicted when somebody verifies it, and brings nothing back. */
function isIn(tables: MemoryTables, key: Uint8Array, row: Uint8Array): boolean {
  const other = tables.table('deltas').get(key);
  return other !== undefined && equalBytes(other, row);
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
