import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { offsetOf, RowCells } from "./row-cells.ts";

/** Fills the record with its own mark. */
function fill(cells: RowCells, cell: number, bytes: number, mark: number): void {
  const page = cells.pageOf(cell);
  const at = offsetOf(page, cell);
  page.bytes.fill(mark, at, at + bytes);
}

function holds(cells: RowCells, cell: number, bytes: number, mark: number): boolean {
  const page = cells.pageOf(cell);
  const at = offsetOf(page, cell);
  return page.bytes.subarray(at, at + bytes).every((byte) => byte === mark);
}

describe("cells for rows", () => {
  it("never share a byte, whatever is taken and given back, and leave nothing behind", () => {
    const size = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 400 }) }, fc.integer({ min: 401, max: 70_000 }));
    const step = fc.tuple(fc.boolean(), size, fc.nat());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const cells = new RowCells();
        const held: { cell: number; bytes: number; mark: number }[] = [];
        for (const [i, [take, bytes, pick]] of steps.entries()) {
          if (take || held.length === 0) {
            const cell = cells.take(bytes);
            const mark = (i % 255) + 1;
            fill(cells, cell, bytes, mark);
            held.push({ cell, bytes, mark });
          } else {
            const [gone] = held.splice(pick % held.length, 1);
            cells.free(gone!.cell);
          }
        }
        for (const { cell, bytes, mark } of held) expect(holds(cells, cell, bytes, mark)).toBe(true);
        for (const { cell } of held) cells.free(cell);
        expect(cells.bytes).toBe(0);
      }),
    );
  });

  it("are used again, and take little more than the records", () => {
    const cells = new RowCells();
    const taken = Array.from({ length: 20_000 }, () => cells.take(300));
    const { bytes } = cells;
    expect(bytes).toBeGreaterThanOrEqual(20_000 * 300);
    expect(bytes).toBeLessThan(20_000 * 300 * 1.3);
    for (const cell of taken.slice(5_000, 15_000)) cells.free(cell);
    for (let i = 0; i < 10_000; i++) cells.take(300);
    expect(cells.bytes).toBeLessThanOrEqual(bytes);
  });

  it("say whether a record of another length may stay where it is", () => {
    const cells = new RowCells();
    for (const bytes of [1, 32, 33, 300, 32 * 1024, 32 * 1024 + 1, 100_000]) {
      const cell = cells.take(bytes);
      const room = cells.pageOf(cell).cell;
      expect(room).toBeGreaterThanOrEqual(bytes);
      expect(cells.fits(cell, bytes)).toBe(true);
      expect(cells.fits(cell, room)).toBe(true);
      expect(cells.fits(cell, room + 1)).toBe(false);
      expect(cells.fits(cell, Math.floor(room / 2))).toBe(room === 32);
    }
  });
});
