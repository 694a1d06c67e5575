/** What chaos runs came to: a line for each round, and the record and table that docs/trust.md shows. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { table, writeBlock } from "../page.ts";
import { machineLine } from "../soak/record.ts";
import type { RoundReport } from "./round.ts";

const recordFile = join(import.meta.dirname, "../../results/chaos.json");

export function summaryOf(r: RoundReport): string {
  const { seed, members, verdict, warmPerS, counts, tookMs } = r;
  const faults = Object.entries(counts).filter(([name]) => name.startsWith("faults.") && name !== "faults.missed");
  const happened = faults.map(([name, count]) => `${name.slice("faults.".length)} ${count}`).join(", ");
  const said = [
    `${verdict.toUpperCase()} seed ${seed}, ${members} members, ${(tookMs / 1_000).toFixed(0)} s`,
    `${warmPerS.toFixed(0)} operations/s before, ${counts["clients.acknowledged"] ?? 0} acknowledged in all, ${counts["clients.open"] ?? 0} open`,
    happened,
    ...(verdict === "inconclusive" ? r.findings.map(({ rule, detail }) => `${rule}: ${detail}, see ${r.kept}`) : []),
  ];
  return said.join("; ");
}

interface Totals {
  readonly members: number;
  readonly rounds: number;
  readonly sound: number;
  readonly inconclusive: number;
  readonly broken: number;
  readonly minutes: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** Sums of all rounds with this many members. */
export function totalsOf(reports: readonly RoundReport[], members: number): Totals {
  const own = reports.filter((report) => report.members === members);
  const counts: Record<string, number> = {};
  for (const report of own) {
    for (const [name, count] of Object.entries(report.counts)) counts[name] = (counts[name] ?? 0) + count;
  }
  const verdicts = (verdict: RoundReport["verdict"]): number => own.filter((report) => report.verdict === verdict).length;
  return {
    members,
    rounds: own.length,
    sound: verdicts("sound"),
    inconclusive: verdicts("inconclusive"),
    broken: verdicts("broken"),
    minutes: Math.round(own.reduce((sum, { tookMs }) => sum + tookMs, 0) / 6_000) / 10,
    counts,
  };
}

/** A row for everything counted, a column for each size of cluster. */
export function tableOf(totals: readonly Totals[]): string {
  const row = (what: string, of: (t: Totals) => number): readonly (string | number)[] => [what, ...totals.map(of)];
  const named = (prefix: string): readonly string[] => [
    ...new Set(totals.flatMap(({ counts }) => Object.keys(counts).filter((name) => name.startsWith(prefix)))),
  ];
  const faults = named("faults.")
    .filter((name) => name !== "faults.missed")
    .toSorted()
    .map((name) => row(name.slice("faults.".length), ({ counts }) => counts[name] ?? 0));
  const counted = (what: string, name: string) => row(what, ({ counts }) => counts[name] ?? 0);
  const rows = [
    row("rounds", ({ rounds }) => rounds),
    row("… sound", ({ sound }) => sound),
    row("… inconclusive (too little load, or not formed in time)", ({ inconclusive }) => inconclusive),
    row("… broken", ({ broken }) => broken),
    row("minutes", ({ minutes }) => minutes),
    ...faults,
    counted("connections broken on the way", "links.broken"),
    counted("bytes swallowed", "links.swallowedBytes"),
    counted("operations acknowledged", "clients.acknowledged"),
    counted("… answered from memory to a retry", "clients.replayed"),
    counted("… left open, judged by the log", "clients.open"),
    counted("entries that watchers saw", "watch.entries"),
  ];
  return table(["", ...totals.map(({ members }) => `${members} members`)], rows);
}

/** Writes the record and the page's table. `command` is what made it, `commit` what its daemons were built from. */
export async function writeRecord(reports: readonly RoundReport[], command: string, commit: string): Promise<void> {
  const sizes = [...new Set(reports.map(({ members }) => members))].toSorted((a, b) => a - b);
  const totals = sizes.map((members) => totalsOf(reports, members));
  const machine = machineLine();
  const rounds = reports.map(({ seed, members, verdict, warmPerS, findings }) => ({
    seed,
    members,
    verdict,
    warmPerS,
    findings,
  }));
  await mkdir(dirname(recordFile), { recursive: true });
  await writeFile(
    recordFile,
    `${JSON.stringify({ command, made: new Date().toISOString(), commit, machine, totals, rounds }, null, 2)}\n`,
  );
  const seeds = `Seeds ${reports[0]?.seed} to ${reports.at(-1)?.seed}, commit ${commit}, ${machine}.`;
  await writeBlock("chaos", command, `${seeds}\n\n${tableOf(totals)}`);
}
