/** What the numbers were measured on. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";

/** One line; the load is what else the machine did just before. */
export function machineLine(): string {
  const cpu = cpus();
  const load = readFileSync("/proc/loadavg", "utf8").split(" ")[0];
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpu.length} × ${cpu[0]?.model ?? "unknown"}, ${memory} GiB, node ${process.version}, load average before: ${load}`;
}

/** Short id of the checkout's commit, with a plus when files differ from it; "unknown" outside a checkout. */
export function commitLine(): string {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: import.meta.dirname, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "--untracked-files=no", "--", "../packages") === "" ? "" : "+"}`;
  } catch {
    return "unknown";
  }
}
