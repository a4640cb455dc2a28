/** How long the parts of a test took, told in its output. */
export interface Stopwatch {
  lap(what: string): void;
  report(title: string): void;
}

export function startStopwatch(): Stopwatch {
  const laps: string[] = [];
  let last = performance.now();
  return {
    lap: (what) => {
      const now = performance.now();
      laps.push(`${what} ${((now - last) / 1000).toFixed(1)} s`);
      last = now;
    },
    report: (title) => console.log(`${title}: ${laps.join(', ')}`),
  };
}
