/** Whether the browser may delete what the site has stored, as far as it says. Reads and asks `navigator.storage`, where there is one. */
export class Persistence {
  /** Null until it is known, and where the browser does not say. */
  isPersisted: boolean | null = null;

  /** Asks nobody but the browser. */
  async look(): Promise<void> {
    await this.#note(async () => storageOf()?.persisted());
  }

  /** The browser may ask the person, and wait for the answer without an end. */
  async ask(): Promise<boolean> {
    await this.#note(async () => storageOf()?.persist());
    return this.isPersisted === true;
  }

  /** What cannot be asked is not known: an opaque origin throws here. */
  async #note(ask: () => Promise<boolean | undefined>): Promise<void> {
    const isPersisted = await ask().catch(() => undefined);
    if (isPersisted !== undefined) this.isPersisted = isPersisted;
  }
}

/** WebKitGTK has none, and a page without a secure context neither. */
function storageOf(): StorageManager | undefined {
  return globalThis.navigator?.storage as StorageManager | undefined;
}
