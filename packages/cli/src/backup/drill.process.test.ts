import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { BackupsAnswer, BackupTaken } from "../context/api.ts";
import { exit } from "../shell/failure.ts";
import { Operator } from "../testing/operator.ts";

const toml = '[cluster]\nname = "{name}"\nsize = 1\n\n[cloud]\nprovider = "local"\n\n[backup]\nenabled = false\n';

describe("a drill", () => {
  const operator = new Operator("fleet", toml);
  let taken: BackupTaken;
  beforeAll(async () => {
    expect((await operator.bootstrap()).code).toBe(exit.done);
    expect((await operator.run("settings", "set", "app/x", '{"deep":["ä",1]}')).code).toBe(exit.done);
    taken = await operator.json<BackupTaken>("backup", "trigger");
  });
  afterAll(() => operator.dispose());
  /** Folders of drills in this test's own temporary folder, and processes that run in them. */
  const scratch = () => readdirSync(operator.folder).filter((name) => name.startsWith("aether-drill-"));
  const inScratch = { TMPDIR: operator.folder };
  const processes = (): readonly string[] =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((pid) => {
        try {
          return [readFileSync(`/proc/${pid}/cmdline`, "utf8"), readFileSync(`/proc/${pid}/environ`, "utf8")];
        } catch {
          return [];
        }
      })
      .filter((text) => text.includes(join(operator.folder, "aether-drill-")));
  const drill = (...words: readonly string[]) => operator.begin(["backup", "drill", ...words], inScratch);
  const recorded = async () => (await operator.json<BackupsAnswer>("backup", "list")).drill;
  afterEach(() => {
    expect(scratch()).toEqual([]);
    expect(processes()).toEqual([]);
  });

  it("restores the newest commit elsewhere, finds it the same, and the cluster remembers it", async () => {
    const done = await drill().ended;
    expect(done.code, done.stderr).toBe(exit.done);
    const short = taken.commit.slice(0, 10);
    expect(done.stdout).toMatch(new RegExp(`^drill of commit ${short} ok: 7 things came back as they were, in .*; recorded\n$`));
    expect(await recorded()).toMatchObject({ commit: taken.commit, sound: true, things: 7, why: "", by: "operator:operator" });
    expect((await operator.run("cluster", "status")).stdout).toMatch(/   drill ok, \d/);
    const contexts = await operator.json<{ contexts: readonly unknown[] }>("context", "list");
    expect(contexts.contexts).toHaveLength(1);
    expect(operator.instances()).toHaveLength(1);
  });

  it("is of any commit, and of a repository that lies elsewhere", async () => {
    const copy = join(operator.folder, "elsewhere.git");
    const { repository } = await operator.json<BackupsAnswer>("backup", "list");
    cpSync(repository.path, copy, { recursive: true });
    const done = await drill("--from", `${copy}@${taken.commit.slice(0, 8)}`, "-o", "json").ended;
    expect(done.code, done.stderr).toBe(exit.done);
    expect(JSON.parse(done.stdout)).toMatchObject({ commit: taken.commit, sound: true, recorded: true });
    expect((await drill("--from", "0123456789").ended).code).toBe(exit.notFound);
  });

  it("of a repository that has rotted fails, says what is damaged, and the status warns of it", async () => {
    const copy = join(operator.folder, "rotten.git");
    const { repository } = await operator.json<BackupsAnswer>("backup", "list");
    cpSync(repository.path, copy, { recursive: true });
    const packs = join(copy, "objects/pack");
    for (const name of readdirSync(packs).filter((file) => file.endsWith(".pack"))) {
      const bytes = readFileSync(join(packs, name));
      for (let at = Math.floor(bytes.length / 2); at < bytes.length - 24; at += 7) bytes[at] = (bytes[at] ?? 0) ^ 0x55;
      writeFileSync(join(packs, name), bytes);
    }
    const failed = await drill("--from", `${copy}@${taken.commit}`).ended;
    expect(failed.code).toBe(exit.failed);
    expect(failed.stdout + failed.stderr).toMatch(/damaged|cannot be read/);
  });

  it("that is interrupted leaves neither process nor folder", async () => {
    const interrupted = drill();
    await interrupted.sees("[ 9/14]");
    interrupted.process.kill("SIGINT");
    expect((await interrupted.ended).code).toBe(exit.interrupted);
  });

  it("that was killed is cleared away by the next one", async () => {
    const killed = drill();
    await killed.sees("[10/14]");
    killed.process.kill("SIGKILL");
    await killed.ended;
    expect(scratch()).toHaveLength(1);
    expect((await drill().ended).code).toBe(exit.done);
  });

  it("comes again and again when it is told to", async () => {
    const before = (await recorded())?.index ?? 0;
    const running = drill("--every", "1s", "-o", "json");
    await expect.poll(() => running.stdout().split("\n").length, { timeout: 60_000, interval: 200 }).toBeGreaterThanOrEqual(3);
    running.process.kill("SIGINT");
    expect((await running.ended).code).toBe(exit.interrupted);
    const results = running
      .stdout()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { sound: boolean });
    expect(results.every(({ sound }) => sound)).toBe(true);
    expect((await recorded())?.index).toBeGreaterThan(before);
  });
});
