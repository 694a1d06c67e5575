/** What a bench asks of a cluster, whoever made it: the load on it, and the process that makes the load. */
import { spawn } from "node:child_process";

export interface LoadOptions {
  readonly inFlight: number;
  /** Requests that are timed; a tenth as many go before them, untimed. */
  readonly total: number;
  /** Bytes a value. */
  readonly size: number;
  readonly read: boolean;
}

/** Rates per second, latencies in milliseconds. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Requests in all, those of the warm-up included. */
  readonly count: number;
}

export interface BenchCluster {
  /** The members' processes. */
  readonly pids: readonly number[];
  load(o: LoadOptions): Promise<LoadResult>;
  /** Ends the members and removes what they wrote. */
  stop(): Promise<void>;
}

/** A load takes seconds; one that takes longer than this is ended, and fails. */
const loadMaxMs = 120_000;

/** Runs a load program that takes --in-flight, --total, --size and --read and prints one line of JSON. */
export function runLoad(program: string, args: readonly string[], o: LoadOptions): Promise<LoadResult> {
  const options = ["--in-flight", String(o.inFlight), "--total", String(o.total), "--size", String(o.size)];
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args, ...options, ...(o.read ? ["--read"] : [])], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), loadMaxMs);
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(JSON.parse(out) as LoadResult);
      else reject(new Error(`${program} ended with ${code ?? signal}: ${out}`));
    });
  });
}
