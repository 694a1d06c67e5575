/** What an operator does with a cloud besides making a cluster: over HTTP to a vendor whose machines run nothing. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { FakeHetzner, fakeDefaults } from "@aether/cloud/testing/hetzner/fake";
import { noMachines, type Machines } from "@aether/cloud/testing/machines";
import { exit } from "../shell/failure.ts";
import type { Running } from "../testing/operator.ts";
import { CloudStage } from "../testing/cloud-stage.ts";
import { aws, azure, gcp, hetzner, type Vendor } from "../testing/cloud-vendors.ts";
import type { Checked } from "./check.ts";
import type { CloudPlan } from "./cloud-plan.ts";
import type { Orphan } from "./orphans.ts";

type Stage = CloudStage<ReturnType<typeof hetzner>>;
let stage: { readonly dispose: () => Promise<void> } | null = null;
afterEach(async () => {
  await stage?.dispose();
  stage = null;
});

let booted = 0;
/** On this computer, where nothing listens. */
const deaf: Machines = { ...noMachines, boot: () => `127.213.77.${((booted += 1) % 250) + 1}` };

/** A vendor whose machines come to run, and in which nothing ever listens. */
const silent =
  (change: Partial<ConstructorParameters<typeof FakeHetzner>[0]> = {}) =>
  () => {
    const fake = new FakeHetzner({
      now: Date.now,
      machines: deaf,
      bootMs: 20,
      actionMs: 5,
      deleteMs: 20,
      lagMs: 5,
      pageMax: 25,
      ...change,
    });
    return {
      ...hetzner(noMachines),
      fake,
      living: () => [...fake.servers.keys()].map(String),
      violations: () => fake.violations,
    };
  };
const open = async (change?: Parameters<typeof silent>[0], size = 3): Promise<Stage> => {
  const there = await CloudStage.open("prod", size, silent(change));
  stage = there;
  return there;
};
/** Makes the machines and fails at once where it would wait for them to answer. */
const bootstrapInVain = (there: Stage, ...more: readonly string[]) => there.bootstrap("--timeout", "1s", ...more);

