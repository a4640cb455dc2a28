import { type Conflict, conflictToBytes } from './conflict.js';
import { type Decision, decide } from './decision.js';
import type { Outcome } from './failure.js';
import type { LambdaSpec } from './lambda.js';
import { LambdaError } from './lambda-error.js';
import type { LambdaId } from './lambda-id.js';
import { type StartWorker, startWebWorker } from './worker/sandbox-worker.js';
import { Thread } from './worker/thread.js';

/** Some twenty times what the fuel of a merge takes at worst: who comes so far is stuck, not slow. */
const WATCHDOG_MS = 5_000;

export interface SandboxOptions {
  /** How long a run, or loading the source, may take before its worker is ended. 5 s. */
  readonly watchdogMs?: number;
  /** A web worker, unless said otherwise. */
  readonly startWorker?: StartWorker;
}

/**
 * A lambda in a worker of its own, which is ended when it takes too long, and started anew for the next run. One run at a time, in the order
 * in which they are asked for.
 */
export interface Sandbox {
  readonly id: LambdaId;
  /** What becomes of a conflict [LB8]. Throws `VALUE_INVALID` for siblings that are no values. */
  merge(conflict: Conflict): Promise<Decision>;
  run(input: Uint8Array): Promise<Outcome>;
  /** Ends the worker; runs that wait come to `UNAVAILABLE`. */
  close(): void;
}

/** Throws `LAMBDA_INVALID` for a lambda that every replica refuses, and `LAMBDA_UNAVAILABLE` where it cannot run here. */
export async function openSandbox(spec: LambdaSpec, options: SandboxOptions = {}): Promise<Sandbox> {
  const { watchdogMs = WATCHDOG_MS, startWorker = startWebWorker } = options;
  let { thread, id } = await start();
  let isClosed = false;
  let last: Promise<unknown> = Promise.resolve();

  async function start(): Promise<{ thread: Thread; id: LambdaId }> {
    const thread = new Thread(startWorker, watchdogMs);
    const answer = await thread.ask({ type: 'prepare', spec });
    if (answer.type === 'prepared') return { thread, id: answer.id };
    thread.end('UNAVAILABLE', 'it was refused');
    if (answer.type === 'refused') throw new LambdaError(answer.code, answer.reason);
    const reason = answer.type === 'ended' ? answer.error.detail : 'its worker is out of step';
    throw new LambdaError('LAMBDA_UNAVAILABLE', reason);
  }

  async function runNow(input: Uint8Array): Promise<Outcome> {
    if (thread.isOver && !isClosed) ({ thread } = await start());
    if (isClosed) thread.end('UNAVAILABLE', 'the sandbox is closed');
    const answer = await thread.ask({ type: 'run', input });
    if (answer.type === 'ran') return answer.outcome;
    if (answer.type === 'ended') return { ok: false, error: answer.error, fuel: 0 };
    throw new LambdaError('LAMBDA_UNAVAILABLE', `a run was answered with ${answer.type}`);
  }

  async function runOrFail(input: Uint8Array): Promise<Outcome> {
    try {
      return await runNow(input);
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return { ok: false, error: { code: 'UNAVAILABLE', detail }, fuel: 0 };
    }
  }

  const run = (input: Uint8Array): Promise<Outcome> => {
    const next = last.then(() => runOrFail(input));
    last = next;
    return next;
  };
  return {
    id,
    run,
    merge: async (conflict) => decide(conflict, await run(conflictToBytes(conflict))),
    close() {
      isClosed = true;
      thread.end('UNAVAILABLE', 'the sandbox is closed');
    },
  };
}
