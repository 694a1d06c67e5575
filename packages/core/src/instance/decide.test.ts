import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isRejection, type Command } from "../kernel/command.ts";
import { clusterId, firstMembers, memberOf, operator, readyCluster, RulesBench } from "../testing/rules-bench.ts";
import { actorOf, story } from "../testing/rules-stories.ts";
import type { InstanceRow } from "./state.ts";
import { instanceTransitions, mayLive } from "./transitions.ts";

const n1 = memberOf("n1");

/** Three nodes of a cluster in a cloud, whose machines bootstrap has handed over. */
function inCloud(): RulesBench {
  const b = new RulesBench();
  const members = firstMembers(3);
  b.try({ type: "InitialiseCluster", id: "home", clusterId, size: 3, provider: "aws", configuration: {}, members });
  for (const { name, member } of members) b.try({ type: "AdmitNode", id: name, member }, n1);
  b.try({ type: "MarkClusterReady", id: "home" });
  for (const { name, address } of members)
    b.try({ type: "AdoptInstance", id: name, attempt: 1, zone: "a", size: "s", instance: `i-${name}`, address });
  return b;
}
const rowOf = (b: RulesBench, node: string): InstanceRow | undefined => b.world.get<InstanceRow>("instance", node)?.row;
const about = (id: string, attempt: number) => ({
  want: (zone = "a"): Command => ({ type: "WantInstance", id, attempt, zone, size: "s", spec: "d", why: "joining" }),
  record: (step: string, instance = "i-4"): Command => ({
    type: "RecordInstance",
    id,
    attempt,
    step,
    instance,
    address: "10.0.0.4:7400",
  }),
  refuse: (tag: string): Command => ({
    type: "RefuseInstance",
    id,
    attempt,
    tag,
    code: "ZONE_FULL",
    requestId: "r-1",
    message: "no room",
  }),
  remove: (instance = "i-4"): Command => ({ type: "RemoveInstance", id, attempt, instance, why: "it left" }),
  gone: (): Command => ({ type: "RecordGone", id, attempt, how: "deleted" }),
});

