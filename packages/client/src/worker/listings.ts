import type { BuiltInResolver } from '@mangrove/protocol';

/** Of all listings that a room keeps. */
const CHARS_MAX = 8 * 1024 * 1024;

/** A whole collection as it was read last. */
export interface Listing {
  /** Of the store as it was read; undefined where that does not tell whether it still reads the same. */
  readonly stamp: string | undefined;
  readonly text: string;
}

/** Listings that were read once, for whoever reads the same again: each is as good as its stamp. */
export class Listings {
  readonly #byName = new Map<string, Listing>();
  #chars = 0;
  #changes = 0;

  get(collection: string, resolver: BuiltInResolver): Listing | undefined {
    return this.#byName.get(nameOf(collection, resolver));
  }

  /** To be called before a listing is read: what it returns keeps it, unless something has changed meanwhile. */
  reading(collection: string, resolver: BuiltInResolver): (listing: Listing) => void {
    const changes = this.#changes;
    return (listing) => {
      if (changes === this.#changes) this.#keep(nameOf(collection, resolver), listing);
    };
  }

  /** What has just come may be what a disk had lost, and the stamp from before that is the same again. */
  changed(): void {
    this.#changes++;
    this.#byName.clear();
    this.#chars = 0;
  }

  #keep(name: string, listing: Listing): void {
    this.#chars -= this.#byName.get(name)?.text.length ?? 0;
    this.#byName.delete(name);
    if (listing.stamp === undefined || listing.text.length > CHARS_MAX) return;
    for (const [other, { text }] of this.#byName) {
      if (this.#chars + listing.text.length <= CHARS_MAX) break;
      this.#byName.delete(other);
      this.#chars -= text.length;
    }
    this.#byName.set(name, listing);
    this.#chars += listing.text.length;
  }
}

const nameOf = (collection: string, resolver: BuiltInResolver): string => `${resolver} ${collection}`;
