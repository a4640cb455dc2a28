// Conflicts of three sizes, the same in every run: whole numbers and words, as the merge is what is measured, not its input.

const HLC = 1_750_000_000_000 * 1_024;
const WORDS = ['milk', 'bread', 'naïve', 'a longer piece of text that says nothing'];

/** `fields`: siblings that differ in some of 20 fields. `lists`: two lists of 150 items, united by their ids. */
export const WORKLOADS = {
  f2: { what: '2 siblings of 20 fields', siblings: fields(2) },
  f5: { what: '5 siblings of 20 fields', siblings: fields(5) },
  l200: { what: '2 lists of 150 items, 200 of them different', siblings: lists() },
};

function fields(count) {
  return Array.from({ length: count }, (_, replica) =>
    sibling(
      replica,
      Object.fromEntries(
        Array.from({ length: 20 }, (_, i) => [
          `field ${i}`,
          i % 2 === 0 ? (i + 1) * (replica + 3) : WORDS[(i + replica) % 4],
        ]),
      ),
    ),
  );
}

function lists() {
  return [0, 1].map((replica) =>
    sibling(replica, {
      items: Array.from({ length: 150 }, (_, i) => ({
        id: `item ${i + 50 * replica}`,
        done: i % 3 === 0,
        text: WORDS[i % 4],
      })),
    }),
  );
}

function sibling(replica, value) {
  return { replica: `${replica + 1}`.padStart(16, '0'), writtenAt: HLC - replica, value, bytes: new Uint8Array() };
}
