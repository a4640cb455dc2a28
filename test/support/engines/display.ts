import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** An X server without a screen. There is no window manager, so the window that came last has the focus: one display for each. */
export class Display {
  readonly name: string;
  readonly #child: ChildProcess;

  static async open(): Promise<Display> {
    const args = ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'Xvfb', ...args], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    const ended = once(child, 'exit').then(() => Promise.reject(new Error('Xvfb did not start')));
    const [number] = await Promise.race([once(child.stdio[3] as NodeJS.ReadableStream, 'data'), ended]);
    ended.catch(() => {});
    return new Display(`:${String(number).trim()}`, child);
  }

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    if (this.#child.kill()) await exited;
  }
}
