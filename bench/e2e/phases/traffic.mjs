/** What each proxy counted since `before`. */
export function difference(before, people) {
  return people.map(({ proxy }, i) => {
    const after = proxy.count();
    return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - before[i][name]]));
  });
}

/** What passed before, and from then on. */
export function splitTaps(taps, sinceMs) {
  const part = (wanted) =>
    Object.fromEntries(Object.entries(taps).map(([direction, list]) => [direction, list.filter(wanted)]));
  return [part(({ atMs }) => atMs < sinceMs), part(({ atMs }) => atMs >= sinceMs)];
}

/** Ends the tapping and gives what passed, by the four directions. */
export function takeTaps(a, b) {
  const of = ({ proxy }, direction) => proxy.taps.filter((tap) => tap.direction === direction);
  const taps = {
    aToServer: of(a, 'up'),
    serverToA: of(a, 'down'),
    serverToB: of(b, 'down'),
    bToServer: of(b, 'up'),
  };
  for (const { proxy } of [a, b]) proxy.taps = undefined;
  return taps;
}
