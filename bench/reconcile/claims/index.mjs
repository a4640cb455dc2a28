import { indexAndProofs } from './index-and-proofs.mjs';
import { regions } from './regions.mjs';
import { twoPhase } from './two-phase.mjs';
import { vectorMemory } from './vector-memory.mjs';

export const claims = [indexAndProofs, twoPhase, regions, vectorMemory];
