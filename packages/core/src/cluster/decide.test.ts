import { describe, expect, it } from "vitest";
import type { Command, Rejection } from "../kernel/command.ts";
import { registry } from "../registry.ts";
import { clusterId, firstMembers, initialise, memberOf, operator, readyCluster, RulesBench } from "../testing/rules-bench.ts";
import type { ScaleAnswer } from "./decide.ts";
import type { ClusterRow } from "./state.ts";

const n1 = memberOf("n1");
const row = (b: RulesBench): ClusterRow => {
  const found = b.world.get<ClusterRow>("cluster", "home")?.row;
  if (found === undefined) throw new Error("there is no cluster");
  return found;
};
const parse = (input: Command): Command | Rejection => registry.command(input.type)?.parse(input) as Command | Rejection;
const scale = (b: RulesBench, size: number): ScaleAnswer =>
  (b.try({ type: "ScaleCluster", id: "home", size }) as { answer: ScaleAnswer }).answer;

describe("initialising a cluster", () => {
  it("makes its row, its default settings, its artifact root and its first members in one entry", () => {
    const b = new RulesBench();
    b.try(initialise(3));
    expect(b.entries.length).toBe(1);
    expect(row(b)).toEqual({
      clusterId,
      name: "home",
      size: 3,
      provider: "local",
      featureLevel: 1,
      nextMember: 4,
      state: "forming",
      artifacts: { root: `/artifacts/${clusterId}` },
      configuration: { note: "kept" },
      refusals: { total: 0, last: null },
      checkpoint: null,
      leader: null,
    });
    expect(b.world.get("setting", "cpu_warning")?.row).toMatchObject({ value: 0.75 });
    expect(b.world.count("setting")).toBe(6);
    expect(firstMembers(3).map(({ name }) => b.node(name).duty)).toEqual(["joining", "joining", "joining"]);
  });

  it("is harmless for the same cluster, and refused for another", () => {
    const b = readyCluster(3);
    expect(b.outcome(initialise(3))).toEqual([]);
    expect(b.outcome({ ...initialise(3), clusterId: "cd".repeat(16) })).toBe("conflict");
    expect(b.outcome({ ...initialise(3), id: "other" })).toBe("conflict");
    expect(b.world.count("cluster")).toBe(1);
  });

  it("needs as many members as its size, each its own", () => {
    const members = firstMembers(3);
    const twice = members.map((member) => ({ ...member, address: "127.0.0.1:7401" }));
    for (const faulty of [
      members.slice(1),
      twice,
      members.map((member) => ({ ...member, member: 1 })),
      members.map((member) => ({ ...member, name: "n1" })),
    ]) {
      expect(new RulesBench().outcome({ ...initialise(3), members: faulty })).toBe("invalid");
    }
    expect(parse({ ...initialise(3), members: [] })).toMatchObject({ reason: "invalid" });
    expect(parse({ ...initialise(3), size: 8 })).toMatchObject({ reason: "invalid" });
    expect(parse({ ...initialise(3), id: "Home" })).toMatchObject({ reason: "invalid" });
    expect(parse({ ...initialise(3), configuration: { text: "x".repeat(70_000) } })).toMatchObject({ reason: "invalid" });
  });

  it("is ready when every node is on duty, and says who is not", () => {
    const b = new RulesBench();
    b.try(initialise(2));
    b.try({ type: "AdmitNode", id: "n1", member: 1 }, n1);
    expect(b.try({ type: "MarkClusterReady", id: "home" })).toMatchObject({
      reason: "not_ready",
      message: "cluster home: n2 is joining",
    });
    b.try({ type: "AdmitNode", id: "n2", member: 2 }, n1);
    expect(b.outcome({ type: "MarkClusterReady", id: "home" })).toEqual(["ClusterReady"]);
    expect(b.outcome({ type: "MarkClusterReady", id: "home" })).toEqual([]);
  });
});

