import { describe, expect, it } from "vitest";
import { isRejection, type Decision } from "../kernel/command.ts";
import type { NodeRow } from "../node/state.ts";
import { registry } from "../registry.ts";
import { clusterId, initialise, memberOf, readyCluster, RulesBench } from "../testing/rules-bench.ts";
import { decideRecover, freshMember, type Recovering } from "./recover.ts";
import { recoveriesMax, theCluster, type ClusterRow } from "./state.ts";

const newId = "cd".repeat(16);
const n1 = memberOf("n1");

const asked = (b: RulesBench, old: number, more: Partial<Recovering> = {}): Recovering => {
  const member = freshMember(b.world, [1, 2, 3]);
  return { old, clusterId: newId, member, address: null, upTo: 40, chain: "a".repeat(64), ...more };
};

function recover(b: RulesBench, old: number, more: Partial<Recovering> = {}): Decision {
  const decision = decideRecover(b.world, asked(b, old, more));
  if (!isRejection(decision)) b.world.apply(decision.events, { actor: { name: "ops", role: "operator" } });
  return decision;
}

const row = (b: RulesBench): ClusterRow => theCluster(b.world)?.row as ClusterRow;
const nodes = (b: RulesBench): readonly NodeRow[] => [...b.world.all<NodeRow>("node")].map((stored) => stored.row);

/** n1 on duty, n2 draining, n3 on its way out, n4 expected, n5 has left. */
function busyCluster(): RulesBench {
  const b = readyCluster(3);
  b.try({ type: "ScaleCluster", id: "home", size: 5 });
  b.try({ type: "ShutDownNode", id: "n5", force: true, reason: "test" });
  b.try({ type: "RecordNodeLeft", id: "n5", member: 5 }, n1);
  b.try({ type: "ShutDownNode", id: "n3", force: true, reason: "test" });
  for (const name of ["n1", "n2"]) b.try({ type: "RecordContact", id: name, contact: "reachable" }, n1);
  b.try({ type: "DrainNode", id: "n2" });
  return b;
}

describe("a cluster that goes on from one disk", () => {
  it("has another id, one member under a number nobody had, and all that was set", () => {
    const b = readyCluster(3);
    b.try({ type: "SetSetting", id: "app/x", value: 7 });
    const before = row(b);
    const settings = [...b.world.all("setting")];
    recover(b, 2);
    expect(row(b)).toEqual({
      ...before,
      clusterId: newId,
      size: 1,
      nextMember: 5,
      leader: null,
      recoveries: [{ clusterId, node: "n2", upTo: 40, chain: "a".repeat(64) }],
    });
    expect(b.node("n2")).toMatchObject({ member: 4, duty: "on-duty", left: false, retired: [{ member: 2, why: "recovered" }] });
    expect([...b.world.all("setting")]).toEqual(settings);
  });

  it("has no other node: each has left with the reason, whatever its duty was", () => {
    for (const [old, name] of [
      [1, "n1"],
      [2, "n2"],
      [3, "n3"],
    ] as const) {
      const b = busyCluster();
      recover(b, old);
      for (const node of nodes(b)) {
        if (node.name === name) expect(node).toMatchObject({ duty: "on-duty", left: false, contact: "unknown", reason: "" });
        else expect(node).toMatchObject({ duty: "shutting-down", left: true });
      }
      if (name !== "n1") expect(b.node("n1").reason).toBe(`lost for good: the cluster was recovered from ${name} at entry 40`);
    }
  });

  it("grows again under names and numbers that nobody had", () => {
    const b = busyCluster();
    recover(b, 1);
    const scaled = b.try({ type: "ScaleCluster", id: "home", size: 3 });
    expect(scaled).toMatchObject({
      answer: {
        expected: [
          { name: "n6", member: 7 },
          { name: "n7", member: 8 },
        ],
      },
    });
  });

  it("writes only events that their own Schemas take, and the same when it is asked again", () => {
    const b = busyCluster();
    const decision = decideRecover(b.world, asked(b, 2));
    if (isRejection(decision)) throw new Error(decision.message);
    for (const event of decision.events) expect(registry.event(event.type)?.parse(event)).toEqual(event);
    expect(decideRecover(b.world, asked(b, 2))).toEqual(decision);
  });

  it("was another one before, and that one another: the newest are remembered", () => {
    const b = readyCluster(3);
    for (let at = 0; at < recoveriesMax + 2; at++) {
      const id = at.toString(16).padStart(32, "0");
      expect(isRejection(recover(b, b.node("n1").member, { clusterId: id, upTo: 100 + at }))).toBe(false);
    }
    expect(row(b).recoveries?.map(({ upTo }) => upTo)).toEqual(Array.from({ length: recoveriesMax }, (_, at) => 102 + at));
    expect(row(b).recoveries?.at(-1)?.clusterId).toBe(recoveriesMax.toString(16).padStart(32, "0"));
  });

  it("listens where it is told, or where it did", () => {
    const b = readyCluster(3);
    recover(b, 2, { address: "127.0.0.1:9999" });
    expect(b.node("n2").address).toBe("127.0.0.1:9999");
    const c = readyCluster(3);
    recover(c, 2);
    expect(c.node("n2").address).toBe("127.0.0.1:7402");
  });
});

describe("a recovery is refused", () => {
  it("where there is no cluster, where nobody is that member, and under the id that there was", () => {
    const empty = new RulesBench();
    expect(decideRecover(empty.world, asked(empty, 1))).toMatchObject({ reason: "not_found" });
    const b = new RulesBench();
    b.try(initialise(3));
    expect(recover(b, 7)).toMatchObject({ reason: "not_found", message: expect.stringContaining("member 7") as string });
    expect(recover(b, 1, { clusterId })).toMatchObject({ reason: "conflict" });
  });

  it("as a command: there is none, for anybody", () => {
    for (const noun of registry.nouns) expect(noun.commands.map(({ type }) => type)).not.toContain("RecoverCluster");
  });
});

describe("the new number", () => {
  it("is above every number that rows, retired ones and the membership know", () => {
    const b = readyCluster(3);
    expect(freshMember(b.world, [])).toBe(4);
    expect(freshMember(b.world, [12, 3])).toBe(13);
    b.try({ type: "RejoinNode", id: "n2", member: 2, verdict: "wiped", address: "127.0.0.1:7402" }, memberOf("n2"));
    expect(freshMember(b.world, [])).toBe(5);
  });
});
