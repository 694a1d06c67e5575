/** Reads objects of one pack: of ours, and of those that git has made of them. Every object is checked against its name. */
import { inflateSync } from "node:zlib";
import { type FileFolder, wholeFile, withFile } from "../file-folder.ts";
import { applyDelta } from "./delta.ts";
import { type GitObject, ObjectDamaged, type ObjectKind, oidOf, type Oid } from "./object.ts";
import { PackIndex } from "./pack-index.ts";
import { kindCodes, nameDelta, offsetDelta, packHeadBytes } from "./pack-writer.ts";

const kinds = new Map(Object.entries(kindCodes).map(([kind, code]) => [code, kind as ObjectKind]));
const sumBytes = 20;
/** Deltas of deltas; git itself makes chains of 50, and 4,095 at most. */
const chainMax = 4_095;
const readMax = 64 * 1024 * 1024;

/** Looks a base up by its name, wherever it is. */
export type FindObject = (oid: Oid) => Promise<GitObject | null>;

export class PackFile {
  readonly name: string;
  readonly index: PackIndex;
  private readonly folder: FileFolder;
  /** Where objects begin, in order, and where the last one ends. */
  private readonly starts: Float64Array;

  private constructor(folder: FileFolder, name: string, index: PackIndex, size: number) {
    this.folder = folder;
    this.name = name;
    this.index = index;
    const starts = Array.from(index.all(), ({ offset }) => offset);
    this.starts = Float64Array.from([...starts, size - sumBytes]).sort();
  }

  /** `name` without an ending. Throws {@link ObjectDamaged} when pack and index do not belong together. */
  static async open(folder: FileFolder, name: string): Promise<PackFile> {
    const index = new PackIndex(await wholeFile(folder, `${name}.idx`));
    return withFile(folder, `${name}.pack`, "read", async (file) => {
      const size = await file.size();
      const head = Buffer.from(await file.read(0, packHeadBytes));
      const sum = Buffer.from(await file.read(Math.max(0, size - sumBytes), sumBytes));
      if (head.toString("latin1", 0, 4) !== "PACK" || head.readUInt32BE(8) !== index.count || !sum.equals(index.pack))
        throw new ObjectDamaged(`${name}.pack is not the pack that its index is of`);
      return new PackFile(folder, name, index, size);
    });
  }

  /** Null when it is not in this pack. Throws {@link ObjectDamaged}. */
  async read(oid: Oid, find: FindObject): Promise<GitObject | null> {
    const offset = this.index.find(oid);
    if (offset === null) return null;
    const object = await this.objectAt(offset, find, 0);
    if (oidOf(object) !== oid) throw new ObjectDamaged(`object ${oid} in ${this.name} is altered`);
    return object;
  }

  private async objectAt(offset: number, find: FindObject, depth: number): Promise<GitObject> {
    if (depth > chainMax) throw new ObjectDamaged(`a chain of deltas in ${this.name} has no end`);
    const bytes = await this.bytesAt(offset);
    let at = 0;
    let byte = bytes[at++] ?? 0;
    const code = (byte >> 4) & 7;
    let length = byte & 15;
    for (let scale = 16; byte >= 128; scale *= 128) {
      byte = bytes[at++] ?? 0;
      length += (byte & 127) * scale;
    }
    const kind = kinds.get(code);
    if (kind !== undefined) return { kind, bytes: this.inflated(bytes.subarray(at), length) };
    if (code === offsetDelta) {
      byte = bytes[at++] ?? 0;
      let back = byte & 127;
      while (byte >= 128) {
        byte = bytes[at++] ?? 0;
        back = (back + 1) * 128 + (byte & 127);
      }
      const base = await this.objectAt(offset - back, find, depth + 1);
      return { kind: base.kind, bytes: applyDelta(base.bytes, this.inflated(bytes.subarray(at), length)) };
    }
    if (code !== nameDelta) throw new ObjectDamaged(`an object in ${this.name} is of no kind that git knows`);
    const name = bytes.toString("hex", at, at + sumBytes);
    const base = await find(name);
    if (base === null) throw new ObjectDamaged(`the base ${name} of an object in ${this.name} is missing`);
    return { kind: base.kind, bytes: applyDelta(base.bytes, this.inflated(bytes.subarray(at + sumBytes), length)) };
  }

  private inflated(bytes: Buffer, length: number): Buffer {
    let content: Buffer;
    try {
      content = inflateSync(bytes, { maxOutputLength: length + 1 });
    } catch (cause) {
      throw new ObjectDamaged(`an object in ${this.name} cannot be unpacked`, { cause });
    }
    if (content.length !== length) throw new ObjectDamaged(`an object in ${this.name} has another length than it says`);
    return content;
  }

  /** From where an object begins to where the next one does. */
  private async bytesAt(offset: number): Promise<Buffer> {
    const { starts } = this;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] as number) < offset) low = middle + 1;
      else high = middle;
    }
    const end = starts[low + 1];
    if (starts[low] !== offset || end === undefined || end - offset > readMax)
      throw new ObjectDamaged(`no object of ${this.name} begins at byte ${offset}`);
    return withFile(this.folder, `${this.name}.pack`, "read", async (file) => Buffer.from(await file.read(offset, end - offset)));
  }
}
