import { describe, expect, it } from "vitest";
import type { Command } from "../kernel/command.ts";
import { memberOf, readyCluster, type RulesBench } from "../testing/rules-bench.ts";
import { retiredMax } from "./state.ts";

const n1 = memberOf("n1");
const drain = (id: string): Command => ({ type: "DrainNode", id });
const shutDown = (id: string, more: object = {}): Command => ({ type: "ShutDownNode", id, ...more });
const contact = (b: RulesBench, id: string, value: string) => b.outcome({ type: "RecordContact", id, contact: value }, n1);
const decommission = (b: RulesBench, id: string): void => {
  expect(b.outcome(drain(id))).toEqual(["NodeDrainStarted"]);
  expect(b.outcome({ type: "CompleteDrain", id }, n1)).toEqual(["NodeDrained"]);
};
/** Every refusal says what was tried and what to do. */
const refusal = (b: RulesBench, command: Command, actor?: ReturnType<typeof memberOf>) => {
  const done = actor === undefined ? b.try(command) : b.try(command, actor);
  if (!("rejected" in done)) throw new Error(`${command.type} was not refused`);
  expect(done.message).not.toBe("");
  expect(done.hint).not.toBe("");
  return done;
};

describe("draining", () => {
  it("goes on duty, draining, decommissioned, and back on duty when the operator changes their mind", () => {
    const b = readyCluster(3);
    expect(b.outcome({ ...drain("n3"), reason: "new disk" })).toEqual(["NodeDrainStarted"]);
    expect(b.node("n3")).toMatchObject({ duty: "draining", reason: "new disk" });
    expect(b.outcome({ type: "UndrainNode", id: "n3" })).toEqual(["NodeDrainCancelled"]);
    expect(b.node("n3")).toMatchObject({ duty: "on-duty", reason: "" });
    decommission(b, "n3");
    expect(b.outcome({ type: "UndrainNode", id: "n3" })).toEqual(["NodeDrainCancelled"]);
  });

  it("changes nothing when it is asked for again", () => {
    const b = readyCluster(3);
    decommission(b, "n3");
    expect(b.outcome(drain("n3"))).toEqual([]);
    expect(b.outcome({ type: "CompleteDrain", id: "n3" }, n1)).toEqual([]);
    expect(b.outcome({ type: "UndrainNode", id: "n1" })).toEqual([]);
  });

  it.each([
    [1, ["quorum_at_risk"]],
    [2, [["NodeDrainStarted"], "quorum_at_risk"]],
    [3, [["NodeDrainStarted"], "quorum_at_risk"]],
    [5, [["NodeDrainStarted"], ["NodeDrainStarted"], "quorum_at_risk"]],
    [7, [["NodeDrainStarted"], ["NodeDrainStarted"], ["NodeDrainStarted"], "quorum_at_risk"]],
  ])("of %i nodes is admitted only while a quorum of the others is on duty", (size, outcomes) => {
    const b = readyCluster(size);
    expect(outcomes.map((_, at) => b.outcome(drain(`n${size - at}`)))).toEqual(outcomes);
  });

  it("counts only those that are reachable: silence closes the gate, and a word opens it", () => {
    const b = readyCluster(3);
    contact(b, "n2", "suspected");
    expect(refusal(b, drain("n3")).message).toBe(
      "node n3: of the 2 other voters 2 must be on duty and reachable, and only n1 is",
    );
    contact(b, "n2", "lost");
    expect(b.outcome(drain("n3"))).toBe("quorum_at_risk");
    expect(b.outcome(drain("n2"))).toEqual(["NodeDrainStarted"]);
    contact(b, "n2", "reachable");
    b.try({ type: "UndrainNode", id: "n2" });
    expect(b.outcome(drain("n3"))).toEqual(["NodeDrainStarted"]);
  });

  it("is refused for a node that is not on duty or not there", () => {
    const b = readyCluster(3);
    b.try({ type: "ScaleCluster", id: "home", size: 5 });
    expect(refusal(b, drain("n4"))).toMatchObject({ reason: "illegal_transition" });
    expect(refusal(b, drain("n9"))).toMatchObject({ reason: "not_found" });
    expect(refusal(b, { type: "CompleteDrain", id: "n1" }, n1)).toMatchObject({ reason: "illegal_transition" });
  });
});

