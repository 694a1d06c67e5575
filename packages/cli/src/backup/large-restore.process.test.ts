import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BackupTaken, RestoreAnswer } from "../context/api.ts";
import type { StatusView } from "../cluster/status.ts";
import { exit } from "../shell/failure.ts";
import { writeMany } from "../testing/many-settings.ts";
import { Operator, type Running } from "../testing/operator.ts";

const toml = '[cluster]\nname = "{name}"\nsize = 3\n\n[cloud]\nprovider = "local"\n\n[backup]\nenabled = false\n';
const many = 20_000;

const limitMs = 300_000;

describe("a restore of 20,000 settings that is killed in the middle", { timeout: limitMs }, () => {
  const operator = new Operator("many", toml);
  let empty: BackupTaken;
  let full: BackupTaken;
  beforeAll(async () => {
    expect((await operator.bootstrap()).code).toBe(exit.done);
    empty = await operator.json<BackupTaken>("backup", "trigger");
    await writeMany(operator.home, many);
    full = await operator.json<BackupTaken>("backup", "trigger");
    expect(full.things - empty.things).toBe(many);
  }, limitMs);
  afterAll(() => operator.dispose());
  /** How many of them there are: all that is asked is whether what was restored is there whole. */
  const count = async (): Promise<number> => {
    const ended = await operator.run("backup", "diff", empty.commit, "now", "--only", "setting/many.*");
    expect(ended.code, ended.stderr).toBe(exit.done);
    return Number(/(\d+) created/.exec(ended.stdout)?.[1] ?? 0);
  };
  const restore = (commit: string) => operator.begin(["backup", "restore", commit, "--yes"]);
  /** Most often it is being staged then; on a fast machine it may have ended, and what is asked for holds as well. */
  const underWay = (running: Running) => Promise.race([running.sees("staged ").catch(() => undefined), running.ended]);
  const again = async (commit: string): Promise<void> => {
    const ended = await restore(commit).ended;
    expect(ended.code, ended.stderr).toBe(exit.done);
  };

  it("with kill -9 of the command: whole or not at all, and again it is whole", async () => {
    const killed = restore(empty.commit);
    await underWay(killed);
    killed.process.kill("SIGKILL");
    await killed.ended;
    expect([0, many]).toContain(await count());
    await again(empty.commit);
    expect(await count()).toBe(0);
  });

  it("with kill -9 of the leader: whole or not at all, and again it is whole", async () => {
    const { leader, members } = await operator.json<StatusView>("cluster", "status");
    const victim = members.find(({ name }) => name === leader)?.pid;
    if (victim === undefined) throw new Error("the leader has a process");
    const running = restore(full.commit);
    await underWay(running);
    process.kill(victim, "SIGKILL");
    const ended = await running.ended;
    const there = await count();
    expect([0, many]).toContain(there);
    if (ended.code === exit.done) expect(there).toBe(many);
    await again(full.commit);
    expect(await count()).toBe(many);
    expect((await operator.run("cluster", "start")).code).toBe(exit.done);
    const { digests } = await operator.json<StatusView>("cluster", "status");
    expect(digests.equal).not.toBe(false);
  });

  it("with kill -9 of every member at once: whole or not at all, and again it is whole", async () => {
    const { members } = await operator.json<StatusView>("cluster", "status");
    const running = restore(empty.commit);
    await underWay(running);
    for (const { pid } of members) if (pid !== undefined) process.kill(pid, "SIGKILL");
    const ended = await running.ended;
    expect((await operator.run("cluster", "start")).code).toBe(exit.done);
    const there = await count();
    expect([0, many]).toContain(there);
    if (ended.code === exit.done) expect(there).toBe(0);
    await again(empty.commit);
    expect(await count()).toBe(0);
    await again(full.commit);
  });

  it("is one entry of the log, which another one undoes", async () => {
    const done = await operator.json<RestoreAnswer>("backup", "restore", empty.commit, "--yes");
    expect(done.things).toBe(many);
    const { stdout } = await operator.run("events", "--from", String(done.index), "--limit", "1", "-o", "json");
    expect(JSON.parse(stdout)).toMatchObject({ index: done.index, events: [{ type: "RestoreApplied", things: many }] });
    await operator.json<RestoreAnswer>("backup", "restore", "--at-index", String(done.before), "--yes");
    expect(await count()).toBe(many);
  });
});
