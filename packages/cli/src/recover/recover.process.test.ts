import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { awaitEnd, isAlive, signalProcess } from "@aether/cloud/local/process-table";
import { daemonNodeOptions } from "@aether/node/daemon/node-options";
import { openLog } from "@aether/store/log/open";
import type { BackupsAnswer, EntryAnswer, MemberAnswer, NodesAnswer, SettingsAnswer, SettingWritten } from "../context/api.ts";
import { connectContext } from "../context/connection.ts";
import { openHttpsApi } from "../context/https-api.ts";
import { readContexts } from "../context/contexts.ts";
import type { ClusterView } from "../cluster/members.ts";
import { findDaemon } from "../cluster/local-cluster.ts";
import { settingPath } from "../settings/setting.ts";
import { exit, Failure } from "../shell/failure.ts";
import { Operator } from "../testing/operator.ts";

const local = readFileSync(join(import.meta.dirname, "../../../../fixtures/clusters/local.toml"), "utf8");
const toml = (name: string): string => local.replace(/^name = .*$/m, `name = "${name}"`);
const recover = ["cluster", "recover", "--from-member", "n2", "--yes"] as const;

interface Outcome {
  readonly id: string;
  readonly oldId: string;
  readonly member: number;
  readonly oldMember: number;
  readonly first: number;
  readonly committed: number;
  readonly upTo: number;
  readonly surelyLost: { readonly from: number; readonly to: number } | null;
  readonly retired: string;
  readonly kept: readonly string[];
}

async function killAll(operator: Operator, names: readonly string[]): Promise<void> {
  const targets = operator.instances().filter(({ name }) => names.includes(name));
  for (const { process: target } of targets) if (target !== null) signalProcess(target, "SIGKILL");
  for (const { process: target } of targets) if (target !== null) await awaitEnd(target, 10_000);
}

/** Writers that go on until the cluster is dead; the index at which each write was acknowledged. */
async function writeUntilDead(home: string, enough: number, then: () => Promise<void>): Promise<ReadonlyMap<string, number>> {
  const { contexts } = await readContexts(home);
  const connection = await connectContext(contexts[0] as (typeof contexts)[0]);
  const acknowledged = new Map<string, number>();
  const state = { dead: false };
  const write = async (writer: number): Promise<void> => {
    for (let at = 0; !state.dead; at++) {
      const key = `load.${writer}.${at}`;
      const options = { body: { value: at }, idempotencyKey: randomUUID(), timeoutMs: 2_000 };
      const written = await connection.api.call<SettingWritten>("PUT", settingPath(key), options).catch((error: unknown) => {
        if (error instanceof Failure) return null;
        throw error;
      });
      if (written !== null) acknowledged.set(key, written.index);
    }
  };
  const writers = Promise.all([0, 1, 2, 3].map(write));
  while (acknowledged.size < enough) await new Promise((resolve) => setTimeout(resolve, 10));
  await then();
  state.dead = true;
  await writers;
  connection.close();
  return acknowledged;
}

/** As it was left; the member's own way to open it. */
async function lastOf(folder: string, clusterId: string, nodeId: number): Promise<{ last: number; commit: number }> {
  const { verdict, storage } = await openLog(folder, { clusterId, nodeId });
  if (storage === undefined || !("boot" in verdict)) throw new Error(`the log is ${JSON.stringify(verdict)}`);
  await storage.close();
  return { last: verdict.boot.last.index, commit: verdict.boot.hard.commit };
}