describe("shutting down", () => {
  it("follows a finished drain, and ends with a row that can be forgotten", () => {
    const b = readyCluster(3);
    expect(refusal(b, shutDown("n3")).hint).toContain("aether node drain n3");
    decommission(b, "n3");
    expect(b.outcome(shutDown("n3"))).toEqual(["NodeShutdownStarted"]);
    expect(b.outcome(shutDown("n3"))).toEqual([]);
    expect(b.outcome({ type: "UndrainNode", id: "n3" })).toBe("illegal_transition");
    expect(b.outcome({ type: "ForgetNode", id: "n3" })).toBe("illegal_transition");
    expect(b.outcome({ type: "RecordNodeLeft", id: "n3", member: 3 }, n1)).toEqual(["NodeLeft"]);
    expect(b.outcome({ type: "RecordNodeLeft", id: "n3", member: 3 }, n1)).toEqual([]);
    for (const type of ["DrainNode", "UndrainNode", "ShutDownNode"])
      expect(b.outcome({ type, id: "n3" })).toBe("illegal_transition");
    expect(contact(b, "n3", "lost")).toBe("illegal_transition");
    expect(b.outcome({ type: "ForgetNode", id: "n3" })).toEqual(["NodeForgotten"]);
    expect(b.outcome({ type: "ForgetNode", id: "n3" })).toBe("not_found");
  });

  it("goes by force from every duty, with a reason that stays in the row", () => {
    for (const prepare of [() => undefined, (b: RulesBench) => b.try(drain("n3")), (b: RulesBench) => decommission(b, "n3")]) {
      const b = readyCluster(3);
      prepare(b);
      expect(refusal(b, shutDown("n3", { force: true }))).toMatchObject({ reason: "invalid" });
      expect(refusal(b, shutDown("n3", { force: true, reason: "  " }))).toMatchObject({ reason: "invalid" });
      expect(b.outcome(shutDown("n3", { force: true, reason: "fire" }))).toEqual(["NodeShutdownStarted"]);
      expect(b.node("n3")).toMatchObject({ duty: "shutting-down", reason: "fire" });
    }
  });

  it("keeps the others a quorum unless it is forced, and the last voter always", () => {
    const b = readyCluster(3);
    decommission(b, "n3");
    contact(b, "n2", "lost");
    expect(b.outcome(shutDown("n3"))).toBe("quorum_at_risk");
    expect(b.outcome(shutDown("n3", { force: true, reason: "I know" }))).toEqual(["NodeShutdownStarted"]);
    expect(b.outcome(shutDown("n2", { force: true, reason: "I know" }))).toEqual(["NodeShutdownStarted"]);
    expect(refusal(b, shutDown("n1", { force: true, reason: "all of it" })).hint).toContain("aether cluster destroy");
  });

  it("gives up on a node that never came, whatever the quorum", () => {
    const b = readyCluster(1);
    b.try({ type: "ScaleCluster", id: "home", size: 3 });
    expect(b.outcome(shutDown("n3", { force: true, reason: "not needed" }))).toEqual(["NodeShutdownStarted"]);
    expect(b.outcome({ type: "RecordNodeLeft", id: "n3", member: 3 }, n1)).toEqual(["NodeLeft"]);
  });
});

