/** What happened in a world, as one number: the same seed gives the same. Two FNV-1a lanes with different starts. */
export class Trace {
  #low = 0x811c9dc5;
  #high = 0x01000193;
  #count = 0;

  get hash(): string {
    return `${this.#count}:${hex(this.#high)}${hex(this.#low)}`;
  }

  add(...facts: readonly (string | number)[]): void {
    this.#count++;
    for (const fact of facts) {
      const text = String(fact);
      for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
      this.#mix(0x1f);
    }
  }

  addBytes(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) this.#mix(bytes[i] as number);
  }

  #mix(byte: number): void {
    this.#low = Math.imul(this.#low ^ byte, 0x01000193);
    this.#high = Math.imul(this.#high ^ byte, 0x01000193) + 0x9e3779b9;
  }
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}
