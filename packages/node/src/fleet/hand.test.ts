import { windowMs } from "@aether/core/fleet/plan";
import { fleetOf } from "@aether/core/fleet/state";
import { value as reveal } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { hetzner, nodesAt, onDuty, settle, turn, vendors, worldOf } from "./testing/vendors.ts";

describe.each(vendors)("the leader's hand on %s", (_, vendorOf, zones) => {
  it("scales up and down, and calls nobody while all is as wanted", async () => {
    const vendor = vendorOf(1);
    const world = await worldOf(vendor, zones);
    let calls = 0;
    const hand = world.hand(1, () => ((calls += 1), undefined));
    await settle(world, hand, 10);
    expect(calls).toBe(0);
    world.say({ type: "ScaleCluster", id: "conform", size: 5 });
    await settle(world, hand, 30);
    expect(onDuty(world)).toEqual(["n1", "n2", "n3", "n4", "n5"].map((name) => `${name} on-duty reachable`));
    expect(nodesAt(vendor)).toEqual(["n1", "n2", "n3", "n4", "n5"]);
    for (const name of ["n4", "n5"]) {
      const { member } = world.nodes().find((one) => one.name === name) ?? { member: 0 };
      world.say({ type: "ShutDownNode", id: name, force: true, reason: "test" });
      world.say({ type: "RecordNodeLeft", id: name, member });
    }
    await settle(world, hand, 30);
    expect(nodesAt(vendor)).toEqual(["n1", "n2", "n3"]);
    expect(world.nodes()).toHaveLength(3);
    expect(world.rowOf("n4")).toMatchObject({ state: "gone", attempt: 1 });
  });

  it("replaces the machine that was destroyed, and the one that is cut off only after it is stopped", async () => {
    const vendor = vendorOf(2);
    const world = await worldOf(vendor, zones);
    const hand = world.hand(1);
    vendor.destroy("n2");
    await settle(world, hand);
    expect(world.rowOf("n2")).toMatchObject({ attempt: 2, state: "enrolled" });
    world.cutOff.add("n3");
    while (world.rowOf("n3")?.attempt === 1) await settle(world, hand, 1);
    world.cutOff.clear();
    await settle(world, hand);
    expect(world.rowOf("n3")).toMatchObject({ attempt: 2, state: "enrolled" });
    expect(onDuty(world)).toEqual(["n1", "n2", "n3"].map((name) => `${name} on-duty reachable`));
    expect([nodesAt(vendor), vendor.made()]).toEqual([["n1", "n2", "n3"], 5]);
    const stop = world.lines.findIndex((line) => line.includes("RecordStopped"));
    expect(stop).toBeGreaterThan(-1);
    expect(world.lines.slice(stop).some((line) => line.includes("WantInstance id=n3"))).toBe(true);
  });
});

describe("a leader's hand", () => {
  it("that was deposed and does not know it calls nobody; one that learns of it in the middle breaks off and writes nothing", async () => {
    const world = await worldOf(hetzner(7), ["fsn1"]);
    let calls = 0;
    world.say({ type: "ScaleCluster", id: "conform", size: 4 });
    const unaware = world.hand(
      1,
      () => ((calls += 1), undefined),
      () => false,
    );
    await unaware.look();
    await unaware.idle();
    expect(world.rowOf("n4")?.state).toBe("wanted");
    [world.leader, world.term] = [2, 2];
    await unaware.look();
    await unaware.idle();
    expect(calls).toBe(0);

    const aware = world.hand(2, () => {
      calls += 1;
      if (calls === 1) [world.leader, world.term] = [1, 3];
      return undefined;
    });
    await aware.look();
    while (calls === 0) await turn();
    await aware.look();
    const begun = calls;
    await aware.idle();
    expect([world.vendor.made(), world.rowOf("n4")?.state]).toEqual([3, "wanted"]);
    expect(calls - begun).toBeLessThanOrEqual(1);
    expect(world.lines.filter((line) => line.includes("fleet-refused"))).toEqual([]);
  });

  it("makes no call that was planned on rows which are others by now", async () => {
    const world = await worldOf(hetzner(8), ["fsn1"]);
    const hand = world.hand(1);
    world.say({ type: "ScaleCluster", id: "conform", size: 4 });
    await hand.look();
    world.onCaughtUp = () => {
      if (world.rowOf("n4")?.state === "wanted")
        world.say({ type: "RecordGone", id: "n4", attempt: 1, how: "as an earlier leader saw" });
    };
    await hand.look();
    await hand.idle();
    expect([world.vendor.made(), world.rowOf("n4")?.state]).toEqual([3, "gone"]);
  });

  it("believes that a machine is gone when two looks a window apart say so, and not before", async () => {
    const world = await worldOf(hetzner(9), ["fsn1"]);
    const looks: number[] = [];
    const hand = world.hand(1, () => (looks.push(world.vendor.clock.now()), undefined));
    world.vendor.destroy("n2");
    while (world.rowOf("n2")?.state === "enrolled") {
      await settle(world, hand, 1);
      world.vendor.clock.advance(-15_000);
    }
    expect(looks).toHaveLength(2);
    expect(looks[1]! - looks[0]!).toBeGreaterThanOrEqual(windowMs);
  });

  it("waits for the end of a call before it says more of the same node", async () => {
    const world = await worldOf(hetzner(10), ["fsn1"]);
    const hand = world.hand(1);
    world.say({ type: "ScaleCluster", id: "conform", size: 4 });
    while (world.rowOf("n4")?.state !== "running") await settle(world, hand, 1);
    await hand.look();
    world.say({ type: "ShutDownNode", id: "n4", force: true, reason: "test" });
    world.say({ type: "RecordNodeLeft", id: "n4", member: 4 });
    await hand.look();
    await settle(world, hand, 10);
    expect([world.rowOf("n4")?.state, nodesAt(world.vendor)]).toEqual(["gone", ["n1", "n2", "n3"]]);
    expect(world.lines.filter((line) => line.includes("fleet-refused"))).toEqual([]);
  });

  it("makes four calls at once and no more", async () => {
    const world = await worldOf(hetzner(11), ["fsn1"]);
    const hand = world.hand(1);
    world.say({ type: "ScaleCluster", id: "conform", size: 7 });
    for (const node of ["n8", "n9"]) world.world.apply([{ type: "NodeExpected", v: 1, id: node, member: Number(node.slice(1)) }]);
    await hand.look();
    expect(["n4", "n5", "n6", "n7", "n8", "n9"].map((name) => world.rowOf(name)?.state)).toEqual(Array(6).fill("wanted"));
    await hand.look();
    expect(hand.calling.toSorted()).toEqual(["n4", "n5", "n6", "n7"]);
    await settle(world, hand, 20);
    expect(nodesAt(world.vendor)).toHaveLength(9);
  });
});

