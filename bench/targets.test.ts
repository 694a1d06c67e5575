import { describe, expect, it } from "vitest";
import type { GrowthPoint, PartName, PointsData, Results, Saved, SideResult } from "./results.ts";
import { costTable, markdown, rateTable } from "./table.ts";
import { growthRatios, targetRows, type Measured, type TargetRow } from "./targets.ts";

function side(name: string, perSecond: number, p50: number, p99: number): SideResult {
  const costs = { cpuSeconds: [0.1, 0.3, 0.2], writtenBytes: [256_000, 512_000, 256_000], syncs: [10, 20, 10] };
  const round = { perSecond, p50, p99, p999: p99 * 2, count: 1_000, costs };
  const points = [1, 64, 256, 1_000].map((inFlight) => ({ inFlight, rounds: [round, round] }));
  return { name, points, residentMiB: [100] };
}
const points = (...sides: SideResult[]): PointsData => ({ rounds: 2, seconds: 1, sizeBytes: 256, sides });

function measured<P extends PartName>(part: P, data: Results[P]): Measured {
  const saved: Saved<Results[P]> = {
    part,
    when: "2026-01-01T00:00:00Z",
    machine: "a machine",
    commit: "abc",
    command: "a command",
    quick: false,
    tookSeconds: 1,
    data,
  };
  return { [part]: saved };
}
const row = (m: Measured, what: string): TargetRow => {
  const found = targetRows(m).find((each) => each.what.includes(what));
  if (found === undefined) throw new Error(`no target about ${what}`);
  return found;
};
const point = (entries: number, rows: number, rate: number, p99: number): GrowthPoint => ({
  entries,
  rows,
  perSecond: [rate],
  p99: [p99],
  cpuMs: [1],
});

describe("verdicts on the targets", () => {
  it("says that nothing is reached before anything is measured", () => {
    expect(new Set(targetRows({}).map(({ verdict }) => verdict))).toEqual(new Set(["not measured"]));
  });

  it("asks for twice the rate at every loaded point, and for no more p99", () => {
    const m = measured("commits", points(side("aether", 2_000, 2, 9), side("etcd", 1_000, 4, 10)));
    expect(row(m, "committed writes")).toMatchObject({ reached: "2.00× / 2.00× / 2.00×", verdict: "reached" });
    expect(row(m, "p99 of writes")).toMatchObject({ reached: "0.90× / 0.90× / 0.90×", verdict: "reached" });
    const slower = measured("commits", points(side("aether", 1_990, 5, 11), side("etcd", 1_000, 4, 10)));
    expect(row(slower, "committed writes").verdict).toBe("missed");
    expect(row(slower, "p99 of writes").verdict).toBe("missed");
    expect(row(slower, "writes/s").verdict).toBe("missed");
    expect(row(slower, "one writer at a time: p50")).toMatchObject({ reached: "1.25×", verdict: "missed" });
  });

  it("gives no verdict without the other side, whatever our own figures are", () => {
    const m = measured("commits", points(side("aether", 9_999, 1, 1)));
    expect(row(m, "committed writes")).toMatchObject({ reached: "", verdict: "not measured" });
  });

  it("judges reads by one request a message on both sides, and shows the packed ones beside it", () => {
    const sides = [side("aether", 9_000, 1, 1), side("aether, one a message", 900, 1, 1), side("etcd", 1_000, 1, 1)];
    const m = measured("reads", points(...sides));
    expect(row(m, "one request a message")).toMatchObject({ reached: "0.90×", verdict: "missed" });
    expect(row(m, "as our client asks")).toMatchObject({ reached: "9.00×", verdict: "reached" });
  });

  it("compares medians of kills, restarts and memory", () => {
    const failover = measured("failover", {
      electionMs: 1_000,
      everyMs: 5,
      sides: [
        { name: "aether", ms: [1_000, 1_200, 5_000] },
        { name: "etcd", ms: [1_300, 1_250, 1_240] },
      ],
    });
    expect(row(failover, "SIGKILL")).toMatchObject({ reached: "0.96×", verdict: "reached" });
    const memory = measured("memory", {
      events: 1_000_000,
      rows: 100_000,
      settleSeconds: 1,
      sides: [
        { name: "aether", afterLoad: [1], settled: [300, 200, 250] },
        { name: "etcd", afterLoad: [900], settled: [150, 150, 150] },
      ],
    });
    expect(row(memory, "resident memory")).toMatchObject({ reached: "1.67×", verdict: "missed" });
  });

  it("compares growth only between points that differ in one thing", () => {
    const grown = [
      point(10, 10, 100, 10),
      point(100, 100, 95, 10),
      point(1_000, 100, 94, 10),
      point(5_000, 100, 85.5, 10),
      point(6_000, 1_000, 85.5, 12),
    ];
    const { entries, rows } = growthRatios(grown);
    expect(entries.map(({ rate }) => Number(rate.toFixed(3)))).toEqual([0.989, 0.9]);
    expect(rows).toEqual([
      { rate: 0.95, p99: 1 },
      { rate: 1, p99: 1.2 },
    ]);
    const m = measured("growth", { inFlight: 256, points: grown });
    expect(row(m, "more entries").verdict).toBe("reached");
    expect(row(m, "more rows").verdict).toBe("missed");
  });

  it("misses when one guard is lost", () => {
    const guard = { name: "a", rule: "b", measured: "c", holds: true };
    expect(row(measured("guards", { guards: [guard, guard] }), "guards")).toMatchObject({ verdict: "reached" });
    const lost = measured("guards", { guards: [guard, { ...guard, holds: false }] });
    expect(row(lost, "guards")).toMatchObject({ reached: "1 of 2", verdict: "missed" });
  });
});

describe("tables of results", () => {
  it("are markdown with one cell per column", () => {
    const lines = rateTable(points(side("aether", 2_000, 2, 9), side("etcd", 1_000, 4, 10))).split("\n");
    expect(new Set(lines.map((line) => line.split("|").length)).size).toBe(1);
    expect(lines[2]).toContain("| 1 | aether | 2,000 | 2,000 to 2,000 | 2.00 | 9.00 | 18.00 | **2.00** | 0.50 | 0.90 |");
    expect(lines).toHaveLength(2 + 4 * 2);
  });

  it("put the busiest member first and count per 1,000 requests", () => {
    const [, , first] = costTable(points(side("aether", 1, 1, 1)), true).split("\n");
    expect(first).toBe("| 1 | aether | 300 / 200 / 100 | 20.0 / 10.0 / 10.0 | 2.0 / 1.0 / 1.0 |");
  });

  it("show what perf could not count as unknown, not as nothing", () => {
    const one = side("aether", 1, 1, 1);
    const unknown = { cpuSeconds: [0.1], writtenBytes: [256], syncs: [null] };
    const [round] = one.points[0]?.rounds ?? [];
    if (round === undefined) throw new Error("the side has no round");
    const blind = { ...one, points: [{ inFlight: 1, rounds: [{ ...round, costs: unknown }] }] };
    expect(costTable(points(blind), true)).toContain("| ? |");
  });

  it("need a head", () => {
    expect(markdown([["a", "b"]])).toBe("| a | b |\n| --- | ---: |");
  });
});
