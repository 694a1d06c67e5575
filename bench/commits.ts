/**
 * Committed writes per second and latency quantiles at several numbers in flight, Aether beside etcd 3.4 in the same run:
 * three members each on loopback, mutual TLS, fsync on, 256-byte values, alternating, medians over rounds.
 *
 *   npm run bench -- commits [--rounds 5] [--in-flight 1,16,64,256,1000] [--seconds 3] [--read] [--no-etcd]
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { deriveCa } from "@aether/node/identity/cluster-ca";
import { type AetherCluster, startAether } from "./aether-cluster.ts";
import { etcdMissing, type EtcdCluster, type LoadResult, startEtcd } from "./etcd/etcd-cluster.ts";

interface Side {
  readonly name: string;
  readonly cluster: AetherCluster | EtcdCluster;
  /** Per number in flight: how many requests a round, and one result a round. */
  readonly totals: Map<number, number>;
  readonly results: Map<number, LoadResult[]>;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const settle = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function etcdSide(folder: string): Promise<Side | undefined> {
  const missing = etcdMissing();
  if (missing !== undefined) {
    console.log(`skipped: the etcd side, because ${missing}`);
    return undefined;
  }
  const ca = await deriveCa("bench", "bench");
  const leaf = await ca.issue({ clusterId: "0".repeat(32), role: "member", name: "etcd", hosts: ["127.0.0.1", "localhost"], days: 2 });
  const path = (name: string, pem: string): string => {
    const file = join(folder, name);
    writeFileSync(file, pem, { mode: 0o600 });
    return file;
  };
  const tls = { ca: path("ca.pem", ca.certificate), certificate: path("cert.pem", leaf.certificate), key: path("key.pem", leaf.key) };
  return { name: "etcd", cluster: await startEtcd(folder, 23_790, tls), totals: new Map(), results: new Map() };
}

/** Enough requests for the wanted seconds, judged by a short first run. */
async function sized(side: Side, inFlight: number, seconds: number, read: boolean): Promise<number> {
  const probe = await side.cluster.load({ inFlight, total: Math.max(200, inFlight * 4), size: 256, read });
  return Math.max(200, inFlight * 4, Math.round(probe.perSecond * seconds));
}

function machineLine(): string {
  const cpu = cpus();
  const load = readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 1).join("");
  return `${cpu.length} × ${cpu[0]?.model ?? "unknown"}, ${Math.round(totalmem() / 2 ** 30)} GiB, node ${process.version}, load before ${load}`;
}

function table(sides: readonly Side[], points: readonly number[]): string {
  const [ours, peer] = sides;
  const cell = (side: Side, inFlight: number, key: keyof LoadResult): number =>
    median((side.results.get(inFlight) ?? []).map((result) => result[key]));
  const heads = ["in flight", ...sides.flatMap((s) => [`${s.name} /s`, "p50 ms", "p99 ms", "p99.9 ms"])];
  if (peer !== undefined) heads.push("rate ratio", "p50 ratio", "p99 ratio");
  const rows = points.map((k) => {
    const figures = sides.flatMap((s) => [
      Math.round(cell(s, k, "perSecond")).toString(),
      ...(["p50", "p99", "p999"] as const).map((key) => cell(s, k, key).toFixed(2)),
    ]);
    const ratios =
      ours !== undefined && peer !== undefined
        ? (["perSecond", "p50", "p99"] as const).map((key) => (cell(ours, k, key) / cell(peer, k, key)).toFixed(2))
        : [];
    return [k.toString(), ...figures, ...ratios];
  });
  return [heads, heads.map(() => "---:"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
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
    },
  });
  const points = values["in-flight"].split(",").map(Number);
  const rounds = Number(values.rounds);
  const machine = machineLine();
  const folder = mkdtempSync(join(tmpdir(), "aether-bench-"));
  const sides: Side[] = [];
  try {
    mkdirSync(join(folder, "home"));
    mkdirSync(join(folder, "etcd"));
    sides.push({ name: "aether", cluster: startAether(join(folder, "home"), 23_710), totals: new Map(), results: new Map() });
    const peer = values["no-etcd"] ? undefined : await etcdSide(join(folder, "etcd"));
    if (peer !== undefined) sides.push(peer);
    for (const inFlight of points) {
      for (const side of sides) {
        const total = await sized(side, inFlight, Number(values.seconds), values.read);
        side.results.set(inFlight, []);
        console.error(`${side.name} at ${inFlight} in flight: ${total} requests a round`);
        side.totals.set(inFlight, total);
      }
    }
    for (let round = 1; round <= rounds; round++) {
      for (const inFlight of points) {
        for (const side of round % 2 === 1 ? sides : sides.toReversed()) {
          await settle(300);
          const total = side.totals.get(inFlight) ?? 200;
          const result = await side.cluster.load({ inFlight, total, size: 256, read: values.read });
          side.results.get(inFlight)?.push(result);
          console.error(`round ${round}/${rounds} ${side.name} ${inFlight}: ${Math.round(result.perSecond)}/s p99 ${result.p99.toFixed(2)} ms`);
        }
      }
    }
  } finally {
    for (const side of sides) side.cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const what = values.read ? "linearizable reads" : "committed writes";
  console.log(`\n${what}, medians of ${rounds} rounds, 256-byte values, 3 members each, mutual TLS, fsync on\n${machine}\n`);
  console.log(table(sides, points));
}
