import type { BrowserContext, CDPSession } from 'playwright-core';
import type { Person } from './person.js';

/**
 * How much a browser lets one site store. To be limited before the site stores anything: Chromium remembers for long how much room
 * it saw last.
 */
export class Quota {
  readonly #session: CDPSession;
  readonly #origin: string;

  static async limit(context: BrowserContext, origin: string, bytes: number): Promise<Quota> {
    // The limit lasts as long as the page that asked for it.
    const page = context.pages()[0] ?? (await context.newPage());
    const quota = new Quota(await context.newCDPSession(page), origin);
    await quota.#session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: bytes });
    return quota;
  }

  private constructor(session: CDPSession, origin: string) {
    this.#session = session;
    this.#origin = origin;
  }

  async lift(): Promise<void> {
    await this.#session.send('Storage.overrideQuotaForOrigin', { origin: this.#origin });
  }
}

/** Another database of the site takes all the room there is. */
export async function fillDisk(person: Person): Promise<void> {
  await person.page.evaluate(async () => {
    const opening = indexedDB.open('filler', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('rows', { autoIncrement: true });
    const db = await new Promise<IDBDatabase>((resolve) => {
      opening.onsuccess = () => resolve(opening.result);
    });
    for (let bytes = 1024 * 1024; bytes >= 1; ) {
      const tx = db.transaction('rows', 'readwrite', { durability: 'strict' });
      tx.objectStore('rows').put(crypto.getRandomValues(new Uint8Array(Math.min(bytes, 65_536))));
      const isFull = await new Promise<boolean>((resolve) => {
        tx.oncomplete = () => resolve(false);
        tx.onabort = () => resolve(true);
      });
      if (isFull) bytes = Math.floor(bytes / 2);
    }
    db.close();
  });
}
