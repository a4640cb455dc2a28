import { chromiumPage } from '../engines/chromium.js';
import type { Person } from '../person.js';

/** What takes a database from under a page that has it open: a person, a page of the app, and a newer page of it. */
export const CLOSES: Readonly<Record<string, (person: Person) => Promise<void>>> = {
  cleared: async (person) => {
    const page = chromiumPage(person.page);
    const session = await page.context().newCDPSession(page);
    const origin = new URL(page.url()).origin;
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });
    await session.detach();
  },
  deleted: (person) => takeOver(person, false),
  upgraded: (person) => takeOver(person, true),
};

/** From the page's own thread, which is no other to the database than any other page. */
async function takeOver({ page }: Person, isUpgrade: boolean): Promise<void> {
  await page.evaluate(async (isUpgrade) => {
    const ended = (request: IDBRequest): Promise<unknown> =>
      new Promise((resolve, reject) => {
        request.onsuccess = resolve;
        request.onerror = () => reject(request.error);
      });
    for (const { name = '' } of await indexedDB.databases()) {
      if (isUpgrade) {
        const opening = indexedDB.open(name, 99);
        await ended(opening);
        opening.result.close();
      }
      // A version of the future would stay for the next visit.
      await ended(indexedDB.deleteDatabase(name));
    }
  }, isUpgrade);
}
