/**
 * What a lagging member costs the others: one is down until the log it would need is gone, comes back, and is sent a snapshot
 * of all rows while writes go on at a steady pace, well below what the cluster can do: a load that takes every core would show
 * who gets the cores. Latencies are of the writes through the other members.
 */
import { catchesUp } from "./catching-up.ts";
import { fill } from "./fill.ts";
import type { BenchCluster, Probe } from "./load.ts";
import type { SnapshotData, Window } from "./results.ts";
import { pause, say, type Stage } from "./stage.ts";
import { quantile } from "./statistics.ts";

/** 1,500 writes a second through three members. */
const everyMs = 2;
const windowMs = { full: 15_000, quick: 3_000 };
/** Between two looks at whether the log still reaches back: 100,000 entries are kept, and some more until a snapshot is made. */
const behindEvents = 50_000;
/** A snapshot is due after two entries a row, and making one takes its time while the machine is busy. */
const behindMax = 40;
const lagMax = 2_000;
const catchUpMaxMs = 180_000;

export async function measureSnapshot(stage: Stage): Promise<SnapshotData> {
  const { rowsMost: rows, quick } = stage.options;
  const [side] = await stage.clusters("wide");
  if (side === undefined) throw new Error("there is no cluster to take a snapshot of");
  if (stage.rowsOfWide < rows) await fill(side, { events: rows, keys: rows, done: stage.rowsOfWide });
  stage.rowsOfWide = rows;
  const { cluster } = side;
  const place = ((await cluster.leader()) + 1) % cluster.members.length;
  const ms = quick ? windowMs.quick : windowMs.full;
  const probe = await cluster.probe(everyMs);
  try {
    const window = (from: number, to: number): Window => windowOf(probe, place, from, to);
    const healthy = await watched(ms, window);
    say(`all members up: p99 ${healthy.p99.toFixed(1)} ms`);
    const left = (await cluster.facts(place))?.applied ?? 0;
    await cluster.signal(place, "SIGKILL");
    await untilCompacted(stage, cluster, left);
    const down = await watched(ms, window);
    say(`one member down: p99 ${down.p99.toFixed(1)} ms`);
    const from = Date.now();
    cluster.start(place);
    const caughtUp = await catchesUp(cluster, place, lagMax, catchUpMaxMs);
    const during = window(from, Date.now());
    const back = caughtUp ? "is back" : "has NOT caught up";
    say(`it ${back} after ${during.seconds.toFixed(1)} s: p99 ${during.p99.toFixed(1)} ms meanwhile`);
    const first = (await cluster.facts(place))?.first ?? 0;
    if (caughtUp && first <= left) throw new Error(`the member took entry ${left + 1} from a log: no snapshot was sent`);
    return { rows, everyMs, healthy, down, during, caughtUp };
  } finally {
    await probe.stop();
  }
}

async function watched(ms: number, window: (from: number, to: number) => Window): Promise<Window> {
  const from = Date.now();
  await pause(ms);
  return window(from, Date.now());
}

/** Of the writes asked and acknowledged in between, through the members other than the one that lags. */
export function windowOf(probe: Pick<Probe, "samples">, without: number, from: number, to: number): Window {
  const latencies = probe.samples
    .filter((sample) => sample.place !== without && sample.asked >= from && sample.acknowledged <= to)
    .map(({ asked, acknowledged }) => acknowledged - asked);
  const at = (q: number): number => quantile(latencies, q);
  return { seconds: (to - from) / 1_000, count: latencies.length, p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

/** Writes on until no member that is up still holds the entry after `left`. */
async function untilCompacted(stage: Stage, cluster: BenchCluster, left: number): Promise<void> {
  for (let chunk = 1; chunk <= behindMax; chunk++) {
    await cluster.load({ inFlight: 256, total: behindEvents, warm: 0, keys: stage.options.rowsMost });
    const facts = await Promise.all(cluster.members.map((_, at) => cluster.facts(at)));
    const up = facts.filter((each) => each !== null);
    say(`${chunk * behindEvents} entries behind; the logs begin at ${up.map(({ first }) => first).join(" and ")}`);
    if (up.length > 0 && up.every(({ first }) => first > left + 1)) return;
  }
  throw new Error(`the log still reaches back to entry ${left}: no snapshot was needed`);
}
