/**
 * `npm run chaos -- --minutes 10 --members 3,5 --seed N`: round after round of real daemons under faults. The seed decides the
 * schedule of faults and what clients ask; processes do not replay bit for bit, so the same seed is the same plan and not the
 * same life.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { commitOf } from "../soak/record.ts";
import type { Daemons } from "./chaos-cluster.ts";
import type { Disaster } from "./disaster.ts";
import { allDisasters } from "./disasters/all.ts";
import { summaryOf, writeRecord } from "./record.ts";
import { runRound, type RoundReport } from "./round.ts";
import { plainKinds, rateRange } from "./schedule.ts";
import { runProgram } from "../program.ts";

const kinds = (): readonly string[] => [...plainKinds, ...allDisasters().map(({ name }) => name)];
const usage = `usage: npm run chaos -- --minutes M [--members 3,5] [--seed N] [--without KIND,KIND] [--rate HZ] [--round S] [--floor N] [--page]
  --minutes M       how long; a round that has begun is finished
  --members LIST    sizes of clusters, one round after the other (default 3,5)
  --seed N          of the first round, the next has the next one (default: the seconds since 1970)
  --without KINDS   leave out: ${kinds().join(" ")}
  --rate HZ         SIGKILLs and SIGSTOPs a second each (default: drawn from ${rateRange.join("-")} for each round)
  --round S         seconds of faults in a round (default 45)
  --floor N         operations a second that must be acknowledged before the first fault (default 100)
  --page            write packages/sim/results/chaos.json and the table in docs/trust.md
The seed decides the schedule of faults. Processes do not replay bit for bit: a seed that found something may need several tries.
exit code: 0 every round was sound, 1 one was broken, 2 usage, 3 too little load in a round to say anything
`;
const buildMs = 120_000;
const warmups = 5;

interface Options {
  readonly minutes: number;
  readonly members: readonly number[];
  readonly seed: number;
  readonly without: readonly string[];
  readonly rate: number | undefined;
  readonly roundS: number;
  readonly floor: number;
  readonly page: boolean;
}

function parse(): Options {
  const text = { type: "string" } as const;
  const options = { minutes: text, members: text, seed: text, without: text, rate: text, round: text, floor: text };
  const { values } = parseArgs({ options: { ...options, page: { type: "boolean", default: false } } });
  const number = (name: keyof typeof options, fallback: string, low: number, high: number): number => {
    const value = Number(values[name] ?? fallback);
    if (!(value >= low && value <= high)) throw new Error(`--${name} takes a number from ${low} to ${high}`);
    return value;
  };
  const members = (values.members ?? "3,5").split(",").map(Number);
  if (members.some((size) => !Number.isSafeInteger(size) || size < 1 || size > 7))
    throw new Error("--members takes sizes from 1 to 7");
  const without = (values.without ?? "").split(",").filter((kind) => kind !== "");
  for (const kind of without) if (!kinds().includes(kind)) throw new Error(`no fault is called ${kind}`);
  return {
    minutes: number("minutes", "", 0.1, 100_000),
    members,
    seed: Math.floor(number("seed", String(Math.floor(Date.now() / 1000)), 0, Number.MAX_SAFE_INTEGER)),
    without,
    rate: values.rate === undefined ? undefined : number("rate", "", 0.01, 20),
    roundS: number("round", "45", 1, 3_600),
    floor: number("floor", "100", 0, 1_000_000),
    page: values.page,
  };
}

/** Those that this machine can have; the others are named, with the reason. */
async function available(without: readonly string[]): Promise<readonly string[]> {
  const names: string[] = [];
  for (const { name, unavailable } of allDisasters()) {
    const why = without.includes(name) ? null : ((await unavailable?.()) ?? null);
    if (why === null) names.push(name);
    else process.stdout.write(`WITHOUT ${name}: ${why}\n`);
  }
  return names;
}

/** Daemons must not outlive this process. */
function endOnSignals(current: () => Daemons | null): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      const closing = current()?.close(false) ?? Promise.resolve();
      void closing.finally(() => process.exit(130));
    });
  }
}

async function runRounds(o: Options): Promise<readonly RoundReport[]> {
  const reports: RoundReport[] = [];
  const names = await available(o.without);
  let cluster: Daemons | null = null;
  endOnSignals(() => cluster);
  const until = performance.now() + o.minutes * 60_000;
  for (let round = 0; performance.now() < until && reports.every(({ verdict }) => verdict !== "broken"); round++) {
    const disasters: readonly Disaster[] = allDisasters().filter(({ name }) => names.includes(name));
    const report = await runRound({
      seed: o.seed + round,
      members: o.members[round % o.members.length] ?? 3,
      forMs: o.roundS * 1_000,
      floorPerS: o.floor,
      warmups,
      rate: o.rate,
      without: o.without,
      disasters,
      opened: (opened) => (cluster = opened),
      say: (line) => process.stdout.write(`${line}\n`),
    });
    cluster = null;
    reports.push(report);
    process.stdout.write(`${summaryOf(report)}\n`);
  }
  return reports;
}

async function main(options: Options): Promise<number> {
  const root = join(import.meta.dirname, "../../../..");
  execFileSync(process.execPath, [".ci/build.ts"], { cwd: root, stdio: "ignore", timeout: buildMs });
  // The checkout may have moved on when the rounds are over; what they run is built now.
  const commit = commitOf(root);
  const reports = await runRounds(options);
  if (options.page) await writeRecord(reports, `npm run chaos -- ${process.argv.slice(2).join(" ")}`, commit);
  const broken = reports.find(({ verdict }) => verdict === "broken");
  if (broken !== undefined) {
    for (const { rule, detail } of broken.findings) process.stdout.write(`BROKEN ${rule}: ${detail}\n`);
    const again = `npm run chaos -- --minutes 1 --members ${broken.members} --seed ${broken.seed} --round ${options.roundS}`;
    process.stdout.write(`logs, data, histories and the schedule: ${broken.kept}\nthe same schedule again: ${again}\n`);
    return 1;
  }
  const silent = reports.filter(({ verdict }) => verdict === "inconclusive").length;
  process.stdout.write(
    `${reports.length - silent} of ${reports.length} rounds were sound${silent > 0 ? ", the others inconclusive" : ""}\n`,
  );
  return silent > 0 ? 3 : 0;
}

await runProgram(usage, parse, main);
