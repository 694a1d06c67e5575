/** A pack as another is made of it: its objects as they lie there, compressed and as deltas, one after the other or here and there. */
import { crc32 } from "node:zlib";
import type { FileFolder, OpenFile } from "../file-folder.ts";
import { inflated } from "./compress.ts";
import { type GitObject, ObjectDamaged, type Oid } from "./object.ts";
import { type EntryHead, entryHeadBytes, kindsByCode, type PackFile, parseEntryHead } from "./pack-file.ts";
import type { PackIndex } from "./pack-index.ts";
import { packHeadBytes } from "./pack-format.ts";
import type { Steps } from "./steps.ts";

const sumBytes = 20;
/** Read at once when objects are asked for one after the other. */
const aheadBytes = 1024 * 1024;
/** Read at once when they are not. */
const nearBytes = 16 * 1024;
/** So many numbers are sorted at once. */
const sortAtOnce = 16 * 1024;

/** The clock is looked at after so many objects that cost next to nothing. */
const lookEvery = 4_096;

/** An object as it lies in the pack. */
export interface StoredEntry {
  readonly head: EntryHead;
  /** What comes after the head. */
  readonly compressed: Buffer;
}

/** Objects are known by their place: 0 for the one that lies first in the pack. */
export class PackSource {
  readonly name: string;
  readonly count: number;
  private readonly index: PackIndex;
  private readonly file: OpenFile;
  private readonly end: number;
  /** By place: where the object begins, and which one of the index it is. */
  private readonly offsets: Float64Array;
  private readonly indexed: Uint32Array;
  /** By place: that of its base, -1 for none; and how many deltas follow upon one another from it at most. */
  private readonly bases: Int32Array;
  private readonly heights: Uint16Array;
  private readonly codes: Uint8Array;
  private readonly buffer: Buffer;
  private window: { readonly at: number; readonly bytes: Buffer } = { at: 0, bytes: Buffer.alloc(0) };

  private constructor(pack: PackFile, file: OpenFile, size: number) {
    const { index } = pack;
    this.name = pack.name;
    this.index = index;
    this.count = index.count;
    this.file = file;
    this.end = size - sumBytes;
    this.buffer = Buffer.allocUnsafe(Math.min(size, aheadBytes));
    this.offsets = new Float64Array(index.count);
    this.indexed = new Uint32Array(index.count);
    this.bases = new Int32Array(index.count).fill(-1);
    this.heights = new Uint16Array(index.count);
    this.codes = new Uint8Array(index.count);
  }

