import { bytesToU64, concatBytes, MangroveError, u64ToBytes } from '@mangrove/protocol';

const U64_BYTES = 8;
const LENGTH_BYTES = 4;

/** Writes the fields of what relays of a fleet tell each other: numbers of 8 bytes, bytes of a known length, or with their length in 4 bytes before them. */
export class EntryWriter {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    this.#parts.push(Uint8Array.of(value));
    return this;
  }

  number(value: number): this {
    this.#parts.push(u64ToBytes(value));
    return this;
  }

  /** A number that may be infinite. */
  bound(value: number): this {
    return this.number(value === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : value);
  }

  fixed(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  sized(bytes: Uint8Array): this {
    const length = new Uint8Array(LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, bytes.length);
    this.#parts.push(length, bytes);
    return this;
  }

  list(items: readonly Uint8Array[]): this {
    this.number(items.length);
    for (const item of items) this.sized(item);
    return this;
  }

  bytes(): Uint8Array {
    return concatBytes(...this.#parts);
  }
}

/** Reads what {@link EntryWriter} wrote, or throws `INTERNAL`. */
export class EntryReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  number(): number {
    const value = bytesToU64(this.#bytes, this.#take(U64_BYTES));
    if (!Number.isSafeInteger(value)) throw this.fault('a number over 2^53 - 1');
    return value;
  }

  bound(): number {
    const value = this.number();
    return value === Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : value;
  }

  fixed(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.slice(at, at + length);
  }

  sized(): Uint8Array {
    return this.fixed(this.#view.getUint32(this.#take(LENGTH_BYTES)));
  }

  list<Item>(read: () => Item): readonly Item[] {
    const count = this.number();
    if (count > this.#bytes.length - this.#at) throw this.fault(`a list of ${count}`);
    return Array.from({ length: count }, read);
  }

  end(): void {
    if (this.#at < this.#bytes.length) throw this.fault('bytes behind its end');
  }

  fault(what: string): MangroveError {
    return new MangroveError('INTERNAL', { reason: `the fleet's engine has ${what}` });
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw this.fault('an entry that was cut off');
    this.#at += length;
    return at;
  }
}

export const bytesOf = (items: readonly Uint8Array[]): number =>
  items.reduce((sum, item) => sum + item.length + LENGTH_BYTES + 1, 0);
