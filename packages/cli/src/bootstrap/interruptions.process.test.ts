import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { isPortFree } from "@aether/cloud/local/ports";
import { isAlive } from "@aether/cloud/local/process-table";
import { exit } from "../shell/failure.ts";
import { Operator } from "../testing/operator.ts";

const fixtures = join(import.meta.dirname, "../../../../fixtures/clusters");
const toml = (more = "", size = 3): string =>
  `[cluster]\nname = "{name}"\nsize = ${size}\n\n[cloud]\nprovider = "local"\n${more}`;
const secretLine = '\n[security]\ncluster_secret = "${secrets:cluster/secret}"\n';
const secretVariable = { AETHER_SECRET_CLUSTER_SECRET: "0123456789abcdef0123456789abcdef" };

/** A base port with `count` free ones from it on. */
async function freeBase(count: number): Promise<number> {
  for (let base = 12_000; base < 19_000; base += 10) {
    const free = await Promise.all(Array.from({ length: count }, (_, at) => isPortFree(base + at)));
    if (free.every(Boolean)) return base;
  }
  throw new Error("no free ports");
}

const listen = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });

describe("a bootstrap that cannot go on", () => {
  const operators: Operator[] = [];
  const operator = (name: string, text: string): Operator => {
    const made = new Operator(name, text);
    operators.push(made);
    return made;
  };
  afterAll(async () => {
    for (const one of operators) await one.dispose();
  });

  it("reports every fault of the file at once, with its place, and makes nothing", async () => {
    const broken = operator("broken", '[cluster]\nname = "Broken!"\nsiez = 3\n\n[cloud]\nprovider = "lcoal"\n');
    const ended = await broken.bootstrap();
    expect(ended.code).toBe(exit.usage);
    for (const text of [
      "cluster.toml:2:",
      "cluster.name",
      "cluster.toml:3:",
      "did you mean size",
      "cluster.toml:6:",
      "cloud.provider",
    ]) {
      expect(ended.stderr).toContain(text);
    }
    expect(existsSync(broken.home)).toBe(false);
    expect((await broken.run("cluster", "bootstrap", "--config", "/nowhere.toml")).code).toBe(exit.usage);
  });

  it("takes the operator guide's file as it stands, and says which credentials it needs", async () => {
    const guide = operator("guide", readFileSync(join(fixtures, "guide.toml"), "utf8"));
    const ended = await guide.begin(["cluster", "bootstrap", "--config", guide.file], secretVariable).ended;
    expect(ended.code).toBe(exit.failed);
    for (const word of ["production: 5 nodes, provider hetzner", "step 3/12, preflight", "HCLOUD_TOKEN is not set"])
      expect(ended.stderr).toContain(word);
    expect(ended.stderr).toContain("exists now: no instance");
  });

  it("names the secret that is missing and where it was looked for, and goes on when it is there", async () => {
    const secret = operator("secret", toml(secretLine, 1));
    const without = await secret.bootstrap();
    expect(without.code).toBe(exit.usage);
    expect(without.stderr).toContain("AETHER_SECRET_CLUSTER_SECRET");
    expect(without.stderr).toContain("step 2/12");
    expect(secret.instances()).toEqual([]);
    mkdirSync(join(secret.home, "secrets/cluster"), { recursive: true });
    writeFileSync(join(secret.home, "secrets/cluster/secret"), `${secretVariable.AETHER_SECRET_CLUSTER_SECRET}\n`);
    expect(await secret.bootstrap()).toMatchObject({ code: exit.done });
    for (const file of ["bootstrap.json", "nodes/n1/node.json", "nodes/n1/aetherd.log"]) {
      const text = readFileSync(join(secret.clusterFolder, file), "utf8");
      expect(text).not.toContain(secretVariable.AETHER_SECRET_CLUSTER_SECRET);
    }
    expect(existsSync(join(secret.clusterFolder, "secret"))).toBe(false);
    const other = await secret.begin(["cluster", "bootstrap", "--config", secret.file], {
      AETHER_SECRET_CLUSTER_SECRET: "another-secret",
    }).ended;
    expect(other).toMatchObject({
      code: exit.rejected,
      stderr: expect.stringContaining("is not the one that secret was made with"),
    });
    expect((await secret.run("cluster", "destroy", "--yes")).code).toBe(exit.done);
  });

  it("names a port that is taken before anything is provisioned, and takes it when it is free again", async () => {
    const base = await freeBase(3);
    const ports = operator("ports", toml(`\n[local]\nbase_port = ${base}\n`));
    const server = await listen(base + 1);
    const ended = await ports.bootstrap();
    await new Promise((resolve) => server.close(resolve));
    expect(ended.code).toBe(exit.failed);
    expect(ended.stderr).toContain(`port ${base + 1} on 127.0.0.1 is in use`);
    expect(ended.stderr).toContain("exists now: no instance");
    expect(ended.stderr).toContain("go on: run the same command again; clean up: aether cluster destroy ports --yes");
    const again = await ports.bootstrap();
    expect(again.code).toBe(exit.done);
    expect(ports.instances().map(({ address }) => address)).toEqual([0, 1, 2].map((at) => `127.0.0.1:${base + at}`));
    expect((await ports.run("cluster", "destroy", "--yes")).code).toBe(exit.done);
  });
});

