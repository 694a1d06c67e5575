/** The curves of commits and of reads: throughput against what is in flight, and latency against throughput. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderChart, type Chart, type Series } from "./chart.ts";
import type { PointsData, SideResult } from "./results.ts";
import { highest, lowest } from "./statistics.ts";
import { figure, roundsAt } from "./table.ts";

const points = (side: SideResult): number[] => side.points.map(({ inFlight }) => inFlight);
const subtitle = ({ sizeBytes, rounds }: PointsData): string =>
  `three members a side on one machine, mutual TLS, fsync on, ${sizeBytes}-byte values, medians of ${rounds} rounds`;

/** The same colour for the same side in every chart: etcd's is the second, whatever stands before it. */
function colorOf({ sides }: PointsData, side: SideResult): number {
  if (side.name === "etcd") return 1;
  return sides.filter(({ name }) => name !== "etcd").indexOf(side) === 0 ? 0 : 2;
}

export function throughputChart(data: PointsData, what: string): Chart {
  const series = data.sides.map((side): Series => {
    const marks = points(side).map((inFlight) => {
      const rates = roundsAt(side, inFlight).map(({ perSecond }) => perSecond);
      return { x: inFlight, y: figure(side, inFlight, "perSecond"), low: lowest(rates), high: highest(rates) };
    });
    return { name: side.name, color: colorOf(data, side), points: marks };
  });
  return {
    title: `Throughput of ${what}`,
    subtitle: subtitle(data),
    hint: "thin lines: lowest to highest round",
    x: { label: "requests in flight", scale: "log" },
    y: { label: `${what} per second`, scale: "linear" },
    series,
  };
}

export function latencyChart(data: PointsData, what: string): Chart {
  const series = data.sides.flatMap((side) =>
    (["p50", "p99"] as const).map((key): Series => {
      const marks = points(side).map((inFlight) => ({
        x: figure(side, inFlight, "perSecond"),
        y: figure(side, inFlight, key),
        ...(key === "p99" ? { note: `${inFlight}` } : {}),
      }));
      return { name: key === "p50" ? side.name : "", color: colorOf(data, side), dashed: key === "p99", points: marks };
    }),
  );
  return {
    title: `Latency of ${what} against their throughput`,
    subtitle: subtitle(data),
    hint: "p50 solid, p99 dashed; numbers: requests in flight",
    x: { label: `${what} per second`, scale: "log" },
    y: { label: "milliseconds", scale: "log" },
    series,
  };
}

/** Writes both charts and gives their paths. */
export function writeCurves(folder: string, part: "commits" | "reads", data: PointsData): string[] {
  const what = part === "commits" ? "committed writes" : "linearizable reads";
  const charts = { throughput: throughputChart(data, what), latency: latencyChart(data, what) };
  mkdirSync(folder, { recursive: true });
  return Object.entries(charts).map(([name, chart]) => {
    const file = join(folder, `${part}-${name}.svg`);
    writeFileSync(file, renderChart(chart));
    return file;
  });
}
