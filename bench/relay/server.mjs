import { readFileSync } from 'node:fs';
import { sleep } from '../support/clock.mjs';
import { startServer } from '../support/server-process.mjs';

const TICKS_PER_SECOND = 100;

/** A contestant's server, with what Linux says of its process. Of a worker it is workerd's, not that of who has started it. */
export class MeasuredServer {
  port;
  #pid;
  #collects;
  #stop;

  static async start({ script, args, isWorkerd }, folder) {
    const started = await startServer(script, [folder, ...args], isWorkerd ? [] : ['--expose-gc']);
    const server = new MeasuredServer();
    server.port = started.port;
    server.#stop = started.stop;
    server.#collects = !isWorkerd;
    server.#pid = isWorkerd ? childOf(started.pid) : started.pid;
    return server;
  }

  /** User and system time of all of its threads, in seconds. */
  cpuSeconds() {
    const fields = readFileSync(`/proc/${this.#pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** In KiB, after collecting garbage where a server can be asked to. */
  async residentKiB() {
    for (let i = 0; i < 3; i++) {
      if (this.#collects) process.kill(this.#pid, 'SIGUSR2');
      await sleep(700);
    }
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.#pid}/status`, 'utf8'))[1]);
  }

  stop() {
    return this.#stop();
  }
}

function childOf(pid) {
  for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' '))
    if (readFileSync(`/proc/${child}/comm`, 'utf8').includes('workerd')) return Number(child);
  throw new Error('no workerd was started');
}
