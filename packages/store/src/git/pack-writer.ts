/**
 * Writes objects as one pack: each compressed as it comes, then the pack and its index under their names, both durable. Until then
 * nothing of them is seen; what a killed writer leaves are files named `making-…`, and a pack without an index, which git does not look at.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { type FileFolder, withFile } from "../file-folder.ts";
import { deflated } from "./compress.ts";
import { type GitObject, type ObjectKind, oidOf, type Oid } from "./object.ts";
import { encodeIndex, type Packed } from "./pack-index.ts";

export const kindCodes: Readonly<Record<ObjectKind, number>> = { commit: 1, tree: 2, blob: 3, tag: 4 };
export const offsetDelta = 6;
export const nameDelta = 7;
export const packHeadBytes = 12;
const packMagic = "PACK";
const packVersion = 2;
const copyBytes = 1024 * 1024;
const bodyFile = "making-body";
const packFile = "making-pack";
const indexFile = "making-index";

/** Whether a file is what a killed writer left. */
export const isLeftOver = (name: string): boolean => name.startsWith("making-");

export interface PackMade {
  /** `pack-<sha1>`, without an ending. */
  readonly name: string;
  readonly objects: number;
  /** Of pack and index. */
  readonly bytes: number;
}

/** One at a time in a folder. */
export class PackWriter {
  private readonly folder: FileFolder;
  private readonly level: number;
  private readonly packed = new Map<Oid, Packed>();
  private parts: Buffer[] = [];
  private waiting = 0;
  private spilled = 0;

  /** `level`: of zlib, 1 to 9. */
  constructor(folder: FileFolder, level = 6) {
    this.folder = folder;
    this.level = level;
  }

  get objects(): number {
    return this.packed.size;
  }

  /** Whether {@link spill} is due: what was added takes memory until then. */
  get full(): boolean {
    return this.waiting >= copyBytes;
  }

  /** Adds the object unless it is there; gives its name. */
  add(object: GitObject): Oid {
    const oid = oidOf(object);
    if (!this.packed.has(oid)) this.put(oid, kindCodes[object.kind], Buffer.alloc(0), object.bytes);
    return oid;
  }

  /** Adds an object as a delta against one that was added before it. */
  addDelta(oid: Oid, base: Oid, delta: Uint8Array): void {
    const at = this.packed.get(base);
    if (at === undefined) throw new Error(`the base ${base} is not in the pack`);
    if (!this.packed.has(oid)) this.put(oid, offsetDelta, distance(this.end - at.offset), delta);
  }

  /** Moves what was added from memory to disk. */
  async spill(): Promise<void> {
    const { parts } = this;
    this.parts = [];
    await withFile(this.folder, bodyFile, this.spilled === 0 ? "write" : "append", (file) => file.write(Buffer.concat(parts)));
    this.spilled += this.waiting;
    this.waiting = 0;
  }

  /** Null when nothing was added. */
  async finish(): Promise<PackMade | null> {
    if (this.packed.size === 0) return null;
    const bytes = this.end + 20;
    const sum = await this.writePack();
    const name = `pack-${sum.toString("hex")}`;
    const index = encodeIndex([...this.packed.values()], sum);
    await withFile(this.folder, indexFile, "write", async (file) => {
      await file.write(index);
      await file.sync();
    });
    // The index makes the pack count, so it is named when the pack is.
    await this.folder.rename(packFile, `${name}.pack`);
    await this.folder.sync();
    await this.folder.rename(indexFile, `${name}.idx`);
    await this.folder.sync();
    await this.folder.remove(bodyFile);
    return { name, objects: this.packed.size, bytes: bytes + index.length };
  }

  private get end(): number {
    return packHeadBytes + this.spilled + this.waiting;
  }

  private put(oid: Oid, code: number, base: Buffer, content: Uint8Array): void {
    const head = Buffer.concat([objectHead(code, content.length), base]);
    const compressed = deflated(content, this.level);
    const offset = this.end;
    this.packed.set(oid, { oid, offset, crc: crc32(compressed, crc32(head)) });
    this.parts.push(head, compressed);
    this.waiting += head.length + compressed.length;
  }

  /** The head says how many objects follow, so that it is written when all are known. Gives the pack's SHA-1. */
  private writePack(): Promise<Buffer> {
    const sum = createHash("sha1");
    return withFile(this.folder, packFile, "write", async (file) => {
      const write = (bytes: Buffer): Promise<void> => {
        sum.update(bytes);
        return file.write(bytes);
      };
      await write(packHead(this.packed.size));
      if (this.spilled > 0) {
        await withFile(this.folder, bodyFile, "read", async (body) => {
          for (let at = 0; at < this.spilled;) {
            const part = Buffer.from(await body.read(at, Math.min(copyBytes, this.spilled - at)));
            if (part.length === 0) throw new Error(`${bodyFile} ends at byte ${at} of ${this.spilled}`);
            await write(part);
            at += part.length;
          }
        });
      }
      await write(Buffer.concat(this.parts));
      const digest = sum.digest();
      await file.write(digest);
      await file.sync();
      return digest;
    });
  }
}

/** How a pack of so many objects begins. */
export function packHead(objects: number): Buffer {
  const head = Buffer.alloc(packHeadBytes);
  head.write(packMagic, 0);
  head.writeUInt32BE(packVersion, 4);
  head.writeUInt32BE(objects, 8);
  return head;
}

/** Kind and length: four bits of it in the first byte, seven in each that follows, lowest first. */
export function objectHead(code: number, length: number): Buffer {
  const bytes: number[] = [];
  let byte = code * 16 + (length % 16);
  for (let rest = Math.floor(length / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.push(byte + 128);
    byte = rest % 128;
  }
  return Buffer.from([...bytes, byte]);
}

/** How far back the base begins: seven bits a byte, highest first, each but the last one less than it says. */
export function distance(back: number): Buffer {
  const bytes = [back % 128];
  for (let rest = Math.floor(back / 128); rest > 0; rest = Math.floor(rest / 128)) {
    rest -= 1;
    bytes.unshift(128 + (rest % 128));
  }
  return Buffer.from(bytes);
}
