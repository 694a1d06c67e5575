/** The index of a pack that came from elsewhere: every object is unpacked and named, and what is no sound pack is refused. */
import { crc32, type Inflate, inflateSync } from "node:zlib";
import { type FileFolder, type OpenFile, withFile } from "../file-folder.ts";
import { compressedMax } from "./compress.ts";
import { applyDelta } from "./delta.ts";
import { type GitObject, ObjectDamaged, oidOf, type Oid } from "./object.ts";
import { type EntryHead, entryHeadBytes, kindsByCode, parseEntryHead } from "./pack-file.ts";
import { writeIndex } from "./pack-index-writer.ts";
import { packHeadBytes } from "./pack-format.ts";
import type { Transfer } from "./transfer.ts";

const oidBytes = 20;
const sumBytes = 20;
const windowBytes = 1024 * 1024;
/** Backups hold rows, and a row is smaller by far: what is larger would fill the memory. */
const objectBytesMax = 64 * 1024 * 1024;
const objectsMax = 50_000_000;
const cacheBytesMax = 48 * 1024 * 1024;
const chainMax = 4_095;
const chunkMin = 64;
const tellEvery = 1_000;

/** Writes `name.idx` for `name.pack`, durable. `sum`: the pack's SHA-1. Rejects with {@link ObjectDamaged}. */
export function indexPack(folder: FileFolder, name: string, sum: Buffer, transfer: Transfer): Promise<void> {
  return withFile(folder, `${name}.pack`, "read", async (file) => {
    const size = await file.size();
    const head = Buffer.from(await file.read(0, packHeadBytes));
    if (head.length < packHeadBytes || head.toString("latin1", 0, 4) !== "PACK" || head.readUInt32BE(4) !== 2)
      throw new ObjectDamaged("what came is no pack");
    const count = head.readUInt32BE(8);
    if (count > objectsMax || count * 2 > size) throw new ObjectDamaged(`what came says that it holds ${count} objects`);
    const indexing = new Indexing(file, size - sumBytes, count, transfer);
    await indexing.run();
    await withFile(folder, `${name}.idx`, "write", (idx) => writeIndex(idx, indexing, sum, transfer.steps));
  });
}

class Indexing {
  readonly size: number;
  private readonly file: OpenFile;
  private readonly end: number;
  private readonly transfer: Transfer;
  /** By number, in the order of the pack. */
  private readonly names: Buffer;
  private readonly offsets: Float64Array;
  private readonly crcs: Uint32Array;
  /** What it is, 0 while that is not known: its base has not been found. */
  private readonly codes: Uint8Array;
  private readonly cache = new Map<number, GitObject>();
  private cached = 0;
  private window: { readonly at: number; readonly bytes: Buffer } = { at: 0, bytes: Buffer.alloc(0) };

  constructor(file: OpenFile, end: number, count: number, transfer: Transfer) {
    this.size = count;
    this.file = file;
    this.end = end;
    this.transfer = transfer;
    this.names = Buffer.alloc(count * oidBytes);
    this.offsets = new Float64Array(count);
    this.crcs = new Uint32Array(count);
    this.codes = new Uint8Array(count);
  }

  nameAt(i: number): Buffer {
    return this.names.subarray(i * oidBytes, (i + 1) * oidBytes);
  }

  offsetAt(i: number): number {
    return this.offsets[i] as number;
  }

  crcAt(i: number): number {
    return this.crcs[i] as number;
  }

  async run(): Promise<void> {
    const { steps, onProgress } = this.transfer;
    let at = packHeadBytes;
    const byName: number[] = [];
    for (let i = 0; i < this.size; i++) {
      this.offsets[i] = at;
      const entry = await this.entryAt(at);
      this.crcs[i] = crc32(entry.bytes);
      at += entry.bytes.length;
      if (entry.head.base === null) this.name(i, await this.object(i, entry, 0));
      else byName.push(i);
      if (i % tellEvery === 0) onProgress({ phase: "indexing", done: i, of: this.size });
      if (steps.due) await steps.rest();
    }
    if (at !== this.end) throw new ObjectDamaged(`what came has ${this.end - at} bytes after its last object`);
    if (byName.length > 0) await this.nameRest(byName);
  }

