import { refuse } from './refuse.js';

/** Reads the primitives of WebAssembly's binary format. Every read is checked: bytes that end early are refused. */
export class ByteReader {
  offset: number;

  constructor(
    readonly bytes: Uint8Array,
    start = 0,
    readonly end = bytes.length,
  ) {
    this.offset = start;
  }

  get isAtEnd(): boolean {
    return this.offset >= this.end;
  }

  u8(): number {
    if (this.offset >= this.end) throw refuse('it ends early');
    return this.bytes[this.offset++] as number;
  }

  /** Unsigned LEB128 of at most 32 bits. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw refuse('a number is too long');
  }

  /** Any LEB128, whose value is of no interest. */
  skipLeb(): void {
    for (let length = 0; length < 10; length += 1) if (this.u8() < 0x80) return;
    throw refuse('a number is too long');
  }

  skip(length: number): void {
    if (length > this.end - this.offset) throw refuse('it ends early');
    this.offset += length;
  }

  take(length: number): Uint8Array {
    const start = this.offset;
    this.skip(length);
    return this.bytes.subarray(start, this.offset);
  }

  /** What is left, as a view. */
  rest(): Uint8Array {
    return this.take(this.end - this.offset);
  }

  name(): string {
    return new TextDecoder().decode(this.take(this.u32()));
  }
}
