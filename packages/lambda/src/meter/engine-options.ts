import type { EngineKind } from '../lambda.js';
import { MEMORY_PAGES_MAX } from '../limits.js';
import type { MeterOptions } from './meter.js';

/** An interpreter's loop has a branch for each opcode, of which a turn takes one: its whole body would be charged for each. */
const CHARGE_MAX = 64;

/** How the engines that we ship are metered. A change is another lambda id for all lambdas of the language [LB7]. */
export const ENGINE_OPTIONS: Record<EngineKind, MeterOptions> = {
  js: { memoryPagesMax: MEMORY_PAGES_MAX, chargeMax: CHARGE_MAX, isStrict: false },
  // It asks for 256 pages and needs 6: all that it has is copied before each merge.
  python: { memoryPagesMax: MEMORY_PAGES_MAX, memoryPagesInitial: 6, chargeMax: CHARGE_MAX, isStrict: false },
};
