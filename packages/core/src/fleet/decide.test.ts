import { describe, expect, it } from "vitest";
import type { Command } from "../kernel/command.ts";
import { memberOf, readyCluster } from "../testing/rules-bench.ts";
import { fleetOf } from "./state.ts";

const n1 = memberOf("n1");
const trouble = (area: string, code: string, requestId = "r-1"): Command => ({
  type: "RecordTrouble",
  id: "home",
  area,
  tag: "Auth",
  code,
  requestId,
  message: "the token is not valid",
});

describe("what stands in the leader's way", () => {
  it("is said once for each reason, whatever the request was called, until it is mended", () => {
    const b = readyCluster(3);
    expect(b.outcome(trouble("credentials", "a"), n1)).toEqual(["FleetTroubled"]);
    expect(b.outcome(trouble("credentials", "a", "r-2"), n1)).toEqual([]);
    expect(b.outcome(trouble("load_balancer", "a"), n1)).toEqual(["FleetTroubled"]);
    expect(b.outcome(trouble("credentials", "b"), n1)).toEqual(["FleetTroubled"]);
    expect(fleetOf(b.world).troubles.map(({ area, code }) => [area, code])).toEqual([
      ["load_balancer", "a"],
      ["credentials", "b"],
    ]);
    expect(b.outcome({ type: "MendTrouble", id: "home", area: "credentials" }, n1)).toEqual(["FleetMended"]);
    expect(b.outcome({ type: "MendTrouble", id: "home", area: "credentials" }, n1)).toEqual([]);
    expect(fleetOf(b.world).troubles).toHaveLength(1);
    expect(b.outcome({ ...trouble("credentials", "a"), id: "away" }, n1)).toBe("not_found");
  });
});

describe("who is behind the load balancer", () => {
  const want = (...nodes: string[]): Command => ({
    type: "WantTargets",
    id: "home",
    balancer: "front",
    targets: nodes.map((node) => ({ node, instance: `i-${node}` })),
  });

  it("is an intent with one receipt; the receipt of an older one is stale", () => {
    const b = readyCluster(3);
    b.try(want("n2", "n1"), n1);
    const first = b.world.index;
    expect(b.outcome(want("n1", "n2"), n1)).toEqual([]);
    expect(fleetOf(b.world).targets).toMatchObject({ targets: [{ node: "n1" }, { node: "n2" }], done: null });
    b.try(want("n1"), n1);
    const second = b.world.index;
    const receipt = (request: number): Command => ({ type: "RecordTargets", id: "home", request, added: 1, removed: 1 });
    expect(b.outcome(receipt(first), n1)).toBe("stale");
    expect(b.outcome(receipt(second), n1)).toEqual(["TargetsReconciled"]);
    expect(b.outcome(receipt(second), n1)).toEqual([]);
    // somebody has changed it behind our back
    expect(b.outcome(want("n1"), n1)).toEqual(["TargetsWanted"]);
  });
});
