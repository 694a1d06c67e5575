import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { spawn, type IPty } from "node-pty";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exit } from "./failure.ts";
import { builtCommand } from "../testing/built-command.ts";

const journal = {
  format: 1,
  name: "demo",
  provider: "local",
  state: "forming",
  createdAt: 0,
  configuration: {},
  settings: {
    raft: { tickMs: 50, electionTicks: 20, heartbeatTicks: 2 },
    history: { keep: 1000 },
    basePort: null,
    dataDir: null,
  },
  identity: null,
  formed: false,
  step: { number: 4, name: "look for an existing cluster", state: "failed", at: 0 },
};

describe("the command on a terminal", () => {
  let folder: string;
  let home: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "aether-tty-"));
    home = join(folder, "home");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const run = (words: readonly string[], env: Record<string, string> = {}) => {
    const pty: IPty = spawn(process.execPath, [builtCommand, ...words], {
      cols: 100,
      rows: 40,
      env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", AETHER_HOME: home, ...env },
    });
    let text = "";
    pty.onData((data) => (text += data));
    const ended = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)));
    return { pty, ended, text: () => text };
  };

  it("asks for the cluster's name before it destroys, and does nothing for another word", async () => {
    const root = join(home, "clusters/demo");
    mkdirSync(root, { recursive: true });
    writeFileSync(join(root, "bootstrap.json"), JSON.stringify(journal));
    const wrong = run(["cluster", "destroy", "demo"]);
    await expect.poll(wrong.text, { timeout: 10_000 }).toContain("Type demo to go on");
    wrong.pty.write("yes\r");
    expect(await wrong.ended).toBe(exit.rejected);
    expect(wrong.text()).toContain("not confirmed: nothing was changed");
    const right = run(["cluster", "destroy", "demo"]);
    await expect.poll(right.text, { timeout: 10_000 }).toContain("Type demo to go on");
    right.pty.write("demo\r");
    expect(await right.ended).toBe(exit.done);
    expect(right.text()).toContain("demo is destroyed");
  });

  it("draws the twelve steps as a list that changes in place", async () => {
    const file = join(folder, "cluster.toml");
    writeFileSync(file, '[cluster]\nname = "demo"\n\n[cloud]\nprovider = "hetzner"\n');
    const shown = run(["cluster", "bootstrap", "--config", file]);
    expect(await shown.ended).toBe(exit.usage);
    const frames = shown.text().split("\u001B[12A");
    expect(frames.length).toBeGreaterThanOrEqual(2);
    const last = stripVTControlCharacters(frames.at(-1) ?? "");
    expect(last).toContain("✗  1  validate configuration");
    expect(last).toContain("12  verify readiness");
    expect(shown.text()).toContain("\u001B[31m");
  });

  it.each([["NO_COLOR"], ["--no-color"], ["TERM"]])("prints no colour with %s", async (how) => {
    const words = ["context", "use", "nothing", ...(how === "--no-color" ? [how] : [])];
    const plain = run(words, how === "NO_COLOR" ? { NO_COLOR: "1" } : how === "TERM" ? { TERM: "dumb" } : {});
    expect(await plain.ended).toBe(exit.notFound);
    expect(plain.text()).toContain("error: there is no context");
    expect(plain.text()).not.toContain("\u001B[31m");
  });
});
