/** Which tab owns the replica: it alone seals, sends and receives. The others write their journal and read. */
export interface Leadership {
  /** Resolves when this tab has become the owner; stays pending for as long as another is. */
  readonly acquired: Promise<void>;
  /** Gives the ownership up, or stops waiting for it. */
  release(): void;
}

/** By Web Locks: the browser frees the lock when the tab's worker ends, however it ends. */
export function leadByLock(locks: LockManager, name: string): Leadership {
  const abort = new AbortController();
  let release = (): void => abort.abort();
  const acquired = new Promise<void>((resolve, reject) => {
    locks
      .request(name, { mode: 'exclusive', signal: abort.signal }, () => {
        const held = new Promise<void>((end) => {
          release = end;
        });
        resolve();
        return held;
      })
      .catch((error: unknown) => {
        // Who denies site data denies locks too: there is nothing to share then, and nobody to wait for.
        if (isDenied(error)) resolve();
        else if (!abort.signal.aborted) reject(error);
      });
  });
  return { acquired, release: () => release() };
}

/** Whether the browser gives no locks here at all. */
export function isDenied(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'SecurityError';
}

/** Where there are no other tabs: in tests, in Node, in memory. */
export function leadAlone(): Leadership {
  return { acquired: Promise.resolve(), release: () => {} };
}
