import { readdirSync, readFileSync } from 'node:fs';

const BUSY_MS = 300;

/**
 * The process that a page of Chromium is in, which no driver tells: the one of the renderers that this process has started, itself or by
 * others, that is busy while the page is. Tabs of one site have processes of their own as long as there are few.
 */
export async function rendererOf(page) {
  const before = ticksOfRenderers();
  await page.evaluate((busyMs) => {
    const untilMs = performance.now() + busyMs;
    while (performance.now() < untilMs);
  }, BUSY_MS);
  const used = [...ticksOfRenderers()].map(([pid, ticks]) => ({ pid, ticks: ticks - (before.get(pid) ?? 0) }));
  const busiest = used.sort((a, b) => b.ticks - a.ticks)[0];
  if (busiest === undefined) throw new Error('this process has started no renderers');
  return busiest.pid;
}

/** The CPU time of each. */
function ticksOfRenderers() {
  const parents = new Map();
  const ticks = new Map();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    try {
      // The name before the bracket may have anything in it.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      parents.set(pid, Number(fields[1]));
      const isRenderer = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer');
      if (isRenderer) ticks.set(pid, Number(fields[11]) + Number(fields[12]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const isOurs = (pid) => {
    for (let at = pid; at !== undefined && at > 1; at = parents.get(at)) if (at === process.pid) return true;
    return false;
  };
  return new Map([...ticks].filter(([pid]) => isOurs(pid)));
}
