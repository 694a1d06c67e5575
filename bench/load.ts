/** What a bench asks of a cluster, whoever made it, and the programs that make the load. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface LoadOptions {
  readonly inFlight: number;
  /** Requests that are timed. */
  readonly total: number;
  /** Requests before them, untimed. Default: a tenth of `total`, at least 1,000. */
  readonly warm?: number;
  /** Bytes a value. Default 256. */
  readonly size?: number;
  /** Distinct keys, written one after the other from `from` on. Default 10,000 from 0. */
  readonly keys?: number;
  readonly from?: number;
  readonly read?: boolean;
  /** Each request in a message of its own, also those that are asked in the same turn. etcd's client never does otherwise. */
  readonly onePerMessage?: boolean;
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

/** When a probe's write was asked and when it was acknowledged, Unix milliseconds. */
export interface ProbeSample {
  readonly asked: number;
  readonly acknowledged: number;
  /** Place of the member that it went through. */
  readonly place: number;
}

/** Writes at a steady pace through every member, each by itself and never repeated. */
export interface Probe {
  /** Those acknowledged so far, in the order of their acknowledgement. */
  readonly samples: readonly ProbeSample[];
  stop(): Promise<void>;
}

export interface BenchMember {
  readonly name: string;
  /** Null while it does not run. */
  readonly pid: number | null;
}

export interface BenchCluster {
  readonly members: readonly BenchMember[];
  /** Of the members that run. */
  readonly pids: readonly number[];
  load(o: LoadOptions): Promise<LoadResult>;
  /** `everyMs` between two writes through the same member. Resolves when writes are acknowledged. */
  probe(everyMs: number): Promise<Probe>;
  /** Place of the leader in `members`. */
  leader(): Promise<number>;
  /** What the member says of itself; null when it does not answer. `first` is the oldest entry of its log, where it says so. */
  facts(place: number): Promise<{ readonly applied: number; readonly first: number } | null>;
  /** Whether a linearizable read through this member was answered just now. */
  serves(place: number): Promise<boolean>;
  /** Unix milliseconds of the log line that says that its consensus runs, since the last start(); null before. */
  consensusSince(place: number): number | null;
  start(place: number): void;
  /** Has a backup made; resolves when it is recorded. Not every cluster makes any. */
  backUp?(): Promise<{ readonly things: number }>;
  /** SIGKILL waits until the process is gone. */
  signal(place: number, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): Promise<void>;
  /** Ends the members and removes what they wrote. */
  stop(): Promise<void>;
}

/** A load of a few thousand requests takes seconds; it is ended, and fails, when it takes longer than this and 5 ms a request. */
const loadMaxMs = 120_000;
const perRequestMaxMs = 5;
const probeReadyMaxMs = 20_000;
const complaintsMax = 2_000;
/** A client that was just started runs code that nobody has compiled yet; etcd's is a Go program and needs it less. */
const warmMin = 1_000;

const flag = (name: string, value: number | undefined): string[] => (value === undefined ? [] : [`--${name}`, String(value)]);

/** The options that both load programs take. */
export function loadArguments(o: LoadOptions): string[] {
  return [
    ...flag("in-flight", o.inFlight),
    ...flag("total", o.total),
    ...flag("warm", o.warm ?? Math.max(warmMin, Math.floor(o.total / 10) + 1)),
    ...flag("size", o.size),
    ...flag("keys", o.keys),
    ...flag("from", o.from),
    ...(o.read === true ? ["--read"] : []),
  ];
}

/** Runs a load program that prints one line of JSON. */
export function runLoad(program: string, args: readonly string[], o: LoadOptions): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args, ...loadArguments(o)], { stdio: ["ignore", "pipe", "inherit"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), loadMaxMs + o.total * perRequestMaxMs);
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

/** Runs a load program in its probe mode: a line `asked acknowledged place` per acknowledged write, until its input is closed. */
export async function runProbe(program: string, args: readonly string[], everyMs: number): Promise<Probe> {
  const child = spawn(program, [...args, "--probe", String(everyMs)], { stdio: ["pipe", "pipe", "pipe"] });
  // Clients complain of every member that is killed under them; it matters when nothing works.
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => (complaints = `${complaints}${chunk.toString()}`.slice(-complaintsMax)));
  const samples: ProbeSample[] = [];
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  const ready = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${program}: nothing acknowledged; ${complaints}`)), probeReadyMaxMs);
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`${program} --probe ended with ${code}: ${complaints}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [asked = Number.NaN, acknowledged = Number.NaN, place = Number.NaN] = line.split(" ").map(Number);
      samples.push({ asked, acknowledged, place });
      clearTimeout(timer);
      resolve();
    });
  });
  try {
    await ready;
  } catch (cause) {
    child.kill("SIGKILL");
    await ended;
    throw cause;
  }
  return { samples, stop };
}
