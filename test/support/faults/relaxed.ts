import type { Page } from 'playwright-core';
import { chromiumContext } from '../engines/chromium.js';
import type { Session } from '../engines/engine.js';

declare global {
  var tellOfRelaxed: (n: number) => void;
}

/** Another origin: its database is in files of its own, which no strict transaction of the app takes along. */
const ADDRESS = 'http://relaxed.localhost/';

/**
 * Writes one relaxed transaction after another in a tab of another site. A cut that takes none of what these were told is no cut:
 * they show that the rest could have been lost.
 */
export class RelaxedWriter {
  readonly acknowledged = new Set<number>();

  static async start(session: Session): Promise<RelaxedWriter> {
    const writer = new RelaxedWriter();
    const page = await openPage(session);
    // Not by a notebook: a page that comes from nowhere may not speak with this machine.
    await page.exposeFunction('tellOfRelaxed', (n: number) => writer.acknowledged.add(n));
    await page.evaluate(() => {
      const opening = indexedDB.open('relaxed', 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore('rows');
      opening.onsuccess = () => {
        let n = 0;
        const next = (): void => {
          const tx = opening.result.transaction('rows', 'readwrite', { durability: 'relaxed' });
          tx.objectStore('rows').put('x'.repeat(100), ++n);
          tx.oncomplete = () => {
            tellOfRelaxed(n);
            setTimeout(next, 20);
          };
        };
        next();
      };
    });
    return writer;
  }

  /** How many of those that were acknowledged are not there. */
  async countLost(session: Session): Promise<number> {
    const page = await openPage(session);
    const there = await page.evaluate(async () => {
      const opening = indexedDB.open('relaxed', 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore('rows');
      const db = await new Promise<IDBDatabase>((resolve) => {
        opening.onsuccess = () => resolve(opening.result);
      });
      const request = db.transaction('rows').objectStore('rows').getAllKeys();
      return await new Promise<number[]>((resolve) => {
        request.onsuccess = () => resolve(request.result as number[]);
      });
    });
    await page.close();
    const rows = new Set(there);
    return [...this.acknowledged].filter((n) => !rows.has(n)).length;
  }
}

async function openPage(session: Session): Promise<Page> {
  const page = await chromiumContext(session).newPage();
  const body = '<link rel="icon" href="data:,">';
  await page.route(ADDRESS, (route) => route.fulfill({ contentType: 'text/html', body }));
  await page.goto(ADDRESS);
  return page;
}
