import { spawn } from 'node:child_process';
import { within } from './clock.mjs';

/**
 * Starts a server in a process of its own, so that its work does not share an event loop with the proxies.
 *
 * The script gets `args`, Node itself `ofNode`; it listens on a free port of 127.0.0.1 and prints `port <number>`; SIGTERM ends it.
 */
export async function startServer(script, args = [], ofNode = []) {
  const child = spawn(process.execPath, [...ofNode, script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const listening = new Promise((resolve, reject) => {
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      const found = /^port (\d+)$/m.exec(output);
      if (found) resolve(Number(found[1]));
    });
    exited.then((code) => reject(new Error(`${script} ended with ${code} before it listened`)));
  });
  const port = await within(20_000, 'starting a server', listening);
  return {
    port,
    pid: child.pid,
    stop: async () => {
      child.kill('SIGTERM');
      const killing = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(killing);
    },
  };
}
