/**
 * Somebody at a terminal who types what a page says: bash in a folder of its own, with a HOME of its own, the real `aether`, and the
 * cluster file of the README as cluster.toml, with backups when they are asked for.
 */
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { awaitEnd, signalProcess } from "@aether/cloud/local/process-table";
import type { InstanceRecord } from "@aether/cloud/local/registry";
import { builtCommand, compileCache } from "./built-command.ts";

const fixtures = join(import.meta.dirname, "../../../../fixtures/clusters");
const runMs = 110_000;

export class PageShell {
  readonly folder = mkdtempSync(join(tmpdir(), "aether-page-"));
  private readonly env: Record<string, string>;

  constructor() {
    const bin = join(this.folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "aether"), `#!/bin/sh\nexec '${process.execPath}' '${builtCommand}' "$@"\n`);
    chmodSync(join(bin, "aether"), 0o755);
    // Typed lines may be long apart: a backup that comes by itself in between would be the newest one.
    const cluster = readFileSync(join(fixtures, "local.toml"), "utf8");
    writeFileSync(join(this.folder, "cluster.toml"), `${cluster}\n[backup]\ndebounce = "1h"\n`);
    const home = join(this.folder, "home");
    mkdirSync(home);
    this.env = {
      PATH: `${bin}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
      HOME: home,
      NODE_COMPILE_CACHE: compileCache,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_PAGER: "cat",
      LC_ALL: "C.UTF-8",
    };
  }

  /**
   * Runs a line to its end. `printed`: what stays on a terminal: steps, then what goes to stdout, then errors and hints; progress that is
   * shown in one place of a terminal and taken away again is left out.
   */
  run(text: string): Promise<{ readonly code: number | null; readonly printed: readonly string[] }> {
    const child = spawn("bash", ["-c", text], { cwd: this.folder, env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    const texts = { out: "", err: "" };
    child.stdout.on("data", (chunk: Buffer) => (texts.out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (texts.err += chunk.toString()));
    const timer = setTimeout(() => child.kill("SIGKILL"), runMs);
    return new Promise((resolve) => {
      child.once("close", (code) => {
        clearTimeout(timer);
        const errors = linesOf(texts.err);
        const steps = errors.filter((line) => /^\[ ?\d+\/\d+\] /.test(line));
        const said = errors.slice(errors.findIndex((line) => line.startsWith("error: ")));
        const printed = [...steps, ...linesOf(texts.out), ...(errors.some((line) => line.startsWith("error: ")) ? said : [])];
        resolve({ code, printed });
      });
    });
  }

  /** Ends every instance of every cluster that was made, and only those, and removes the folder. */
  async dispose(): Promise<void> {
    const clusters = join(this.folder, "home", ".aether", "clusters");
    for (const cluster of existsSync(clusters) ? readdirSync(clusters) : []) {
      const instances = join(clusters, cluster, "instances");
      const files = existsSync(instances) ? readdirSync(instances).filter((name) => /^[^.].*\.json$/.test(name)) : [];
      for (const file of files) {
        const { process: target } = JSON.parse(readFileSync(join(instances, file), "utf8")) as InstanceRecord;
        if (target !== null && signalProcess(target, "SIGKILL")) await awaitEnd(target, 5_000);
      }
    }
    // A medium that a page has made read-only.
    chmodSync(this.folder, 0o755);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

const linesOf = (text: string): readonly string[] => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));
