/** Which tab owns the replica: it alone seals, sends and receives. The others write their journal and read. */
export interface Leadership {
  /** Resolves when this tab has become the owner; stays pending for as long as another is. */
  readonly acquired: Promise<void>;
  /** Resolves when another tab has taken it away by force. */
  readonly lost: Promise<void>;
  /** Gives the ownership up, or stops waiting for it. */
  release(): void;
}

/** `steal`: takes it from whoever has it, before all who wait. */
export interface LeadOptions {
  readonly steal?: boolean;
}

/** By Web Locks: the browser frees the lock when the tab's worker ends, however it ends. A frozen tab keeps its locks until they are stolen. */
export function leadByLock(locks: LockManager, name: string, { steal = false }: LeadOptions = {}): Leadership {
  const abort = new AbortController();
  let release = (): void => abort.abort();
  let lose = (): void => {};
  const lost = new Promise<void>((resolve) => (lose = resolve));
  const acquired = new Promise<void>((resolve, reject) => {
    let isHeld = false;
    const hold = (): Promise<void> | undefined => {
      if (abort.signal.aborted) return undefined;
      const held = new Promise<void>((end) => {
        release = end;
      });
      isHeld = true;
      resolve();
      return held;
    };
    // A signal and force go together in no browser; what is forced is not waited for either.
    const options = steal ? { steal } : { signal: abort.signal };
    locks.request(name, { mode: 'exclusive', ...options }, hold).catch((error: unknown) => {
      // Who denies site data denies locks too: there is nothing to share then, and nobody to wait for.
      if (isDenied(error)) resolve();
      else if (isHeld) lose();
      else if (!abort.signal.aborted) reject(error);
    });
  });
  return { acquired, lost, release: () => release() };
}

/** Whether the browser gives no locks here at all. */
export function isDenied(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'SecurityError';
}

/** Where there are no other tabs: in tests, in Node, in memory. */
export function leadAlone(): Leadership {
  return { acquired: Promise.resolve(), lost: new Promise(() => {}), release: () => {} };
}
