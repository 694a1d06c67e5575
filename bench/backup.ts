/**
 * Backups beside git's own tools on the same tree, in the same run: bench/lone-backup.ts, which is a store without a cluster, and what
 * commits of a cluster take while its leader makes a full backup.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { daemonNodeOptions } from "@aether/node/daemon/node-options";
import type { BackupData, Window } from "./results.ts";
import { windowOf } from "./snapshot.ts";
import { pause, say, type Stage } from "./stage.ts";
import { median } from "./statistics.ts";

const program = join(import.meta.dirname, "lone-backup.ts");
const changes = 100;
/** Through every member: 1,500 writes a second of three. */
const everyMs = 2;
/** Bytes of a value: a row of 600. */
const valueBytes = 560;
const roundsMax = 3;
/** A cluster takes 100,000 settings, and has some from the start. */
const roomOf = 100;

/** One line of bench/lone-backup.ts. */
interface LoneLife {
  readonly first: { readonly ms: number; readonly cpuMs: number; readonly bytes: number; readonly turnMsP99: number };
  readonly took: readonly number[];
  readonly cpu: readonly number[];
  readonly packing: { readonly count: number; readonly ms: number };
}

export async function measureBackup(stage: Stage): Promise<BackupData> {
  const { quick } = stage.options;
  const rows = quick ? 5_000 : 100_000;
  const rounds = Math.min(roundsMax, stage.options.rounds);
  const folder = mkdtempSync(join(tmpdir(), "aether-bench-backup-"));
  try {
    const first: BackupData["first"] = { ms: [], pacedMs: [], cpuMs: [], bytes: [], fastImportMs: [], addCommitMs: [] };
    const incremental = [rows / 10, rows].map((each) => ({ rows: each, ms: [] as number[], cpuMs: [] as number[] }));
    for (let round = 0; round < rounds; round++) {
      for (const side of incremental) {
        const dir = mkdtempSync(join(folder, "lone-"));
        const stream = join(dir, "stream");
        const life = await live(dir, side.rows, quick ? 20 : 60, ["--stream", stream]);
        side.ms.push(median(life.took));
        side.cpuMs.push(median(life.cpu));
        say(`${side.rows} rows: first ${life.first.ms} ms, then ${median(life.took)} ms for ${changes} changes`);
        if (side.rows === rows) {
          first.ms.push(life.first.ms);
          first.cpuMs.push(life.first.cpuMs);
          first.bytes.push(life.first.bytes);
          first.fastImportMs.push(await fastImport(dir, stream));
          if (round === 0) first.addCommitMs.push(await addAndCommit(dir));
          const paced = await live(mkdtempSync(join(folder, "lone-")), rows, 0, ["--paced"]);
          first.pacedMs.push(paced.first.ms);
          say(`at its own pace ${paced.first.ms} ms; git fast-import ${first.fastImportMs.at(-1)} ms`);
        }
        rmSync(dir, { recursive: true });
      }
    }
    const repository = await sizes(mkdtempSync(join(folder, "lone-")), quick ? 1_000 : 10_000, quick ? 60 : 1_000);
    const commits = await besideCommits(stage, rows - roomOf, quick ? 3_000 : 15_000);
    return { rows, changes, first, incremental, repository, commits };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes a repository with one backup of so many rows: `backup.git` in the folder. */
export async function lone(dir: string, rows: number): Promise<void> {
  await live(dir, rows, 0, []);
}

async function live(dir: string, rows: number, incrementals: number, more: readonly string[]): Promise<LoneLife> {
  const args = ["--dir", dir, "--rows", `${rows}`, "--incrementals", `${incrementals}`, "--changes", `${changes}`, ...more];
  return JSON.parse(await run(process.execPath, [...daemonNodeOptions, program, ...args])) as LoneLife;
}

/** What the program said. Rejects when it fails. `input`: a file. */
function run(command: string, args: readonly string[], input?: string): Promise<string> {
  const fd = input === undefined ? null : openSync(input, "r");
  const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
  return new Promise<string>((resolve, reject) => {
    const child = spawn(command, args, { stdio: [fd ?? "ignore", "pipe", "inherit"], env });
    let out = "";
    child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve(out) : reject(new Error(`${command} ${args.join(" ")} ended with ${code}`)),
    );
  }).finally(() => fd !== null && closeSync(fd));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return Math.round(performance.now() - began);
}

/** The same files with the same contents, git reading them from one stream. */
async function fastImport(dir: string, stream: string): Promise<number> {
  const target = join(dir, "imported.git");
  await run("git", ["init", "--quiet", "--bare", target]);
  return timed(() => run("git", ["-C", target, "fast-import", "--quiet"], stream));
}

/** The same files as files, added and committed. */
async function addAndCommit(dir: string): Promise<number> {
  const target = join(dir, "added");
  await run("git", ["clone", "--quiet", join(dir, "imported.git"), target, "--branch", "main"]);
  rmSync(join(target, ".git"), { recursive: true });
  await run("git", ["-C", target, "init", "--quiet"]);
  const who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
  return timed(async () => {
    await run("git", ["-C", target, "add", "--all"]);
    await run("git", ["-C", target, ...who, "commit", "--quiet", "--message", "all"]);
  });
}

/** After many backups, packed as the leader packs them: its bytes, and those that git makes of a clone. */
async function sizes(dir: string, rows: number, backups: number): Promise<BackupData["repository"]> {
  const life = await live(dir, rows, backups, []);
  const [ours, clone] = [join(dir, "backup.git"), join(dir, "clone.git")];
  const complaints = await run("git", ["-C", ours, "fsck", "--strict", "--no-dangling"]);
  if (complaints !== "") throw new Error(`git says of the repository: ${complaints.slice(0, 500)}`);
  await run("git", ["clone", "--quiet", "--bare", "--no-local", ours, clone]);
  await run("git", ["-C", clone, "gc", "--quiet", "--prune=now"]);
  const [bytes, gcBytes] = [packBytes(ours), packBytes(clone)];
  say(
    `after ${backups} backups: ${bytes} bytes, ${gcBytes} after git gc; ${life.packing.count} times packed, ${life.packing.ms} ms`,
  );
  return { rows, backups, bytes, gcBytes, packed: life.packing.count, packedMs: life.packing.ms, p50Ms: median(life.took) };
}

const packBytes = (repository: string): number => {
  const packs = join(repository, "objects/pack");
  return readdirSync(packs).reduce((total, name) => total + statSync(join(packs, name)).size, 0);
};

/** Writes at a steady pace through every member, before and while the leader makes a backup of all rows. */
async function besideCommits(stage: Stage, rows: number, ms: number): Promise<BackupData["commits"]> {
  const cluster = await stage.aether();
  if (cluster.backUp === undefined) throw new Error("this cluster makes no backups");
  await cluster.load({ inFlight: 1_000, total: rows, warm: 0, keys: rows, size: valueBytes });
  const probe = await cluster.probe(everyMs);
  try {
    const window = (from: number, to: number): Window => windowOf(probe, -1, from, to);
    await pause(ms / 3);
    const before = Date.now();
    await pause(ms);
    const without = window(before, Date.now());
    const from = Date.now();
    const { things } = await cluster.backUp();
    const during = window(from, Date.now());
    if (things < rows) throw new Error(`a backup of ${things} things, where there are ${rows}`);
    say(
      `commits: p99 ${without.p99.toFixed(1)} ms, and ${during.p99.toFixed(1)} ms in ${during.seconds.toFixed(1)} s of a full backup`,
    );
    return { rows, everyMs, without, during };
  } finally {
    await probe.stop();
    await cluster.stop();
  }
}
