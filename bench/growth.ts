/**
 * Whether a cluster gets slower as it grows: rate, p99 and CPU of writes on one cluster with more and more entries behind it
 * over the same rows, and with more and more rows. Each point differs from a neighbour in one of the two only.
 */
import { fill } from "./fill.ts";
import { costsOf } from "./process-costs.ts";
import type { GrowthData, GrowthPoint } from "./results.ts";
import { pause, say, type NamedCluster, type Stage } from "./stage.ts";
import { sum } from "./statistics.ts";

const inFlight = 256;
const breathMs = 300;

interface Step {
  readonly entries: number;
  readonly rows: number;
}

/** Rows first while there are no entries to speak of, then entries over those rows, then rows again. */
export function growthSteps(rows: number, events: number, entriesMost: number, rowsMost: number): Step[] {
  const few = Math.max(1, Math.round(rows / 100));
  // Enough for the compilers to be warm when the first point is measured.
  const warm = Math.max(few, Math.round(rows / 5));
  return [
    { entries: warm, rows: few },
    { entries: warm + rows, rows },
    { entries: events, rows },
    { entries: entriesMost, rows },
    { entries: entriesMost + rowsMost, rows: rowsMost },
  ];
}

export async function measureGrowth(stage: Stage): Promise<GrowthData> {
  const { rows, events, entriesMost, rowsMost } = stage.options;
  const [side] = await stage.clusters("wide");
  if (side === undefined) throw new Error("there is no cluster to grow");
  const points: GrowthPoint[] = [];
  let entries = 0;
  for (const step of growthSteps(rows, events, entriesMost, rowsMost)) {
    const missing = step.entries - entries;
    if (missing > 0) await fill(side, { events: missing, keys: step.rows });
    const point = await measure(side, step, stage.options);
    points.push(point);
    entries = step.entries;
  }
  stage.rowsOfWide = rowsMost;
  return { inFlight, points };
}

async function measure(side: NamedCluster, step: Step, { rounds, seconds }: Stage["options"]): Promise<GrowthPoint> {
  const { cluster } = side;
  const point = { ...step, perSecond: [] as number[], p99: [] as number[], cpuMs: [] as number[] };
  const first = await cluster.load({ inFlight, total: 2_000, keys: step.rows });
  const total = Math.max(2_000, Math.round(first.perSecond * seconds));
  for (let round = 1; round <= rounds; round++) {
    await pause(breathMs);
    const { result, costs } = await costsOf(cluster.pids, () => cluster.load({ inFlight, total, keys: step.rows }));
    point.perSecond.push(result.perSecond);
    point.p99.push(result.p99);
    point.cpuMs.push((sum(costs.cpuSeconds) * 1e6) / result.count);
  }
  const [rate, entries, rows] = [point.perSecond.at(-1) ?? 0, step.entries, step.rows].map((value) =>
    Math.round(value).toLocaleString("en"),
  );
  say(`${entries} entries behind, ${rows} rows: ${rate}/s, p99 ${point.p99.at(-1)?.toFixed(1)} ms in the last round`);
  return point;
}
