/** Codes of up to so many bits are found in one step; longer ones are rare, and a table for them would be dear to build. */
const FAST_BITS = 10;
const CODE_BITS_MAX = 15;
const END_OF_BLOCK = 256;
/** A writer that wants to be read has far fewer blocks; each costs its reader a table, however little it says. */
const BYTES_PER_BLOCK_MIN = 1_024;
/** The order in which a block gives the lengths of the codes that its codes are written in. */
const LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A prefix code: symbols in the order of their codes, and how many codes there are of each length. */
interface Code {
  readonly symbols: Uint16Array;
  readonly counts: Uint16Array;
  /** By the next bits: `symbol << 4 | bits`, 0 where the code is longer. */
  readonly fast: Uint16Array;
}

/**
 * The `plainBytes` bytes that a raw DEFLATE stream stands for; throws where it is no stream, stands for more or less, or is followed by
 * anything. Memory: the output and some KiB. Time: bounded by both lengths, whatever the bytes are, which is why it is ours: the
 * libraries write on beyond a full output, a thousand bytes for each of input, or do not say where the stream ended.
 *
 * Source: RFC 1951.
 */
export function inflate(bytes: Uint8Array, plainBytes: number): Uint8Array {
  return new Inflation(bytes, new Uint8Array(plainBytes)).run();
}

class Inflation {
  readonly #bytes: Uint8Array;
  readonly #output: Uint8Array;
  #at = 0;
  #written = 0;
  /** Bits that were read and not used, the next one lowest. */
  #bits = 0;
  #bitCount = 0;

  constructor(bytes: Uint8Array, output: Uint8Array) {
    this.#bytes = bytes;
    this.#output = output;
  }

