/** Replay of events on one core: bench/apply.ts, which runs without a cluster but as a daemon's process, and what it printed. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { daemonNodeOptions } from "@aether/node/daemon/node-options";
import type { ReplayData } from "./results.ts";

const program = join(import.meta.dirname, "apply.ts");

export async function measureReplay(): Promise<ReplayData> {
  const text = await new Promise<string>((resolve, reject) => {
    const child = spawn(process.execPath, [...daemonNodeOptions, program], { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      process.stderr.write(chunk);
    });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve(out) : reject(new Error(`${program} ended with ${code}`))));
  });
  const lines = text.split("\n").filter((line) => line !== "");
  return { lines, perSecond: replayRate(lines) };
}

/** The rate of the line that begins with "replay"; null when there is none. */
export function replayRate(lines: readonly string[]): number | null {
  const line = lines.find((text) => /^replay\b/i.test(text));
  const rate = line === undefined ? undefined : /([\d,]+)\/s/.exec(line)?.[1];
  return rate === undefined ? null : Number(rate.replaceAll(",", ""));
}
