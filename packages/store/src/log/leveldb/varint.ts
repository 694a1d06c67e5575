/** Reads LevelDB's base-128 numbers, low bits first. Every read is bounded by the bytes at hand. */
export class VarintReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** What was not read yet. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  /** Throws RangeError past the end of the bytes or above 2^53 - 1. */
  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError("a number runs past the end");
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw new RangeError("a number is too large");
      if (byte < 0x80) return value;
    }
  }

  /** A length and that many bytes. */
  string(): Buffer {
    return this.take(this.number());
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("bytes run past the end");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
