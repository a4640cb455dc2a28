/** The list from its item number `by` on, and then those before: an order that differs from round to round. */
export function turned(list, by) {
  return list.map((_, i) => list[(i + by) % list.length]);
}
