/**
 * A pack made of objects that are compressed already, of any number: what is known of each takes some forty bytes of memory. Until it is
 * finished it is a file named `making-…`, and then durable under its name at once, pack before index.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { type FileFolder, withFile } from "../file-folder.ts";
import { OidTable } from "./oid-table.ts";
import { writeIndex } from "./pack-index-writer.ts";
import { distance, objectHead, offsetDelta, packHead, packHeadBytes, type PackMade } from "./pack-format.ts";
import type { Steps } from "./steps.ts";

const sumBytes = 20;
const outBytes = 1024 * 1024;
const countAtFirst = 1_024;

export class PackBuilder {
  private readonly folder: FileFolder;
  private readonly making: string;
  private readonly names: OidTable;
  /** By number: where it begins, its CRC, how many deltas lead to it. */
  private offsets: Float64Array;
  private crcs: Uint32Array;
  private depths: Uint16Array;
  private out = Buffer.allocUnsafe(outBytes * 2);
  private held = 0;
  private flushed = 0;

  /** `making`: names its files while it is made; one at a time under one such name. `expected`: about so many objects will come. */
  constructor(folder: FileFolder, making: string, expected: number) {
    this.folder = folder;
    this.making = `making-${making}`;
    this.names = new OidTable(expected);
    const count = Math.max(countAtFirst, expected);
    this.offsets = new Float64Array(count);
    this.crcs = new Uint32Array(count);
    this.depths = new Uint16Array(count);
  }

  get size(): number {
    return this.names.size;
  }

  /** Whether {@link flush} is due. */
  get full(): boolean {
    return this.held >= outBytes;
  }

  /** The object's number in this pack, -1 when it is not there. */
  find(name: Uint8Array): number {
    return this.names.find(name);
  }

  /** How many deltas lead to the object. */
  depthOf(number: number): number {
    return this.depths[number] as number;
  }

  /** Adds an object that is not there yet. `length`: of what was compressed. Gives its number. */
  put(name: Uint8Array, code: number, length: number, compressed: Uint8Array): number {
    return this.add(name, objectHead(code, length), compressed, 0);
  }

  /** The same of a delta against the object of that number. */
  putDelta(name: Uint8Array, base: number, length: number, compressed: Uint8Array): number {
    const back = packHeadBytes + this.flushed + this.held - (this.offsets[base] as number);
    return this.add(name, Buffer.concat([objectHead(offsetDelta, length), distance(back)]), compressed, this.depthOf(base) + 1);
  }

  async flush(): Promise<void> {
    const bytes = this.out.subarray(0, this.held);
    await withFile(this.folder, this.body, this.flushed === 0 ? "write" : "append", (file) => file.write(bytes));
    this.flushed += this.held;
    this.held = 0;
  }

  /** Null when nothing was added. */
  async finish(steps: Steps): Promise<PackMade | null> {
    if (this.size === 0) return null;
    const { pack, sum, bytes } = await this.assemble(steps);
    const index = `${this.making}-index`;
    const objects = {
      size: this.size,
      nameAt: (i: number) => this.names.nameAt(i),
      offsetAt: (i: number) => this.offsets[i] as number,
      crcAt: (i: number) => this.crcs[i] as number,
    };
    const indexBytes = await withFile(this.folder, index, "write", (file) => writeIndex(file, objects, sum, steps));
    const name = `pack-${sum.toString("hex")}`;
    // the index makes the pack count, so it is named when the pack is
    await this.folder.rename(pack, `${name}.pack`);
    await this.folder.sync();
    await this.folder.rename(index, `${name}.idx`);
    await this.folder.sync();
    return { name, objects: this.size, bytes: bytes + indexBytes };
  }

  /** The pack as one file, durable, under the name that it has while it is made. */
  async assemble(steps: Steps): Promise<{ readonly pack: string; readonly sum: Buffer; readonly bytes: number }> {
    await this.flush();
    const hash = createHash("sha1");
    const pack = `${this.making}-pack`;
    const sum = await withFile(this.folder, pack, "write", async (file) => {
      const head = packHead(this.size);
      hash.update(head);
      await file.write(head);
      await withFile(this.folder, this.body, "read", async (body) => {
        for (let at = 0; at < this.flushed;) {
          const part = await body.read(at, Math.min(outBytes, this.flushed - at), this.out.subarray(0, outBytes));
          if (part.length === 0) throw new Error(`${this.body} ends at byte ${at} of ${this.flushed}`);
          hash.update(part);
          await file.write(part);
          at += part.length;
          if (steps.due) await steps.rest();
        }
      });
      const digest = hash.digest();
      await file.write(digest);
      await file.sync();
      return digest;
    });
    await this.folder.remove(this.body);
    return { pack, sum, bytes: packHeadBytes + this.flushed + sumBytes };
  }

  /** Takes away what is left of a pack that is not finished. */
  async discard(): Promise<void> {
    for (const each of ["body", "pack", "index"]) await this.folder.remove(`${this.making}-${each}`);
  }

  private get body(): string {
    return `${this.making}-body`;
  }

  private add(name: Uint8Array, head: Buffer, compressed: Uint8Array, depth: number): number {
    const number = this.names.add(name);
    if (number === this.offsets.length) this.grow();
    this.offsets[number] = packHeadBytes + this.flushed + this.held;
    this.crcs[number] = crc32(compressed, crc32(head));
    this.depths[number] = depth;
    const bytes = head.length + compressed.length;
    if (this.held + bytes > this.out.length) this.out = Buffer.concat([this.out], (this.held + bytes) * 2);
    this.out.set(head, this.held);
    this.out.set(compressed, this.held + head.length);
    this.held += bytes;
    return number;
  }

  private grow(): void {
    const count = this.offsets.length * 2;
    const { offsets, crcs, depths } = this;
    this.offsets = new Float64Array(count);
    this.offsets.set(offsets);
    this.crcs = new Uint32Array(count);
    this.crcs.set(crcs);
    this.depths = new Uint16Array(count);
    this.depths.set(depths);
  }
}
