/** Real daemons, real sockets, real disks: a cluster forms, loses its leader, everybody, and keeps what it acknowledged. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { leaderOf, memberFacts, sameDigests } from "../testing/cluster-facts.ts";
import { eventually, makeClusterHarness, type ClusterHarness, type TestNode } from "../testing/cluster-harness.ts";
import { makeTestClient, type TestClient } from "../testing/test-client.ts";
import { startWriteLoad } from "../testing/write-load.ts";
import { deriveCa } from "../identity/cluster-ca.ts";
import { clientTls } from "../identity/tls.ts";

type Row = Record<string, unknown>;

describe("a cluster of three daemons", () => {
  let h: ClusterHarness;
  let operator: TestClient;
  const value = async (node: TestNode, key: string): Promise<unknown> => {
    const answer = await operator.ask("GET", node.address, settings(key));
    return (answer.body as Row)["value"];
  };

  beforeAll(async () => {
    h = await makeClusterHarness({ size: 3 });
    await h.form();
    operator = await h.client("operator");
  });
  afterAll(() => h.dispose());

  it("agrees on one leader and puts every node on duty", async () => {
    const leader = await leaderOf(h, operator, 5_000);
    expect((await memberFacts(operator, leader)).voters).toEqual([1, 2, 3]);
    const duties = await eventually("everybody on duty", 5_000, async () => {
      const { nodes } = (await operator.any("GET", "/v1/nodes")).body as { nodes: Row[] };
      return nodes.every((n) => n["duty"] === "on-duty") ? nodes.map((n) => n["name"]) : undefined;
    });
    expect(duties).toEqual(["n1", "n2", "n3"]);
  });

  it("formats nothing twice: bootstrap again changes nothing, another cluster's is a conflict", async () => {
    const members = h.nodes.map(({ name, member, address }) => ({ name, member, address }));
    const node = h.node("n2");
    const again = await operator.ask("POST", node.address, "/v1/bootstrap", {
      cluster: { id: h.clusterId, name: h.name },
      members,
    });
    expect(again.status).toBe(200);
    const other = { id: "f".repeat(32), name: h.name };
    const foreign = await operator.ask("POST", node.address, "/v1/bootstrap", { cluster: other, members });
    expect(foreign).toMatchObject({ status: 409, body: { reason: "conflict" } });
  });

  it("takes a write at any node, gives each version an ETag, and refuses a stale one with 412", async () => {
    for (const node of h.nodes) {
      const path = settings(`door/${node.name}`);
      const made = await operator.ask("PUT", node.address, path, { value: node.name });
      expect(made).toMatchObject({ status: 200, body: { key: `door/${node.name}`, value: node.name, version: 1 } });
      expect(made.headers.etag).toBe('"1"');
      const changed = await operator.ask("PUT", node.address, path, { value: "second" }, { "if-match": '"1"' });
      expect(changed).toMatchObject({ status: 200, body: { version: 2 } });
      const stale = await operator.ask("PUT", node.address, path, { value: "third" }, { "if-match": "1" });
      expect(stale).toMatchObject({ status: 412, body: { reason: "stale" } });
      expect(stale.headers["content-type"]).toContain("application/problem+json");
      expect(await value(node, `door/${node.name}`)).toBe("second");
    }
  });

  it("answers a repeated Idempotency-Key with the first answer, at another node too", async () => {
    const path = settings("once");
    const headers = { "idempotency-key": "the-same" };
    const [a, b, c] = h.nodes as [TestNode, TestNode, TestNode];
    const first = await operator.ask("PUT", a.address, path, { value: 1 }, headers);
    await operator.ask("PUT", c.address, path, { value: 2 });
    const second = await operator.ask("PUT", b.address, path, { value: 1 }, headers);
    expect(first.status).toBe(200);
    expect((second.body as Row)["index"]).toBe((first.body as Row)["index"]);
    expect(await value(a, "once")).toBe(2);
    const reused = await operator.ask("PUT", b.address, path, { value: 99 }, headers);
    expect(reused).toMatchObject({ status: 422, body: { reason: "request_reused" } });
  });

  it("says clearly what is wrong with a body that cannot be used", async () => {
    const node = h.node("n1");
    const path = settings("broken");
    const json = { "content-type": "application/json" };
    const cut = await operator.ask("PUT", node.address, path, '{"value":', json);
    expect(cut).toMatchObject({ status: 400, body: { reason: "invalid" } });
    const empty = await operator.ask("PUT", node.address, path, {});
    expect(empty).toMatchObject({ status: 400, body: { reason: "invalid" } });
    expect(String((empty.body as Row)["message"])).toContain("value");
    const huge = await operator.ask("PUT", node.address, path, { value: "x".repeat(2_000_000) });
    expect(huge).toMatchObject({ status: 413, body: { reason: "too_large" } });
    expect(await operator.ask("GET", node.address, path)).toMatchObject({ status: 404, body: { reason: "not_found" } });
  });

  it("turns away no certificate, a foreign CA and a viewer's write, records each, and changes nothing", async () => {
    const node = h.node("n3");
    const viewer = await h.client("viewer");
    const denied = await viewer.ask("PUT", node.address, settings("cpu_warning"), { value: 0.1 });
    expect(denied).toMatchObject({ status: 403, body: { reason: "forbidden" } });
    expect((await viewer.ask("GET", node.address, settings("cpu_warning"))).body).toMatchObject({ value: 0.75 });

    const foreignCa = await deriveCa("somebody else's secret", h.name);
    const forged = await foreignCa.issue({ clusterId: h.clusterId, role: "operator", name: "eve", hosts: [], days: 1 });
    const tls = clientTls({ ca: h.ca.certificate, ...forged }, { clusterId: h.clusterId });
    const eve = makeTestClient(tls, () => []);
    await expect(eve.ask("GET", node.address, "/v1/member")).rejects.toThrow(/socket|alert|ECONNRESET|EPROTO/i);
    eve.close();

    const seen = await operator.lines(node.address, "/v1/events?follow&from=1&for=cluster/test", (lines) => {
      const what = refusalsIn(lines).map((r) => String(r["what"]));
      return what.some((w) => w.includes("PUT")) && what.some((w) => w.includes("foreignCa"));
    });
    const refusals = refusalsIn(seen);
    expect(refusals.find((r) => String(r["what"]).includes("PUT"))).toMatchObject({
      identity: "viewer:viewer",
      address: "127.0.0.1",
    });
    expect(refusals.some((r) => String(r["what"]).includes("foreignCa"))).toBe(true);
  });

  it("keeps every acknowledged write when its leader is killed, and has a new one within two election timeouts", async () => {
    const leader = await leaderOf(h, operator, 5_000);
    const load = startWriteLoad(operator, "load", 8);
    await eventually("the load runs", 10_000, () => (load.acknowledged.size === 8 ? true : undefined));
    const started = performance.now();
    await h.kill(leader, "SIGKILL");
    const next = await leaderOf(h, operator, 10_000);
    const elected = performance.now() - started;
    const before = new Map(load.acknowledged);
    await eventually("writes go on", 10_000, () =>
      [...load.acknowledged].every(([key, n]) => n > (before.get(key) ?? 0)) ? true : undefined,
    );
    await load.stop();
    expect(next.name).not.toBe(leader.name);
    expect(elected).toBeLessThan(2 * h.electionMaxMs);
    for (const [key, n] of load.acknowledged) expect(`${key}=${String(await value(next, key))}`).toBe(`${key}=${n}`);
    expect(
      [...load.refused.keys()].filter((reason) => !["unreachable", "deadline", "no_leader", "ambiguous"].includes(reason)),
    ).toEqual([]);

    h.start(leader);
    const digests = await eventually("the killed member catches up", 20_000, () => sameDigests(operator, h.nodes, 1_000));
    expect(new Set(digests).size).toBe(1);
  });

  it("is the same world after all of them were killed at once", async () => {
    const before = await sameDigests(operator, h.nodes, 10_000);
    expect(new Set(before).size).toBe(1);
    const { index } = (await memberFacts(operator, h.node("n1"))).digest;
    await Promise.all(h.nodes.map((node) => h.kill(node, "SIGKILL")));
    h.nodes.forEach((node) => h.start(node));
    await leaderOf(h, operator, 20_000);
    const after = await eventually("all are back", 20_000, () => sameDigests(operator, h.nodes, 1_000));
    expect(new Set(after).size).toBe(1);
    await eventually("a new leader's first entry is applied", 20_000, async () => {
      const { applied } = await memberFacts(operator, h.node("n1"));
      return applied > index ? applied : undefined;
    });
    expect(await value(h.node("n2"), "once")).toBe(2);
  });

  it("tells what happens as it happens, and who made it so", async () => {
    const node = h.node("n1");
    const { applied } = await memberFacts(operator, node);
    const following = operator.lines(
      node.address,
      `/v1/events?follow&from=${applied + 1}&for=setting/told`,
      (lines) => lines.length >= 2,
    );
    await operator.ask("PUT", h.node("n2").address, settings("told"), { value: "a" });
    await operator.ask("PUT", h.node("n3").address, settings("told"), { value: "b" });
    const [first, second] = await following;
    expect(first).toMatchObject({
      actor: "operator:ops",
      kind: "events",
      events: [{ type: "SettingChanged", id: "told", value: "a" }],
    });
    expect(second).toMatchObject({ events: [{ value: "b" }] });
    expect((second as Row)["index"]).toBeGreaterThan((first as Row)["index"] as number);
    const history = await operator.ask("GET", node.address, "/v1/history/setting/told");
    expect((history.body as { entries: unknown[] }).entries).toHaveLength(2);
  });

  it("hands over and ends with 0 on SIGTERM, without an election being waited for", async () => {
    const leader = await leaderOf(h, operator, 10_000);
    const { term } = await memberFacts(operator, leader);
    await h.kill(leader, "SIGTERM");
    expect(leader.exit).toEqual({ code: 0, signal: null });
    const next = await leaderOf(h, operator, 5_000);
    expect((await memberFacts(operator, next)).term).toBe(term + 1);
    expect(h.logOf(leader)).toMatch(/handed-over .*to=\d/);
    h.start(leader);
    await eventually("it is back", 10_000, () => sameDigests(operator, h.nodes, 1_000));
  });
});

const settings = (key: string): string => `/v1/settings/${encodeURIComponent(key)}`;

function refusalsIn(lines: readonly Row[]): Row[] {
  return lines.flatMap((line) => line["events"] as Row[]).filter((event) => event["type"] === "AccessRefused");
}
