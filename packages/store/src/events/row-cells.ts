/**
 * Room for many small records outside the collector's heap. Cells of one size lie together in pages; a record takes a cell of the
 * next size up, at most an eighth larger than it is, and one above the largest size has a page to itself. A page goes as soon
 * as its last cell is free.
 *
 * A cell is named by a 32-bit number: its page's, and its place in it.
 */
import { invariant } from "@aether/raft/errors";

const placeBits = 12;
const cellsMax = 2 ** placeBits;
const pagesMax = 2 ** (32 - placeBits);
const cellsMin = 8;
const pageBytes = 1024 * 1024;
const step = 8;
const smallest = 32;
const largest = 32 * 1024;
const none = 0xffff;

/** Sizes of cells, each about an eighth larger than the one before. */
const sizes: readonly number[] = sizesBetween(smallest, largest);
/** The first size that holds so many times eight bytes. */
const sizeFor = Uint8Array.from({ length: largest / step + 1 }, (_, n) => sizes.findIndex((size) => size >= n * step));

export interface Page {
  readonly bytes: Buffer;
  /** Bytes of each cell. */
  readonly cell: number;
  readonly cells: number;
  /** Place in {@link sizes}, -1 for a page of one record. */
  readonly size: number;
  used: number;
  /** Cells from here on were never used. */
  fresh: number;
  /** The first of the cells that were given back; each holds the next one's place in its first two bytes. */
  free: number;
}

export class RowCells {
  private readonly pages: (Page | undefined)[] = [];
  private readonly freePages: number[] = [];
  /** Numbers of pages with free cells, by size. */
  private readonly open: number[][] = sizes.map(() => []);
  /** Cells there are, free ones included, by size: a size in wide use gets larger pages. */
  private readonly held = sizes.map(() => 0);

  /** A cell for so many bytes, with anything in it. */
  take(bytes: number): number {
    if (bytes > largest) return this.addPage(-1, bytes, 1, 1) * cellsMax;
    const size = sizeFor[Math.ceil(bytes / step)] as number;
    const open = this.open[size] as number[];
    const number = open.at(-1) ?? this.widen(size);
    const page = this.pages[number] as Page;
    let place = page.free;
    if (place === none) place = page.fresh++;
    else page.free = page.bytes.readUInt16LE(place * page.cell);
    if (++page.used === page.cells) open.pop();
    return number * cellsMax + place;
  }

  /** The cell may be taken by others from now on. */
  free(cell: number): void {
    const number = Math.floor(cell / cellsMax);
    const place = cell % cellsMax;
    const page = this.pageOf(cell);
    const wasFull = page.used === page.cells;
    page.bytes.writeUInt16LE(page.free, place * page.cell);
    page.free = place;
    page.used--;
    const open = this.open[page.size];
    if (page.used === 0) {
      if (!wasFull) open?.splice(open.indexOf(number), 1);
      if (page.size >= 0) this.held[page.size] = (this.held[page.size] ?? 0) - page.cells;
      this.pages[number] = undefined;
      this.freePages.push(number);
    } else if (wasFull) open?.push(number);
  }

  /** Whether {@link take} for so many bytes would give a cell of the same size: then the old one can be written over. */
  fits(cell: number, bytes: number): boolean {
    const { size, cell: room } = this.pageOf(cell);
    return bytes > largest ? size < 0 && room === bytes : size === sizeFor[Math.ceil(bytes / step)];
  }

  /** What the cell lies in, from {@link offsetOf} on. */
  pageOf(cell: number): Page {
    const page = this.pages[Math.floor(cell / cellsMax)];
    invariant(page !== undefined, "a cell that is used has a page");
    return page;
  }

  /** Bytes of all pages. */
  get bytes(): number {
    return this.pages.reduce((sum, page) => sum + (page?.bytes.length ?? 0), 0);
  }

  private widen(size: number): number {
    const cell = sizes[size] as number;
    const held = this.held[size] ?? 0;
    const cells = Math.min(cellsMax, Math.floor(pageBytes / cell), Math.max(cellsMin, held));
    this.held[size] = held + cells;
    const number = this.addPage(size, cell, cells, 0);
    this.open[size]?.push(number);
    return number;
  }

  private addPage(size: number, cell: number, cells: number, used: number): number {
    const number = this.freePages.pop() ?? this.pages.length;
    invariant(number < pagesMax, "pages of rows do not run out");
    this.pages[number] = { bytes: Buffer.allocUnsafeSlow(cell * cells), cell, cells, size, used, fresh: used, free: none };
    return number;
  }
}

/** Where a cell begins in its page. */
export const offsetOf = (page: Page, cell: number): number => (cell % cellsMax) * page.cell;

function sizesBetween(from: number, to: number): number[] {
  const found: number[] = [];
  for (let size = from; size < to; size = Math.ceil((size * 9) / 8 / step) * step) found.push(size);
  return [...found, to];
}