describe("the machine of a new node", () => {
  it("is wanted, named, seen to run and enrolled; what was said already changes nothing", () => {
    const b = inCloud();
    b.try({ type: "ScaleCluster", id: "home", size: 4 });
    const { want, record } = about("n4", 1);
    for (const [command, event] of [
      [want(), "InstanceWanted"],
      [record("accepted"), "InstanceAccepted"],
      [record("running"), "InstanceRunning"],
      [record("enrolled"), "InstanceEnrolled"],
    ] as const) {
      expect(b.outcome(command, n1)).toEqual([event]);
      expect(b.outcome(command, n1)).toEqual([]);
    }
    expect(rowOf(b, "n4")).toMatchObject({ state: "enrolled", id: "i-4", address: "10.0.0.4:7400", attempt: 1, provider: "aws" });
  });

  it("is never wanted while one may live, nor under an attempt that is not the next", () => {
    const b = inCloud();
    expect(b.outcome(about("n1", 2).want(), n1)).toBe("stale");
    b.try({ type: "ScaleCluster", id: "home", size: 4 });
    expect(b.outcome(about("n4", 2).want(), n1)).toBe("stale");
    b.try(about("n4", 1).want(), n1);
    expect(b.outcome(about("n4", 2).want(), n1)).toBe("stale");
    b.try(about("n4", 1).record("accepted"), n1);
    b.try(about("n4", 1).remove(), n1);
    expect(b.outcome(about("n4", 2).want(), n1)).toBe("stale");
    b.try(about("n4", 1).gone(), n1);
    expect(b.outcome(about("n4", 3).want(), n1)).toBe("stale");
    expect(b.outcome(about("n4", 2).want(), n1)).toEqual(["InstanceWanted"]);
  });

  it("without room goes on elsewhere and remembers where it was; once all were tried it begins anew", () => {
    const b = inCloud();
    b.try({ type: "ScaleCluster", id: "home", size: 4 });
    b.try(about("n4", 1).want("a"), n1);
    b.try(about("n4", 1).refuse("Capacity"), n1);
    b.try(about("n4", 2).want("b"), n1);
    b.try(about("n4", 2).refuse("Capacity"), n1);
    expect(rowOf(b, "n4")).toMatchObject({
      state: "refused",
      held: false,
      fault: { code: "ZONE_FULL", requestId: "r-1" },
      tried: [{ zone: "a" }, { zone: "b" }],
    });
    b.try(about("n4", 3).want("a"), n1);
    expect(rowOf(b, "n4")).toMatchObject({ tried: [], fault: null });
  });

  it("that the vendor will not make waits for an operator", () => {
    const b = inCloud();
    b.try({ type: "ScaleCluster", id: "home", size: 4 });
    b.try(about("n4", 1).want(), n1);
    b.try(about("n4", 1).refuse("Quota"), n1);
    expect(b.outcome(about("n4", 2).want(), n1)).toBe("conflict");
    expect(b.outcome({ type: "RetryInstance", id: "n4" }, operator)).toEqual(["InstanceRetried"]);
    expect(b.outcome({ type: "RetryInstance", id: "n4" }, operator)).toEqual([]);
    expect(b.outcome(about("n4", 2).want(), n1)).toEqual(["InstanceWanted"]);
  });

  it("that thrice comes to nothing waits for an operator too; one that was a member before does not count", () => {
    const b = inCloud();
    b.try({ type: "ScaleCluster", id: "home", size: 4 });
    for (const attempt of [1, 2, 3]) {
      b.try(about("n4", attempt).want(), n1);
      b.try(about("n4", attempt).gone(), n1);
      expect(rowOf(b, "n4")).toMatchObject({ fruitless: attempt, held: attempt === 3 });
    }
    expect(b.outcome(about("n4", 4).want(), n1)).toBe("conflict");
    b.try(about("n1", 1).gone(), n1);
    expect(rowOf(b, "n1")).toMatchObject({ fruitless: 0, held: false, state: "gone" });
  });
});

describe("what a deposed leader says", () => {
  it("of an older attempt is stale, and of another machine a conflict", () => {
    const b = inCloud();
    b.try(about("n1", 1).gone(), n1);
    b.try(about("n1", 2).want(), n1);
    for (const late of [about("n1", 1).record("accepted"), about("n1", 1).refuse("Quota"), about("n1", 1).gone()])
      expect(b.outcome(late, n1)).toBe("stale");
    b.try(about("n1", 2).record("accepted", "i-9"), n1);
    expect(b.outcome(about("n1", 2).record("running", "i-8"), n1)).toBe("conflict");
    expect(b.outcome(about("n1", 2).remove("i-8"), n1)).toBe("conflict");
  });
});

describe("a cluster on this computer", () => {
  it("has no machines to speak of", () => {
    const b = readyCluster(3);
    expect(b.outcome(about("n1", 1).want(), n1)).toBe("conflict");
    expect(b.outcome(about("n1", 1).gone(), n1)).toBe("not_found");
  });
});

describe("whatever is said of machines", () => {
  it("every step is in the table, attempts only grow, and no attempt begins while the one before may live", () => {
    fc.assert(
      fc.property(story, (commands) => {
        const b = inCloud();
        for (const command of commands) {
          const before = new Map(["n1", "n2", "n3", "n4", "n5"].map((node) => [node, rowOf(b, node)]));
          const done = b.try(command, actorOf(command));
          if (isRejection(done)) continue;
          for (const { type, id } of done.events.filter((event) => event.type.startsWith("Instance"))) {
            const [was, is] = [before.get(id), rowOf(b, id)];
            expect(instanceTransitions).toContainEqual(
              expect.objectContaining({ from: was?.state ?? null, event: type, to: is?.state }),
            );
            expect(is!.attempt).toBeGreaterThanOrEqual(was?.attempt ?? 0);
            if (is!.attempt !== was?.attempt) expect(was === undefined || !mayLive(was.state)).toBe(true);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
