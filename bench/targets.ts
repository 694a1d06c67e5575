/** What was wanted, what was reached. Pure: from results alone, so that no hand writes a verdict. */
import type { Guard, GrowthPoint, Results, Saved } from "./results.ts";
import { highest, median, sum } from "./statistics.ts";
import { figure, fixed, whole } from "./table.ts";

export interface TargetRow {
  readonly what: string;
  readonly wanted: string;
  readonly reached: string;
  readonly verdict: "reached" | "missed" | "not measured";
}

export type Measured = { readonly [P in keyof Results]?: Saved<Results[P]> | undefined };

type Outcome = Omit<TargetRow, "what" | "wanted">;

const unmeasured: Outcome = { reached: "", verdict: "not measured" };
const judged = (values: readonly number[], holds: (value: number) => boolean, text: string): Outcome =>
  values.length === 0 || values.some(Number.isNaN)
    ? unmeasured
    : { reached: text, verdict: values.every(holds) ? "reached" : "missed" };
const ratios = (values: readonly number[], holds: (value: number) => boolean, unit = "×"): Outcome =>
  judged(values, holds, values.map((value) => `${fixed(value, 2)}${unit}`).join(" / "));

const loaded = [64, 256, 1_000];

/** A figure of the named side through etcd's. NaN when one of the two was not measured. */
function against(data: Results["commits"] | undefined, name: string, inFlight: number, key: "perSecond" | "p50" | "p99"): number {
  const of = (side: string): number =>
    figure(
      data?.sides.find((each) => each.name === side),
      inFlight,
      key,
    );
  return of(name) / of("etcd");
}

function pair<S extends { readonly name: string }>(sides: readonly S[] | undefined, of: (side: S) => number): number {
  const value = (name: string): number => {
    const side = sides?.find((each) => each.name === name);
    return side === undefined ? Number.NaN : of(side);
  };
  return value("aether") / value("etcd");
}

/** Rate and p99 of points that differ in one thing only: each against the first with as many rows, or the one with fewer. */
export function growthRatios(points: readonly GrowthPoint[]): { entries: Ratio[]; rows: Ratio[] } {
  const ratio = (from: GrowthPoint, to: GrowthPoint): Ratio => ({
    rate: median(to.perSecond) / median(from.perSecond),
    p99: median(to.p99) / median(from.p99),
  });
  const entries: Ratio[] = [];
  const rows: Ratio[] = [];
  for (const [at, point] of points.entries()) {
    const first = points.find((each) => each.rows === point.rows);
    const before = points[at - 1];
    if (first !== undefined && first !== point) entries.push(ratio(first, point));
    else if (before !== undefined) rows.push(ratio(before, point));
  }
  return { entries, rows };
}
interface Ratio {
  readonly rate: number;
  readonly p99: number;
}

function steady(changes: readonly Ratio[] | undefined): Outcome {
  if (changes === undefined || changes.length === 0) return unmeasured;
  const text = changes.map(({ rate, p99 }) => `${fixed(rate, 2)}× and ${fixed(p99, 2)}×`).join(", ");
  return { reached: text, verdict: changes.every(({ rate, p99 }) => rate >= 0.9 && p99 <= 1.1) ? "reached" : "missed" };
}

type Row = readonly [what: string, wanted: string, outcome: Outcome];

const atMost = (most: number) => (value: number) => value <= most;
const atLeast = (least: number) => (value: number) => value >= least;

export const targetRows = (m: Measured): TargetRow[] =>
  [...underLoad(m), ...inTrouble(m), ...overTime(m), ...ofBackups(m), ...ofClouds(m)].map(([what, wanted, outcome]) => ({
    what,
    wanted,
    ...outcome,
  }));

function underLoad({ commits, reads }: Measured): Row[] {
  const at = (points: readonly number[], key: "perSecond" | "p50" | "p99"): number[] =>
    points.map((inFlight) => against(commits?.data, "aether", inFlight, key));
  const read = (name: string): Outcome => ratios([against(reads?.data, name, 256, "perSecond")], atLeast(1));
  return [
    ["committed writes/s at 64, 256, 1,000 in flight", "≥ 2× etcd, aim 3×", ratios(at(loaded, "perSecond"), atLeast(2))],
    ["p99 of writes at the same points", "≤ 1× etcd", ratios(at(loaded, "p99"), atMost(1))],
    ["one writer at a time: writes/s", "≥ 1× etcd", ratios(at([1], "perSecond"), atLeast(1))],
    ["one writer at a time: p50", "≤ 1× etcd", ratios(at([1], "p50"), atMost(1))],
    ["linearizable reads/s at 256 in flight, one request a message on both sides", "≥ 1× etcd", read("aether, one a message")],
    ["the same as our client asks them, many in one message", "≥ 1× etcd", read("aether")],
  ];
}

