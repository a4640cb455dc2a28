import { spawn } from 'node:child_process';
import { fromRoot, root } from './paths.mjs';

/**
 * Runs a command and resolves to its exit code and, with `quiet`, what it printed. It never rejects: a command that
 * cannot start or that a signal ended has a code other than 0. Standard input is closed, so nothing can wait for it.
 */
export function run(command, args, { quiet = false, env = {}, cwd = root, timeoutMs } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    });
    let output = '';
    const collect = (chunk) => {
      output += chunk;
    };
    child.stdout?.setEncoding('utf8').on('data', collect);
    child.stderr?.setEncoding('utf8').on('data', collect);

    const timer = timeoutMs && setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.on('error', (error) => resolve({ code: 127, output: `${output}${error.message}\n` }));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? 1, output: signal ? `${output}ended by ${signal}\n` : output });
    });
  });
}

/** A tool of node_modules, started by Node itself: no shell, no npx, no question whether to install it. */
export function runTool(script, args, options) {
  return run(process.execPath, [fromRoot('node_modules', script), ...args], options);
}

/** For steps that what comes after needs: throws what the command printed when it fails. */
export async function mustRun(what, running) {
  const { code, output } = await running;
  if (code !== 0) throw new Error(`${output}${what} failed (exit code ${code}).`);
}

/**
 * Runs a script's main function; what it throws ends it with exit code 1. What our scripts throw to say is a plain
 * Error: a message. Anything else was not foreseen, and its stack is what its reader needs.
 */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    console.error(isToldByMessage(error) ? error.message : (error?.stack ?? error));
    process.exit(1);
  }
}

/** What parseArgs says of an option that is not there is a TypeError by its class. */
function isToldByMessage(error) {
  return error instanceof Error && (error.constructor === Error || error.code?.startsWith?.('ERR_PARSE_ARGS'));
}
