import { describe, expect, it } from "vitest";
import { logTicks, renderChart, zeroTicks, type Chart } from "./chart.ts";

const chart: Chart = {
  title: "Writes <&> reads",
  subtitle: "two sides",
  hint: "up is better",
  x: { label: "in flight", scale: "log" },
  y: { label: "writes/s", scale: "linear" },
  series: [
    { name: "aether", color: 0, points: [1, 10, 100].map((x) => ({ x, y: x * 10, low: x * 9, high: x * 11 })) },
    { name: "etcd", color: 1, dashed: true, points: [1, 10, 100].map((x) => ({ x, y: x * 5, note: `${x}` })) },
  ],
};

const placesOf = (svg: string, color: number): { x: number; y: number }[] =>
  [...svg.matchAll(new RegExp(`<circle class="f${color}" cx="([\\d.]+)" cy="([\\d.]+)"`, "g"))].map(([, x, y]) => ({
    x: Number(x),
    y: Number(y),
  }));

describe("a chart", () => {
  it("puts equal factors at equal distances on a logarithmic axis, and higher values higher", () => {
    const [first, second, third] = placesOf(renderChart(chart), 0);
    expect((second?.x ?? 0) - (first?.x ?? 0)).toBeCloseTo((third?.x ?? 0) - (second?.x ?? 0), 0);
    expect(third?.y).toBeLessThan(second?.y ?? 0);
    const other = placesOf(renderChart(chart), 1);
    expect(other[2]?.x).toBe(third?.x);
    expect(other[2]?.y).toBeGreaterThan(third?.y ?? 0);
  });

  it("keeps every mark inside the page, the ends of the spread included", () => {
    const svg = renderChart(chart);
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? [];
    for (const { x, y } of [...placesOf(svg, 0), ...placesOf(svg, 1)]) {
      expect(x).toBeGreaterThan(0);
      expect(x).toBeLessThan(Number(width));
      expect(y).toBeGreaterThan(0);
      expect(y).toBeLessThan(Number(height));
    }
    const tops = [...svg.matchAll(/class="spread c0".*y2="([\d.]+)"/g)].map(([, y]) => Number(y));
    expect(Math.min(...tops)).toBeGreaterThanOrEqual(92);
  });

  it("says what it shows: title, axes and every series, with nothing that breaks the markup", () => {
    const svg = renderChart(chart);
    for (const text of ["Writes &lt;&amp;&gt; reads", "in flight", "writes/s", "up is better", ">aether<", ">etcd<"])
      expect(svg).toContain(text);
    expect(svg).not.toContain("<&>");
    expect(svg).toContain("stroke-dasharray");
    expect(svg).toContain("prefers-color-scheme: dark");
  });

  it("refuses what cannot be drawn instead of drawing it wrong", () => {
    const zero: Chart = { ...chart, series: [{ name: "a", color: 0, points: [{ x: 0, y: 1 }] }] };
    expect(() => renderChart(zero)).toThrow(RangeError);
    const unknown: Chart = { ...chart, series: [{ name: "a", color: 0, points: [{ x: 1, y: Number.NaN }] }] };
    expect(() => renderChart(unknown)).toThrow(RangeError);
    expect(() => renderChart({ ...chart, series: [] })).toThrow(RangeError);
  });

  it("chooses round ticks that enclose the values", () => {
    expect(logTicks(1, 1_000)).toEqual([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]);
    expect(logTicks(3, 70)).toEqual([2, 5, 10, 20, 50, 100]);
    expect(zeroTicks(9_100)).toEqual([0, 2_000, 4_000, 6_000, 8_000, 10_000]);
    expect(zeroTicks(0.9).at(-1)).toBeGreaterThanOrEqual(0.9);
  });
});