  run(): Uint8Array {
    let blocksLeft = 1 + Math.floor(this.#output.length / BYTES_PER_BLOCK_MIN);
    for (let isLast = false; !isLast; ) {
      if (--blocksLeft < 0) throw new Error('too many blocks');
      isLast = this.#take(1) === 1;
      this.#block(this.#take(2));
    }
    const unused = this.#bitCount >> 3;
    if (this.#at - unused !== this.#bytes.length) throw new Error('bytes after the end of the stream');
    if (this.#written !== this.#output.length) throw new Error('the stream stands for fewer bytes');
    return this.#output;
  }

  #block(kind: number): void {
    if (kind === 0) this.#copyStored();
    else if (kind === 1) this.#expand(FIXED_SYMBOLS, FIXED_DISTANCES);
    else if (kind === 2) this.#expandOwn();
    else throw new Error('an unknown kind of block');
  }

  #copyStored(): void {
    this.#at -= this.#bitCount >> 3;
    this.#bits = 0;
    this.#bitCount = 0;
    const length = this.#take(16);
    if ((length ^ this.#take(16)) !== 0xffff) throw new Error('a stored block of two lengths');
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error('the stream is cut short');
    this.#assertRoom(length);
    this.#output.set(this.#bytes.subarray(this.#at, end), this.#written);
    this.#at = end;
    this.#written += length;
  }

  /** A block that brings its codes along. */
  #expandOwn(): void {
    const symbolCount = this.#take(5) + 257;
    const distanceCount = this.#take(5) + 1;
    const lengthCount = this.#take(4) + 4;
    if (symbolCount > 286 || distanceCount > 30) throw new Error('codes for unknown symbols');
    const ofLengths = new Uint8Array(LENGTH_ORDER.length);
    for (const symbol of LENGTH_ORDER.slice(0, lengthCount)) ofLengths[symbol] = this.#take(3);
    const code = makeCode(ofLengths, false);
    const lengths = new Uint8Array(symbolCount + distanceCount);
    for (let i = 0; i < lengths.length; ) {
      const symbol = this.#symbol(code);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      const times = symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (i + times > lengths.length || (symbol === 16 && i === 0)) throw new Error('lengths out of bounds');
      lengths.fill(symbol === 16 ? (lengths[i - 1] as number) : 0, i, i + times);
      i += times;
    }
    if (lengths[END_OF_BLOCK] === 0) throw new Error('a block without an end');
    this.#expand(makeCode(lengths.subarray(0, symbolCount)), makeCode(lengths.subarray(symbolCount)));
  }

  #expand(symbols: Code, distances: Code): void {
    const output = this.#output;
    for (;;) {
      const symbol = this.#symbol(symbols);
      if (symbol === END_OF_BLOCK) return;
      if (symbol < END_OF_BLOCK) {
        if (this.#written === output.length) throw new Error('the stream stands for more bytes');
        output[this.#written++] = symbol;
        continue;
      }
      const length = this.#valueOf(symbol - 257, RUN_LENGTHS);
      const distance = this.#valueOf(this.#symbol(distances), RUN_DISTANCES);
      if (distance > this.#written) throw new Error('a run from before the beginning');
      this.#assertRoom(length);
      const end = this.#written + length;
      // Byte by byte: a run may go on into what it writes itself.
      for (let to = this.#written; to < end; to++) output[to] = output[to - distance] as number;
      this.#written = end;
    }
  }

  #assertRoom(length: number): void {
    if (length > this.#output.length - this.#written) throw new Error('the stream stands for more bytes');
  }

  #valueOf(symbol: number, ranges: Ranges): number {
    const from = ranges.from[symbol];
    const bits = ranges.bits[symbol];
    if (from === undefined || bits === undefined) throw new Error('an unknown symbol');
    return from + this.#take(bits);
  }

  #symbol(code: Code): number {
    while (this.#bitCount < FAST_BITS && this.#at < this.#bytes.length) this.#load();
    const entry = code.fast[this.#bits & ((1 << FAST_BITS) - 1)] as number;
    const bits = entry & 15;
    if (bits === 0 || bits > this.#bitCount) return this.#longSymbol(code);
    this.#bits >>>= bits;
    this.#bitCount -= bits;
    return entry >> 4;
  }

  /** Bit by bit: the codes of one length are numbers in sequence. */
  #longSymbol(code: Code): number {
    let value = 0;
    let first = 0;
    let index = 0;
    for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
      value |= this.#take(1);
      const count = code.counts[bits] as number;
      if (value - first < count) return code.symbols[index + value - first] as number;
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    throw new Error('an unknown code');
  }

  #take(count: number): number {
    while (this.#bitCount < count) {
      if (this.#at === this.#bytes.length) throw new Error('the stream is cut short');
      this.#load();
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#bitCount -= count;
    return value;
  }

  #load(): void {
    this.#bits |= (this.#bytes[this.#at++] as number) << this.#bitCount;
    this.#bitCount += 8;
  }
}

/** Throws for lengths that no code has: too many codes, or too few where it is not one alone of one bit, as every known reader does. */
function makeCode(lengths: Uint8Array, mayBeOne = true): Code {
  const counts = new Uint16Array(CODE_BITS_MAX + 1);
  for (const length of lengths) counts[length] = (counts[length] as number) + 1;
  const used = lengths.length - (counts[0] as number);
  counts[0] = 0;
  const nextCode = new Uint16Array(CODE_BITS_MAX + 1);
  const nextPlace = new Uint16Array(CODE_BITS_MAX + 1);
  let left = 1;
  for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
    left = (left << 1) - (counts[bits] as number);
    if (left < 0) throw new Error('more codes than there can be');
    nextCode[bits] = ((nextCode[bits - 1] as number) + (counts[bits - 1] as number)) << 1;
    nextPlace[bits] = (nextPlace[bits - 1] as number) + (counts[bits - 1] as number);
  }
  const isOne = mayBeOne && used === 1 && counts[1] === 1;
  if (left > 0 && used > 0 && !isOne) throw new Error('fewer codes than there must be');
  const symbols = new Uint16Array(used);
  const fast = new Uint16Array(1 << FAST_BITS);
  for (const [symbol, bits] of lengths.entries()) {
    if (bits === 0) continue;
    const place = nextPlace[bits] as number;
    const code = nextCode[bits] as number;
    nextPlace[bits] = place + 1;
    nextCode[bits] = code + 1;
    symbols[place] = symbol;
    if (bits > FAST_BITS) continue;
    for (let i = reverse(code, bits); i < fast.length; i += 1 << bits) fast[i] = (symbol << 4) | bits;
  }
  return { symbols, counts, fast };
}

/** Codes come with their first bit first, everything else with its lowest. */
function reverse(code: number, bits: number): number {
  let reversed = 0;
  for (let i = 0; i < bits; i++) reversed = (reversed << 1) | ((code >> i) & 1);
  return reversed;
}

/** What a symbol stands for: the least value, and how many bits tell how much more. */
interface Ranges {
  readonly from: readonly number[];
  readonly bits: readonly number[];
}

/** Ranges that follow on one another. */
function rangesFrom(first: number, bits: readonly number[]): Ranges {
  const from: number[] = [];
  let next = first;
  for (const count of bits) {
    from.push(next);
    next += 1 << count;
  }
  return { from, bits };
}

const bitsOf = (pairs: readonly (readonly [bits: number, times: number])[]): readonly number[] =>
  pairs.flatMap(([bits, times]) => Array<number>(times).fill(bits));

const upTo284 = rangesFrom(3, bitsOf([[0, 8], [1, 4], [2, 4], [3, 4], [4, 4], [5, 4]])); // biome-ignore format: one line reads best
const RUN_LENGTHS: Ranges = { from: [...upTo284.from.slice(0, 28), 258], bits: [...upTo284.bits.slice(0, 28), 0] };
const RUN_DISTANCES = rangesFrom(1, bitsOf([[0, 4], ...Array.from({ length: 13 }, (_, i) => [i + 1, 2] as const)]));
const FIXED_SYMBOLS = makeCode(
  Uint8Array.from(
    bitsOf([
      [8, 144],
      [9, 112],
      [7, 24],
      [8, 8],
    ]),
  ),
);
const FIXED_DISTANCES = makeCode(new Uint8Array(32).fill(5));
