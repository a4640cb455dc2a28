export const count = (value) => value.toLocaleString('en');

/** Three digits, as no more of them mean anything between peers. */
export function bytes(value) {
  if (value >= 999_500) return `${(value / 1_000_000).toPrecision(3)}M`;
  return value >= 9_995 ? `${Number((value / 1_000).toPrecision(3))}k` : count(Math.round(value));
}

export const percent = (ratio) => `${(100 * ratio).toFixed(ratio < 0.1 ? 1 : 0)} %`;
