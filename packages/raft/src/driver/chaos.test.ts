import { describe, expect, it } from "vitest";
import { liveThrough } from "./testing/chaos.ts";

describe("a cluster that is maltreated", () => {
  it.each([1, 2, 3, 4])("loses and repeats nothing that it acknowledged, and shows no read the past (seed %i)", async (seed) => {
    const report = await liveThrough(seed, 800);
    expect(report.faults).toEqual([]);
    // The run was worth something: work was done and harm was done.
    expect(report.acknowledged).toBeGreaterThan(50);
    expect(report.reads).toBeGreaterThan(20);
    expect(report.kills).toBeGreaterThan(3);
  });
});