describe("what the vendor refuses", () => {
  it("for want of room is tried in the next zone; the row tells where there was none", async () => {
    const vendor = hetzner(3, { room: { fsn1: 3, nbg1: 5 } });
    const world = await worldOf(vendor, ["fsn1", "nbg1"]);
    const hand = world.hand(1);
    world.say({ type: "ScaleCluster", id: "conform", size: 7 });
    await settle(world, hand, 60);
    expect(nodesAt(vendor)).toHaveLength(7);
    expect(["n4", "n5", "n6", "n7"].map((name) => world.rowOf(name)?.zone)).toEqual(["nbg1", "nbg1", "nbg1", "nbg1"]);
  });

  it("because of a limit waits for an operator, with the vendor's code and the request's name", async () => {
    const vendor = hetzner(4, { serversMax: 3 });
    const world = await worldOf(vendor, ["fsn1"]);
    const hand = world.hand(1);
    world.say({ type: "ScaleCluster", id: "conform", size: 4 });
    await settle(world, hand, 60);
    expect(world.rowOf("n4")).toMatchObject({ state: "refused", held: true, attempt: 1, fault: { tag: "Quota" } });
    expect(world.rowOf("n4")?.fault?.code).toBe("resource_limit_exceeded");
    expect(vendor.made()).toBe(3);
    vendor.destroy("n3");
    world.say({ type: "RetryInstance", id: "n4" });
    await settle(world, hand, 20);
    expect(world.rowOf("n4")).toMatchObject({ attempt: 2, state: "enrolled" });
  });

  it("because of a limit is tried in every other place first, which may have another", async () => {
    const vendor = hetzner(4, { serversMax: 3 });
    const world = await worldOf(vendor, ["fsn1", "nbg1"]);
    const hand = world.hand(1);
    world.say({ type: "ScaleCluster", id: "conform", size: 4 });
    await settle(world, hand, 60);
    expect(world.rowOf("n4")).toMatchObject({ state: "refused", held: true, attempt: 2, fault: { tag: "Quota" } });
    expect(world.rowOf("n4")?.tried.map(({ code }) => code)).toEqual(["resource_limit_exceeded"]);
  });

  it("for its credentials is told once, leaves the intent open, and ends the trouble when it works again", async () => {
    const vendor = hetzner(5);
    const world = await worldOf(vendor, ["fsn1"]);
    const hand = world.hand(1, undefined, undefined, vendor.stranger());
    world.say({ type: "ScaleCluster", id: "conform", size: 4 });
    await settle(world, hand, 40);
    expect(world.rowOf("n4")).toMatchObject({ state: "wanted", attempt: 1 });
    expect(fleetOf(world.world).troubles).toMatchObject([{ area: "credentials", tag: "Auth" }]);
    expect(world.lines.filter((line) => line.includes("command=RecordTrouble"))).toHaveLength(1);
    await hand.stop();
    await settle(world, world.hand(1), 20);
    expect(world.rowOf("n4")).toMatchObject({ state: "enrolled", attempt: 1 });
    expect(fleetOf(world.world).troubles).toEqual([]);
  });

  it("tells nobody what is in user data", async () => {
    const vendor = hetzner(6);
    const world = await worldOf(vendor, ["fsn1"]);
    const hand = world.hand(1, () => ({ kind: "refuse-before", status: 400, headers: {} }));
    world.say({ type: "ScaleCluster", id: "conform", size: 4 });
    await settle(world, hand, 3);
    const ticket = reveal(world.births.birthOf({ node: "n4", attempt: 1 }).ticket);
    const shown = JSON.stringify([world.rowOf("n4"), fleetOf(world.world), world.lines]);
    expect(shown).toContain("n4");
    expect([shown.includes(ticket), shown.includes("fleet-test-secret")]).toEqual([false, false]);
  });
});
