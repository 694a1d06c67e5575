/** What a soak leaves behind: one record a run, in a JSON file that only grows. docs/trust.md shows their sums. */
import { execFileSync } from "node:child_process";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { table } from "../page.ts";

export const soakRecords = join(import.meta.dirname, "../../results/soak.json");

export interface BrokenLife {
  readonly seed: number;
  readonly message: string;
}

export interface SoakRecord {
  /** Names the run: it is written more than once while it goes on. */
  readonly run: string;
  /** Commit id of what was lived; "+" when files had been changed since. */
  readonly commit: string;
  readonly machine: string;
  /** The first seed, and the last that was begun. */
  readonly from: number;
  readonly to: number;
  readonly lives: number;
  readonly broken: readonly BrokenLife[];
  readonly virtualS: number;
  readonly steps: number;
  readonly wallS: number;
  /** Of all threads. */
  readonly cpuS: number;
  /** What a life counts (LifeReport.counts), summed over all lives. */
  readonly counts: Readonly<Record<string, number>>;
}

export async function readRecords(path = soakRecords): Promise<readonly SoakRecord[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "[]";
    throw error;
  });
  return JSON.parse(text) as SoakRecord[];
}

const triesMax = 100;
const betweenTriesMs = 100;

/** Adds the record, or puts it in place of an earlier one of its run. Whole or not at all, also when two soaks end together. */
export async function putRecord(record: SoakRecord, path = soakRecords): Promise<void> {
  const lock = `${path}.lock`;
  for (let tries = 1; !(await taken(lock)); tries++) {
    if (tries >= triesMax) throw new Error(`${lock} stays: if no soak is writing, remove it`);
    await sleep(betweenTriesMs);
  }
  try {
    const others = (await readRecords(path)).filter(({ run }) => run !== record.run);
    await writeFile(`${path}.new`, `${JSON.stringify([...others, record], null, 2)}\n`);
    await rename(`${path}.new`, path);
  } finally {
    await rm(lock);
  }
}

/** Makes the file, if it was not there. */
const taken = (lock: string): Promise<boolean> =>
  writeFile(lock, String(process.pid), { flag: "wx" }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return false;
      throw error;
    },
  );

/** Counts that are faults, in the order of the page; others of the group "faults" follow under their own names. */
const faultNames: Readonly<Record<string, string>> = {
  "faults.crashes": "crashes of a process, at or between writes",
  "faults.wipes": "disks lost with their member",
  "faults.oldDisks": "machines back with an older image of their disk",
  "faults.pauses": "pauses of a process",
  "faults.partitions": "partitions",
  "network.lost": "messages lost",
  "network.repeated": "messages repeated",
  "network.clogged": "links clogged",
  "network.refused": "messages refused by a full link, or with nobody there",
  "disk.stalls": "disk stalls",
  "disk.errors": "disk errors",
  "faults.fullDisks": "disks that were full for a while",
  "faults.rot": "bits rotten in blocks of the log",
  "faults.rottenRows": "bits rotten in rows or snapshots",
  "faults.misdirected": "blocks written to another place",
  "network.cutShort": "frames cut short",
  "faults.transfers": "transfers of leadership asked for",
  "faults.growths": "nodes added",
  "faults.drains": "nodes drained or put back",
  "faults.leaves": "nodes that left for good",
  "faults.changes": "changes of membership beside these",
  "faults.refusedChanges": "of them refused by the rules",
  "faults.joints": "changes of several members at once",
};
/** Counted beside the faults, and none. */
const notFaults = new Set(["faults.steps"]);

/** The block "soak" of docs/trust.md. */
export function soakPage(records: readonly SoakRecord[]): string {
  if (records.length === 0) return "No run is recorded yet.";
  const counts = sumOf(records.map((record) => record.counts));
  const total = (value: (record: SoakRecord) => number): number => records.reduce((sum, record) => sum + value(record), 0);
  const lives = total((record) => record.lives);
  const broken = total((record) => record.broken.length);
  const hours = Math.round(total((record) => record.virtualS) / 3600);
  const asked = (counts["clients.done"] ?? 0) + (counts["clients.refused"] ?? 0) + (counts["clients.open"] ?? 0);
  const fault = ([key, count]: readonly [string, number]): [string, number] => [
    faultNames[key] ?? key.replace(/^faults\./, ""),
    count,
  ];
  const known = Object.keys(faultNames).map((key) => [key, counts[key] ?? 0] as const);
  const others = Object.entries(counts).filter(
    ([key]) => key.startsWith("faults.") && !(key in faultNames) && !notFaults.has(key),
  );
  const facts = [
    ["lives", lives],
    ["of them broken", broken],
    ["hours of virtual time", hours],
    ["events", total((record) => record.steps)],
    ["entries applied", counts["history.applied"] ?? 0],
    ["elections won", counts["history.elections"] ?? 0],
    ["requests of clients", asked],
    ["states compared at equal index", counts["history.compared"] ?? 0],
  ] as const;
  const runs = records.map(({ run, commit, from, to, ...record }) => [
    run,
    commit.slice(0, 9) + (commit.endsWith("+") ? "+" : ""),
    `${from} to ${to}`,
    record.lives,
    record.broken.length,
    Math.round(record.wallS / 60),
    Math.round(record.cpuS / 60),
  ]);
  return [
    `${records.length} ${records.length === 1 ? "run" : "runs"} on ${[...new Set(records.map((r) => r.machine))].join("; ")}.`,
    table(["lived", "count"], facts),
    table(["fault", "injected"], [...known, ...others].map(fault)),
    table(["run, begun", "commit", "seeds", "lives", "broken", "minutes", "CPU minutes"], runs),
  ].join("\n\n");
}

export function sumOf(of: Iterable<Readonly<Record<string, number>>>): Record<string, number> {
  const total: Record<string, number> = {};
  for (const one of of) for (const [name, value] of Object.entries(one)) total[name] = (total[name] ?? 0) + value;
  return total;
}

/** Commit id of the checkout, with "+" when a package has been changed since; "unknown" without git. */
export function commitOf(folder: string): string {
  const git = (...args: readonly string[]): string =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    const changed = git("status", "--porcelain", "--", "packages/*/src/*");
    return git("rev-parse", "HEAD") + (changed === "" ? "" : "+");
  } catch {
    return "unknown";
  }
}

export function machineLine(): string {
  const cpu = cpus();
  return `${cpu.length} × ${cpu[0]?.model.trim() ?? "CPU"}, Linux ${release()}, Node ${process.versions.node}`;
}
