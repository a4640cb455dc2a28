import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./process.mjs', import.meta.url));

/** The process with the clients, from outside. */
export class Clients {
  #child = fork(SCRIPT);

  /** Runs a method of the crowd there. */
  ask(what, asked = {}) {
    return new Promise((resolve, reject) => {
      const ended = (code) => reject(new Error(`the clients ended with ${code} at "${what}"`));
      this.#child.once('exit', ended);
      this.#child.once('message', ({ answer, error }) => {
        this.#child.off('exit', ended);
        if (error === undefined) resolve(answer);
        else reject(new Error(`${what}: ${error}`));
      });
      this.#child.send({ what, ...asked });
    });
  }

  async end() {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}
