import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";

const command = join(import.meta.dirname, "fake-cloud.ts");
let running: ChildProcess | null = null;
/** Interrupted and not killed: after a test that failed half-way its machines would run on. */
afterEach(async () => {
  const left = running;
  running = null;
  if (left === null || left.exitCode !== null || left.signalCode !== null) return;
  const ended = once(left, "exit");
  left.kill("SIGINT");
  await ended;
}, 60_000);

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

const exportsIn = (said: string): Map<string, string> =>
  new Map([...said.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, key = "", value = ""]) => [key, value]));

/** Ctrl-C, and all of it is gone. */
async function interrupt(): Promise<void> {
  if (running === null) throw new Error("it was begun");
  const ended = once(running, "exit");
  running.kill("SIGINT");
  expect(await ended).toEqual([0, null]);
}

const repository = join(import.meta.dirname, "../../../..");
const aether = join(repository, "packages/cli/dist/aether.js");

/** The second block of commands below "In a cloud". */
function readmeLines(): readonly string[] {
  const [, section = ""] = readFileSync(join(repository, "README.md"), "utf8").split("## In a cloud\n");
  return (section.split("```sh\n")[2]?.split("\n```")[0] ?? "").split("\n");
}

/** A word of each answer, in the README's order. */
const expected = [
  "the token may create",
  "would make 3 machines",
  "cluster tryout is ready",
  "enrolled",
  "added n4",
  "tryout is destroyed: 4 instances",
  "no orphans",
];

describe("npm run fake-cloud", () => {
  it("has a vendor answer until Ctrl-C, and tells what to export", async () => {
    const said = await begin(["hetzner"], "# Ctrl-C ends it");
    const env = exportsIn(said);
    expect([...env.keys()]).toEqual(expect.arrayContaining(["HCLOUD_TOKEN", "AETHER_BUNDLE_URL", "AETHER_HOME"]));
    const endpoint = env.get("AETHER_HETZNER_ENDPOINT") ?? "";
    const answer = await fetch(`${endpoint}/locations`, {
      headers: { authorization: `Bearer ${env.get("HCLOUD_TOKEN") ?? ""}` },
    });
    expect(answer.status).toBe(200);
    const file = env.get("CLUSTER_FILE") ?? "";
    expect(existsSync(file)).toBe(true);
    await interrupt();
    expect(existsSync(dirname(file))).toBe(false);
  });

  it("is all that the README's words for clouds need, typed one after the other", { timeout: 180_000 }, async () => {
    const env = { ...process.env, ...Object.fromEntries(exportsIn(await begin(["hetzner"], "# Ctrl-C ends it"))) };
    const said: string[] = [];
    for (const line of readmeLines()) {
      const typed = line.replace(/^npx aether /, `"${process.execPath}" "${aether}" `);
      const { stdout, stderr } = await promisify(execFile)("bash", ["-c", typed], { env, timeout: 100_000 });
      said.push(stdout + stderr);
    }
    expect(said.map((text, at) => text.includes(expected[at] ?? "\0"))).toEqual(expected.map(() => true));
    await interrupt();
  });

  it("names the vendors to somebody who asks for another", async () => {
    expect(await begin(["ibm"], "VENDOR is one of")).toContain("hetzner, aws, gcp, azure");
    if (running?.exitCode === null) await once(running, "exit");
    expect(running?.exitCode).toBe(2);
  });
});
