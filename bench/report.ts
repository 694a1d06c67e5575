/** A comparison as text: the machine, the table of rates and latencies with ratios, and what each side spends for it. */
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { residentMiB, type Costs } from "./process-costs.ts";
import type { LoadResult } from "./load.ts";
import type { Round, Side } from "./side.ts";

/** Of the middle two the higher, when their number is even. NaN of nothing. */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export function machineLine(): string {
  const cpu = cpus();
  const load = readFileSync("/proc/loadavg", "utf8").split(" ")[0];
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpu.length} × ${cpu[0]?.model ?? "unknown"}, ${memory} GiB, node ${process.version}, load average before: ${load}`;
}

const markdown = (rows: readonly (readonly string[])[]): string => {
  const [head = [], ...rest] = rows;
  return [head, head.map(() => "---:"), ...rest].map((row) => `| ${row.join(" | ")} |`).join("\n");
};

/** Medians over rounds; the ratios are the first side's through the second's. The spread is the lowest and highest rate. */
export function rateTable(sides: readonly Side[], points: readonly number[]): string {
  const [ours, peer] = sides;
  const cell = (side: Side, inFlight: number, key: keyof LoadResult): number =>
    median((side.rounds.get(inFlight) ?? []).map((round) => round[key]));
  const heads = ["in flight", ...sides.flatMap((s) => [`${s.name} /s`, "lowest to highest", "p50 ms", "p99 ms", "p99.9 ms"])];
  if (peer !== undefined) heads.push("rate ratio", "p50 ratio", "p99 ratio");
  const rows = points.map((k) => {
    const figures = sides.flatMap((s) => {
      const rates = (s.rounds.get(k) ?? []).map((round) => Math.round(round.perSecond));
      const spread = `${Math.min(...rates)} to ${Math.max(...rates)}`;
      const latencies = (["p50", "p99", "p999"] as const).map((key) => cell(s, k, key).toFixed(2));
      return [Math.round(cell(s, k, "perSecond")).toString(), spread, ...latencies];
    });
    const ratios =
      ours === undefined || peer === undefined
        ? []
        : (["perSecond", "p50", "p99"] as const).map((key) => (cell(ours, k, key) / cell(peer, k, key)).toFixed(2));
    return [k.toString(), ...figures, ...ratios];
  });
  return markdown([heads, ...rows]);
}

/** Per 1,000 requests, medians over rounds: the busiest member first (the leader), then the others. */
export function costTable(sides: readonly Side[], points: readonly number[]): string {
  const rows = points.flatMap((k) =>
    sides.map((s) => {
      const rounds = s.rounds.get(k) ?? [];
      const each = (of: (c: Costs) => readonly (number | null)[], digits: number): string => {
        const ranked = rounds.map((round) =>
          ranking(round).map((i) => ((of(round.costs)[i] ?? Number.NaN) * 1_000) / round.count),
        );
        const medians = s.cluster.pids.map((_, rank) => median(ranked.map((values) => values[rank] ?? Number.NaN)));
        return medians.map((value) => (Number.isNaN(value) ? "?" : value.toFixed(digits))).join(" / ");
      };
      const cpu = each((c) => c.cpuSeconds.map((seconds) => seconds * 1_000), 0);
      return [k.toString(), s.name, cpu, each((c) => c.syncs, 1), each((c) => c.writtenBytes.map((bytes) => bytes / 1_024), 0)];
    }),
  );
  return markdown([["in flight", "side", "CPU ms", "syncs", "KiB written"], ...rows]);
}

const ranking = ({ costs }: Round): number[] =>
  costs.cpuSeconds.map((_, i) => i).toSorted((a, b) => (costs.cpuSeconds[b] ?? 0) - (costs.cpuSeconds[a] ?? 0));

/** Resident memory of each member now, largest first. */
export const memoryLine = (s: Side): string =>
  `${s.name}: ${s.cluster.pids
    .map((pid) => Math.round(residentMiB(pid)))
    .toSorted((a, b) => b - a)
    .join(" / ")} MiB resident at the end`;
