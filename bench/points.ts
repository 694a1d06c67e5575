/**
 * Committed writes, or linearizable reads, at several numbers in flight: rate, latency quantiles and what each member spends.
 * The sides alternate within a round and change places from round to round.
 */
import { costsOf, residentMiB } from "./process-costs.ts";
import type { LoadOptions } from "./load.ts";
import type { PointsData, Round } from "./results.ts";
import { pause, say, smallKeys, type NamedCluster, type Stage } from "./stage.ts";

const sizeBytes = 256;
/** Between two measurements, so that one side's afterwork is not the other's load. */
const breathMs = 300;
/** Requests that a measurement has at least; and four times as many as are in flight. */
const requestsMin = 200;

interface Series extends NamedCluster {
  readonly ask: Pick<LoadOptions, "read" | "onePerMessage">;
  /** Requests of one measurement, by number in flight. */
  readonly totals: Map<number, number>;
  readonly rounds: Map<number, Round[]>;
}

const series = ({ name, cluster }: NamedCluster, ask: Series["ask"]): Series => ({
  name,
  cluster,
  ask,
  totals: new Map(),
  rounds: new Map(),
});

export const measureCommits = async (stage: Stage): Promise<PointsData> =>
  measurePoints(
    stage,
    (await stage.clusters("small")).map((side) => series(side, {})),
  );

/** Ours twice: as its client does it, and each read in a message of its own, as etcd's client does. */
export async function measureReads(stage: Stage): Promise<PointsData> {
  const sides = await stage.clusters("small");
  return measurePoints(
    stage,
    sides.flatMap((side) => {
      const packed = series(side, { read: true });
      if (side.name === "etcd") return [packed];
      return [packed, series({ ...side, name: `${side.name}, one a message` }, { read: true, onePerMessage: true })];
    }),
  );
}

async function measurePoints(stage: Stage, all: readonly Series[]): Promise<PointsData> {
  const { inFlight: points, rounds, seconds } = stage.options;
  for (const inFlight of points) for (const each of all) each.totals.set(inFlight, await sized(each, inFlight, seconds));
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`);
    for (const inFlight of points) for (const each of round % 2 === 1 ? all : all.toReversed()) await measure(each, inFlight);
  }
  return {
    rounds,
    seconds,
    sizeBytes,
    sides: all.map(({ name, cluster, rounds: byPoint }) => ({
      name,
      points: points.map((inFlight) => ({ inFlight, rounds: byPoint.get(inFlight) ?? [] })),
      residentMiB: cluster.pids.map(residentMiB).toSorted((a, b) => b - a),
    })),
  };
}

const optionsOf = ({ ask }: Series, inFlight: number, total: number): LoadOptions => ({
  ...ask,
  inFlight,
  total,
  size: sizeBytes,
  keys: smallKeys,
});

/** Enough requests for the wanted seconds, judged by a short first run. */
async function sized(each: Series, inFlight: number, seconds: number): Promise<number> {
  const least = Math.max(requestsMin, inFlight * 4);
  const probe = await each.cluster.load(optionsOf(each, inFlight, least));
  return Math.max(least, Math.round(probe.perSecond * seconds));
}

async function measure(each: Series, inFlight: number): Promise<void> {
  await pause(breathMs);
  const options = optionsOf(each, inFlight, each.totals.get(inFlight) ?? requestsMin);
  const { result, costs } = await costsOf(each.cluster.pids, () => each.cluster.load(options));
  const rounds = each.rounds.get(inFlight) ?? [];
  rounds.push({ ...result, costs });
  each.rounds.set(inFlight, rounds);
  const rate = Math.round(result.perSecond).toLocaleString("en");
  say(`${each.name}, ${inFlight} in flight: ${rate}/s, p50 ${result.p50.toFixed(2)}, p99 ${result.p99.toFixed(2)} ms`);
}
