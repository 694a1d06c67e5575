/** Real daemons that reach each other through proxies: whose links are cut, who is held, and what ends by itself. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { leaderOf, memberFacts, sameDigests } from "@aether/node/testing/cluster-facts";
import { eventually, type TestNode } from "@aether/node/testing/cluster-harness";
import { makeStream } from "../world/stream.ts";
import { Daemons } from "./chaos-cluster.ts";

describe("a cluster over proxies", () => {
  const withinMs = 60_000;
  let cluster: Daemons;
  const write = (node: TestNode, value: number): Promise<number> =>
    cluster.operator
      .ask("PUT", node.address, "/v1/settings/here", { value })
      .then(({ status }) => status)
      .catch(() => 0);

  beforeAll(async () => {
    cluster = await Daemons.prepare(3, 1);
    await cluster.form();
  });
  afterAll(() => cluster.close(false));

  it("talks through them only: a leader whose every link is cut is followed by another one", async () => {
    expect(cluster.net.all).toHaveLength(6);
    for (const link of cluster.net.all) expect(link.counts.bytes).toBeGreaterThan(0);
    for (const how of ["drop", "blackhole", "hold"] as const) {
      const leader = await leaderOf(cluster.harness, cluster.operator, withinMs);
      const { term } = await memberFacts(cluster.operator, leader);
      for (const other of cluster.nodes) {
        if (other === leader) continue;
        cluster.net.silence(leader.name, other.name, how);
        cluster.net.silence(other.name, leader.name, how);
      }
      const rest = cluster.nodes.filter((node) => node !== leader);
      await eventually(`another leads when links ${how}`, withinMs, async () => {
        const facts = await Promise.all(rest.map((node) => memberFacts(cluster.operator, node)));
        return facts.some((one) => one.role === "leader" && one.term > term) ? true : undefined;
      });
      await eventually("the cut-off member knows nobody", withinMs, async () =>
        (await memberFacts(cluster.operator, leader)).role !== "leader" ? true : undefined,
      );
      await eventually("the rest takes a write", withinMs, async () => ((await write(rest[0]!, 1)) === 200 ? true : undefined));
      cluster.net.heal();
      await sameDigests(cluster.operator, cluster.nodes, withinMs);
    }
  });

  it("leaves a paused process its place, and knows which ends were meant", async () => {
    const [first, second, third] = cluster.nodes as [TestNode, TestNode, TestNode];
    cluster.stop(first);
    await eventually("the others go on", withinMs, async () => ((await write(second, 2)) === 200 ? true : undefined));
    cluster.resume(first);
    await cluster.kill(third);
    const held = cluster.take(makeStream(1, "one")) as TestNode;
    expect(held).not.toBe(third);
    held.process?.kill("SIGKILL");
    await cluster.ended(held, withinMs);
    cluster.heal();
    expect(held.process).toBe(null);
    expect(third.process).not.toBe(null);
    expect(cluster.unexpected).toEqual([]);
    cluster.giveBack(held);
    await cluster.takesPart(held, withinMs);
    held.process?.kill("SIGKILL");
    await cluster.ended(held, withinMs);
    expect(cluster.unexpected).toEqual([`${held.name} ended by itself with SIGKILL`]);
    cluster.heal();
    for (const node of cluster.nodes) await cluster.takesPart(node, withinMs);
  });
});
