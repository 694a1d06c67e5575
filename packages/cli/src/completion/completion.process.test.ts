import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { builtCommand } from "../testing/built-command.ts";

describe("completion in bash", () => {
  const folder = mkdtempSync(join(tmpdir(), "aether-complete-"));
  const home = join(folder, "home");
  const env = { PATH: `${folder}:${dirname(process.execPath)}:${process.env["PATH"]}`, AETHER_HOME: home };
  beforeAll(() => {
    writeFileSync(join(folder, "aether-run.sh"), `#!/bin/sh\nexec "${process.execPath}" "${builtCommand}" "$@"\n`, {
      mode: 0o755,
    });
    symlinkSync("aether-run.sh", join(folder, "aether"));
    mkdirSync(home);
    const fields = 'cluster = "x"\ncluster_id = "0"\nendpoints = []\nca = "c"\ncertificate = "d"\nkey = "e"\n';
    writeFileSync(join(home, "config.toml"), `current = "prod"\n[contexts.prod]\n${fields}[contexts.staging]\n${fields}`);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What a TAB after this line offers. */
  const tab = (line: string): readonly string[] => {
    const words = line.split(" ");
    const script = [
      `source <(aether completion bash)`,
      `COMP_WORDS=(${words.map((word) => JSON.stringify(word)).join(" ")}); COMP_CWORD=${words.length - 1}`,
      `_aether; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ].join("\n");
    const run = spawnSync("bash", ["--norc", "--noprofile", "-c", script], { env, encoding: "utf8" });
    expect(run).toMatchObject({ status: 0, stderr: "" });
    return run.stdout.split("\n").filter(Boolean);
  };

  it("knows the commands at every level, and none that is for scripts", () => {
    expect(tab("aether ")).toEqual(expect.arrayContaining(["cluster", "node", "settings", "events", "version"]));
    expect(tab("aether ")).not.toContain("__complete");
    expect(tab("aether cluster st")).toEqual(["status", "start", "stop"]);
    expect(tab("aether -o json cluster b")).toEqual(["bootstrap"]);
  });

  it("knows the flags of a command, and the words that a flag takes", () => {
    expect(tab("aether events --fo")).toEqual(["--follow", "--for"]);
    expect(tab("aether cluster status -o j")).toEqual(["json"]);
  });

  it("asks for names that only files and clusters know", () => {
    expect(tab("aether context use st")).toEqual(["staging"]);
    expect(tab("aether cluster status --context p")).toEqual(["prod"]);
  });

  it.each(["bash", "zsh"])("is a script that %s can parse, where it is installed", (shell) => {
    const script = spawnSync(process.execPath, [builtCommand, "completion", shell], { env, encoding: "utf8" }).stdout;
    expect(script).toContain("cluster");
    const parsed = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" });
    if (parsed.error !== undefined) return console.warn(`skipped: ${shell} is not installed`);
    expect(parsed).toMatchObject({ status: 0, stderr: "" });
  });

  it("gives fish every command with its words", () => {
    const script = spawnSync(process.execPath, [builtCommand, "completion", "fish"], { env, encoding: "utf8" }).stdout;
    expect(script).toContain("-a bootstrap -d 'Make a cluster from one file, in twelve steps'");
    expect(script).toContain("-a '(aether __complete node 2>/dev/null)'");
    const parsed = spawnSync("fish", ["--no-execute"], { input: script, encoding: "utf8" });
    if (parsed.error === undefined) expect(parsed).toMatchObject({ status: 0, stderr: "" });
  });
});
