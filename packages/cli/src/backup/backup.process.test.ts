import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { spawn } from "node-pty";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BackupsAnswer, BackupTaken, RestoreAnswer, RestorePlan, SettingsAnswer } from "../context/api.ts";
import { exit } from "../shell/failure.ts";
import type { StatusView } from "../cluster/status.ts";
import { Operator } from "../testing/operator.ts";
import { builtCommand } from "../testing/built-command.ts";

/** Backups come when they are asked for, and at no other time. */
const toml = '[cluster]\nname = "{name}"\nsize = 1\n\n[cloud]\nprovider = "local"\n\n[backup]\nenabled = false\n';

describe("backups of a cluster", () => {
  const operator = new Operator("books", toml);
  beforeAll(async () => {
    const made = await operator.bootstrap();
    expect(made.code, made.stderr).toBe(exit.done);
  });
  afterAll(() => operator.dispose());
  const run = (line: string) => operator.run(...line.split(" "));
  const set = async (key: string, value: unknown): Promise<void> => {
    expect((await operator.run("settings", "set", key, JSON.stringify(value))).code).toBe(exit.done);
  };
  const value = async (key: string) => (await operator.run("settings", "get", key)).stdout.trim();
  const settings = async () => (await operator.json<SettingsAnswer>("settings", "list")).settings;
  const index = async () => (await operator.json<StatusView>("cluster", "status")).index;
  let first: BackupTaken;
  let second: BackupTaken;

  it("are none at first, and every command says so", async () => {
    expect(await run("backup list")).toMatchObject({
      code: exit.done,
      stdout: "",
      stderr: expect.stringContaining("aether backup trigger"),
    });
    expect((await run("backup show")).code).toBe(exit.notFound);
    expect((await run("backup restore --yes")).code).toBe(exit.notFound);
    expect((await run("cluster status")).stdout).toContain("\nno backup yet   no drill yet   backups by themselves are off\n");
  });

  it("are made when asked for, and not twice of the same", async () => {
    await set("app/x", 1);
    await set("app/y", { deep: [1, 2] });
    first = await operator.json<BackupTaken>("backup", "trigger");
    expect(first).toMatchObject({ new: true, commit: expect.stringMatching(/^[0-9a-f]{40}$/), holders: ["n1"] });
    const again = await run("backup trigger");
    expect(again).toMatchObject({
      code: exit.done,
      stdout: expect.stringMatching(`^nothing has changed since commit ${first.commit.slice(0, 10)} `),
    });
    await set("app/x", 2);
    await set("app/z", "new");
    expect((await run("settings set cpu_warning 0.6")).code).toBe(exit.done);
    second = await operator.json<BackupTaken>("backup", "trigger");
    expect(second).toMatchObject({ new: true, changed: 3, things: first.things + 1 });
    const later = await operator.run("backup", "trigger", "--detach");
    expect(later).toMatchObject({ code: exit.done, stdout: expect.stringMatching(/^asked for at index \d+/) });
  });

  it("are listed, the newest first, and shown one by one", async () => {
    const { backups, last } = await operator.json<BackupsAnswer>("backup", "list");
    expect(backups.map(({ commit }) => commit)).toEqual([second.commit, first.commit]);
    expect(last).toMatchObject({ commit: second.commit });
    const [head, ...lines] = (await run("backup list")).stdout.trimEnd().split("\n");
    expect(head).toMatch(/^COMMIT +INDEX +TIME +AGE +THINGS +CHANGED +PUSHED$/);
    expect(lines[0]).toMatch(
      new RegExp(`^${second.commit.slice(0, 10)} +${second.index} +20\\d\\d-.* ${second.things} +3   no$`),
    );
    expect((await run("backup list --limit 1")).stdout.trimEnd().split("\n")).toHaveLength(2);
    const shown = (await run(`backup show ${second.commit.slice(0, 8)}`)).stdout;
    for (const text of [`commit ${second.commit}`, `parent ${first.commit}`, "of     cluster books (", "+ setting app/z\n"]) {
      expect(shown).toContain(text);
    }
    expect(await operator.json("backup", "show", "HEAD")).toMatchObject({ commit: second.commit, changesTotal: 3 });
    const status = (await run("cluster status")).stdout;
    expect(status).toMatch(new RegExp(`\\nbackup ${second.commit.slice(0, 10)} of index \\d+, .* ago, ${second.things} things`));
  });

  it("are compared with each other and with now", async () => {
    const between = await operator.run("backup", "diff", first.commit, second.commit);
    expect(between.stdout).toBe(
      [
        "~ setting app/x        value 1 → 2",
        '+ setting app/z        value "new"',
        "~ setting cpu_warning  value 0.75 → 0.6",
        "1 created, 2 changed",
        "",
      ].join("\n"),
    );
    const part = await operator.run("backup", "diff", second.commit, first.commit, "--only", "setting/app/*");
    expect(part.stdout).toBe("~ setting app/x  value 2 → 1\n- setting app/z\n1 changed, 1 removed\n");
    expect((await run("backup diff HEAD")).stdout).toMatch(/^no difference, \d+ unchanged\n$/);
    expect(await operator.json("backup", "diff", "HEAD", "now")).toMatchObject({ things: [], created: 0 });
  });

  it("are proved", async () => {
    expect(await run("backup verify")).toMatchObject({ code: exit.done, stdout: expect.stringContaining(" is sound: ") });
    expect(await operator.json("backup", "verify", first.commit)).toMatchObject({
      sound: true,
      commit: first.commit,
      faults: [],
    });
  });

  it("show what a restore would change, and --dry-run changes nothing", async () => {
    const before = await index();
    const looked = await operator.run("backup", "restore", first.commit, "--dry-run");
    expect(looked).toMatchObject({
      code: exit.done,
      stdout: expect.stringMatching(/^back to index \d+, 20.* from commit [0-9a-f]{10}:\n/),
    });
    expect(looked.stdout).toContain("- setting app/z\n");
    expect(looked.stdout.endsWith("nothing was changed\n")).toBe(true);
    const plan = await operator.json<RestorePlan>("backup", "restore", first.commit, "--dry-run");
    expect(plan).toMatchObject({ changed: 2, removed: 1, source: { commit: first.commit, index: first.index } });
    expect(await index()).toBe(before);
    expect(await value("app/x")).toBe("2");
  });

  it("come back whole, and the restore is undone by another", async () => {
    const done = await operator.run("backup", "restore", first.commit, "--yes");
    expect(done.code, done.stderr).toBe(exit.done);
    const [, at = "", before = ""] =
      /restored 3 things at index (\d+)\nundo: aether backup restore --at-index (\d+)\n$/.exec(done.stdout) ?? [];
    expect([await value("app/x"), await value("cpu_warning"), (await run("settings get app/z")).code]).toEqual([
      "1",
      "0.75",
      exit.notFound,
    ]);
    const history = await run("history setting/app/x");
    expect(history.stdout).toContain("value=2");
    expect(Number(at)).toBeGreaterThan(Number(before));
    const undone = await operator.json<RestoreAnswer>("backup", "restore", "--at-index", before, "--yes");
    expect(undone).toMatchObject({ things: 3, source: { index: Number(before) } });
    expect([await value("app/x"), await value("app/z")]).toEqual(["2", "new"]);
    const nothing = await operator.run("backup", "restore", "--at-index", before, "--yes");
    expect(nothing).toMatchObject({ code: exit.done, stdout: expect.stringMatching(/nothing to do\n$/) });
  });

  it("come back in part", async () => {
    const done = await operator.run(
      "backup",
      "restore",
      first.commit,
      "--only",
      "setting/app/x",
      "--only",
      "setting/cpu_*",
      "--yes",
    );
    expect(done).toMatchObject({ code: exit.done, stdout: expect.stringContaining("restored 2 things") });
    expect([await value("app/x"), await value("app/z"), await value("cpu_warning")]).toEqual(["1", "new", "0.75"]);
    const unknown = await operator.run("backup", "restore", first.commit, "--only", "settings/app/x", "--yes");
    expect(unknown).toMatchObject({ code: exit.usage, stderr: expect.stringContaining("settings") });
  });

  it("reach any moment by its time", async () => {
    await set("app/x", "before");
    const [{ at } = { at: 0 }] = (await settings()).filter(({ key }) => key === "app/x");
    await expect.poll(() => Date.now(), { timeout: 10_000 }).toBeGreaterThan(at + 2_000);
    await set("app/x", "after");
    const time = new Date(at + 1_000).toISOString();
    const done = await operator.run("backup", "restore", "--at", time, "--yes");
    expect(done.code, done.stderr).toBe(exit.done);
    expect(await value("app/x")).toBe("before");
    const tooEarly = await operator.run("backup", "restore", "--at", "2001-01-01", "--yes");
    expect(tooEarly.code).not.toBe(exit.done);
    expect(tooEarly.stderr).toMatch(/^error: /);
  });

  it.each([
    ["backup show 0123456789", exit.notFound],
    ["backup show zebra", exit.usage],
    ["backup restore 0123456789 --yes", exit.notFound],
    ["backup restore HEAD --at-index 5 --yes", exit.usage],
    ["backup restore --at-index 99999999 --yes", exit.notFound],
    ["backup restore --at yesterday --yes", exit.usage],
    ["backup restore HEAD", exit.rejected],
    ["backup diff", exit.usage],
    ["backup push", exit.rejected],
  ])("refuse `aether %s` with exit code %i and a hint", async (line, code) => {
    const ended = await run(line);
    expect(ended.stderr).toMatch(/^(pushing\n)?error: .+\nhint: .+\n$/);
    expect(ended).toMatchObject({ code, stdout: "" });
  });

  it("are for viewers to look at, and for operators to ask for and restore", async () => {
    const viewer = operator.copyContexts((config) => config.replaceAll("operator.", "viewer."));
    const as = (line: string) => operator.begin(line.split(" "), { AETHER_HOME: viewer }).ended;
    expect((await as("backup list")).code).toBe(exit.done);
    expect((await as("backup diff HEAD")).code).toBe(exit.done);
    for (const line of ["backup trigger", `backup restore ${first.commit} --yes`, "backup push"]) {
      expect(await as(line)).toMatchObject({ code: exit.rejected });
    }
    rmSync(viewer, { recursive: true });
  });

  it("are shown anew to whoever is asked, when somebody writes before the answer", async () => {
    await set("app/x", 7);
    const pty = spawn(process.execPath, [builtCommand, "backup", "restore", first.commit, "--only", "setting/app/*"], {
      cols: 120,
      rows: 40,
      env: { PATH: process.env["PATH"] ?? "", TERM: "dumb", AETHER_HOME: operator.home },
    });
    let text = "";
    pty.onData((data) => (text += data));
    const ended = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)));
    await expect.poll(() => text, { timeout: 20_000 }).toContain("Go on? [y/N]");
    expect(text).toContain("value 7 → 1");
    await set("app/x", 8);
    pty.write("y\r");
    await expect.poll(() => text, { timeout: 20_000 }).toContain("value 8 → 1");
    expect(text).toContain("the cluster has changed since this was planned");
    expect(await value("app/x")).toBe("8");
    await expect.poll(() => text.split("Go on? [y/N]").length, { timeout: 20_000 }).toBe(3);
    pty.write("n\r");
    expect(await ended).toBe(exit.rejected);
    expect(text).toContain("not confirmed: nothing was changed");
    expect(await value("app/x")).toBe("8");
  });

  it("complete their commits", async () => {
    expect((await run("__complete commit")).stdout.split("\n")).toContain(first.commit.slice(0, 10));
  });

  it("name the daemon's repository, which any git can read", async () => {
    const { repository, head } = await operator.json<BackupsAnswer>("backup", "list");
    expect(readFileSync(join(repository.path, "refs/heads/main"), "utf8").trim()).toBe(head);
  });
});
