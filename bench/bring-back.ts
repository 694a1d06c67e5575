/**
 * A backup's rows brought into an empty cluster, as its operator does it with `aether cluster bootstrap --from-backup`, beside etcd's snapshot
 * of as many keys, restored at three members, which are then started.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lone } from "./backup.ts";
import { etcdctlThere, startEtcd } from "./etcd/etcd-cluster.ts";
import { fill } from "./fill.ts";
import type { BringBackData } from "./results.ts";
import { say, type Stage } from "./stage.ts";

const roundsMax = 3;
/** Bytes of a value: a row of 600. */
const valueBytes = 560;
const cli = join(import.meta.dirname, "../packages/cli/dist/aether.js");
const toml = '[cluster]\nname = "bench"\nsize = 3\n\n[cloud]\nprovider = "local"\n\n[backup]\nenabled = false\n';

export async function measureBringBack(stage: Stage): Promise<BringBackData> {
  if (!existsSync(cli)) throw new Error(`there is no ${cli}: npm run build makes it`);
  const { quick, etcd } = stage.options;
  const rows = quick ? 5_000 : 100_000;
  const rounds = Math.min(roundsMax, stage.options.rounds);
  const folder = mkdtempSync(join(tmpdir(), "aether-bench-restore-"));
  try {
    await lone(folder, rows);
    const aether: BringBackData["aether"] = { verifyMs: [], restoreMs: [], totalMs: [] };
    for (let round = 0; round < rounds; round++) {
      const { verifyMs, restoreMs, totalMs } = await bootstrap(join(folder, "backup.git"), join(folder, `home-${round}`));
      aether.verifyMs.push(verifyMs);
      aether.restoreMs.push(restoreMs);
      aether.totalMs.push(totalMs);
      say(`${rows} rows: verified in ${verifyMs} ms, restored in ${restoreMs} ms, bootstrap in all ${totalMs} ms`);
    }
    const peer = etcd && etcdctlThere() ? await etcdRestores(join(folder, "etcd"), rows, rounds) : null;
    if (peer === null) say("etcd is left out: etcdctl (Debian's etcd-client) is not here, or was not wanted");
    return { rows, aether, etcd: peer };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Bootstrapped {
  readonly verifyMs: number;
  /** From when the empty cluster is there until all is restored. */
  readonly restoreMs: number;
  readonly totalMs: number;
}

/** A new cluster of three from the repository; it is destroyed afterwards. */
async function bootstrap(repository: string, home: string): Promise<Bootstrapped> {
  mkdirSync(home);
  const file = join(home, "cluster.toml");
  writeFileSync(file, toml);
  const began = performance.now();
  /** When each step was first spoken of, by its number. */
  const steps = new Map<number, number>();
  try {
    await run(["cluster", "bootstrap", "--config", file, "--from-backup", repository, "--timeout", "10m"], home, (text) => {
      for (const [, step] of text.matchAll(/^\[ *(\d+)\/14\]/gm)) {
        const number = Number(step);
        if (!steps.has(number)) steps.set(number, performance.now());
      }
    });
    const totalMs = Math.round(performance.now() - began);
    const between = (from: number, to: number): number => Math.round((steps.get(to) ?? NaN) - (steps.get(from) ?? NaN));
    return { verifyMs: between(5, 6), restoreMs: between(13, 14), totalMs };
  } finally {
    await run(["cluster", "destroy", "bench", "--yes"], home, () => undefined);
  }
}

/** Rejects, with its words, when it fails. `onText` sees all that it has said so far. */
function run(args: readonly string[], home: string, onText: (text: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, ...args], {
      env: { ...process.env, AETHER_HOME: home },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      onText(said);
    });
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`aether ${args.join(" ")} ended with ${code}: ${said}`)),
    );
  });
}

async function etcdRestores(folder: string, rows: number, rounds: number): Promise<NonNullable<BringBackData["etcd"]>> {
  const cluster = await startEtcd(folder);
  try {
    await fill({ name: "etcd", cluster }, { events: rows, keys: rows, size: valueBytes });
    const snapshot = join(folder, "snapshot.db");
    const measured = { saveMs: await cluster.saveSnapshot(snapshot), restoreMs: [] as number[], servesMs: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      const { restoreMs, servesMs } = await cluster.restoreSnapshot(snapshot);
      measured.restoreMs.push(restoreMs);
      measured.servesMs.push(servesMs);
      say(`etcd: restored in ${Math.round(restoreMs)} ms, serves after ${Math.round(servesMs)} ms`);
    }
    return measured;
  } finally {
    await cluster.stop();
  }
}
