import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

const command = join(import.meta.dirname, "fake-cloud.ts");
let running: ChildProcess | null = null;
afterEach(() => {
  running?.kill("SIGKILL");
  running = null;
});

/** Resolves with all that it wrote until `enough` is in it. */
async function begin(words: readonly string[], enough: string): Promise<string> {
  const child = spawn(process.execPath, [command, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  running = child;
  let said = "";
  return new Promise((resolve) => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      if (said.includes(enough)) resolve(said);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("close", () => resolve(said));
  });
}

describe("npm run fake-cloud", () => {
  it("has a vendor answer until Ctrl-C, and tells what to export", async () => {
    const said = await begin(["hetzner"], "# Ctrl-C ends it");
    const env = new Map([...said.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, key = "", value = ""]) => [key, value]));
    expect([...env.keys()]).toEqual(expect.arrayContaining(["HCLOUD_TOKEN", "AETHER_BUNDLE_URL", "AETHER_HOME"]));
    const endpoint = env.get("AETHER_HETZNER_ENDPOINT") ?? "";
    const answer = await fetch(`${endpoint}/locations`, {
      headers: { authorization: `Bearer ${env.get("HCLOUD_TOKEN") ?? ""}` },
    });
    expect(answer.status).toBe(200);
    const file = /--config (\S+)/.exec(said)?.[1] ?? "";
    expect(existsSync(file)).toBe(true);
    if (running === null) throw new Error("it was begun");
    const ended = once(running, "exit");
    running.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
    expect(existsSync(dirname(file))).toBe(false);
  });

  it("names the vendors to somebody who asks for another", async () => {
    expect(await begin(["ibm"], "VENDOR is one of")).toContain("hetzner, aws, gcp, azure");
    if (running?.exitCode === null) await once(running, "exit");
    expect(running?.exitCode).toBe(2);
  });
});