  /** Holds the pack's file open, so that it may be removed meanwhile. Rejects with {@link ObjectDamaged}. */
  static async open(folder: FileFolder, pack: PackFile, steps: Steps): Promise<PackSource> {
    const file = await folder.open(`${pack.name}.pack`, "read");
    try {
      const source = new PackSource(pack, file, await file.size());
      await source.findPlaces(steps);
      await source.findBases(steps);
      return source;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.file.close();
  }

  /** -1 when the object is not in this pack. */
  placeOf(oid: Oid): number {
    const offset = this.index.find(oid);
    return offset === null ? -1 : this.placeAt(offset);
  }

  /** The object's name, 20 bytes. */
  nameAt(place: number): Buffer {
    return this.index.nameAt(this.indexed[place] as number);
  }

  /** Of the object that this one is a delta of, -1 when it is none. */
  baseOf(place: number): number {
    return this.bases[place] as number;
  }

  /** What it is, or that it is a delta, as packs say it. */
  codeOf(place: number): number {
    return this.codes[place] as number;
  }

  /** How many deltas follow upon one another from this object on, in this pack. */
  heightOf(place: number): number {
    return this.heights[place] as number;
  }

  /** The bytes may be overwritten by what is read next. Rejects with {@link ObjectDamaged} when they are not what was written. */
  async read(place: number): Promise<StoredEntry> {
    const from = this.offsets[place] as number;
    return this.entryOf(place, await this.bytes(from, this.endOf(place) - from));
  }

  /** The same where it has been read ahead, without a wait; null where it has not. Throws as {@link read} rejects. */
  peek(place: number): StoredEntry | null {
    const from = this.offsets[place] as number;
    const bytes = this.inWindow(from, this.endOf(place) - from);
    return bytes === null ? null : this.entryOf(place, bytes);
  }

  /** An object that is no delta. Rejects with {@link ObjectDamaged}. */
  async whole(place: number): Promise<GitObject> {
    const kind = kindsByCode.get(this.codeOf(place));
    if (kind === undefined) throw new Error(`object ${place} of ${this.name} is a delta`);
    const { head, compressed } = await this.read(place);
    return { kind, bytes: inflated(compressed, head.length, this.name) };
  }

  private endOf(place: number): number {
    return this.offsets[place + 1] ?? this.end;
  }

  private entryOf(place: number, bytes: Buffer): StoredEntry {
    if (crc32(bytes) !== this.index.crcAt(this.indexed[place] as number))
      throw new ObjectDamaged(`object ${this.nameAt(place).toString("hex")} in ${this.name} is altered`);
    const head = parseEntryHead(bytes, this.name);
    return { head, compressed: bytes.subarray(head.bytes) };
  }

  private placeAt(offset: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.offsets[middle] as number) < offset) low = middle + 1;
      else high = middle;
    }
    return this.offsets[low] === offset ? low : -1;
  }

  private async findPlaces(steps: Steps): Promise<void> {
    const keys = await byOffset(this.index, steps);
    for (let place = 0; place < this.count; place++) {
      const key = keys[place] as number;
      const i = key % this.count;
      this.indexed[place] = i;
      this.offsets[place] = (key - i) / this.count;
      if (place % lookEvery === 0 && steps.due) await steps.rest();
    }
  }

  private async findBases(steps: Steps): Promise<void> {
    for (let place = 0; place < this.count; place++) {
      const from = this.offsets[place] as number;
      const head = parseEntryHead(await this.bytes(from, Math.min(entryHeadBytes, this.end - from), aheadBytes), this.name);
      this.codes[place] = head.code;
      if (head.back !== null) this.bases[place] = this.placeAt(from - head.back);
      else if (head.base !== null) this.bases[place] = this.placeOf(head.base);
      if (this.baseOf(place) < 0 && (head.back !== null || head.base !== null))
        throw new ObjectDamaged(`${this.name} does not hold the base of an object in it`);
      if (steps.due) await steps.rest();
    }
    for (let place = this.count - 1; place >= 0; place--) {
      const base = this.baseOf(place);
      if (base >= 0) this.heights[base] = Math.max(this.heightOf(base), this.heightOf(place) + 1);
      if (place % lookEvery === 0 && steps.due) await steps.rest();
    }
  }

  /** So many bytes from there, and what is read ahead stays for whoever asks next. */
  private async bytes(from: number, length: number, ahead = 0): Promise<Buffer> {
    const { window } = this;
    const held = this.inWindow(from, length);
    if (held !== null) return held;
    const goesOn = from >= window.at && from <= window.at + window.bytes.length;
    const most = Math.min(this.end - from, Math.max(length, ahead, goesOn ? aheadBytes : nearBytes));
    if (from < packHeadBytes || length < 1 || most < length)
      throw new ObjectDamaged(`${this.name} has no object at byte ${from}`);
    // one buffer for all: those that are used once make V8 collect garbage all the time
    const into = most <= this.buffer.length ? this.buffer : Buffer.allocUnsafe(most);
    await this.fill(into, from, most);
    this.window = { at: from, bytes: into.subarray(0, most) };
    return into.subarray(0, length);
  }

  private inWindow(from: number, length: number): Buffer | null {
    const { at, bytes } = this.window;
    return from >= at && from + length <= at + bytes.length ? bytes.subarray(from - at, from - at + length) : null;
  }

  private async fill(into: Buffer, from: number, length: number): Promise<void> {
    for (let at = 0; at < length;) {
      const part = await this.file.read(from + at, length - at, into.subarray(at, length));
      if (part.length === 0) throw new ObjectDamaged(`${this.name}.pack ends at byte ${from + at}`);
      // small buffers share memory: only the place says whether it lies where it belongs
      if (part.buffer !== into.buffer || part.byteOffset !== into.byteOffset + at) into.set(part, at);
      at += part.length;
    }
  }
}

/** The index's objects in the order in which they lie in the pack, each as its offset times their number, plus its number in the index. */
async function byOffset(index: PackIndex, steps: Steps): Promise<Float64Array> {
  const { count } = index;
  let sorted = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const key = index.offsetAt(i) * count + i;
    if (!Number.isSafeInteger(key)) throw new RangeError("a pack of so many bytes and objects is beyond what is packed anew");
    sorted[i] = key;
    if (i % lookEvery === 0 && steps.due) await steps.rest();
  }
  for (let from = 0; from < count; from += sortAtOnce) {
    sorted.subarray(from, from + sortAtOnce).sort();
    if (steps.due) await steps.rest();
  }
  let merged = new Float64Array(count);
  for (let run = sortAtOnce; run < count; run *= 2) {
    for (let from = 0; from < count; from += 2 * run) {
      const middle = Math.min(from + run, count);
      const end = Math.min(from + 2 * run, count);
      for (let at = from, a = from, b = middle; at < end; at++) {
        const first = b >= end || (a < middle && (sorted[a] as number) <= (sorted[b] as number));
        merged[at] = sorted[first ? a++ : b++] as number;
        if (at % lookEvery === 0 && steps.due) await steps.rest();
      }
    }
    [sorted, merged] = [merged, sorted];
  }
  return sorted;
}
