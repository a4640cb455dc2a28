import { openDatabase, read, write } from './idb.js';

/** As y-indexeddb has them: when so many rows have come, and then none for so long, one row takes the place of all. */
const ROWS_MAX = 500;
const REST_MS = 1_000;

/** A log of updates in IndexedDB, one row and one transaction each, that is replaced by a snapshot now and then. */
export class UpdateLog {
  #db;
  #snapshot;
  #rows = 0;
  #writing = new Set();
  #timer;

  /** @param {() => Uint8Array} snapshot what holds all updates so far */
  static async open(name, snapshot) {
    const log = new UpdateLog();
    log.#db = await openDatabase(name, { updates: { autoIncrement: true } });
    log.#snapshot = snapshot;
    return log;
  }

  async read() {
    const updates = await read(this.#db, 'updates', (store) => store.getAll());
    this.#rows = updates.length;
    return updates;
  }

  append(update) {
    this.#rows++;
    this.#track(write(this.#db, 'updates', undefined, (store) => store.put(update)));
    if (this.#rows < ROWS_MAX) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.replace(this.#snapshot()), REST_MS);
  }

  replace(snapshot) {
    this.#rows = 1;
    this.#track(
      write(this.#db, 'updates', undefined, (store) => {
        store.clear();
        store.put(snapshot);
      }),
    );
  }

  /** Everything that was appended is where IndexedDB says that it is. */
  async idle() {
    while (this.#writing.size > 0) await Promise.all(this.#writing);
  }

  #track(writing) {
    this.#writing.add(writing);
    writing.finally(() => this.#writing.delete(writing));
  }
}
