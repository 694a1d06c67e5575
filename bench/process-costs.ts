/**
 * What a group of processes spends: CPU seconds, bytes to disk and resident memory from /proc, and syncs (fsync and fdatasync)
 * counted by perf where it may be used. The same for every side, so that nobody's own counters are believed.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** Clock ticks a second of /proc/<pid>/stat: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;
const syncCalls = ["fdatasync", "fsync"];

/** Per process, in the order of the pids. `syncs` is null where perf cannot count them. */
export interface Costs {
  readonly cpuSeconds: readonly number[];
  readonly writtenBytes: readonly number[];
  readonly syncs: readonly (number | null)[];
}

/** utime and stime, fields 14 and 15; the name in field 2 may hold spaces, so count from its end. */
function cpuSecondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

const fieldOf = (pid: number, file: string, pattern: RegExp): number =>
  Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? Number.NaN);
const writtenBytesOf = (pid: number): number => fieldOf(pid, "io", /^write_bytes: (\d+)/m);

/** Resident memory, MiB. */
export const residentMiB = (pid: number): number => fieldOf(pid, "status", /^VmRSS:\s+(\d+)/m) / 1024;

/** Runs `f` and says what each process spent meanwhile. */
export async function costsOf<T>(pids: readonly number[], f: () => Promise<T>): Promise<{ result: T; costs: Costs }> {
  const counters = pids.map(countSyncs);
  const cpu = pids.map(cpuSecondsOf);
  const written = pids.map(writtenBytesOf);
  let result: T;
  try {
    result = await f();
  } catch (cause) {
    await Promise.all(counters.map((stop) => stop()));
    throw cause;
  }
  const cpuSeconds = pids.map((pid, i) => cpuSecondsOf(pid) - (cpu[i] ?? 0));
  const writtenBytes = pids.map((pid, i) => writtenBytesOf(pid) - (written[i] ?? 0));
  return {
    result,
    costs: { cpuSeconds, writtenBytes, syncs: await Promise.all(counters.map((stop) => stop())) },
  };
}

/** Counts until the function it gives is called, which answers null when perf could not count. */
function countSyncs(pid: number): () => Promise<number | null> {
  const events = syncCalls.map((call) => `syscalls:sys_enter_${call}`).join(",");
  const perf = spawn("perf", ["stat", "-x", ",", "-e", events, "-p", String(pid)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let out = "";
  perf.stderr.on("data", (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<void>((resolve) => {
    perf.on("error", () => resolve());
    perf.on("close", () => resolve());
  });
  return async () => {
    perf.kill("SIGINT");
    await ended;
    const counts = syncCalls.map((call) => new RegExp(`^(\\d+),[^\\n]*sys_enter_${call}`, "m").exec(out)?.[1]);
    return counts.includes(undefined) ? null : counts.reduce((sum, count) => sum + Number(count), 0);
  };
}
