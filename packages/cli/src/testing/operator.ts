/**
 * An operator at a terminal, for process tests: a temporary AETHER_HOME, a cluster file, and the real command. Everything that was
 * started is ended by its recorded pid and start time, also when a test fails half-way.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { awaitEnd, signalProcess } from "@aether/cloud/local/process-table";
import type { InstanceRecord } from "@aether/cloud/local/registry";
import type { Journal } from "../bootstrap/journal.ts";
import { builtCommand, compileCache } from "./built-command.ts";

const runMs = 90_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly process: ChildProcess;
  /** What it has printed so far. */
  stderr(): string;
  stdout(): string;
  /** Resolves when stderr holds the text; rejects when it ends without. */
  sees(text: string): Promise<void>;
  readonly ended: Promise<Ended>;
}

export class Operator {
  readonly folder: string;
  readonly home: string;
  readonly file: string;
  readonly cluster: string;

  /** `toml` is the cluster file; `{name}` in it stands for this cluster's own name. */
  constructor(cluster: string, toml: string) {
    this.folder = mkdtempSync(join(tmpdir(), "aether-cli-"));
    this.home = join(this.folder, "home");
    this.cluster = cluster;
    this.file = join(this.folder, "cluster.toml");
    writeFileSync(this.file, toml.replaceAll("{name}", cluster));
  }

  /** Begins `aether WORDS` without waiting for it. */
  begin(words: readonly string[], env: Record<string, string> = {}): Running {
    const child = spawn(process.execPath, [builtCommand, ...words], {
      env: { PATH: process.env["PATH"], HOME: this.folder, AETHER_HOME: this.home, NODE_COMPILE_CACHE: compileCache, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const text = { out: "", err: "" };
    const watchers = new Set<() => void>();
    child.stdout.on("data", (chunk: Buffer) => (text.out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => {
      text.err += chunk.toString();
      for (const look of watchers) look();
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), runMs);
    const ended = new Promise<Ended>((resolve) => {
      child.once("close", (code, signal) => {
        clearTimeout(timer);
        resolve({ code, signal, stdout: text.out, stderr: text.err });
        for (const look of watchers) look();
      });
    });
    return {
      process: child,
      ended,
      stderr: () => text.err,
      stdout: () => text.out,
      sees: (wanted) =>
        new Promise((resolve, reject) => {
          const look = (): void => {
            if (text.err.includes(wanted)) resolve();
            else if (child.exitCode !== null) reject(new Error(`ended with ${child.exitCode} before "${wanted}":\n${text.err}`));
          };
          watchers.add(look);
          look();
        }),
    };
  }

  /** Runs `aether WORDS` to its end. */
  run(...words: readonly string[]): Promise<Ended> {
    return this.begin(words).ended;
  }

  /** Runs it, expects exit code 0, and parses its output as JSON. */
  async json<A>(...words: readonly string[]): Promise<A> {
    const ended = await this.run(...words, "-o", "json");
    if (ended.code !== 0) throw new Error(`aether ${words.join(" ")} ended with ${ended.code}:\n${ended.stderr}`);
    return JSON.parse(ended.stdout) as A;
  }

  bootstrap(): Promise<Ended> {
    return this.run("cluster", "bootstrap", "--config", this.file);
  }

  get clusterFolder(): string {
    return join(this.home, "clusters", this.cluster);
  }

  journal(): Journal {
    return JSON.parse(readFileSync(join(this.clusterFolder, "bootstrap.json"), "utf8")) as Journal;
  }

  instances(): readonly InstanceRecord[] {
    const folder = join(this.clusterFolder, "instances");
    if (!existsSync(folder)) return [];
    const files = readdirSync(folder).filter((name) => name.endsWith(".json") && !name.startsWith("."));
    return files.toSorted().map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as InstanceRecord);
  }

  /** Another AETHER_HOME with the same contexts, to be somebody else in. */
  copyContexts(change: (config: string) => string): string {
    const home = join(this.folder, "another-home");
    cpSync(join(this.home, "config.toml"), join(home, "config.toml"));
    writeFileSync(join(home, "config.toml"), change(readFileSync(join(home, "config.toml"), "utf8")));
    return home;
  }

  /** Ends every recorded process, and only those, and removes the folder. */
  async dispose(): Promise<void> {
    for (const { process: target } of this.instances()) {
      if (target !== null && signalProcess(target, "SIGKILL")) await awaitEnd(target, 5_000);
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
