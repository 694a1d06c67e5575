import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BackupPlan, BackupTaken, RestoreAnswer } from "../context/api.ts";
import type { StatusView } from "../cluster/status.ts";
import { exit } from "../shell/failure.ts";
import { writeMany } from "../testing/many-settings.ts";
import { Operator, type Running } from "../testing/operator.ts";

const toml = '[cluster]\nname = "{name}"\nsize = 3\n\n[cloud]\nprovider = "local"\n\n[backup]\nenabled = false\n';
/** Six parts of a restore. */
const many = 1_500;

const limitMs = 300_000;

describe("a restore in many parts that is killed in the middle", { timeout: limitMs }, () => {
  const operator = new Operator("many", toml);
  let first: BackupTaken;
  let second: BackupTaken;
  beforeAll(async () => {
    expect((await operator.bootstrap()).code).toBe(exit.done);
    await writeMany(operator.home, many, "first");
    first = await operator.json<BackupTaken>("backup", "trigger");
    await writeMany(operator.home, many, "second");
    second = await operator.json<BackupTaken>("backup", "trigger");
    expect(second.changed).toBe(many);
  }, limitMs);
  afterAll(() => operator.dispose());
  /** How many are not as they were first: all that is asked is whether what was restored is there whole. */
  const changed = async (): Promise<number> => {
    const plan = await operator.json<BackupPlan>("backup", "diff", first.commit, "now");
    expect(plan).toMatchObject({ created: 0, removed: 0 });
    return plan.changed;
  };
  const restore = (commit: string) => operator.begin(["backup", "restore", commit, "--yes"]);
  /** Most often it is being staged then; on a fast machine it may have ended, and what is asked for holds as well. */
  const underWay = (running: Running) => Promise.race([running.sees("staged ").catch(() => undefined), running.ended]);
  const again = async (commit: string): Promise<void> => {
    const ended = await restore(commit).ended;
    expect(ended.code, ended.stderr).toBe(exit.done);
  };

  it("with kill -9 of the command: whole or not at all, and again it is whole", async () => {
    const killed = restore(first.commit);
    await underWay(killed);
    killed.process.kill("SIGKILL");
    await killed.ended;
    expect([0, many]).toContain(await changed());
    await again(first.commit);
    expect(await changed()).toBe(0);
  });

  it("with kill -9 of the leader: whole or not at all, and again it is whole", async () => {
    const { leader, members } = await operator.json<StatusView>("cluster", "status");
    const victim = members.find(({ name }) => name === leader)?.pid;
    if (victim === undefined) throw new Error("the leader has a process");
    const running = restore(second.commit);
    await underWay(running);
    process.kill(victim, "SIGKILL");
    const ended = await running.ended;
    const there = await changed();
    expect([0, many]).toContain(there);
    if (ended.code === exit.done) expect(there).toBe(many);
    await again(second.commit);
    expect(await changed()).toBe(many);
    expect((await operator.run("cluster", "start")).code).toBe(exit.done);
    const { digests } = await operator.json<StatusView>("cluster", "status");
    expect(digests.equal).not.toBe(false);
  });

  it("with kill -9 of every member at once: whole or not at all, and again it is whole", async () => {
    const { members } = await operator.json<StatusView>("cluster", "status");
    const running = restore(first.commit);
    await underWay(running);
    for (const { pid } of members) if (pid !== undefined) process.kill(pid, "SIGKILL");
    const ended = await running.ended;
    expect((await operator.run("cluster", "start")).code).toBe(exit.done);
    const there = await changed();
    expect([0, many]).toContain(there);
    if (ended.code === exit.done) expect(there).toBe(0);
    await again(first.commit);
    expect(await changed()).toBe(0);
    await again(second.commit);
  });

  it("is one entry of the log, which another one undoes", async () => {
    const done = await operator.json<RestoreAnswer>("backup", "restore", first.commit, "--yes");
    expect(done.things).toBe(many);
    const { stdout } = await operator.run("events", "--from", String(done.index), "--limit", "1", "-o", "json");
    expect(JSON.parse(stdout)).toMatchObject({ index: done.index, events: [{ type: "RestoreApplied", things: many }] });
    await operator.json<RestoreAnswer>("backup", "restore", "--at-index", String(done.before), "--yes");
    expect(await changed()).toBe(many);
  });
});