describe("cluster bootstrap --dry-run", () => {
  it("prints what would be made, to the letter, and asks the vendor for nothing but what exists", async () => {
    const there = await open();
    const plan = await there.json<CloudPlan>("cluster", "bootstrap", "--config", there.operator.file, "--dry-run");
    expect(plan.machines.map(({ name, machine }) => [name, machine.size, machine.zone])).toEqual([
      ["prod-n1", "cx22", "fsn1"],
      ["prod-n2", "cx22", "nbg1"],
      ["prod-n3", "cx22", "fsn1"],
    ]);
    expect(plan.machines[0]).toMatchObject({
      exists: false,
      attempt: 1,
      labels: { "aether-cluster": "prod", "aether-node": "n1" },
    });
    expect(plan.cost).toMatchObject({ currency: "EUR", basis: expect.stringContaining("unchecked") });
    const [first] = plan.machines;
    expect(first?.userDataBytes).toBeLessThan(16_384);
    expect(first?.userData).toContain('\\"ticket\\":\\"…\\"');
    expect(there.vendor.fake.calls.every((call) => call.startsWith("GET "))).toBe(true);
    const made = await bootstrapInVain(there);
    expect(made.code, made.stderr).toBe(exit.notReady);
    const kept = readdirSync(there.operator.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(kept.length).toBeGreaterThan(3);
    for (const file of kept) {
      const content = readFileSync(join(file.parentPath, file.name), "utf8");
      for (const secret of [fakeDefaults.token, "a-cluster-secret-for-this-test"])
        expect(content, file.name).not.toContain(secret);
    }
    const real = there.operator.journal().identity?.nodes.map(({ machine }) => machine?.zone);
    expect(real).toEqual(plan.machines.map(({ machine }) => machine.zone));
    const text = await there.run("cluster", "bootstrap", "--config", there.operator.file, "--dry-run");
    expect(text.stdout).toContain("3 machines of it already there");
    expect(text.stdout + text.stderr).not.toContain(fakeDefaults.token);
  });

  it("needs no credentials, and says that it could not ask", async () => {
    const there = await open();
    const ended = await there.operator.begin(["cluster", "bootstrap", "--config", there.operator.file, "--dry-run"], {
      AETHER_SECRET_CLUSTER_SECRET: "a-cluster-secret-for-this-test",
    }).ended;
    expect(ended).toMatchObject({ code: exit.done, stdout: expect.stringContaining("HCLOUD_TOKEN is not set") });
  });
});

describe("a clock for fakes", () => {
  it("is refused when it is none", async () => {
    const there = await open();
    const env = { ...there.env, AETHER_CLOUD_PACE: "fast" };
    const ended = await there.operator.begin(["cloud", "orphans", "--config", there.operator.file], env).ended;
    expect(ended).toMatchObject({ code: exit.usage, stderr: expect.stringContaining("AETHER_CLOUD_PACE is above 0") });
  });
});

describe("a bootstrap that the vendor stops", () => {
  it("goes to the next zone where there is no room, and keeps to it", async () => {
    const there = await open({ room: { fsn1: 1, nbg1: 50 } });
    await bootstrapInVain(there);
    const machines = there.operator.journal().identity?.nodes.map(({ name, machine }) => [name, machine?.zone, machine?.attempt]);
    expect(machines).toHaveLength(3);
    expect(machines?.filter(([, zone]) => zone === "fsn1")).toHaveLength(1);
    expect(machines?.filter(([, , attempt]) => attempt === 2)).toHaveLength(1);
    expect(there.vendor.living()).toHaveLength(3);
  });

  it("says where it asked when there is room nowhere, keeps what it has, and goes on when there is", async () => {
    const room = { fsn1: 1, nbg1: 1 };
    const there = await open({ room });
    const full = await bootstrapInVain(there);
    expect(full.code).toBe(exit.failed);
    expect(full.stderr).toMatch(/there is room for n\d nowhere: cx22 in (fsn1|nbg1): resource_unavailable.*; cx22 in /);
    expect(there.vendor.living()).toHaveLength(2);
    room.nbg1 = 5;
    await bootstrapInVain(there);
    expect(there.vendor.living()).toHaveLength(3);
  });

  it("stops at a quota with the vendor's code, and --rollback deletes what that run made", async () => {
    const there = await open({ serversMax: 2 });
    const stopped = await bootstrapInVain(there, "--rollback");
    expect(stopped.stderr).toContain("resource_limit_exceeded");
    expect(stopped.stderr).toContain("rolled back: the machines of");
    expect(there.vendor.living()).toEqual([]);
    expect(there.vendor.violations()).toEqual([]);
  });
});

describe("cluster destroy in a cloud", () => {
  it("says what it would delete, and deletes it; also where the journal is damaged, by the cluster's file", async () => {
    const there = await open();
    await bootstrapInVain(there);
    const plan = await there.run("cluster", "destroy", "prod", "--dry-run");
    expect(plan.stdout).toContain("would delete at hetzner:");
    expect(plan.stdout.match(/instance n\d/g)).toHaveLength(3);
    const recovered = await there.run("cluster", "recover", "--from-member", "n1", "--yes", "--context", "prod");
    expect(recovered).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("are at hetzner") });
    writeFileSync(join(there.operator.clusterFolder, "bootstrap.json"), '{"format":1,');
    const blind = await there.run("cluster", "destroy", "prod", "--yes");
    expect(blind).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("--config FILE") });
    expect(there.vendor.living()).toHaveLength(3);
    const ended = await there.run("cluster", "destroy", "--config", there.operator.file, "--yes");
    expect(ended.code, ended.stderr).toBe(exit.done);
    expect(there.vendor.living()).toEqual([]);
  });

  it("that is killed after any of its deletes is finished by the next one", async () => {
    let doomed: Running | null = null;
    const there = await CloudStage.open("prod", 3, silent(), ({ method }) => {
      if (method !== "DELETE" || doomed === null) return undefined;
      doomed.process.kill("SIGKILL");
      return { kind: "drop-after" };
    });
    stage = there;
    await bootstrapInVain(there);
    // Several may have been deleted by the time a kill is felt, so how often it is killed is not known: at least once.
    const signals: (NodeJS.Signals | null)[] = [];
    while (signals.length < 5 && signals.at(-1) !== null) {
      doomed = there.begin("cluster", "destroy", "prod", "--yes");
      const ended = await doomed.ended;
      signals.push(ended.signal);
      if (ended.signal === null) expect(ended.code, ended.stderr).toBe(exit.done);
      else expect(there.operator.journal().state).toBe("destroying");
    }
    expect(signals[0]).toBe("SIGKILL");
    expect(signals.at(-1)).toBeNull();
    expect(there.vendor.living()).toEqual([]);
    expect(existsSync(there.operator.clusterFolder)).toBe(false);
  });

  it("does not believe an account that shows nothing of what was made, until a person says that it is gone", async () => {
    const there = await open();
    await bootstrapInVain(there);
    there.vendor.fake.servers.clear();
    const refused = await there.run("cluster", "destroy", "prod", "--yes");
    expect(refused).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("--at-most 0") });
    expect((await there.run("cluster", "destroy", "prod", "--yes", "--at-most", "0")).code).toBe(exit.done);
  });

  it("refuses to delete more than the cluster can have, until a person has looked", async () => {
    const there = await open({}, 5);
    await bootstrapInVain(there);
    writeFileSync(there.operator.file, "");
    const journal = there.operator.journal();
    const one = { ...journal, identity: { ...journal.identity, nodes: journal.identity?.nodes.slice(0, 1) } };
    writeFileSync(join(there.operator.clusterFolder, "bootstrap.json"), JSON.stringify(one));
    const refused = await there.run("cluster", "destroy", "prod", "--yes");
    expect(refused).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("--at-most") });
    expect(there.vendor.living()).toHaveLength(5);
    expect((await there.run("cluster", "destroy", "prod", "--yes", "--at-most", "5")).code).toBe(exit.done);
    expect(there.vendor.living()).toEqual([]);
  });
});

