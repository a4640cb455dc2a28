import { isMangroveError } from '@mangrove/protocol';

const AGAIN_MS = 250;

/** Tries again what rejects with something that may be over soon, for so long. */
export async function persist<Result>(withinMs: number, task: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await task();
    } catch (error) {
      if (!isMangroveError(error) || !error.retryable || performance.now() >= deadline) throw error;
      await pause(AGAIN_MS);
    }
  }
}

/** Resolves after so long, or as soon as it is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal?.aborted === true) done();
    else signal?.addEventListener('abort', done, { once: true });
  });
}
