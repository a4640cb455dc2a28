import { readdirSync, readFileSync } from 'node:fs';
import { until } from '../until.js';

/** Ends a process without a warning, and resolves when it is gone. */
export async function killProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until(`process ${pid} to be gone`, () => readGroup(pid) === undefined);
}

/** How many processes of a group live. */
export function groupSize(group: number): number {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && readGroup(Number(name)) === group).length;
}

/** Undefined for one that is gone, or that has ended and nobody has asked after yet. */
function readGroup(pid: number): number | undefined {
  try {
    // The name before the bracket may have anything in it.
    const [state, , group] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return state === 'Z' ? undefined : Number(group);
  } catch {
    return undefined;
  }
}