describe("cloud orphans", () => {
  it("shows instances that no journal claims, with age and cost, and deletes them when the cluster's name is given", async () => {
    const there = await open();
    await bootstrapInVain(there);
    const orphans = () =>
      there.json<{ readonly orphans: readonly Orphan[] }>("cloud", "orphans", "--config", there.operator.file);
    expect((await orphans()).orphans).toEqual([]);
    rmSync(there.operator.home, { recursive: true });
    const found = (await orphans()).orphans;
    expect(found.map(({ cluster, node, size }) => [cluster, node, size])).toEqual([
      ["prod", "n1", "cx22"],
      ["prod", "n2", "cx22"],
      ["prod", "n3", "cx22"],
    ]);
    expect(found[0]).toMatchObject({ why: "no cluster of this id is known here", cost: expect.stringContaining("EUR an hour") });
    const unasked = await there.run("cloud", "orphans", "--config", there.operator.file, "--delete");
    expect(unasked).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("--yes") });
    expect(there.vendor.living()).toHaveLength(3);
    const deleted = await there.run("cloud", "orphans", "--config", there.operator.file, "--delete", "--yes");
    expect(deleted.code, deleted.stderr).toBe(exit.done);
    expect(there.vendor.living()).toEqual([]);
  });

  it("needs to know where to look", async () => {
    const there = await open();
    expect(await there.run("cloud", "orphans")).toMatchObject({
      code: exit.notFound,
      stderr: expect.stringContaining("--config"),
    });
  });
});