  /** Objects that name their bases, which may come after them. */
  private async nameRest(numbers: readonly number[]): Promise<void> {
    const known = new Map<Oid, number>();
    for (let i = 0; i < this.size; i++) if (this.codes[i] !== 0) known.set(this.nameAt(i).toString("hex"), i);
    for (let waiting = numbers; waiting.length > 0;) {
      const left: number[] = [];
      for (const i of waiting) {
        const entry = await this.entryAt(this.offsetAt(i));
        const base = known.get(entry.head.base ?? "");
        if (base === undefined) {
          left.push(i);
          continue;
        }
        const { kind, bytes } = await this.objectOf(base, 0);
        this.name(i, { kind, bytes: applyDelta(bytes, entry.content) });
        known.set(this.nameAt(i).toString("hex"), i);
        if (this.transfer.steps.due) await this.transfer.steps.rest();
      }
      if (left.length === waiting.length) throw new ObjectDamaged("what came does not hold the bases of all its objects");
      waiting = left;
    }
  }

  private name(i: number, object: GitObject): void {
    this.names.write(oidOf(object), i * oidBytes, "hex");
    this.codes[i] = 1;
    this.cache.set(i, object);
    this.cached += object.bytes.length;
    for (const [oldest, { bytes }] of this.cache) {
      if (this.cached <= cacheBytesMax) break;
      this.cache.delete(oldest);
      this.cached -= bytes.length;
    }
  }

  private async object(i: number, { head, content }: Entry, depth: number): Promise<GitObject> {
    const kind = kindsByCode.get(head.code);
    if (kind !== undefined) return { kind, bytes: content };
    const base = this.numberAt(this.offsetAt(i) - (head.back ?? 0), i);
    const { kind: same, bytes } = await this.objectOf(base, depth + 1);
    return { kind: same, bytes: applyDelta(bytes, content) };
  }

  /** One that was unpacked before. */
  private async objectOf(i: number, depth: number): Promise<GitObject> {
    const known = this.cache.get(i);
    if (known !== undefined) return known;
    if (depth > chainMax) throw new ObjectDamaged("a chain of deltas in what came has no end");
    return this.object(i, await this.entryAt(this.offsetAt(i)), depth);
  }

  /** The number of the object that begins there, which comes before number `below`. */
  private numberAt(offset: number, below: number): number {
    let [low, high] = [0, below];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.offsetAt(middle) < offset) low = middle + 1;
      else high = middle;
    }
    if (low >= below || this.offsetAt(low) !== offset) throw new ObjectDamaged("an object in what came is a delta of none");
    return low;
  }

  private async entryAt(offset: number): Promise<Entry> {
    const head = parseEntryHead(await this.bytes(offset, entryHeadBytes), "what came");
    if (head.length > objectBytesMax) throw new ObjectDamaged(`an object of ${head.length} bytes is none of a backup`);
    const bytes = await this.bytes(offset, head.bytes + compressedMax(head.length));
    const { content, used } = inflatedFrom(bytes.subarray(head.bytes), head.length);
    return { head, content, bytes: bytes.subarray(0, head.bytes + used) };
  }

  /** So many from there, or what there is. */
  private async bytes(from: number, length: number): Promise<Buffer> {
    const { window } = this;
    const most = Math.min(length, this.end - from);
    if (most <= 0) throw new ObjectDamaged("what came ends before its last object");
    if (from >= window.at && from + most <= window.at + window.bytes.length)
      return window.bytes.subarray(from - window.at, from - window.at + most);
    const bytes = Buffer.from(await this.file.read(from, Math.min(Math.max(most, windowBytes), this.end - from)));
    if (bytes.length < most) throw new ObjectDamaged(`what came ends at byte ${from + bytes.length}`);
    this.window = { at: from, bytes };
    return bytes.subarray(0, most);
  }
}

interface Entry {
  readonly head: EntryHead;
  /** The object, or a delta. */
  readonly content: Buffer;
  /** As it lies in the pack. */
  readonly bytes: Buffer;
}

function inflatedFrom(compressed: Buffer, length: number): { readonly content: Buffer; readonly used: number } {
  try {
    const limits = { maxOutputLength: length + 1, chunkSize: Math.max(chunkMin, Math.min(windowBytes, length + 1)) };
    const { buffer, engine } = inflateSync(compressed, { ...limits, info: true }) as unknown as {
      buffer: Buffer;
      engine: Inflate;
    };
    if (buffer.length === length) return { content: buffer, used: engine.bytesWritten };
  } catch (cause) {
    throw new ObjectDamaged("an object in what came cannot be unpacked", { cause });
  }
  throw new ObjectDamaged("an object in what came has another length than it says");
}
