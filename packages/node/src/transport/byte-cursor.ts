/** Reading and writing numbers in a buffer whose bounds are not taken for granted. Little-endian throughout. */

const safeHighMax = 0x1f_ffff;
const lowSize = 0x1_0000_0000;

/** Writes into a buffer that was sized beforehand. Writing past its end is a mistake of the caller and throws. */
export class ByteWriter {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  u8(n: number): void {
    this.at = this.bytes.writeUInt8(n, this.at);
  }

  u16(n: number): void {
    this.at = this.bytes.writeUInt16LE(n, this.at);
  }

  u32(n: number): void {
    this.at = this.bytes.writeUInt32LE(n, this.at);
  }

  /** 8 bytes. Throws a RangeError on what is not a safe integer >= 0. */
  safe(n: number): void {
    if (!Number.isSafeInteger(n) || n < 0) throw new RangeError(`${n} is not a safe integer >= 0`);
    const high = Math.floor(n / lowSize);
    this.at = this.bytes.writeUInt32LE(n - high * lowSize, this.at);
    this.at = this.bytes.writeUInt32LE(high, this.at);
  }

  /** `bytes` as they are; the caller writes their length. */
  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }
}

/**
 * Reads from bytes that may be anything. A read past the end, or of a number out of range, gives 0 and sets `failed`
 * for good: decoders read on without a check after each field and ask once, at the end.
 */
export class ByteReader {
  readonly bytes: Buffer;
  at: number;
  failed = false;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  u8(): number {
    return this.#take(1) ? this.bytes.readUInt8(this.at - 1) : 0;
  }

  u16(): number {
    return this.#take(2) ? this.bytes.readUInt16LE(this.at - 2) : 0;
  }

  u32(): number {
    return this.#take(4) ? this.bytes.readUInt32LE(this.at - 4) : 0;
  }

  safe(): number {
    if (!this.#take(8)) return 0;
    const high = this.bytes.readUInt32LE(this.at - 4);
    if (high > safeHighMax) {
      this.failed = true;
      return 0;
    }
    return high * lowSize + this.bytes.readUInt32LE(this.at - 8);
  }

  /** One byte, 0 or 1 and nothing else. */
  flag(): boolean {
    const n = this.u8();
    if (n > 1) this.failed = true;
    return n === 1;
  }

  /** A view of the next `length` bytes, empty on failure. It shares the buffer: copy what is to be kept. */
  view(length: number): Buffer {
    return this.#take(length) ? this.bytes.subarray(this.at - length, this.at) : this.bytes.subarray(0, 0);
  }

  #take(length: number): boolean {
    if (this.failed || length > this.left) {
      this.failed = true;
      return false;
    }
    this.at += length;
    return true;
  }
}
