/** A lambda that does a bit of everything a merge may do, numbers most of all: that is where engines differ. */
export const JS_MERGE = `
function both(newer, older) {
  if (typeof newer === 'number' && typeof older === 'number') return newer + older;
  if (typeof newer === 'string' && typeof older === 'string') return newer.length >= older.length ? newer : older;
  if (Array.isArray(newer) && Array.isArray(older)) {
    const seen = new Set(newer.map((item) => JSON.stringify(item)));
    return [...newer, ...older.filter((item) => !seen.has(JSON.stringify(item)))];
  }
  return newer;
}
function merge({ siblings }) {
  const values = siblings.filter((sibling) => !sibling.deleted).map((sibling) => sibling.value);
  if (values.length === 0) return undefined;
  const merged = {};
  for (const value of values)
    for (const [name, field] of Object.entries(value))
      merged[name] = name in merged ? both(merged[name], field) : field;
  const x = typeof merged.x === 'number' ? merged.x : 0.1;
  merged.math = [Math.sin(x), Math.exp(x % 50), Math.cbrt(x), 10 ** (x % 20), Math.hypot(x, 1), Math.tan(x)].map(
    (y) => (Number.isFinite(y) ? y : null),
  );
  return merged;
}
`;
