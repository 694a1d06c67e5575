/** Numbers and bytes packed end to end: safe integers as LEB128 varints, everything else with its length before it. */
import { invariant } from "@aether/raft/errors";

/** Grows as it is written, and is used again and again: {@link copy} gives what was written since {@link clear}. */
export class ByteWriter {
  private into = Buffer.alloc(4 * 1024);
  length = 0;

  clear(): void {
    this.length = 0;
  }

  copy(): Buffer {
    return Buffer.from(this.into.subarray(0, this.length));
  }

  number(value: number): void {
    invariant(Number.isSafeInteger(value) && value >= 0, "packed numbers are safe integers from 0 on");
    this.room(8);
    let rest = value;
    // no 32-bit operators: the numbers may exceed 2^32
    while (rest >= 128) {
      this.into[this.length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.into[this.length++] = rest;
  }

  /** Length and bytes. */
  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.room(value.length);
    this.into.set(value, this.length);
    this.length += value.length;
  }

  /** Length in bytes and UTF-8. */
  text(value: string): void {
    // in UTF-8 a text has at most three bytes for each UTF-16 unit
    this.room(3 * value.length + 8);
    if (value.length < 43) {
      // at most 127 bytes: the length takes one, which is set once it is known
      const written = this.into.write(value, this.length + 1);
      this.into[this.length] = written;
      this.length += 1 + written;
    } else this.bytes(Buffer.from(value));
  }

  private room(bytes: number): void {
    const wanted = this.length + bytes;
    if (wanted > this.into.length) this.into = Buffer.concat([this.into], Math.max(wanted, 2 * this.into.length));
  }
}

/** Throws RangeError when the bytes end too early. */
export class ByteReader {
  private readonly from: Uint8Array;
  at = 0;

  constructor(from: Uint8Array) {
    this.from = from;
  }

  get done(): boolean {
    return this.at >= this.from.length;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.from[this.at++];
      if (byte === undefined) throw new RangeError("packed bytes end within a number");
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  }

  /** Moves on to `end` and gives where it was. */
  skipTo(end: number): number {
    if (end > this.from.length) throw new RangeError("packed bytes end too early");
    const { at } = this;
    this.at = end;
    return at;
  }

  text(bytes: number): string {
    const start = this.skipTo(this.at + bytes);
    return Buffer.from(this.from.buffer, this.from.byteOffset + start, bytes).toString();
  }
}