describe("a bootstrap that is interrupted", () => {
  const operator = new Operator("midway", toml());
  const begin = () => operator.begin(["cluster", "bootstrap", "--config", operator.file]);
  afterAll(() => operator.dispose());

  it("ends at Ctrl-C with 130 and says how to go on", async () => {
    const run = begin();
    await run.sees("[ 7/12]");
    run.process.kill("SIGINT");
    const ended = await run.ended;
    expect(ended.code).toBe(exit.interrupted);
    expect(ended.stderr).toContain(
      "interrupted; go on: run the same command again; clean up: aether cluster destroy midway --yes",
    );
    expect(operator.journal()).toMatchObject({ state: "forming", step: { number: 7, state: "started" } });
  });

  it("cannot be finished with another configuration than it was begun with", async () => {
    const before = { journal: operator.journal().identity, instances: operator.instances() };
    writeFileSync(operator.file, toml("", 5).replaceAll("{name}", "midway"));
    const other = await operator.bootstrap();
    expect(other).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining("begun with another configuration") });
    expect({ journal: operator.journal().identity, instances: operator.instances() }).toEqual(before);
    writeFileSync(operator.file, toml().replaceAll("{name}", "midway"));
  });

  it("may be killed at any moment, again and again: in the end there are three instances", async () => {
    for (const ms of [250, 400, 550, 700, 900, 1_200]) {
      const run = begin();
      await new Promise((resolve) => setTimeout(resolve, ms));
      run.process.kill("SIGKILL");
      await run.ended;
    }
    const last = await operator.bootstrap();
    expect(last).toMatchObject({ code: exit.done, stdout: expect.stringContaining("3 members") });
    const alive = operator.instances().map((instance) => instance.process !== null && isAlive(instance.process));
    expect(alive).toEqual([true, true, true]);
  });

  it("leaves a journal that nothing but a whole one replaces: a damaged one stops everything", async () => {
    const path = join(operator.clusterFolder, "bootstrap.json");
    const whole = readFileSync(path, "utf8");
    writeFileSync(path, whole.slice(0, whole.length / 2));
    for (const words of [
      ["cluster", "bootstrap", "--config", operator.file],
      ["cluster", "scale", "--nodes", "5"],
      ["cluster", "start"],
    ]) {
      expect(await operator.run(...words)).toMatchObject({
        code: exit.failed,
        stderr: expect.stringContaining("is not a bootstrap journal"),
      });
    }
    writeFileSync(path, whole);
    expect((await operator.bootstrap()).code).toBe(exit.done);
  });
});
