/**
 * Committed writes (or linearizable reads) per second and latency quantiles at several numbers in flight, Aether beside etcd
 * in the same run: three members each on loopback, mutual TLS, fsync on, 256-byte values over 10,000 keys, four connections
 * to the leader, alternating, medians over rounds; and what each member spends for it.
 *
 *   npm run bench -- commits [--rounds 5] [--in-flight 1,16,64,256,1000] [--seconds 3] [--read] [--no-etcd]
 *                            [--build NAME=FILE]… [--out FILE]
 *
 * `--build` names bundled daemons to compare instead of the one in packages/node/dist (npm run build makes it): two builds in
 * one run is how a change is judged. `--out` writes the tables as a page.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { etcdMissing } from "./etcd/etcd-cluster.ts";
import { costsOf } from "./process-costs.ts";
import { costTable, machineLine, memoryLine, rateTable } from "./report.ts";
import { aetherSide, etcdSide, type Side } from "./side.ts";

const size = 256;
/** As many as both load programs use. */
const keys = 10_000;
const defaultProgram = join(import.meta.dirname, "../packages/node/dist/aetherd.js");

const settle = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Adds each side as it starts, so that those that did are stopped when a later one does not. */
async function startSides(sides: Side[], builds: readonly string[], folder: string, withEtcd: boolean): Promise<void> {
  for (const build of builds) {
    const cut = build.indexOf("=");
    const program = build.slice(cut + 1);
    if (!existsSync(program)) throw new Error(`there is no ${program}: npm run build makes the default one`);
    sides.push(await aetherSide(build.slice(0, cut), program));
  }
  if (!withEtcd) return;
  const missing = etcdMissing();
  if (missing === undefined) sides.push(await etcdSide(join(folder, "etcd")));
  else console.log(`skipped: the etcd side, because ${missing}`);
}

/** Enough requests for the wanted seconds, judged by a short first run. */
async function sized(side: Side, inFlight: number, seconds: number, read: boolean): Promise<number> {
  const probe = await side.cluster.load({
    inFlight,
    total: Math.max(200, inFlight * 4),
    size,
    read,
  });
  return Math.max(200, inFlight * 4, Math.round(probe.perSecond * seconds));
}

async function measure(side: Side, inFlight: number, read: boolean): Promise<void> {
  await settle(300);
  const total = side.totals.get(inFlight) ?? 200;
  const { result, costs } = await costsOf(side.cluster.pids, () => side.cluster.load({ inFlight, total, size, read }));
  const rounds = side.rounds.get(inFlight) ?? [];
  rounds.push({ ...result, costs });
  side.rounds.set(inFlight, rounds);
  const rate = Math.round(result.perSecond);
  console.error(`${side.name} ${inFlight}: ${rate}/s p50 ${result.p50.toFixed(2)} p99 ${result.p99.toFixed(2)} ms`);
}

export async function benchCommits(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "5" },
      "in-flight": { type: "string", default: "1,16,64,256,1000" },
      seconds: { type: "string", default: "3" },
      read: { type: "boolean", default: false },
      "no-etcd": { type: "boolean", default: false },
      build: { type: "string", multiple: true, default: [`aether=${defaultProgram}`] },
      out: { type: "string" },
    },
  });
  const points = values["in-flight"].split(",").map(Number);
  const machine = machineLine();
  const folder = mkdtempSync(join(tmpdir(), "aether-bench-"));
  const sides: Side[] = [];
  const stop = async (): Promise<void> => {
    await Promise.allSettled(sides.map((side) => side.cluster.stop()));
    rmSync(folder, { recursive: true, force: true });
  };
  const interrupted = (): void => void stop().finally(() => process.exit(130));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupted);
  try {
    await startSides(sides, values.build, folder, !values["no-etcd"]);
    // Every key is there before anything is measured, and the compilers are warm.
    for (const side of sides) await side.cluster.load({ inFlight: 256, total: keys, size, read: false });
    for (const inFlight of points) {
      for (const side of sides) side.totals.set(inFlight, await sized(side, inFlight, Number(values.seconds), values.read));
    }
    for (let round = 1; round <= Number(values.rounds); round++) {
      console.error(`round ${round} of ${values.rounds}`);
      for (const inFlight of points) {
        for (const side of round % 2 === 1 ? sides : sides.toReversed()) await measure(side, inFlight, values.read);
      }
    }
    const what = values.read ? "linearizable reads" : "committed writes";
    const page = [
      `# Bench: ${what}`,
      `Medians of ${values.rounds} rounds of about ${values.seconds} s, ${size}-byte values, 3 members each, mutual TLS, fsync on.`,
      `Machine: ${machine}`,
      `Command: \`node bench/run.ts commits ${args.join(" ")}\``,
      rateTable(sides, points),
      `Spent per 1,000 ${values.read ? "reads" : "commits"}, busiest member first:`,
      costTable(sides, points),
      sides.map(memoryLine).join("; "),
    ].join("\n\n");
    console.log(page);
    if (values.out !== undefined) writeFileSync(values.out, `${page}\n`);
  } finally {
    await stop();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupted);
  }
}
