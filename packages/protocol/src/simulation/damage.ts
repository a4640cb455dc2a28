import { addFindings, FIRST_PLACE, NOTHING_FOUND, type ScrubFindings, scrubStep } from '../room/scrub.js';
import type { RoomRef } from '../room/room-ref.js';
import type { MemoryTables } from '../store/memory-store.js';
import type { Plan } from '../store/plan.js';

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

/** Something was taken from these behind their back. */
export function markDamaged(tables: MemoryTables): void {
  damaged.add(tables);
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
