import { bytesToDelta } from '../delta.js';
import { addFindings, FIRST_PLACE, NOTHING_FOUND, type ScrubFindings, scrubStep } from '../room/scrub.js';
import type { RoomRef } from '../room/room-ref.js';
import type { MemoryTables } from '../store/memory-store.js';
import type { Plan } from '../store/plan.js';
import type { Cast } from './cast.js';
import type { Random } from './random.js';
import type { SimRelay } from './relay.js';
import type { SimReplica } from './replica.js';

const HOLE_RATIO = 0.1;
/** How long a hole may stay unseen in a world: a scrub comes by, or a plan stumbles over it. */
const UNSEEN_MS_MAX = 3_000;
const EVERYTHING = { from: new Uint8Array() };
/** Small, so that a scrub takes steps in a small world too. */
const BOUNDS = { rowsMax: 16, bytesMax: 4_096 };

/** Tables with holes that nobody has looked for yet: their index tells of what is gone. */
const damaged = new WeakSet<MemoryTables>();

export const isDamaged = (tables: MemoryTables): boolean => damaged.has(tables);

/** With everything that is wrong with it. */
export function copyTables(tables: MemoryTables): MemoryTables {
  const copy = tables.clone();
  if (damaged.has(tables)) damaged.add(copy);
  return copy;
}

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

/** Scrubs to the end; `run` runs each step. */
export function scrubWhole(
  tables: MemoryTables,
  room: RoomRef,
  run: <Result>(plan: Plan<Result>) => Result,
): ScrubFindings {
  let findings = NOTHING_FOUND;
  for (let place: typeof FIRST_PLACE | undefined = FIRST_PLACE; place !== undefined; ) {
    const at: typeof FIRST_PLACE = place;
    const step = run((tx) => scrubStep(tx, room, at, undefined, BOUNDS));
    findings = addFindings(findings, step.findings);
    place = step.next;
  }
  damaged.delete(tables);
  return findings;
}

function punch(
  world: Cast & { readonly random: Random },
  tables: MemoryTables,
  mayGo: (key: Uint8Array, row: Uint8Array) => boolean,
): void {
  for (const [key, row] of tables.table('deltas').rows(EVERYTHING)) {
    if (!world.random.chance(HOLE_RATIO) || !mayGo(key, row)) continue;
    tables.table('deltas').delete(key);
    damaged.add(tables);
    world.count('deltas lost to holes');
    world.count('bytes lost to holes', row.length);
  }
}