describe("a cluster of which one disk is left", () => {
  const operator = new Operator("worst", toml("worst"));
  let acknowledged: ReadonlyMap<string, number>;
  let outcome: Outcome;
  let backedUp: { readonly commit: string };
  const settings = async (): Promise<SettingsAnswer> => operator.json<SettingsAnswer>("settings", "list");
  const dataOf = (name: string): string => join(operator.clusterFolder, "nodes", name, "data");
  beforeAll(async () => {
    const made = await operator.bootstrap();
    if (made.code !== 0) throw new Error(made.stderr);
    backedUp = await operator.json("backup", "trigger");
  });
  afterAll(() => operator.dispose());

  it("is not recovered while a quorum of it answers, nor while the disk is in use", async () => {
    await killAll(operator, ["n2"]);
    const living = await operator.run(...recover);
    expect(living).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("is not lost") as string });
    expect(living.stderr).toMatch(/n1, n3|n3, n1/);
    expect(readdirSync(dataOf("n2"))).not.toContain("recovering");
    const unknown = await operator.run("cluster", "recover", "--from-member", "n9", "--yes");
    expect(unknown).toMatchObject({ code: exit.notFound, stderr: expect.stringContaining("n1, n2, n3") as string });
    expect((await operator.run("cluster", "start")).code).toBe(exit.done);
    await killAll(operator, ["n1", "n3"]);
    const inUse = async (): Promise<string> => {
      const ended = await operator.run(...recover);
      expect(ended.code).toBe(exit.rejected);
      return ended.stderr;
    };
    // Until it notices that it is alone it may think that somebody leads.
    await expect.poll(inUse, { timeout: 20_000 }).toContain("a daemon runs on it");
    expect((await operator.run("cluster", "start")).code).toBe(exit.done);
  });

  it("loses all members under load, and two of the disks", async () => {
    expect(await operator.run("backup", "trigger")).toMatchObject({ code: exit.done });
    acknowledged = await writeUntilDead(operator.home, 200, () => killAll(operator, ["n1", "n2", "n3"]));
    cpSync(join(operator.clusterFolder, "nodes/n3"), join(operator.folder, "old-n3"), { recursive: true });
    cpSync(join(operator.clusterFolder, "pki"), join(operator.folder, "old-pki"), { recursive: true });
    for (const name of ["n1", "n3"]) rmSync(dataOf(name), { recursive: true });
    const asked = await operator.run("cluster", "recover", "--from-member", "n2");
    expect(asked).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("add --yes") as string });
    for (const text of ["known to be, up to entry", "n1 (member 1), n3 (member 3) cannot come back", "goes on"]) {
      expect(asked.stdout).toContain(text);
    }
    expect(readdirSync(dataOf("n2"))).not.toContain("recovering");
    expect(existsSync(join(operator.clusterFolder, "recover.json"))).toBe(false);
  });

  it("goes on from the third, wherever the command is killed, and everything that was on that disk is there", async () => {
    const before = await lastOf(dataOf("n2"), operator.journal().identity?.clusterId ?? "", 2);
    for (const step of ["[1/6]", "[2/6]", "[3/6]", "[4/6]", "[5/6]", "[6/6]"]) {
      const running = operator.begin(recover);
      await running.sees(step);
      running.process.kill("SIGKILL");
      await running.ended;
      const half = await operator.run("cluster", "start");
      if (existsSync(join(operator.clusterFolder, "recover.json")))
        expect(half).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("aether cluster recover") as string });
    }
    outcome = await operator.json<Outcome>(...recover);
    expect(outcome).toMatchObject({ oldMember: 2, member: 4, first: 1, upTo: before.last });
    expect(outcome.committed).toBeGreaterThanOrEqual(before.commit);
    const values = new Map((await settings()).settings.map(({ key, value }) => [key, value]));
    const held = [...acknowledged].filter(([, index]) => index <= outcome.upTo);
    expect(held.length).toBeGreaterThan(150);
    expect(held.filter(([key]) => values.get(key) !== Number(key.split(".")[2]))).toEqual([]);
    const lost = [...acknowledged.values()].filter((index) => index > outcome.upTo);
    if (outcome.surelyLost !== null) expect(outcome.surelyLost.from).toBe(outcome.upTo + 1);
    for (const index of lost) expect(index).toBeGreaterThan(outcome.upTo);
  }, 180_000);

  it("keeps what there was beside it", async () => {
    expect(await lastOf(outcome.retired, outcome.oldId, 2)).toMatchObject({ last: outcome.upTo });
    expect(readdirSync(join(operator.clusterFolder, "nodes")).toSorted()).toEqual([
      "n2",
      `retired-n1-${outcome.oldId.slice(0, 8)}`,
      `retired-n3-${outcome.oldId.slice(0, 8)}`,
    ]);
    expect(operator.instances().map(({ name }) => name)).toEqual(["n2"]);
    const view = await operator.json<ClusterView>("cluster", "status");
    expect(view).toMatchObject({ id: outcome.id, leader: "n2", quorum: { voters: 1, holds: true } });
    const { nodes } = await operator.json<NodesAnswer>("node", "list");
    expect(nodes.map(({ name, left }) => [name, left])).toEqual([
      ["n1", true],
      ["n2", false],
      ["n3", true],
    ]);
  });

  it("has one log from its first entry on, whose proof holds over what was written before and after", async () => {
    const proof = await operator.json<{ verified: boolean; from: number; to: number; signedUpTo: number | null }>(
      "audit",
      "verify",
    );
    expect(proof).toMatchObject({ verified: true, from: 1 });
    expect(proof.to).toBeGreaterThan(outcome.upTo);
    const { stdout } = await operator.run("events", "--from", String(outcome.upTo + 1), "--for", "cluster/worst", "-o", "json");
    const [entry] = stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as EntryAnswer);
    expect(entry).toMatchObject({ cause: "RecoverCluster", actor: "operator:operator" });
    expect(entry?.events[0]).toMatchObject({
      type: "ClusterRecovered",
      from: "n2",
      oldClusterId: outcome.oldId,
      clusterId: outcome.id,
      member: 4,
      upTo: outcome.upTo,
    });
  });

  it("and its old members refuse each other, and one that comes back gets nowhere", async () => {
    const pki = join(operator.folder, "old-pki");
    const text = readFileSync(join(operator.folder, "old-n3/node.json"), "utf8").replaceAll(
      join(operator.clusterFolder, "pki"),
      pki,
    );
    const config = JSON.parse(text) as { advertise: string };
    const file = join(operator.folder, "old-n3/again.json");
    writeFileSync(file, JSON.stringify({ ...config, dataDir: join(operator.folder, "old-n3/data") }));
    const { node, entry } = findDaemon();
    const child = spawn(node, [...daemonNodeOptions, entry, "--config", file], { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("close", resolve));
    const ask = (clusterId: string, name: string, address: string, from: string): Promise<string> => {
      const pair = {
        certificate: readFileSync(join(from, `${name}.pem`), "utf8"),
        key: readFileSync(join(from, `${name}.key`), "utf8"),
      };
      const api = openHttpsApi([address], { ca: readFileSync(join(from, "ca.pem"), "utf8"), ...pair, clusterId });
      const said = api.call<MemberAnswer>("GET", "/v1/member").then(
        ({ role, leader }) => `${role}, leader ${leader?.node ?? "none"}`,
        (error: Failure) => error.reason ?? "no answer",
      );
      return said.finally(() => api.close());
    };
    const [n2 = "", n3] = [operator.journal().identity?.nodes[0]?.address, config.advertise];
    const ours = join(operator.clusterFolder, "pki");
    try {
      // It has nobody to vouch for its disk: who is at n2's address is of another cluster, and says nothing to it.
      await expect.poll(() => ask(outcome.oldId, "operator", n3, pki), { timeout: 30_000 }).toBe("vouching, leader none");
      expect(await ask(outcome.id, "operator", n2, ours)).toBe("leader, leader n2");
      for (const name of ["n3", "operator"]) expect(await ask(outcome.id, name, n2, pki)).toBe("unauthenticated");
      expect(await ask(outcome.oldId, "operator", n3, ours)).toBe("unauthenticated");
      expect(await ask(outcome.oldId, "operator", n2, pki)).not.toContain("leader");
      expect(await ask(outcome.oldId, "operator", n3, pki)).toBe("vouching, leader none");
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
    expect(await operator.json<ClusterView>("cluster", "status")).toMatchObject({ quorum: { voters: 1, holds: true } });
  });

  it("goes on with the backups of the old one", async () => {
    expect(await operator.run("backup", "trigger")).toMatchObject({ code: exit.done });
    const { backups } = await operator.json<BackupsAnswer>("backup", "list");
    expect(backups.some(({ index }) => index > outcome.upTo)).toBe(true);
    expect(backups.some(({ index }) => index <= outcome.upTo)).toBe(true);
    expect(await operator.run("backup", "verify")).toMatchObject({ code: exit.done });
  }, 180_000);

  it("grows to three again, under names and numbers that nobody had", async () => {
    const grown = await operator.run("cluster", "scale", "--nodes", "3");
    expect(grown).toMatchObject({ code: exit.done, stdout: expect.stringContaining("added n4, n5") as string });
    const view = await operator.json<ClusterView>("cluster", "status");
    expect(view.members.map(({ id, name, duty }) => [id, name, duty])).toEqual([
      [4, "n2", "on-duty"],
      [5, "n4", "on-duty"],
      [6, "n5", "on-duty"],
    ]);
    await killAll(operator, ["n2"]);
    expect((await operator.run("settings", "set", "after", "1")).code).toBe(exit.done);
    expect((await operator.run("cluster", "start")).code).toBe(exit.done);
    const proofs = ["n2", "n4", "n5"].map((name) => operator.json<{ verified: boolean }>("audit", "verify", "--member", name));
    expect(await Promise.all(proofs)).toMatchObject([{ verified: true }, { verified: true }, { verified: true }]);
    const values = new Map((await settings()).settings.map(({ key }) => [key, true]));
    for (const [key, index] of acknowledged) if (index <= outcome.upTo) expect(values.has(key)).toBe(true);
  });

  it("goes on in the line of backups that was begun before", async () => {
    const made = await operator.run("backup", "trigger");
    expect(made, made.stderr).toMatchObject({ code: exit.done });
    const commits = async () => (await operator.json<BackupsAnswer>("backup", "list")).backups.map(({ commit }) => commit);
    // whoever answers may be new, and about to fetch the line
    await expect.poll(commits, { timeout: 20_000 }).toContain(backedUp.commit);
    expect((await commits()).length).toBeGreaterThan(1);
  });
});