describe("cloud check", () => {
  it("finds all well, or says of each thing what to do", async () => {
    const there = await open();
    const { checks } = await there.json<{ readonly checks: readonly Checked[] }>(
      "cloud",
      "check",
      "--config",
      there.operator.file,
    );
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(checks.map(({ check }) => check)).toContain("the user data fits");
    const bad = there.operator.file.replace("cluster.toml", "bad.toml");
    const text = `[cluster]\nname = "prod"\n[security]\ncluster_secret = "\${secrets:none/here}"\n[cloud]\nprovider = "hetzner"\n`;
    writeFileSync(
      bad,
      `${text}region = "mars1"\ninstance_type = "cx22"\nbundle_url = "http://127.0.0.1:9/a.tgz#sha256=${"0".repeat(64)}"\n`,
    );
    const ended = await there.run("cloud", "check", "--config", bad, "-o", "json");
    expect(ended.code, ended.stderr).toBe(exit.failed);
    const wrong = (JSON.parse(ended.stdout) as { readonly checks: readonly Checked[] }).checks.filter(({ ok }) => !ok);
    expect(wrong.every(({ hint }) => hint !== "")).toBe(true);
    const names = wrong.map(({ check }) => check);
    for (const check of ["the location", "the bundle", "the secrets"]) expect(names).toContain(check);
  });

  it.each<[string, (machines: typeof noMachines) => Vendor]>([
    ["aws", aws],
    ["gcp", gcp],
    ["azure", azure],
  ])("finds all well at %s too, and plans and looks for orphans there", async (_name, vendorOf) => {
    const there = await CloudStage.open("prod", 3, () => vendorOf(noMachines));
    stage = there;
    const ended = await there.run("cloud", "check", "--config", there.operator.file, "-o", "json");
    expect((JSON.parse(ended.stdout) as { readonly checks: readonly Checked[] }).checks.filter(({ ok }) => !ok)).toEqual([]);
    const plan = await there.json<CloudPlan>("cluster", "bootstrap", "--config", there.operator.file, "--dry-run");
    expect(plan).toMatchObject({ unasked: null });
    expect(new Set(plan.machines.map(({ machine }) => machine.zone)).size).toBe(2);
    expect(await there.json("cloud", "orphans", "--config", there.operator.file)).toEqual({ orphans: [] });
    const none = await there.run("cluster", "destroy", "--config", there.operator.file, "--yes");
    expect(none.code, none.stderr).toBe(exit.done);
  });

  it("finds secrets where the provider keeps them, and says which are nowhere", async () => {
    const there = await CloudStage.open("prod", 3, () => aws(noMachines));
    stage = there;
    there.vendor.fake.secrets.put("prod/aether", '{"cluster":{"secret":"from-the-vendors-store"}}');
    const file = there.operator.file.replace("cluster.toml", "kept.toml");
    const named = (reference: string) => readFileSync(there.operator.file, "utf8").replace("secrets:cluster/secret", reference);
    const secretsOf = async (reference: string): Promise<Checked | undefined> => {
      writeFileSync(file, named(reference));
      const ended = await there.run("cloud", "check", "--config", file, "-o", "json");
      expect(ended.stdout).not.toContain("from-the-vendors-store");
      return (JSON.parse(ended.stdout) as { readonly checks: readonly Checked[] }).checks.find(
        ({ check }) => check === "the secrets",
      );
    };
    expect(await secretsOf("secrets:prod/aether#cluster.secret")).toMatchObject({ ok: true });
    expect(await secretsOf("secrets:prod/nothing")).toMatchObject({ ok: false, detail: expect.stringContaining("prod/nothing") });
  });

  it("says that a token may not create, and shows it nowhere", async () => {
    const there = await open();
    const env = { ...there.env, HCLOUD_TOKEN: fakeDefaults.readOnlyToken };
    const ended = await there.operator.begin(["cloud", "check", "--config", there.operator.file], env).ended;
    expect(ended.code).toBe(exit.failed);
    expect(ended.stdout).toMatch(/the token may create\s+NO/);
    expect(ended.stdout + ended.stderr).not.toContain(fakeDefaults.readOnlyToken);
  });
});
