/** Names of objects, numbered in the order in which they came: 32 bytes a name, where a Map of strings takes some hundred. */
import type { Oid } from "./object.ts";

const oidBytes = 20;
const slotsAtFirst = 1_024;

export class OidTable {
  /** 20 bytes a name. */
  private names: Buffer;
  /** Number + 1 of the name that hashes to this place, or to one before it that was taken; 0 where there is none. */
  private slots: Uint32Array;
  private count = 0;

  /** `expected`: so many come without a pause in which it grows. */
  constructor(expected = 0) {
    let slots = slotsAtFirst;
    while (slots < expected * 2) slots *= 2;
    this.slots = new Uint32Array(slots);
    this.names = Buffer.alloc((slots / 2) * oidBytes);
  }

  get size(): number {
    return this.count;
  }

  /** Its number, -1 when it is not there. */
  find(name: Uint8Array): number {
    return (this.slots[this.place(name)] as number) - 1;
  }

  findOid(oid: Oid): number {
    return this.find(Buffer.from(oid, "hex"));
  }

  /** Its number, which is a new one when it was not there. */
  add(name: Uint8Array): number {
    if (this.count * 2 >= this.slots.length) this.grow();
    const at = this.place(name);
    const known = this.slots[at] as number;
    if (known > 0) return known - 1;
    this.names.set(name, this.count * oidBytes);
    this.slots[at] = ++this.count;
    return this.count - 1;
  }

  nameAt(number: number): Buffer {
    return this.names.subarray(number * oidBytes, (number + 1) * oidBytes);
  }

  private place(name: Uint8Array): number {
    const mask = this.slots.length - 1;
    // names are hashes already: any four bytes spread them
    const from = ((name[3] as number) << 24) | ((name[2] as number) << 16) | ((name[1] as number) << 8) | (name[0] as number);
    for (let at = from & mask; ; at = (at + 1) & mask) {
      const number = this.slots[at] as number;
      if (number === 0 || this.same(name, (number - 1) * oidBytes)) return at;
    }
  }

  private same(name: Uint8Array, at: number): boolean {
    for (let i = 0; i < oidBytes; i++) if (name[i] !== this.names[at + i]) return false;
    return true;
  }

  private grow(): void {
    const { names } = this;
    this.slots = new Uint32Array(this.slots.length * 2);
    this.names = Buffer.alloc((this.slots.length / 2) * oidBytes);
    names.copy(this.names);
    for (let i = 0; i < this.count; i++) this.slots[this.place(this.nameAt(i))] = i + 1;
  }
}
