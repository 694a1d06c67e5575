import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAlive, startOf } from "@aether/cloud/local/process-table";
import { deriveCa } from "@aether/node/identity/cluster-ca";
import type { EntryAnswer, NodesAnswer, SettingAnswer, SettingsAnswer } from "../context/api.ts";
import { exit } from "../shell/failure.ts";
import { Operator } from "../testing/operator.ts";
import { lostWrites, startStream } from "../testing/stream-of-writes.ts";
import type { ClusterView, MemberView } from "./members.ts";

const local = readFileSync(join(import.meta.dirname, "../../../../fixtures/clusters/local.toml"), "utf8");

describe("a cluster in an operator's hands", () => {
  const operator = new Operator("hands", local.replace(/^name = .*$/m, `name = "hands"`));
  beforeAll(async () => {
    const made = await operator.bootstrap();
    if (made.code !== 0) throw new Error(made.stderr);
  });
  afterAll(() => operator.dispose());

  const status = (): Promise<ClusterView> => operator.json<ClusterView>("cluster", "status");
  const member = async (name: string): Promise<MemberView> => {
    const found = (await status()).members.find((one) => one.name === name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  };
  const duties = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await operator.json<NodesAnswer>("node", "list")).nodes.map((node) => [node.name, node.duty]));
  const entries = async (...flags: readonly string[]): Promise<readonly EntryAnswer[]> => {
    const ended = await operator.run("events", "-o", "json", ...flags);
    expect(ended.code).toBe(exit.done);
    return ended.stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as EntryAnswer);
  };

  it("shows its members, with what this computer knows of them", async () => {
    const view = await status();
    expect(view).toMatchObject({ name: "hands", quorum: { voters: 3, needed: 2, answering: 3, holds: true } });
    expect(view.members.map(({ id, name, duty, contact }) => [id, name, duty, contact])).toEqual([
      [1, "n1", "on-duty", "reachable"],
      [2, "n2", "on-duty", "reachable"],
      [3, "n3", "on-duty", "reachable"],
    ]);
    expect(view.members.filter((one) => one.role === "leader").map((one) => one.name)).toEqual([view.leader]);
    for (const one of view.members) {
      expect(startOf(one.pid ?? 0)).not.toBeNull();
      expect(one.dataDir).toBe(join(operator.clusterFolder, "nodes", one.name, "data"));
      expect(one.address).toMatch(/^127\.0\.0\.1:\d+$/);
      expect(one.applied).toBeGreaterThan(0);
    }
  });

  it("shows people a table with the leader, the quorum and whether the states are equal", async () => {
    const { stdout } = await operator.run("cluster", "status");
    expect(stdout).toMatch(/cluster hands {3}leader n\d {3}term \d+ {3}index \d+/);
    expect(stdout).toContain("quorum holds: 3 of 3 voters answer, 2 needed");
    expect(stdout).toMatch(/NODE +ID +ROLE +DUTY +CONTACT +APPLIED +LAG +ADDRESS +PID +INSTANCE/);
    await expect
      .poll(async () => (await operator.run("cluster", "status")).stdout, { timeout: 10_000 })
      .toContain("states equal at index");
  });

  it("keeps settings with versions, and refuses a write that was decided on an older one", async () => {
    const first = await operator.json<SettingAnswer>("settings", "set", "site.motto", "hello");
    expect(first).toMatchObject({ key: "site.motto", value: "hello", version: 1 });
    expect(await operator.json("settings", "get", "site.motto")).toMatchObject({
      key: "site.motto",
      value: "hello",
      version: 1,
      index: first.index,
    });
    expect((await operator.run("settings", "get", "site.motto")).stdout).toBe("hello\n");
    const second = await operator.json<SettingAnswer>("settings", "set", "site.motto", '{"en":"hi"}', "--if-version", "1");
    expect(second).toMatchObject({ value: { en: "hi" }, version: 2 });
    const stale = await operator.run("settings", "set", "site.motto", "x", "--if-version", "1");
    expect(stale).toMatchObject({ code: exit.rejected, stdout: "", stderr: expect.stringMatching(/^error: .*\n(hint: .*\n)?$/) });
    expect((await operator.run("settings", "get", "site.nothing")).code).toBe(exit.notFound);
    expect((await operator.run("settings", "set", "Bad Key", "1")).code).toBe(exit.usage);
    expect((await operator.run("settings", "list")).stdout).toMatch(/site\.motto +\{"en":"hi"\} +2 /);
  });

  it("sets thresholds within their rules", async () => {
    expect(await operator.json("thresholds", "set", "cpu_warning", "0.75")).toMatchObject({ key: "cpu_warning", value: 0.75 });
    expect((await operator.run("thresholds", "set", "cpu_warnig", "0.7")).stderr).toContain(
      "did you mean: aether thresholds set cpu_warning 0.7",
    );
    expect((await operator.run("thresholds", "set", "cpu_warning", "75")).code).toBe(exit.usage);
    const above = await operator.run("thresholds", "set", "cpu_warning", "0.95");
    expect([exit.usage, exit.rejected]).toContain(above.code);
    expect((await operator.run("thresholds", "list")).stdout).toMatch(/cpu_warning +0\.75/);
  });

  it("tells everything that happened, one entry a line", async () => {
    const all = await entries();
    expect(all.map((entry) => entry.index)).toEqual(all.map((_, at) => (all[0]?.index ?? 0) + at));
    const set = all.find((entry) => entry.events.some((event) => event.type === "SettingChanged" && event.id === "site.motto"));
    expect(set).toMatchObject({ actor: "operator:operator", at: expect.any(Number), events: [{ value: "hello" }] });
    expect((await entries("--for", "setting/site.motto")).map((entry) => entry.events[0]?.["value"])).toEqual([
      "hello",
      { en: "hi" },
    ]);
    expect(await entries("--from", String(all[2]?.index), "--limit", "2")).toEqual(all.slice(2, 4));
    expect((await operator.run("history", "node/n2")).stdout).toMatch(/NodeJoined n2/);
    expect((await operator.run("history", "node/n99")).code).toBe(exit.notFound);
  });

  it("follows events as they commit", async () => {
    const { index } = await status();
    const follower = operator.begin(["events", "--follow", "--from", String(index + 1), "--limit", "1", "-o", "json"]);
    const written = await operator.json<SettingAnswer>("settings", "set", "site.live", "1");
    const ended = await follower.ended;
    expect(ended.code).toBe(exit.done);
    expect((JSON.parse(ended.stdout) as EntryAnswer).index).toBeLessThanOrEqual(written.index);
  });

  it("proves its log", async () => {
    const proof = await operator.run("audit", "verify");
    expect(proof).toMatchObject({ code: exit.done, stdout: expect.stringContaining("are unbroken") });
    const json = await operator.json<{ verified: boolean; others: readonly { agrees: boolean }[] }>(
      "audit",
      "verify",
      "--member",
      "n2",
    );
    expect(json).toMatchObject({ verified: true, member: "n2", from: 1, others: [{ agrees: true }, { agrees: true }] });
  });

  it("refuses a viewer's write, a foreign certificate and an unknown node by their exit codes, and records what was refused", async () => {
    const viewer = operator.copyContexts((config) => config.replaceAll("operator.", "viewer."));
    const asViewer = (...words: readonly string[]) => operator.begin(words, { AETHER_HOME: viewer }).ended;
    expect((await asViewer("settings", "get", "cpu_warning")).stdout).toBe("0.75\n");
    expect(await asViewer("settings", "set", "cpu_warning", "0.5")).toMatchObject({ code: exit.rejected });
    expect((await operator.run("settings", "get", "cpu_warning")).stdout).toBe("0.75\n");
    expect((await operator.run("node", "show", "n9")).code).toBe(exit.notFound);
    // Its instances are processes of the computer with the journal.
    const noJournal = { code: exit.notFound, stderr: expect.stringContaining("can only be managed where it was bootstrapped") };
    expect(await asViewer("cluster", "scale", "--nodes", "4")).toMatchObject(noJournal);
    rmSync(viewer, { recursive: true });
    const foreign = await (
      await deriveCa("the secret of another cluster", "hands")
    ).issue({
      ...{ clusterId: operator.journal().identity?.clusterId ?? "", role: "operator", name: "mallory", hosts: [], days: 1 },
    });
    writeFileSync(join(operator.folder, "foreign.pem"), foreign.certificate);
    writeFileSync(join(operator.folder, "foreign.key"), foreign.key);
    const stranger = operator.copyContexts((config) =>
      config.replaceAll(/"[^"]*operator\.(pem|key)"/g, `"${operator.folder}/foreign.$1"`),
    );
    const refused = await operator.begin(["settings", "set", "cpu_warning", "0.5"], { AETHER_HOME: stranger }).ended;
    expect(refused).toMatchObject({ code: exit.failed, stderr: expect.stringContaining("certificate") });
    rmSync(stranger, { recursive: true });
    expect((await operator.run("settings", "get", "cpu_warning")).stdout).toBe("0.75\n");
    await expect
      .poll(async () => (await entries()).flatMap((entry) => entry.events).filter((event) => event.type === "AccessRefused"), {
        timeout: 10_000,
      })
      .toEqual(
        expect.arrayContaining([
          expect.objectContaining({ identity: "viewer:viewer" }),
          expect.objectContaining({ what: expect.stringContaining("connect: "), identity: "" }),
        ]),
      );
  });

  it("completes names of nodes and settings, and stays silent when it cannot", async () => {
    expect((await operator.run("__complete", "node")).stdout).toBe("n1\nn2\nn3\n");
    expect((await operator.run("__complete", "setting")).stdout).toContain("cpu_warning\n");
    expect(await operator.run("__complete", "node", "--endpoint", "127.0.0.1:1")).toMatchObject({
      code: exit.done,
      stdout: "",
      stderr: "",
    });
  });

  it("drains a node, refuses to drain a second one that quorum needs, and takes it back", async () => {
    expect(await operator.json("node", "drain", "n2", "--reason", "disk swap")).toEqual({ name: "n2", duty: "decommissioned" });
    expect(await duties()).toMatchObject({ n1: "on-duty", n2: "decommissioned", n3: "on-duty" });
    const second = await operator.run("node", "drain", "n3");
    expect(second).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("error: node n3") });
    expect(await operator.json("node", "undrain", "n2")).toMatchObject({ name: "n2", duty: "on-duty" });
    expect((await operator.run("node", "show", "n2")).stdout).toContain("disk swap");
    expect((await operator.run("node", "shutdown", "n2")).code).toBe(exit.rejected);
    expect((await operator.run("node", "shutdown", "n2", "--force")).code).toBe(exit.usage);
  });

  it("goes on when its leader is killed under a stream of writes, shows it as dead, and takes it back with start", async () => {
    const { leader } = await status();
    const victim = await member(leader ?? "");
    const stream = await startStream(operator.home);
    process.kill(victim.pid ?? 0, "SIGKILL");
    await expect.poll(async () => (await status()).leader, { timeout: 20_000 }).not.toBe(leader);
    await expect.poll(async () => (await status()).quorum.holds, { timeout: 20_000 }).toBe(true);
    expect((await operator.run("settings", "set", "site.after", "kill")).code).toBe(exit.done);
    expect(await member(victim.name)).toMatchObject({ role: "unknown", applied: null, state: "ended by itself", answers: false });
    const started = await operator.json<{ started: readonly string[] }>("cluster", "start");
    expect(started).toMatchObject({ started: [victim.name] });
    const result = await stream.stop();
    expect(result.acknowledged.size).toBeGreaterThan(10);
    expect(result.refused.filter(({ reason }) => reason === null)).toEqual([]);
    expect(lostWrites(result, await operator.json<SettingsAnswer>("settings", "list"))).toEqual([]);
    expect(await member(victim.name)).toMatchObject({ role: "follower", id: victim.id, state: "running" });
  });

  it("is stopped and started as a whole, with the same state", async () => {
    const before = await operator.json<SettingAnswer>("settings", "get", "site.after");
    expect((await operator.run("cluster", "stop")).code).toBe(exit.done);
    const dark = await status();
    expect(dark).toMatchObject({ leader: null, quorum: { answering: 0, holds: false } });
    expect(dark.members.map(({ state }) => state)).toEqual(["stopped", "stopped", "stopped"]);
    expect(await operator.run("settings", "get", "site.after")).toMatchObject({
      code: exit.notReady,
      stderr: expect.stringContaining("aether cluster start"),
    });
    expect(await operator.json("cluster", "start")).toMatchObject({ started: ["n1", "n2", "n3"] });
    expect(await operator.json("settings", "get", "site.after")).toEqual(before);
    expect((await operator.run("audit", "verify")).code).toBe(exit.done);
  });

  it("grows to five and shrinks to three again under a stream of writes, and does nothing when it is asked for what it has", async () => {
    const stream = await startStream(operator.home);
    expect(await operator.json("cluster", "scale", "--nodes", "5")).toMatchObject({ added: ["n4", "n5"], removed: [] });
    const five = await status();
    expect(five.members.map(({ name, duty }) => [name, duty])).toEqual(
      ["n1", "n2", "n3", "n4", "n5"].map((name) => [name, "on-duty"]),
    );
    expect(five.quorum).toMatchObject({ voters: 5, needed: 3, holds: true });
    expect(await operator.json("cluster", "scale", "--nodes", "5")).toMatchObject({ added: [], removed: [] });
    const [, , , fourth, fifth] = five.members;
    const shrunk = await operator.json<{ removed: readonly string[] }>("cluster", "scale", "--nodes", "3");
    expect([...shrunk.removed].toSorted()).toEqual(["n4", "n5"]);
    const result = await stream.stop();
    expect(result.acknowledged.size).toBeGreaterThan(10);
    expect(result.refused.filter(({ reason }) => reason === null)).toEqual([]);
    expect(lostWrites(result, await operator.json<SettingsAnswer>("settings", "list"))).toEqual([]);
    expect((await status()).members.map(({ name }) => name)).toEqual(["n1", "n2", "n3"]);
    expect([startOf(fourth?.pid ?? 0), startOf(fifth?.pid ?? 0)]).toEqual([null, null]);
    expect(operator.instances().map(({ name }) => name)).toEqual(["n1", "n2", "n3"]);
    expect(
      (await operator.json<{ contexts: readonly { endpoints: readonly string[] }[] }>("context", "list")).contexts[0]?.endpoints,
    ).toHaveLength(3);
  }, 180_000);

  it("finishes a scale that was killed half-way, up and down, when it is run again", async () => {
    const grow = operator.begin(["cluster", "scale", "--nodes", "5"]);
    await grow.sees("adding n5");
    grow.process.kill("SIGKILL");
    await grow.ended;
    await operator.json("cluster", "scale", "--nodes", "5");
    expect(await duties()).toEqual({ n1: "on-duty", n2: "on-duty", n3: "on-duty", n4: "on-duty", n5: "on-duty" });
    expect(operator.instances().map(({ name }) => name)).toEqual(["n1", "n2", "n3", "n4", "n5"]);
    const shrink = operator.begin(["cluster", "scale", "--nodes", "3"]);
    await shrink.sees("shutting down");
    shrink.process.kill("SIGKILL");
    await shrink.ended;
    await operator.json("cluster", "scale", "--nodes", "3");
    expect((await status()).members.map(({ name, duty }) => [name, duty])).toEqual(
      ["n1", "n2", "n3"].map((name) => [name, "on-duty"]),
    );
    expect(operator.instances().map(({ name }) => name)).toEqual(["n1", "n2", "n3"]);
  }, 180_000);

  it("takes a drained node out for good and ends its process", async () => {
    const before = await member("n1");
    await operator.json("node", "drain", "n1");
    expect(await operator.json("node", "shutdown", "n1")).toMatchObject({ name: "n1", left: true });
    expect(startOf(before.pid ?? 0)).toBeNull();
    const view = await status();
    expect(view.members.map(({ name }) => name)).toEqual(["n2", "n3"]);
    expect(view.quorum).toMatchObject({ voters: 2, holds: true });
    const instance = operator.instances().find(({ name }) => name === "n1");
    expect(instance?.process && isAlive(instance.process)).toBe(false);
    const again = await operator.run("cluster", "start");
    expect(again).toMatchObject({ code: exit.done, stdout: expect.stringContaining("every member ran already") });
  });
});
