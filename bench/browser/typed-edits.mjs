import { seededRandom } from '../support/random.mjs';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz     ';
/** People type runs, and then go elsewhere. */
const JUMP_CHANCE = 1 / 20;

/** Single characters typed into a text of this length; the same edits for every contestant. */
export function typedEdits({ length, count, seed }) {
  const random = seededRandom(seed);
  let cursor = length;
  return Array.from({ length: count }, (_, i) => {
    if (random() < JUMP_CHANCE) cursor = Math.floor(random() * (length + i + 1));
    return [cursor++, 0, LETTERS[Math.floor(random() * LETTERS.length)]];
  });
}
