/**
 * The rows of one noun. A row that has not changed since the last flush is bytes in a cell, with a few numbers in columns beside it,
 * so that the collector has nothing to do with it however many there are; one that has is an object until it is flushed. What was
 * read or flushed last stays an object as well.
 *
 * A row's place in the columns is its number until it is dropped. Its cell holds the id from the beginning (u16 bytes of id, u32 bytes
 * of row, the id, the row as encodeRow made it), and the row once there was a flush: until then it has no bytes.
 */
import { randomInt } from "node:crypto";
import type { Stored } from "@aether/core/kernel/world";
import { readPacked } from "./entry-reader.ts";
import { offsetOf, RowCells } from "./row-cells.ts";
import { packView, utf8Slice } from "./value-codec.ts";

/** Bits of {@link RowTable.flags}. */
export const Flag = {
  /** The thing is there. Without it the row waits for its removal to be flushed. */
  live: 1,
  /** Changed since the last flush took it. */
  dirty: 2,
  /** Changed since the sums were brought up to date. */
  stale: 4,
  /** The sums hold it, as it was when they were. */
  summed: 8,
  /** The columns hold its hash as the sums do. Without it, what the sums hold is what its cell holds. */
  hashed: 16,
  /** It is on disk, with the checksum in the column. */
  onDisk: 32,
  /** Its object is one that may be dropped. */
  spare: 64,
} as const;

const rowsMin = 16;
const headBytes = 6;
/** Objects kept of rows that are not dirty. */
const sparesMax = 8_192;
const none = -1;
/** So that nobody outside can choose ids that fall on one place. */
const seed = randomInt(2 ** 31);

export class RowTable {
  readonly noun: string;
  live = 0;
  readonly dirty: number[] = [];
  readonly stale: number[] = [];
  flags = new Uint8Array(rowsMin);
  crcs = new Uint32Array(rowsMin);
  /** The two halves of a row's hash, 48 bits each. */
  hashesA = new Float64Array(rowsMin);
  hashesB = new Float64Array(rowsMin);
  private readonly cells: RowCells;
  private cellOf = new Uint32Array(rowsMin);
  private keys = new Uint32Array(rowsMin);
  /** Rows by the key of their id, each one more than its number, 0 where there is none; at least twice as many places as rows. */
  private index = new Uint32Array(rowsMin * 2);
  private readonly objects: (Stored | undefined)[] = [];
  private readonly dropped: number[] = [];
  /** Numbers of rows whose objects are spare, the oldest of them at {@link nextSpare} once it is full. */
  private readonly spares: number[] = [];
  private nextSpare = 0;

  constructor(noun: string, cells: RowCells) {
    this.noun = noun;
    this.cells = cells;
  }

  /** The number of the row with this id, removed or not; -1 when there is none. */
  find(id: string): number {
    const key = keyOf(id);
    const { index, keys } = this;
    const mask = index.length - 1;
    for (let at = key & mask; ; at = (at + 1) & mask) {
      const row = (index[at] as number) - 1;
      if (row < 0) return none;
      if (keys[row] === key && this.hasId(row, id)) return row;
    }
  }

  /** Makes a row that is not there yet, without any flag; `payload`: as {@link write}, for one cell that has room for both. */
  add(id: string, payload?: Uint8Array): number {
    const row = this.dropped.pop() ?? this.objects.length;
    if (row === this.flags.length) this.grow();
    if (row === this.objects.length) this.objects.push(undefined);
    const idBytes = Buffer.byteLength(id);
    const cell = this.cells.take(headBytes + idBytes + (payload?.length ?? 0));
    const page = this.cells.pageOf(cell);
    const at = offsetOf(page, cell);
    page.bytes.writeUInt16LE(idBytes, at);
    page.bytes.writeUInt32LE(payload?.length ?? 0, at + 2);
    page.bytes.write(id, at + headBytes);
    if (payload !== undefined) page.bytes.set(payload, at + headBytes + idBytes);
    this.cellOf[row] = cell;
    this.flags[row] = 0;
    this.keys[row] = keyOf(id);
    this.enter(row);
    return row;
  }

  /** Forgets the row: nothing is known of its thing any more, and another may get its number. */
  drop(row: number): void {
    this.leave(row);
    this.cells.free(this.cellOf[row] as number);
    this.flags[row] = 0;
    this.objects[row] = undefined;
    this.dropped.push(row);
  }

  has(row: number, flag: number): boolean {
    return ((this.flags[row] as number) & flag) !== 0;
  }

  set(row: number, flags: number): void {
    this.flags[row] = (this.flags[row] as number) | flags;
  }

  unset(row: number, flags: number): void {
    this.flags[row] = (this.flags[row] as number) & ~flags;
  }

  /** The row as an object, undefined for one that is removed; the id, where the caller has it, saves reading it. */
  stored(row: number, id?: string): Stored | undefined {
    if (!this.has(row, Flag.live)) return undefined;
    return this.objects[row] ?? decodeRow(id ?? this.idOf(row), this.bytesOf(row));
  }

  /** The same, kept for whoever asks next. */
  read(row: number, id?: string): Stored | undefined {
    const stored = this.stored(row, id);
    if (stored !== undefined && this.objects[row] === undefined) this.spare(row, stored);
    return stored;
  }

  /** Of every thing that is there. What fits is kept as {@link read} does. */
  *all(): Iterable<Stored> {
    const keep = this.live <= sparesMax;
    for (let row = 0; row < this.objects.length; row++) {
      const stored = keep ? this.read(row) : this.stored(row);
      if (stored !== undefined) yield stored;
    }
  }

