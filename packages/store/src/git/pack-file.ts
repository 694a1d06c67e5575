/** Reads objects of one pack: of ours, and of those that git has made of them. Every object is checked against its name. */
import { type FileFolder, wholeFile, withFile } from "../file-folder.ts";
import { compressedMax, inflated } from "./compress.ts";
import { applyDelta } from "./delta.ts";
import { type GitObject, ObjectDamaged, type ObjectKind, oidOf, type Oid } from "./object.ts";
import { PackBlocks } from "./pack-blocks.ts";
import { PackIndex } from "./pack-index.ts";
import { kindCodes, nameDelta, offsetDelta, packHeadBytes } from "./pack-format.ts";

/** Of objects that are no deltas. */
export const kindsByCode = new Map(Object.entries(kindCodes).map(([kind, code]) => [code, kind as ObjectKind]));
const sumBytes = 20;
/** Most objects are smaller: one read gets head and content. */
const firstReadBytes = 1_024;
/** Deltas of deltas; git itself makes chains of 50, and 4,095 at most. */
const chainMax = 4_095;
const readMax = 64 * 1024 * 1024;

/** Looks a base up by its name, wherever it is. */
export type FindObject = (oid: Oid) => Promise<GitObject | null>;

export class PackFile {
  readonly name: string;
  readonly index: PackIndex;
  /** Of pack and index. */
  readonly bytes: number;
  private readonly folder: FileFolder;
  private readonly blocks: PackBlocks;
  /** Where the last object ends. */
  private readonly end: number;

  private constructor(folder: FileFolder, blocks: PackBlocks, name: string, index: PackIndex, size: number) {
    this.folder = folder;
    this.blocks = blocks;
    this.name = name;
    this.index = index;
    this.bytes = size + index.bytes.length;
    this.end = size - sumBytes;
  }

  /** `name` without an ending; packs of one folder share `blocks`. Throws {@link ObjectDamaged} when pack and index do not fit. */
  static async open(folder: FileFolder, name: string, blocks: PackBlocks = new PackBlocks()): Promise<PackFile> {
    const index = new PackIndex(await wholeFile(folder, `${name}.idx`));
    return withFile(folder, `${name}.pack`, "read", async (file) => {
      const size = await file.size();
      const head = Buffer.from(await file.read(0, packHeadBytes));
      const sum = Buffer.from(await file.read(Math.max(0, size - sumBytes), sumBytes));
      if (head.toString("latin1", 0, 4) !== "PACK" || head.readUInt32BE(8) !== index.count || !sum.equals(index.pack))
        throw new ObjectDamaged(`${name}.pack is not the pack that its index is of`);
      return new PackFile(folder, blocks, name, index, size);
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
    const { bytes, head } = await this.bytesAt(offset);
    const content = inflated(bytes.subarray(head.bytes), head.length, this.name);
    const kind = kindsByCode.get(head.code);
    if (kind !== undefined) return { kind, bytes: content };
    if (head.back !== null) {
      const base = await this.objectAt(offset - head.back, find, depth + 1);
      return { kind: base.kind, bytes: applyDelta(base.bytes, content) };
    }
    const name = head.base ?? "";
    const base = await find(name);
    if (base === null) throw new ObjectDamaged(`the base ${name} of an object in ${this.name} is missing`);
    return { kind: base.kind, bytes: applyDelta(base.bytes, content) };
  }

  /** All bytes of the object that begins there, and some of what follows. */
  private async bytesAt(offset: number): Promise<{ readonly bytes: Buffer; readonly head: EntryHead }> {
    if (offset < packHeadBytes || offset >= this.end)
      throw new ObjectDamaged(`no object of ${this.name} begins at byte ${offset}`);
    const read = (most: number): Promise<Buffer> => this.blocks.read(this.folder, `${this.name}.pack`, offset, offset + most);
    const first = await read(Math.min(firstReadBytes, this.end - offset));
    const head = parseEntryHead(first, this.name);
    const most = Math.min(this.end - offset, head.bytes + compressedMax(head.length));
    if (most <= first.length) return { bytes: first, head };
    if (most > readMax) throw new ObjectDamaged(`an object in ${this.name} has more bytes than a backup holds`);
    return { bytes: await read(most), head };
  }
}

/** What stands before an object's compressed bytes. */
export interface EntryHead {
  readonly code: number;
  /** Of what is compressed, in bytes: the object, or a delta. */
  readonly length: number;
  /** Of an offset delta: how many bytes before this one its base begins. */
  readonly back: number | null;
  /** Of a name delta: its base. */
  readonly base: Oid | null;
  /** Of the head itself. */
  readonly bytes: number;
}

/** The most bytes that a head takes. */
export const entryHeadBytes = 32;

/** `where`: for the error's words. Throws {@link ObjectDamaged}. */
export function parseEntryHead(bytes: Buffer, where: string): EntryHead {
  let at = 0;
  const next = (): number => {
    const byte = bytes[at++];
    if (byte === undefined || at > entryHeadBytes) throw new ObjectDamaged(`an object in ${where} has no end of its head`);
    return byte;
  };
  let byte = next();
  const code = (byte >> 4) & 7;
  let length = byte & 15;
  for (let scale = 16; byte >= 128; scale *= 128) {
    byte = next();
    length += (byte & 127) * scale;
  }
  if (kindsByCode.has(code)) return { code, length, back: null, base: null, bytes: at };
  if (code === offsetDelta) {
    byte = next();
    let back = byte & 127;
    while (byte >= 128) {
      byte = next();
      back = (back + 1) * 128 + (byte & 127);
    }
    return { code, length, back, base: null, bytes: at };
  }
  if (code !== nameDelta || bytes.length < at + sumBytes)
    throw new ObjectDamaged(`an object in ${where} is of no kind that git knows`);
  return { code, length, back: null, base: bytes.toString("hex", at, at + sumBytes), bytes: at + sumBytes };
}
