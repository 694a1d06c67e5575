/** Results as markdown tables. Pure. */
import type {
  BackupData,
  BringBackData,
  CloudsData,
  FailoverData,
  GrowthData,
  GuardsData,
  MemoryData,
  PointsData,
  RestartData,
  Round,
  SideResult,
  SnapshotData,
} from "./results.ts";
import type { LoadResult } from "./load.ts";
import { highest, lowest, median, quantile, sum } from "./statistics.ts";

type Cell = string | number;

/** The first row is the head. Numbers stand right, and so does everything else here. */
export function markdown(rows: readonly (readonly Cell[])[]): string {
  const [head = [], ...rest] = rows;
  return [head, head.map((_, at) => (at === 0 ? "---" : "---:")), ...rest].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

export const whole = (value: number): string => (Number.isNaN(value) ? "?" : Math.round(value).toLocaleString("en"));
export const fixed = (value: number, digits: number): string => (Number.isNaN(value) ? "?" : value.toFixed(digits));

export const roundsAt = (side: SideResult | undefined, inFlight: number): readonly Round[] =>
  side?.points.find((point) => point.inFlight === inFlight)?.rounds ?? [];

/** Median over rounds. */
export const figure = (side: SideResult | undefined, inFlight: number, key: keyof LoadResult): number =>
  median(roundsAt(side, inFlight).map((round) => round[key]));

const pointsOf = ({ sides }: PointsData): number[] => sides[0]?.points.map(({ inFlight }) => inFlight) ?? [];

/** Rates, latencies and the ratios of each side to the last. */
export function rateTable(data: PointsData): string {
  const { sides } = data;
  const last = sides.length > 1 ? sides.at(-1) : undefined;
  const heads = ["in flight", "side", "per second", "lowest to highest", "p50 ms", "p99 ms", "p99.9 ms"];
  if (last !== undefined) heads.push("rate ratio", "p50 ratio", "p99 ratio");
  const rows = pointsOf(data).flatMap((k) =>
    sides.map((side) => {
      const rates = roundsAt(side, k).map(({ perSecond }) => perSecond);
      const own = [
        `${k}`,
        side.name,
        whole(median(rates)),
        `${whole(lowest(rates))} to ${whole(highest(rates))}`,
        ...(["p50", "p99", "p999"] as const).map((key) => fixed(figure(side, k, key), 2)),
      ];
      if (last === undefined) return own;
      if (side === last) return [...own, "", "", ""];
      const ratio = (key: keyof LoadResult): string => fixed(figure(side, k, key) / figure(last, k, key), 2);
      return [...own, `**${ratio("perSecond")}**`, ratio("p50"), ratio("p99")];
    }),
  );
  return markdown([heads, ...rows]);
}

/** Per 1,000 requests, medians over rounds, the busiest member (the leader) first. */
export function costTable(data: PointsData, written: boolean): string {
  const heads = ["in flight", "side", "CPU ms"];
  if (written) heads.push("syncs", "bytes written per byte committed");
  const rows = pointsOf(data).flatMap((k) =>
    data.sides.map((side) => {
      const own = [`${k}`, side.name, perMember(side, k, ({ costs }) => costs.cpuSeconds.map((s) => s * 1e6), 0)];
      if (!written) return own;
      const bytes = ({ costs }: Round): number[] => costs.writtenBytes.map((each) => each / data.sizeBytes);
      const syncs = ({ costs }: Round): number[] => costs.syncs.map((each) => (each ?? Number.NaN) * 1_000);
      return [...own, perMember(side, k, syncs, 1), perMember(side, k, bytes, 1)];
    }),
  );
  return markdown([heads, ...rows]);
}

function perMember(side: SideResult, inFlight: number, of: (round: Round) => readonly number[], digits: number): string {
  const ranked = roundsAt(side, inFlight).map((round) => {
    const busiest = round.costs.cpuSeconds.map((_, i) => i);
    busiest.sort((a, b) => (round.costs.cpuSeconds[b] ?? 0) - (round.costs.cpuSeconds[a] ?? 0));
    const values = of(round);
    return busiest.map((i) => (values[i] ?? Number.NaN) / round.count);
  });
  const members = ranked[0]?.length ?? 0;
  return Array.from({ length: members }, (_, rank) => {
    return fixed(median(ranked.map((values) => values[rank] ?? Number.NaN)), digits);
  }).join(" / ");
}

export const residentLine = ({ sides }: PointsData): string =>
  sides.map(({ name, residentMiB }) => `${name} ${residentMiB.map(whole).join(" / ")} MiB`).join(", ");

/** Rows of one list of times per side, in milliseconds. */
function timesTable(sides: readonly { readonly name: string; readonly ms: readonly number[] }[]): string {
  const heads = ["side", "times", "median ms", "p90 ms", "most ms"];
  return markdown([
    heads,
    ...sides.map(({ name, ms }) => [name, ms.length, whole(median(ms)), whole(quantile(ms, 0.9)), whole(highest(ms))]),
  ]);
}

export const failoverTable = ({ sides }: FailoverData): string => timesTable(sides);

export const restartTable = ({ sides }: RestartData): string =>
  timesTable(
    sides.flatMap(({ name, consensusMs, servesMs }) => [
      { name: `${name}: consensus runs`, ms: consensusMs },
      { name: `${name}: serves a linearizable read`, ms: servesMs },
    ]),
  );

export const memoryTable = ({ sides, settleSeconds }: MemoryData): string =>
  markdown([
    ["side", "MiB after the load", `MiB ${settleSeconds} s later`, "mean"],
    ...sides.map(({ name, afterLoad, settled }) => [
      name,
      afterLoad.map(whole).join(" / "),
      settled.map(whole).join(" / "),
      whole(sum(settled) / settled.length),
    ]),
  ]);

export const growthTable = ({ points }: GrowthData): string =>
  markdown([
    ["entries behind", "rows", "writes/s", "p99 ms", "CPU ms per 1,000, all members"],
    ...points.map(({ entries, rows, perSecond, p99, cpuMs }) => [
      whole(entries),
      whole(rows),
      `${whole(median(perSecond))} (${whole(lowest(perSecond))} to ${whole(highest(perSecond))})`,
      fixed(median(p99), 1),
      whole(median(cpuMs)),
    ]),
  ]);

export const snapshotTable = ({ healthy, down, during, caughtUp }: SnapshotData): string =>
  markdown([
    ["while", "seconds", "writes", "p50 ms", "p99 ms", "p99.9 ms"],
    ...Object.entries({
      "all members are up": healthy,
      "one is down": down,
      [caughtUp ? "it is sent a snapshot" : "it is sent a snapshot, and **does not catch up**"]: during,
    }).map(([name, w]) => [name, fixed(w.seconds, 1), whole(w.count), fixed(w.p50, 1), fixed(w.p99, 1), fixed(w.p999, 1)]),
  ]);

const mib = (bytes: number): string => `${fixed(bytes / 2 ** 20, 1)} MiB`;
const milliseconds = (values: readonly number[]): string =>
  `${whole(median(values))} ms (${whole(lowest(values))} to ${whole(highest(values))})`;

export function bringBackTable({ rows, aether, etcd }: BringBackData): string {
  return markdown([
    [`${whole(rows)} rows of about 600 B`, "median (lowest to highest)"],
    ["restored into the empty cluster", milliseconds(aether.restoreMs)],
    ["before that: every object of the backup proved", milliseconds(aether.verifyMs)],
    ["the whole of `aether cluster bootstrap --from-backup`, both included", milliseconds(aether.totalMs)],
    ...(etcd === null
      ? []
      : [
          ["`etcdctl snapshot restore` at three members", milliseconds(etcd.restoreMs)],
          ["… and started, until all serve", milliseconds(etcd.servesMs)],
        ]),
  ]);
}

export function backupTable({ rows, changes, first, incremental, repository, commits }: BackupData): string {
  const { without, during } = commits;
  return [
    markdown([
      [`${whole(rows)} rows`, "median (lowest to highest)"],
      ["first backup, without rests", milliseconds(first.ms)],
      ["first backup as the leader makes it, which rests as far as others have work", milliseconds(first.pacedMs)],
      ["git fast-import of the same files", milliseconds(first.fastImportMs)],
      ["git add and commit of the same files", milliseconds(first.addCommitMs)],
      ...incremental.map((each) => [
        `${whole(changes)} of ${whole(each.rows)} changed`,
        `${milliseconds(each.ms)}, CPU ${whole(median(each.cpuMs))} ms`,
      ]),
    ]),
    markdown([
      [`${whole(repository.backups)} backups of ${whole(changes)} changes in ${whole(repository.rows)} rows`, ""],
      ["repository", mib(repository.bytes)],
      ["a clone after git gc", mib(repository.gcBytes)],
      ["packs became one", `${whole(repository.packed)} times, ${whole(repository.packedMs)} ms in all`],
    ]),
    markdown([
      ["commits while", "seconds", "writes", "p50 ms", "p99 ms", "p99.9 ms"],
      ...Object.entries({ "no backup is made": without, "a first backup is made": during }).map(([name, w]) => [
        name,
        fixed(w.seconds, 1),
        whole(w.count),
        fixed(w.p50, 1),
        fixed(w.p99, 1),
        fixed(w.p999, 1),
      ]),
    ]),
  ].join("\n\n");
}

export const guardsTable = ({ guards }: GuardsData): string =>
  markdown([
    ["decision", "rule", "measured", "holds"],
    ...guards.map(({ name, rule, measured, holds }) => [name, rule, measured, holds ? "yes" : "**no**"]),
  ]);

/** Calls and times of machines that are made, and of looks at those that are there. */
export function cloudsTable({ delayMs, nodes, vendors }: CloudsData): string {
  const seconds = (ms: number): string => `${fixed(ms / 1_000, 1)} s`;
  const made = vendors.map(({ name, together, alone, inTurn, peer }) => [
    name,
    together.preflightCalls,
    together.calls,
    fixed(together.calls / nodes, 1),
    seconds(together.runningMs),
    seconds(alone.runningMs),
    inTurn === null ? "" : seconds(inTurn.runningMs),
    seconds(together.calls * delayMs),
    seconds(together.acceptedMs),
    peer === null ? "" : `${peer.program}: ${seconds(peer.ms)}, ${peer.calls} calls`,
  ]);
  const looks = vendors.flatMap(({ name, looks: all }) =>
    all.map(({ machines, calls, ms, addedMiB }) => [
      name,
      whole(machines),
      fixed(calls, 0),
      fixed(median(ms), 0),
      fixed(addedMiB, 0),
    ]),
  );
  const heads = ["vendor", "preflight's calls", `calls for ${nodes}`, "per machine", `${nodes} side by side`, "one alone"];
  return [
    markdown([[...heads, "in turn", "sum of all calls", "all accepted", "creates by its own command, in turn"], ...made]),
    markdown([["vendor", "unchanged machines", "calls a look", "ms", "MiB more"], ...looks]),
  ].join("\n\n");
}