  /** The row changed to this. It stays an object until {@link written} with the same one. */
  change(row: number, stored: Stored | undefined): void {
    const was = this.has(row, Flag.live);
    if (was !== (stored !== undefined)) this.live += was ? -1 : 1;
    this.objects[row] = stored;
    this.unset(row, Flag.spare | Flag.live);
    if (stored !== undefined) this.set(row, Flag.live);
  }

  /** The row as bytes, for the cell: of a flush, or of a disk. */
  write(row: number, payload: Uint8Array): void {
    let cell = this.cellOf[row] as number;
    let page = this.cells.pageOf(cell);
    let at = offsetOf(page, cell);
    const idBytes = page.bytes.readUInt16LE(at);
    const bytes = headBytes + idBytes + payload.length;
    if (!this.cells.fits(cell, bytes)) {
      const larger = this.cells.take(bytes);
      const there = this.cells.pageOf(larger);
      page.bytes.copy(there.bytes, offsetOf(there, larger), at, at + headBytes + idBytes);
      this.cells.free(cell);
      this.cellOf[row] = cell = larger;
      page = there;
      at = offsetOf(page, cell);
    }
    page.bytes.writeUInt32LE(payload.length, at + 2);
    page.bytes.set(payload, at + headBytes + idBytes);
  }

  /** The row encoded as it is now, undefined for one that is removed. A view, valid until the next encoding or write. */
  present(row: number): Uint8Array | undefined {
    if (!this.has(row, Flag.live)) return undefined;
    const stored = this.objects[row];
    return stored === undefined ? this.bytesOf(row) : encodeRow(stored);
  }

  /** The cell holds `stored` now: its object may go, unless the row has changed again. */
  written(row: number, stored: Stored): void {
    if (this.objects[row] === stored && !this.has(row, Flag.dirty)) this.spare(row, stored);
  }

  /** What the cell holds, as a view that the next write changes. */
  bytesOf(row: number): Uint8Array {
    const cell = this.cellOf[row] as number;
    const page = this.cells.pageOf(cell);
    const at = offsetOf(page, cell);
    const from = at + headBytes + page.bytes.readUInt16LE(at);
    return page.bytes.subarray(from, from + page.bytes.readUInt32LE(at + 2));
  }

  idOf(row: number): string {
    const cell = this.cellOf[row] as number;
    const page = this.cells.pageOf(cell);
    const at = offsetOf(page, cell);
    return utf8Slice.call(page.bytes, at + headBytes, at + headBytes + page.bytes.readUInt16LE(at));
  }

  private spare(row: number, stored: Stored): void {
    this.objects[row] = stored;
    this.set(row, Flag.spare);
    if (this.spares.length < sparesMax) {
      this.spares.push(row);
      return;
    }
    const oldest = this.spares[this.nextSpare] as number;
    // one that changed since is no spare, and one that is here twice goes early
    if (oldest !== row && this.has(oldest, Flag.spare)) {
      this.objects[oldest] = undefined;
      this.unset(oldest, Flag.spare);
    }
    this.spares[this.nextSpare] = row;
    this.nextSpare = (this.nextSpare + 1) % sparesMax;
  }

  private hasId(row: number, id: string): boolean {
    const cell = this.cellOf[row] as number;
    const page = this.cells.pageOf(cell);
    const { bytes } = page;
    const at = offsetOf(page, cell);
    const length = (bytes[at] as number) + (bytes[at + 1] as number) * 256;
    const from = at + headBytes;
    if (length !== id.length) return length > id.length && utf8Slice.call(bytes, from, from + length) === id;
    // as many bytes as characters: none of them is beyond ASCII, or the ids differ; from the end, where numbered names do
    for (let i = length - 1; i >= 0; i--) if (bytes[from + i] !== id.charCodeAt(i)) return false;
    return true;
  }

  private enter(row: number): void {
    const { index } = this;
    const mask = index.length - 1;
    let at = (this.keys[row] as number) & mask;
    while (index[at] !== 0) at = (at + 1) & mask;
    index[at] = row + 1;
  }

  /** Those behind it move up, so that no search ends before its row. */
  private leave(row: number): void {
    const { index, keys } = this;
    const mask = index.length - 1;
    let hole = (keys[row] as number) & mask;
    while (index[hole] !== row + 1) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      const wanted = (keys[(index[at] as number) - 1] as number) & mask;
      if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
      index[hole] = index[at] as number;
      hole = at;
    }
    index[hole] = 0;
  }

  private grow(): void {
    const rows = this.flags.length * 2;
    this.flags = widened(this.flags, new Uint8Array(rows));
    this.crcs = widened(this.crcs, new Uint32Array(rows));
    this.hashesA = widened(this.hashesA, new Float64Array(rows));
    this.hashesB = widened(this.hashesB, new Float64Array(rows));
    this.cellOf = widened(this.cellOf, new Uint32Array(rows));
    this.keys = widened(this.keys, new Uint32Array(rows));
    const old = this.index;
    this.index = new Uint32Array(rows * 2);
    for (const place of old) if (place !== 0) this.enter(place - 1);
  }
}

function widened<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** 32 bits of the id. */
function keyOf(id: string): number {
  let h = seed;
  for (let i = 0; i < id.length; i++) h = Math.imul(h ^ id.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}

/** A view that the next encoding writes over. */
export const encodeRow = (s: Stored): Uint8Array => packView([s.version, s.index, s.at, s.row]);

export function decodeRow(id: string, bytes: Uint8Array): Stored {
  const [version, index, at, row] = readPacked(bytes) as [number, number, number, unknown];
  return { id, version, index, at, row };
}
