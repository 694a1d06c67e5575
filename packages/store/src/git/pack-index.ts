/**
 * A pack's index, version 2: which objects are in it, and where. Layout: magic, version, for each first byte of a name how many names are
 * at or below it (256 u32), the names in order, their CRCs, their offsets (u32; with the top bit set, a place in the table of u64 after them),
 * the pack's SHA-1 and the SHA-1 of all before it.
 */
import { createHash } from "node:crypto";
import { ObjectDamaged, type Oid } from "./object.ts";

export const indexMagic = 0xff744f63;
export const indexVersion = 2;
const headBytes = 8;
export const fanout = 256;
const oidBytes = 20;
/** Offsets from here on stand in the table of large ones. */
export const far = 0x80000000;

export interface Packed {
  readonly oid: Oid;
  readonly offset: number;
  /** CRC-32 of the object as it lies in the pack. */
  readonly crc: number;
}

export class PackIndex {
  readonly count: number;
  /** As they lie in the file. */
  readonly bytes: Buffer;

  /** Throws {@link ObjectDamaged} when the bytes are not the index that they were written as. */
  constructor(bytes: Buffer) {
    const whole = bytes.length >= headBytes + fanout * 4 + 2 * oidBytes && bytes.readUInt32BE(0) === indexMagic;
    if (!whole || bytes.readUInt32BE(4) !== indexVersion) throw new ObjectDamaged("this is not a pack's index of version 2");
    const end = bytes.length - oidBytes;
    if (!createHash("sha1").update(bytes.subarray(0, end)).digest().equals(bytes.subarray(end)))
      throw new ObjectDamaged("a pack's index is altered");
    this.bytes = bytes;
    this.count = bytes.readUInt32BE(headBytes + (fanout - 1) * 4);
  }

  /** The SHA-1 at the end of its pack. */
  get pack(): Buffer {
    return this.bytes.subarray(-2 * oidBytes, -oidBytes);
  }

  /** Where the object begins in the pack, null when it is not there. */
  find(oid: Oid): number | null {
    const name = Buffer.from(oid, "hex");
    const [first = 0] = name;
    let low = first === 0 ? 0 : this.bytes.readUInt32BE(headBytes + (first - 1) * 4);
    let high = this.bytes.readUInt32BE(headBytes + first * 4);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.nameAt(middle).compare(name);
      if (order === 0) return this.offsetAt(middle);
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return null;
  }

  *all(): Iterable<Packed> {
    for (let i = 0; i < this.count; i++)
      yield { oid: this.nameAt(i).toString("hex"), offset: this.offsetAt(i), crc: this.crcAt(i) };
  }

  /** Of the object with the `i`th name, in the order of names. */
  nameAt(i: number): Buffer {
    const at = headBytes + fanout * 4 + i * oidBytes;
    return this.bytes.subarray(at, at + oidBytes);
  }

  crcAt(i: number): number {
    return this.bytes.readUInt32BE(headBytes + fanout * 4 + this.count * oidBytes + i * 4);
  }

  offsetAt(i: number): number {
    const offsets = headBytes + fanout * 4 + this.count * (oidBytes + 4);
    const offset = this.bytes.readUInt32BE(offsets + i * 4);
    if (offset < far) return offset;
    return Number(this.bytes.readBigUInt64BE(offsets + this.count * 4 + (offset - far) * 8));
  }
}
