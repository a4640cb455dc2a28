import * as Y from 'yjs';
import { seededRandom } from '../../support/random.mjs';

/** Once in each of them, so that edits can be counted in a message that a server has merged. */
export const MARK = '|#|';
/** With its mark: makes an update of about 55 bytes. */
const RUN = 'the quick brown fox jumps, ';
const JUMP_EVERY = 20;

/** Somebody who types, and now and then goes elsewhere in what they have written; the same of the same seed. */
export class Writer {
  #doc = new Y.Doc();
  #text = this.#doc.getText('text');
  #random;
  #at = 0;

  constructor(seed) {
    this.#random = seededRandom(seed);
    this.#doc.clientID = 1_000_000_000 + seed;
  }

  get clientId() {
    return this.#doc.clientID;
  }

  /** Updates, one an edit. */
  write(count) {
    const updates = [];
    const keep = (update) => updates.push(update);
    this.#doc.on('update', keep);
    for (let i = 0; i < count; i++) {
      if (Math.floor(this.#random() * JUMP_EVERY) === 0) this.#at = Math.floor(this.#random() * this.#text.length);
      this.#text.insert(this.#at, MARK + RUN);
      this.#at += MARK.length + RUN.length;
    }
    this.#doc.off('update', keep);
    return updates;
  }

  /** All of it. */
  get state() {
    return Y.encodeStateAsUpdate(this.#doc);
  }

  get length() {
    return this.#text.length;
  }
}

/** How much text these updates make. */
export class Reader {
  #doc = new Y.Doc();

  apply(updates) {
    this.#doc.transact(() => {
      for (const update of updates) Y.applyUpdate(this.#doc, update);
    });
  }

  get length() {
    return this.#doc.getText('text').length;
  }
}

/** Edits that were made apart and are sent together. */
export function mergeUpdates(updates) {
  return Y.mergeUpdates(updates);
}
