/** The value at `fraction` of the sorted list, by nearest rank; undefined for an empty list. */
export function percentile(values, fraction) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)];
}

export function median(values) {
  return percentile(values, 0.5);
}

/** The median of one figure over rounds, with its extremes. */
export function overRounds(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** How a list of one measure spreads. */
export function spreadOf(values) {
  return { p50: median(values), p95: percentile(values, 0.95), p99: percentile(values, 0.99) };
}
