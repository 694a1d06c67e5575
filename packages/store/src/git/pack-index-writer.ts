/** Writes a pack's index, version 2 (its layout is told in pack-index.ts), in steps: of however many objects. */
import { createHash } from "node:crypto";
import type { OpenFile } from "../file-folder.ts";
import { fanout, far, indexMagic, indexVersion } from "./pack-index.ts";
import type { Steps } from "./steps.ts";

const pieceBytes = 64 * 1024;
/** No single number or name takes more, nor does the pack's SHA-1. */
const spareBytes = 32;
const sumBytes = 20;
/** The clock is looked at after so many objects that cost next to nothing. */
const lookEvery = 8_192;

/** Objects in any order. */
export interface IndexedObjects {
  readonly size: number;
  /** 20 bytes. */
  nameAt(i: number): Buffer;
  /** Where it begins in the pack. */
  offsetAt(i: number): number;
  crcAt(i: number): number;
}

/** `pack`: the SHA-1 at the end of the pack. Gives the bytes written; they are durable. */
export async function writeIndex(file: OpenFile, objects: IndexedObjects, pack: Buffer, steps: Steps): Promise<number> {
  const { order, counts } = await sortedByName(objects, steps);
  const out = new HashedOut(file, steps);
  out.u32(indexMagic);
  out.u32(indexVersion);
  for (const held of counts) out.u32(held);
  await out.each(order, (i) => out.bytes(objects.nameAt(i)));
  await out.each(order, (i) => out.u32(objects.crcAt(i)));
  const large: number[] = [];
  await out.each(order, (i) => {
    const offset = objects.offsetAt(i);
    out.u32(offset < far ? offset : far + large.push(offset) - 1);
  });
  await out.each(large, (offset) => {
    out.u32(Math.floor(offset / 2 ** 32));
    out.u32(offset % 2 ** 32);
  });
  out.bytes(pack);
  return out.finish();
}

/** The objects by their names, and for each first byte how many names are at or below it. */
async function sortedByName(objects: IndexedObjects, steps: Steps): Promise<{ order: Uint32Array; counts: Uint32Array }> {
  const counts = new Uint32Array(fanout);
  for (let i = 0; i < objects.size; i++) {
    (counts[objects.nameAt(i)[0] as number] as number)++;
    if (i % lookEvery === 0 && steps.due) await steps.rest();
  }
  for (let byte = 1; byte < fanout; byte++) (counts[byte] as number) += counts[byte - 1] as number;
  const order = new Uint32Array(objects.size);
  const ends = counts.slice();
  for (let i = 0; i < objects.size; i++) {
    order[--(ends[objects.nameAt(i)[0] as number] as number)] = i;
    if (i % lookEvery === 0 && steps.due) await steps.rest();
  }
  for (let byte = 0; byte < fanout; byte++) {
    const from = byte === 0 ? 0 : (counts[byte - 1] as number);
    order.subarray(from, counts[byte]).sort((a, b) => objects.nameAt(a).compare(objects.nameAt(b)));
    if (steps.due) await steps.rest();
  }
  return { order, counts };
}

/** Gathers small pieces, hashes and writes them. */
class HashedOut {
  private readonly file: OpenFile;
  private readonly steps: Steps;
  private readonly sum = createHash("sha1");
  private readonly piece = Buffer.allocUnsafe(pieceBytes);
  private held = 0;
  private written = 0;

  constructor(file: OpenFile, steps: Steps) {
    this.file = file;
    this.steps = steps;
  }

  /** Adds what `add` adds for each of the items, a number or a name at most. */
  async each(items: Iterable<number>, add: (item: number) => void): Promise<void> {
    for (const item of items) {
      add(item);
      if (this.held + spareBytes > pieceBytes) await this.flush();
    }
  }

  u32(value: number): void {
    this.held = this.piece.writeUInt32BE(value, this.held);
  }

  bytes(bytes: Buffer): void {
    this.held += bytes.copy(this.piece, this.held);
  }

  async finish(): Promise<number> {
    await this.flush();
    await this.file.write(this.sum.digest());
    await this.file.sync();
    return this.written + sumBytes;
  }

  private async flush(): Promise<void> {
    const bytes = this.piece.subarray(0, this.held);
    this.sum.update(bytes);
    await this.file.write(bytes);
    this.written += this.held;
    this.held = 0;
    if (this.steps.due) await this.steps.rest();
  }
}
