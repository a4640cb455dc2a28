import { seededRandom } from '../support/random.mjs';

const WORDS = 'tide root mud salt leaf bay crab ebb silt reef heron dusk river marsh'.split(' ');

/** About 120 bytes of JSON each: four fields, as a to-do would have them. */
export function recordEntries(count) {
  const random = seededRandom(count);
  const word = () => WORDS[Math.floor(random() * WORDS.length)];
  return Array.from({ length: count }, (_, i) => [
    `record-${String(i).padStart(6, '0')}`,
    {
      title: `${word()} ${word()} ${word()}`,
      note: Array.from({ length: 10 }, word).join(' '),
      count: i,
      isDone: random() < 0.5,
    },
  ]);
}

/** The same in an order of its own, as somebody would read who looks things up. */
export function shuffled(list) {
  const random = seededRandom(list.length + 1);
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}