describe("scaling a cluster", () => {
  it("expects a new node for each that is missing, and names them again to whoever repeats it", () => {
    const b = readyCluster(3);
    const answer = scale(b, 5);
    expect(answer).toEqual({
      size: 5,
      expected: [
        { name: "n4", member: 4 },
        { name: "n5", member: 5 },
      ],
      surplus: 0,
      warnings: [],
    });
    expect(b.outcome({ type: "ScaleCluster", id: "home", size: 5 })).toEqual([]);
    expect(scale(b, 5)).toEqual(answer);
    b.try({ type: "JoinNode", id: "n4", address: "127.0.0.1:7404" }, memberOf("n4"));
    expect(scale(b, 5).expected).toEqual([{ name: "n5", member: 5 }]);
  });

  it("down is a wish: it says how many are too many and removes nobody", () => {
    const b = readyCluster(5);
    expect(b.outcome({ type: "ScaleCluster", id: "home", size: 3 })).toEqual(["ClusterScaled"]);
    expect(scale(b, 3)).toMatchObject({ surplus: 2, expected: [] });
    expect(b.world.count("node")).toBe(5);
    expect(row(b).size).toBe(3);
  });

  it("never reuses the name of a row or a number that was minted", () => {
    const b = readyCluster(3);
    b.try({ type: "ShutDownNode", id: "n2", force: true, reason: "test" });
    expect(scale(b, 3).expected).toEqual([{ name: "n4", member: 4 }]);
    b.try({ type: "RecordNodeLeft", id: "n2", member: 2 }, n1);
    b.try({ type: "ForgetNode", id: "n2" });
    expect(scale(b, 4).expected).toEqual([
      { name: "n4", member: 4 },
      { name: "n2", member: 5 },
    ]);
  });

  it("to an even size is possible and warned about; beyond 7 or while forming it is not", () => {
    expect(scale(readyCluster(3), 4).warnings).toEqual(["4 members survive no more failures than 3: an odd size is better"]);
    expect(parse({ type: "ScaleCluster", id: "home", size: 8 })).toMatchObject({ reason: "invalid" });
    const b = new RulesBench();
    b.try(initialise(3));
    expect(b.outcome({ type: "ScaleCluster", id: "home", size: 5 })).toBe("not_ready");
    expect(b.outcome({ type: "ScaleCluster", id: "elsewhere", size: 5 })).toBe("not_found");
  });
});

describe("what members report", () => {
  const checkpoint = (upTo: number, chain = "a"): Command => {
    const digests = { chain: chain.repeat(64), state: "b".repeat(64) };
    return { type: "RecordCheckpoint", id: "home", upTo, ...digests, signer: "n1", certificate: "pem", signature: "sig" };
  };
  const leader = (term: number, node = "n1", member = 1): Command => ({ type: "RecordLeader", id: "home", node, member, term });

  it("checkpoints only move forward, and each is signed by who records it", () => {
    const b = readyCluster(3);
    expect(b.outcome(checkpoint(10), n1)).toEqual(["CheckpointRecorded"]);
    expect(row(b).checkpoint).toEqual({
      upTo: 10,
      chain: "a".repeat(64),
      state: "b".repeat(64),
      signer: "n1",
      index: b.world.index,
    });
    expect(b.outcome(checkpoint(10), n1)).toEqual([]);
    expect(b.outcome(checkpoint(10, "c"), n1)).toBe("conflict");
    expect(b.outcome(checkpoint(9), n1)).toBe("conflict");
    expect(b.outcome(checkpoint(11), memberOf("n2"))).toBe("forbidden");
  });

  it("a term has one leader, and an older one is not recorded any more", () => {
    const b = readyCluster(3);
    expect(b.outcome(leader(3), n1)).toEqual(["LeaderElected"]);
    expect(b.outcome(leader(3), n1)).toEqual([]);
    expect(b.outcome(leader(3, "n2", 2), memberOf("n2"))).toBe("conflict");
    expect(b.outcome(leader(2), n1)).toBe("conflict");
    expect(b.outcome(leader(4), memberOf("n2"))).toBe("forbidden");
    expect(b.outcome(leader(4, "n2", 2), memberOf("n2"))).toEqual(["LeaderElected"]);
    expect(row(b).leader).toEqual({ node: "n2", member: 2, term: 4 });
  });

  it("refusals are counted, and each kind is an event", () => {
    const b = readyCluster(3);
    const kind = (what: string, count: number) => ({ what, identity: "viewer:eve", address: "127.0.0.1", count });
    const command = {
      type: "RecordRefusals",
      id: "home",
      refusals: [kind("PUT /v1/settings", 3), kind("connect: no certificate", 2)],
    };
    expect(b.outcome(command, n1)).toEqual(["AccessRefused", "AccessRefused"]);
    expect(row(b).refusals).toEqual({ total: 5, last: kind("connect: no certificate", 2) });
    expect(parse({ ...command, refusals: Array.from({ length: 66 }, () => kind("x", 1)) })).toMatchObject({ reason: "invalid" });
  });

  it("is nothing operators or viewers may say", () => {
    for (const type of ["RecordCheckpoint", "RecordLeader", "RecordRefusals"])
      expect(registry.command(type)?.roles).toEqual(["member"]);
    for (const noun of registry.nouns) for (const { roles } of noun.commands) expect(roles).not.toContain("viewer");
    expect(registry.command("InitialiseCluster")?.roles).toEqual([operator.role]);
  });
});
