import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';

const LOOK_EVERY_MS = 200;

/** The most memory that some processes have had, in bytes, of their own: pages of mapped files are the system's to take back. */
export class MemoryGauge {
  peakBytes = 0;
  readonly #pids: () => Promise<readonly number[]>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOn = true;

  static ofProcess(pid: number): MemoryGauge {
    return new MemoryGauge(async () => [pid]);
  }

  /** Of the pages of a browser and their workers: the largest of its renderers. */
  static async ofRenderers(browser: Browser): Promise<MemoryGauge> {
    const session = await browser.newBrowserCDPSession();
    return new MemoryGauge(async () => {
      const { processInfo } = await session.send('SystemInfo.getProcessInfo');
      return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
    });
  }

  private constructor(pids: () => Promise<readonly number[]>) {
    this.#pids = pids;
    void this.#look();
  }

  stop(): void {
    this.#isOn = false;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const pids = await this.#pids().catch(() => []);
    for (const pid of pids) this.peakBytes = Math.max(this.peakBytes, ownBytesOf(pid));
    if (this.#isOn) this.#timer = setTimeout(() => void this.#look(), LOOK_EVERY_MS);
  }
}

/** Linux alone tells it without a tool; elsewhere there is nothing to compare with a bound. */
export const canGauge = process.platform === 'linux';

function ownBytesOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
