import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { isAlive } from "@aether/cloud/local/process-table";
import { exit } from "../shell/failure.ts";
import { Operator } from "../testing/operator.ts";
import { stepNames } from "./journal.ts";

const local = readFileSync(join(import.meta.dirname, "../../../../fixtures/clusters/local.toml"), "utf8");
const named = (name: string): string => local.replace(/^name = .*$/m, `name = "${name}"`);

describe("a bootstrap that is killed at each of its twelve steps and run again", () => {
  const operator = new Operator("twelve", named("twelve"));
  afterAll(() => operator.dispose());
  const identities: string[] = [];

  it.each(stepNames.map((name, at) => [at + 1, name] as const))("survives kill -9 at step %i, %s", async (number, name) => {
    const run = operator.begin(["cluster", "bootstrap", "--config", operator.file]);
    await run.sees(`[${String(number).padStart(2)}/12] ${name} …`);
    run.process.kill("SIGKILL");
    const ended = await run.ended;
    // the last step may be over before the signal comes
    if (number < stepNames.length || ended.code !== 0) expect(ended.signal).toBe("SIGKILL");
    if (number > 5) identities.push(JSON.stringify(operator.journal().identity));
    expect(operator.instances().length).toBeLessThanOrEqual(3);
  });

  it("is completed by the next run, with exactly three instances and the identity of the first one", async () => {
    const last = await operator.bootstrap();
    expect(last).toMatchObject({ code: exit.done, stdout: expect.stringContaining("cluster twelve is ready: 3 members") });
    identities.push(JSON.stringify(operator.journal().identity));
    expect(new Set(identities).size).toBe(1);
    const instances = operator.instances();
    expect(instances.map(({ name, attempt, power }) => [name, attempt, power])).toEqual([
      ["n1", 1, "on"],
      ["n2", 2, "on"],
      ["n3", 3, "on"],
    ]);
    expect(instances.map((instance) => instance.process !== null && isAlive(instance.process))).toEqual([true, true, true]);
  });

  it("made one cluster: three first members, initialised once", async () => {
    const { stdout } = await operator.run("events", "-o", "json");
    const types = stdout
      .split("\n")
      .filter(Boolean)
      .flatMap((line) => (JSON.parse(line) as Entry).events.map((event) => event.type));
    expect(types.filter((type) => type === "ClusterInitialised")).toHaveLength(1);
    expect(types.filter((type) => type === "ClusterReady")).toHaveLength(1);
    expect(types.filter((type) => type === "NodeJoined")).toHaveLength(3);
    expect(types).not.toContain("NodeMemberReplaced");
  });

  it("finds the ready cluster the next time, and changes nothing", async () => {
    const before = { journal: operator.journal(), instances: operator.instances() };
    const again = await operator.bootstrap();
    expect(again.code).toBe(exit.done);
    expect(again.stderr.match(/already there/g)?.length).toBeGreaterThanOrEqual(5);
    expect({ journal: operator.journal(), instances: operator.instances() }).toEqual(before);
  });

  it("keeps the generated secret to its owner and out of everything else", () => {
    const path = join(operator.clusterFolder, "secret");
    const secret = readFileSync(path, "utf8").trim();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const texts = ["bootstrap.json", "nodes/n1/node.json", "instances/n1.json", "nodes/n1/aetherd.log"];
    for (const text of texts) expect(readFileSync(join(operator.clusterFolder, text), "utf8")).not.toContain(secret);
  });

  it("refuses to run beside another one", async () => {
    const first = operator.begin(["cluster", "bootstrap", "--config", operator.file]);
    await first.sees("[ 4/12]");
    first.process.kill("SIGSTOP");
    const second = await operator.bootstrap();
    first.process.kill("SIGCONT");
    expect(second).toMatchObject({ code: exit.rejected, stderr: expect.stringContaining(`process ${first.process.pid}`) });
    expect((await first.ended).code).toBe(exit.done);
  });

  it("starts members again that were not running, as the same instances", async () => {
    const before = operator.instances();
    const victim = before[1]?.process;
    if (victim == null) throw new Error("n2 has a process");
    process.kill(victim.pid, "SIGKILL");
    await expect.poll(() => isAlive(victim)).toBe(false);
    const again = await operator.bootstrap();
    expect(again).toMatchObject({ code: exit.done, stderr: expect.stringContaining("1 started again") });
    expect(operator.instances().map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  });

  it("is ended by destroy: no process, no data, no key and no context is left", async () => {
    const before = operator.instances();
    expect(await operator.run("cluster", "destroy")).toMatchObject({
      code: exit.rejected,
      stderr: expect.stringContaining("--yes"),
    });
    expect((await operator.run("cluster", "destroy", "--yes")).code).toBe(exit.done);
    for (const { process: target } of before) expect(target !== null && isAlive(target)).toBe(false);
    expect(() => statSync(operator.clusterFolder)).toThrow(/ENOENT/);
    expect(await operator.json("context", "list")).toEqual({ current: null, contexts: [] });
    expect((await operator.run("cluster", "destroy", "twelve", "--yes")).code).toBe(exit.notFound);
  });
});

interface Entry {
  readonly index: number;
  readonly events: readonly { readonly type: string }[];
}