describe("a disk that was brought from another computer", () => {
  const there = new Operator("brought", toml("brought"));
  const here = new Operator("brought", toml("brought"));
  const disk = join(here.folder, "disk");
  beforeAll(async () => {
    const made = await there.bootstrap();
    if (made.code !== 0) throw new Error(made.stderr);
    await there.run("settings", "set", "site.motto", "hello");
  });
  afterAll(async () => {
    await there.dispose();
    await here.dispose();
  });

  it("must be a member's, and is not taken while the others can be seen to answer", async () => {
    const none = await here.run(...recover, "--data-dir", there.folder);
    expect(none).toMatchObject({
      code: exit.usage,
      stderr: expect.stringContaining("is not the data folder of a member") as string,
    });
    await killAll(there, ["n2"]);
    cpSync(join(there.clusterFolder, "nodes/n2/data"), disk, { recursive: true });
    const living = await here.run(...recover, "--data-dir", disk);
    expect(living).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("is not lost") as string });
    await killAll(there, ["n1", "n3"]);
    const another = await here.run("cluster", "recover", "--from-member", "n1", "--data-dir", disk, "--yes");
    expect(another).toMatchObject({ code: exit.usage, stderr: expect.stringContaining("that is the disk of n2") as string });
    expect(existsSync(join(here.home, "clusters/brought/nodes/n2/data"))).toBe(false);
  });

  it("goes on here, with a secret of its own, and is only read", async () => {
    const running = here.begin([...recover, "--data-dir", disk]);
    await running.sees("[3/6]");
    running.process.kill("SIGKILL");
    await running.ended;
    const outcome = await here.json<Outcome>(...recover, "--data-dir", disk);
    expect((await here.run("settings", "get", "site.motto")).stdout).toBe("hello\n");
    expect(await here.json<ClusterView>("cluster", "status")).toMatchObject({ name: "brought", id: outcome.id, leader: "n2" });
    expect(readdirSync(disk)).not.toContain("recovered.json");
    expect((await lastOf(disk, outcome.oldId, 2)).last).toBe(outcome.upTo);
    expect((await here.run("audit", "verify")).code).toBe(exit.done);
    expect((await here.run("cluster", "destroy", "--yes")).code).toBe(exit.done);
  });
});

describe("a cluster of which a member that is too few for a quorum still runs", () => {
  const operator = new Operator("minority", toml("minority"));
  beforeAll(async () => {
    const made = await operator.bootstrap();
    if (made.code !== 0) throw new Error(made.stderr);
  });
  afterAll(() => operator.dispose());

  it("is recovered from another's disk once that one has noticed that it is alone; it is ended, and its disk is kept", async () => {
    const before = operator.instances().find(({ name }) => name === "n3")?.process ?? null;
    if (before === null) throw new Error("n3 does not run");
    await killAll(operator, ["n1", "n2"]);
    const done = async (): Promise<number | null> => (await operator.run(...recover)).code;
    await expect.poll(done, { timeout: 60_000 }).toBe(exit.done);
    expect(isAlive(before)).toBe(false);
    expect(operator.instances().map(({ name }) => name)).toEqual(["n2"]);
    const kept = readdirSync(join(operator.clusterFolder, "nodes")).find((name) => name.startsWith("retired-n3-"));
    expect(readdirSync(join(operator.clusterFolder, "nodes", kept ?? "", "data"))).toContain("identity.json");
  });
});