function inTrouble({ failover, restart, memory }: Measured): Row[] {
  const mean = (values: readonly number[]): number => sum(values) / values.length;
  const back = restart?.data.sides;
  const behind = whole(restart?.data.events ?? 1_000_000);
  const held = `${whole(memory?.data.events ?? 1_000_000)} events over ${whole(memory?.data.rows ?? 100_000)} rows`;
  const ratioOf = (ratio: number, most: number): Outcome => ratios([ratio], atMost(most));
  return [
    [
      "SIGKILL of the leader → first new commit, median",
      "≤ 1× etcd",
      ratioOf(
        pair(failover?.data.sides, ({ ms }) => median(ms)),
        1,
      ),
    ],
    [
      `restart with ${behind} entries behind → could vote`,
      "≤ 1× etcd",
      ratioOf(
        pair(back, ({ consensusMs }) => median(consensusMs)),
        1,
      ),
    ],
    [
      "the same → first linearizable read through it",
      "≤ 1× etcd",
      ratioOf(
        pair(back, ({ servesMs }) => median(servesMs)),
        1,
      ),
    ],
    [
      `resident memory per member after ${held}`,
      "≤ 1.5× etcd",
      ratioOf(
        pair(memory?.data.sides, ({ settled }) => mean(settled)),
        1.5,
      ),
    ],
  ];
}

function overTime({ growth, snapshot, replay, guards }: Measured): Row[] {
  const changes = growth === undefined ? undefined : growthRatios(growth.data.points);
  const sent = snapshot?.data;
  const rate = replay?.data.perSecond ?? Number.NaN;
  const held = guards?.data.guards;
  // One that never catches up has not been sent it at any price.
  const bearable = (value: number): boolean => value <= 2 && sent?.caughtUp === true;
  return [
    ["rate and p99 with more entries behind", "within 10 %", steady(changes?.entries)],
    ["rate and p99 with more rows", "within 10 %", steady(changes?.rows)],
    [
      `others' p99 while a member is sent a snapshot of ${whole(sent?.rows ?? 1_000_000)} rows`,
      "≤ 2× before",
      ratios(sent === undefined ? [] : [sent.during.p99 / Math.min(sent.healthy.p99, sent.down.p99)], bearable),
    ],
    ["replay of events on one core", "≥ 300,000/s", judged([rate], atLeast(300_000), `${whole(rate)}/s`)],
    ["guards of the design (below)", "all hold", held === undefined ? unmeasured : guarded(held)],
  ];
}

function ofBackups({ backup, restore }: Measured): Row[] {
  const data = backup?.data;
  const [few, all] = data?.incremental ?? [];
  const one = (value: number | undefined): number[] => (value === undefined ? [] : [value]);
  const rows = whole(data?.rows ?? 100_000);
  const slowest = all === undefined ? undefined : median(all.ms);
  const grown = few === undefined || all === undefined ? undefined : median(all.ms) / median(few.ms);
  return [
    [
      `first backup of ${rows} rows of about 600 B, as the leader makes it`,
      "≤ 3× git fast-import",
      ratios(one(data && median(data.first.pacedMs) / median(data.first.fastImportMs)), atMost(3)),
    ],
    [
      `incremental backup, ${whole(data?.changes ?? 100)} changed of ${rows}`,
      "≤ 250 ms",
      judged(one(slowest), atMost(250), `${whole(slowest ?? Number.NaN)} ms`),
    ],
    ["the same against a tenth of the rows", "within 20 %", ratios(one(grown), (value) => value <= 1.2)],
    [
      `repository after ${whole(data?.repository.backups ?? 1_000)} incremental backups`,
      "≤ 1.5× after git gc",
      ratios(one(data && data.repository.bytes / data.repository.gcBytes), atMost(1.5)),
    ],
    [
      `restore of ${whole(restore?.data.rows ?? 100_000)} rows into an empty cluster`,
      "≤ 2× etcd's snapshot restore and start",
      ratios(
        one(restore?.data.etcd ? median(restore.data.aether.restoreMs) / median(restore.data.etcd.servesMs) : undefined),
        atMost(2),
      ),
    ],
    [
      "p99 of commits while a full backup runs",
      "≤ 1.5× without",
      ratios(one(data && data.commits.during.p99 / data.commits.without.p99), atMost(1.5)),
    ],
  ];
}

function ofClouds({ clouds }: Measured): Row[] {
  const all = clouds?.data.vendors ?? [];
  const chains = all.map(({ together, alone }) => together.runningMs / alone.runningMs);
  const looks = all.map(({ pageSize, looks: each }) =>
    highest(each.map(({ machines, calls }) => calls / Math.ceil(machines / pageSize))),
  );
  const names = all.map(({ name }) => name).join(", ");
  return [
    [`five machines side by side, by one alone (${names})`, "≤ 1.25×: the slowest chain", ratios(chains, atMost(1.25))],
    [
      `calls of a look at up to 1,000 unchanged machines, by the pages of one list (${names})`,
      "1×: one paged list",
      ratios(looks, atMost(1)),
    ],
  ];
}

const guarded = (guards: readonly Guard[]): Outcome => ({
  reached: `${guards.filter(({ holds }) => holds).length} of ${guards.length}`,
  verdict: guards.every(({ holds }) => holds) ? "reached" : "missed",
});
