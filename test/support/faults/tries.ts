/** How often a loop tries its fault; MANGROVE_TRIES says otherwise for whoever wants to see more, or less. */
export function triesOf({ usually, long }: { readonly usually: number; readonly long: number }): number {
  const { MANGROVE_TRIES, MANGROVE_TEST_LONG } = process.env;
  if (MANGROVE_TRIES !== undefined) return Number(MANGROVE_TRIES);
  return MANGROVE_TEST_LONG === undefined ? usually : long;
}

/** A fault comes when it comes. */
export async function someTime(msMax: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * msMax));
}

export function oneOf<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)] as Item;
}
