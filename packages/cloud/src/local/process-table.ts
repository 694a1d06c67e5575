/**
 * Processes by what cannot be confused: a pid together with the time it started. A pid alone is reused by the system
 * sooner or later, and a signal would then hit a stranger. Reads Linux's /proc.
 */
import { readFileSync, readdirSync } from "node:fs";
import { errnoOf } from "./durable-file.ts";

export interface ProcessId {
  readonly pid: number;
  /** First 8 digits of the boot id, "-", clock ticks since boot (proc(5): field 22 of stat). */
  readonly start: string;
}

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8);

/** When the process with this pid started, or null if there is none. A zombie is none: it only waits to be reaped. */
export function startOf(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ESRCH") return null;
    throw error;
  }
  // The command's name stands in parentheses and may hold anything, also spaces and ")".
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return null;
  return `${bootId()}-${fields[19]}`;
}

/** This very process. */
export function ownProcess(): ProcessId {
  const start = startOf(process.pid);
  if (start === null) throw new Error("/proc does not show this process");
  return { pid: process.pid, start };
}

export const isAlive = (process: ProcessId): boolean => startOf(process.pid) === process.start;

/** Sends the signal if it is still the same process; says whether it was. */
export function signalProcess(target: ProcessId, signal: "SIGTERM" | "SIGKILL"): boolean {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ESRCH") return false;
    throw error;
  }
}

/** Resolves true when the process has ended, false when it has not within `withinMs`. */
export async function awaitEnd(target: ProcessId, withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  while (isAlive(target)) {
    if (performance.now() >= until) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}

/**
 * Finds a process by two of its arguments standing together (`--config`, the file) and a line of its environment. This is
 * how an instance is found again when its starter died after the spawn and before it could write down the pid.
 */
export function findProcess(args: readonly [string, string], environment: string): ProcessId | null {
  const wanted = `\0${args[0]}\0${args[1]}\0`;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    const start = readProc(pid, "cmdline").includes(wanted) ? startOf(pid) : null;
    if (start !== null && readProc(pid, "environ").split("\0").includes(environment)) return { pid, start };
  }
  return null;
}

/** Empty for a process that has ended or belongs to someone else: neither can be ours. */
function readProc(pid: number, file: "cmdline" | "environ"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
