/** Nodes come and go on purpose: drained, shut down, added. The others carry on, and nobody campaigns from outside. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { leaderOf, memberFacts, sameDigests } from "../testing/cluster-facts.ts";
import { eventually, makeClusterHarness, type ClusterHarness, type TestNode } from "../testing/cluster-harness.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startWriteLoad } from "../testing/write-load.ts";

interface NodeAnswer {
  readonly name: string;
  readonly member: number;
  readonly duty: string;
  readonly contact: string;
  readonly left: boolean;
}

describe("nodes that come and go", () => {
  let h: ClusterHarness;
  let operator: TestClient;

  const row = async (name: string): Promise<NodeAnswer> => (await operator.any("GET", `/v1/nodes/${name}`)).body as NodeAnswer;
  const becomes = (name: string, duty: string): Promise<NodeAnswer> =>
    eventually(`${name} is ${duty}`, 20_000, async () => {
      const now = await row(name);
      return now.duty === duty ? now : undefined;
    });
  const voters = async (): Promise<readonly number[]> =>
    (await memberFacts(operator, await leaderOf(h, operator, 10_000))).voters;

  beforeAll(async () => {
    h = await makeClusterHarness({ size: 3 });
    await h.form();
    operator = await h.client("operator");
    for (const node of h.nodes) await becomes(node.name, "on-duty");
    const ready = await operator.any("POST", "/v1/commands", { type: "MarkClusterReady", id: h.name });
    if (ready.status !== 200) throw new Error(`MarkClusterReady: ${JSON.stringify(ready.body)}`);
  });
  afterAll(() => h.dispose());

  it("a leader that is drained hands over, and is back on duty when that is taken back", async () => {
    const leader = await leaderOf(h, operator, 10_000);
    expect((await operator.any("POST", `/v1/nodes/${leader.name}/drain`, { reason: "test" })).status).toBe(200);
    await becomes(leader.name, "decommissioned");
    expect((await leaderOf(h, operator, 10_000)).name).not.toBe(leader.name);
    const other = h.nodes.find((n) => n !== leader) as TestNode;
    const risky = await operator.any("POST", `/v1/nodes/${other.name}/drain`, {});
    expect(risky).toMatchObject({ status: 409, body: { reason: "quorum_at_risk" } });
    expect((await operator.any("POST", `/v1/nodes/${leader.name}/undrain`)).status).toBe(200);
    expect((await row(leader.name)).duty).toBe("on-duty");
  });

  it("a node that is silent is suspected, and returns; nothing is removed because of it", async () => {
    const leader = await leaderOf(h, operator, 10_000);
    const node = h.nodes.find((n) => n !== leader) as TestNode;
    node.process?.kill("SIGSTOP");
    await eventually("it is suspected", 10_000, async () =>
      (await seenBy(leader, node)).contact === "suspected" ? true : undefined,
    );
    node.process?.kill("SIGCONT");
    await eventually("it has returned", 10_000, async () =>
      (await seenBy(leader, node)).contact === "reachable" ? true : undefined,
    );
    expect(await voters()).toHaveLength(3);
  });
  const seenBy = async (at: TestNode, node: TestNode): Promise<NodeAnswer> =>
    (await operator.ask("GET", at.address, `/v1/nodes/${node.name}?consistency=stale`)).body as NodeAnswer;

  it("a leader that hangs is replaced, and a write that was on its way to it is answered, once, by the next", async () => {
    const leader = await leaderOf(h, operator, 10_000);
    const other = h.nodes.find((n) => n !== leader) as TestNode;
    leader.process?.kill("SIGSTOP");
    const key = { "idempotency-key": "while-it-hung" };
    const answer = await operator.ask("PUT", other.address, "/v1/settings/hung", { value: 1 }, key);
    leader.process?.kill("SIGCONT");
    expect(answer).toMatchObject({ status: 200, body: { version: 1 } });
    const again = await operator.ask("PUT", leader.address, "/v1/settings/hung", { value: 1 }, key);
    expect(again).toMatchObject({ status: 200, body: { version: 1, replayed: true } });
    await eventually("it follows", 10_000, async () =>
      (await memberFacts(operator, leader)).role === "follower" ? true : undefined,
    );
  });

  it("two more are expected, join, catch up and vote, and two leave again, without a write being lost", async () => {
    const load = startWriteLoad(operator, "scale", 4);
    const scaled = await operator.any("POST", "/v1/cluster/scale", { size: 5 });
    expect(scaled.status).toBe(200);
    for (const name of ["n4", "n5"]) {
      const node = await h.addNode();
      expect(node.name).toBe(name);
      h.start(node);
      await becomes(name, "on-duty");
    }
    expect(await voters()).toHaveLength(5);
    for (const name of ["n4", "n5"]) {
      const history = (await operator.any("GET", `/v1/history/node/${name}`)).body as {
        entries: { events: { type: string }[] }[];
      };
      const types = history.entries.flatMap((entry) => entry.events.map((event) => event.type));
      expect(types).toContain("NodeAdmitted");
      expect(types).not.toContain("NodeLost");
    }

    for (const name of ["n5", "n4"]) {
      const node = h.node(name);
      await eventually(`${name} may be drained`, 10_000, async () =>
        (await operator.any("POST", `/v1/nodes/${name}/drain`, {})).status === 200 ? true : undefined,
      );
      await becomes(name, "decommissioned");
      expect((await operator.any("POST", `/v1/nodes/${name}/shutdown`, {})).status).toBe(200);
      expect(await h.ended(node, 20_000)).toEqual({ code: 0, signal: null });
      expect((await row(name)).left).toBe(true);
    }
    expect(await voters()).toEqual([1, 2, 3]);
    await load.stop();
    const leader = await leaderOf(h, operator, 10_000);
    for (const [key, n] of load.acknowledged) {
      const now = await operator.ask("GET", leader.address, `/v1/settings/${encodeURIComponent(key)}`);
      expect(`${key}=${String((now.body as { value: unknown }).value)}`).toBe(`${key}=${n}`);
    }
  });

  it("a removed node that is started again does not campaign: it sees that it has left, and ends", async () => {
    const { term } = await memberFacts(operator, await leaderOf(h, operator, 10_000));
    const node = h.node("n5");
    h.start(node);
    expect(await h.ended(node, 20_000)).toEqual({ code: 0, signal: null });
    expect((await memberFacts(operator, await leaderOf(h, operator, 10_000))).term).toBe(term);
  });

  it("a leader that is shut down by force leaves as well, and the two that stay agree", async () => {
    const leader = await leaderOf(h, operator, 10_000);
    const forced = await operator.any("POST", `/v1/nodes/${leader.name}/shutdown`, { force: true, reason: "the test says so" });
    expect(forced.status).toBe(200);
    expect(await h.ended(leader, 20_000)).toEqual({ code: 0, signal: null });
    const stay = h.nodes.filter((n) => n.process !== null);
    expect(stay).toHaveLength(2);
    expect(await voters()).toEqual(stay.map((n) => n.member));
    const digests = await eventually("the two agree", 20_000, () => sameDigests(operator, stay, 1_000));
    expect(new Set(digests).size).toBe(1);
  });
});