describe("joining", () => {
  const join = (id: string, address = "127.0.0.1:7404"): Command => ({ type: "JoinNode", id, address });
  const rejoin = (id: string, member: number): Command => ({
    type: "RejoinNode",
    id,
    member,
    verdict: "lost-crc",
    address: "127.0.0.1:7499",
  });

  it("takes an expected node in once, under the number that was minted for it", () => {
    const b = readyCluster(3);
    expect(b.outcome(join("n4"), memberOf("n4"))).toBe("not_found");
    b.try({ type: "ScaleCluster", id: "home", size: 5 });
    expect(b.outcome({ type: "AdmitNode", id: "n4", member: 4 }, n1)).toBe("conflict");
    expect(b.try(join("n4"), memberOf("n4"))).toMatchObject({ answer: { member: 4 } });
    expect(refusal(b, join("n4"), memberOf("n4"))).toMatchObject({ reason: "conflict" });
    expect(b.outcome({ type: "AdmitNode", id: "n4", member: 4 }, n1)).toEqual(["NodeAdmitted"]);
    expect(b.node("n4")).toMatchObject({ duty: "on-duty", contact: "reachable", address: "127.0.0.1:7404" });
  });

  it("is a matter of the node itself: no certificate joins under another name", () => {
    const b = readyCluster(3);
    b.try({ type: "ScaleCluster", id: "home", size: 5 });
    expect(refusal(b, join("n4"), memberOf("n5"))).toMatchObject({ reason: "forbidden" });
    expect(refusal(b, rejoin("n1", 1), memberOf("n2"))).toMatchObject({ reason: "forbidden" });
  });

  it("again, with a lost disk, gives a new number every time and never an old one", () => {
    const b = readyCluster(3);
    const seen = new Set([1, 2, 3]);
    let member = 2;
    for (let round = 0; round < retiredMax + 4; round++) {
      const done = b.try(rejoin("n2", member), memberOf("n2")) as { answer: { member: number } };
      expect(seen.has(done.answer.member)).toBe(false);
      seen.add(member);
      member = done.answer.member;
      expect(b.node("n2")).toMatchObject({ member, duty: "joining", contact: "unknown", address: "127.0.0.1:7499" });
    }
    expect(b.node("n2").retired.length).toBe(retiredMax);
    b.try({ type: "ScaleCluster", id: "home", size: 5 });
    expect(b.node("n4").member).toBe(member + 1);
  });

  it("again is refused to a daemon that is not who the row means", () => {
    const b = readyCluster(3);
    b.try(rejoin("n2", 2), memberOf("n2"));
    expect(refusal(b, rejoin("n2", 2), memberOf("n2"))).toMatchObject({ reason: "stale" });
    expect(b.outcome({ type: "AdmitNode", id: "n2", member: 2 }, n1)).toBe("stale");
    expect(b.outcome({ type: "AdmitNode", id: "n2", member: 4 }, n1)).toEqual(["NodeAdmitted"]);
    decommission(b, "n3");
    expect(refusal(b, rejoin("n3", 3), memberOf("n3"))).toMatchObject({ reason: "illegal_transition" });
    b.try({ type: "ScaleCluster", id: "home", size: 5 });
    expect(refusal(b, rejoin("n4", 5), memberOf("n4"))).toMatchObject({ reason: "conflict" });
  });

  it("counts a replaced node among the voters until it is one again", () => {
    const b = readyCluster(3);
    b.try(rejoin("n2", 2), memberOf("n2"));
    expect(b.outcome(drain("n3"))).toBe("quorum_at_risk");
    b.try({ type: "AdmitNode", id: "n2", member: 4 }, n1);
    expect(b.outcome(drain("n3"))).toEqual(["NodeDrainStarted"]);
  });
});

describe("contact", () => {
  it("is recorded when it changes, and only then", () => {
    const b = readyCluster(3);
    expect(contact(b, "n2", "reachable")).toEqual([]);
    expect(contact(b, "n2", "suspected")).toEqual(["NodeSuspected"]);
    expect(contact(b, "n2", "suspected")).toEqual([]);
    expect(contact(b, "n2", "lost")).toEqual(["NodeLost"]);
    expect(contact(b, "n2", "suspected")).toEqual([]);
    expect(contact(b, "n2", "reachable")).toEqual(["NodeReturned"]);
    expect(b.node("n2").duty).toBe("on-duty");
  });
});
