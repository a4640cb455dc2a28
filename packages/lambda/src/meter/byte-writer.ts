/** Bytes that grow. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  u8(...bytes: readonly number[]): this {
    return this.bytes(Uint8Array.from(bytes));
  }

  bytes(bytes: Uint8Array): this {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2));
      grown.set(this.toBytes());
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
    return this;
  }

  /** Unsigned LEB128. */
  u32(value: number): this {
    let left = value;
    const bytes: number[] = [];
    do {
      bytes.push((left % 128) | (left >= 128 ? 0x80 : 0));
      left = Math.floor(left / 128);
    } while (left > 0);
    return this.u8(...bytes);
  }

  /** Signed LEB128 of a value within 32 bits. */
  s32(value: number): this {
    let left = value | 0;
    const bytes: number[] = [];
    for (;;) {
      const byte = left & 0x7f;
      left >>= 7;
      const isDone = (left === 0 && byte < 0x40) || (left === -1 && byte >= 0x40);
      bytes.push(isDone ? byte : byte | 0x80);
      if (isDone) return this.u8(...bytes);
    }
  }

  /** Length, then the bytes. */
  sized(bytes: Uint8Array): this {
    return this.u32(bytes.length).bytes(bytes);
  }

  name(text: string): this {
    return this.sized(new TextEncoder().encode(text));
  }

  /** A view: what is written later may move. */
  toBytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
