import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readyCluster } from "../testing/rules-bench.ts";
import { choosePlace } from "./place.ts";
import { planFleet, roomAgainMs, windowMs, type Act } from "./plan.ts";
import { ModelledCloud, type Mishap } from "./testing/modelled-cloud.ts";

const plan = (cloud: ModelledCloud): readonly Act[] => planFleet(cloud, cloud.settings, cloud.now);
const words = (acts: readonly Act[]): readonly string[] =>
  acts.map((act) => (act.do === "say" ? `${act.command.type} ${act.command.id}` : `${act.call} ${act.node}`));

/** Looks every `everyMs` until nothing is left to do for an hour, or for `looksMax` looks. What was done, without the looks. */
function run(
  cloud: ModelledCloud,
  mishap: (act: Act) => Mishap = () => "none",
  looksMax = 2_000,
  everyMs = 5_000,
): readonly string[] {
  const done: string[] = [];
  for (let looks = 0; looks < looksMax; looks += 1) {
    const acts = plan(cloud);
    for (const act of acts) cloud.carryOut(act, mishap(act));
    done.push(...words(acts));
    cloud.live();
    cloud.now += everyMs;
  }
  return done.filter((word) => !word.startsWith("look "));
}
const settled = (cloud: ModelledCloud): readonly string[] => run(cloud, undefined, 400);
const loseMachine = (cloud: ModelledCloud, node: string): void => {
  for (const machine of cloud.livingOf(node)) machine.state = "gone";
};

describe("a fleet that is as it should be", () => {
  it("needs nothing, not even a look; and a cluster on this computer never does", () => {
    expect(run(new ModelledCloud(3), undefined, 20)).toEqual([]);
    const { world } = readyCluster(3);
    const settings = { zones: ["a"], sizes: ["s"], healAfterMs: 1 };
    world.apply([{ type: "NodeLost", v: 1, id: "n3" }]);
    expect(planFleet({ world, seen: new Map(), leadingSince: 0 }, settings, 1e12)).toEqual([]);
  });
});

describe("scaling", () => {
  it("up makes a machine for each node that is expected, in the emptiest zones", () => {
    const cloud = new ModelledCloud(3);
    cloud.say({ type: "ScaleCluster", id: "home", size: 5 });
    expect(words(plan(cloud))).toEqual(["WantInstance n4", "WantInstance n5"]);
    settled(cloud);
    expect(["n4", "n5"].map((node) => cloud.rowOf(node)?.zone)).toEqual(["a", "b"]);
    expect(cloud.nodes().map(({ duty }) => duty)).toEqual(Array.from({ length: 5 }, () => "on-duty"));
    expect(cloud.faults).toEqual([]);
  });

  it("down removes the machine of the node that has left, and forgets the node when the machine is gone", () => {
    const cloud = new ModelledCloud(3);
    cloud.say({ type: "DrainNode", id: "n3" });
    cloud.say({ type: "CompleteDrain", id: "n3" });
    cloud.say({ type: "ShutDownNode", id: "n3" });
    expect(plan(cloud)).toEqual([]);
    cloud.say({ type: "RecordNodeLeft", id: "n3", member: 3 });
    expect(settled(cloud)).toEqual(["RemoveInstance n3", "delete n3", "ForgetNode n3"]);
    expect(cloud.livingOf("n3")).toEqual([]);
    // a later node of that name is another attempt
    cloud.say({ type: "ScaleCluster", id: "home", size: 3 });
    settled(cloud);
    expect(cloud.rowOf("n3")).toMatchObject({ attempt: 2, state: "enrolled" });
  });

  it("up again tries what was refused again", () => {
    const cloud = new ModelledCloud(3);
    cloud.say({ type: "ScaleCluster", id: "home", size: 4 });
    run(cloud, (act) => (act.do === "call" && act.call === "ensure" ? "Quota" : "none"), 400);
    expect(cloud.rowOf("n4")).toMatchObject({ state: "refused", held: true, attempt: 1 });
    expect(plan(cloud)).toEqual([]);
    cloud.say({ type: "ScaleCluster", id: "home", size: 4 });
    settled(cloud);
    expect(cloud.rowOf("n4")).toMatchObject({ state: "enrolled", attempt: 2 });
  });
});

describe("a place without room", () => {
  it("is followed by the next zone, then the next size; when all were tried, by a while of waiting", () => {
    const cloud = new ModelledCloud(3);
    cloud.say({ type: "ScaleCluster", id: "home", size: 4 });
    const places: string[] = [];
    const times: number[] = [];
    run(
      cloud,
      (act) => {
        if (act.do !== "call" || act.call !== "ensure") return "none";
        places.push(`${act.zone}/${act.size}`);
        times.push(cloud.now);
        return places.length < 8 ? "Capacity" : "none";
      },
      400,
    );
    expect(places).toEqual(["a/s", "b/s", "c/s", "a/m", "b/m", "c/m", "a/s", "b/s"]);
    expect(times[6]! - times[5]!).toBeGreaterThanOrEqual(roomAgainMs);
    expect(times[5]! - times[0]!).toBeLessThan(roomAgainMs);
    expect(cloud.rowOf("n4")).toMatchObject({ state: "enrolled", zone: "b", tried: [] });
  });

  it("is chosen by how many machines are in each zone, then by the order that is preferred", () => {
    const counts = new Map([
      ["a", 2],
      ["c", 1],
    ]);
    const places = { zones: ["a", "b", "c"], sizes: ["s"] };
    expect(choosePlace(places, [], counts)).toEqual({ zone: "b", size: "s" });
    expect(choosePlace(places, [{ zone: "b", size: "s" }], counts)).toEqual({ zone: "c", size: "s" });
    expect(choosePlace(places, [], new Map())).toEqual({ zone: "a", size: "s" });
  });
});

describe("a lost node", () => {
  it("whose machine is gone gets another after two looks a window apart, and not before heal_after", () => {
    const cloud = new ModelledCloud(3);
    loseMachine(cloud, "n2");
    cloud.live();
    const lostAt = cloud.now;
    const done: string[] = [];
    while (cloud.rowOf("n2")?.attempt === 1) {
      for (const act of plan(cloud)) cloud.carryOut(act, "none");
      done.push(...words(plan(cloud)));
      cloud.now += 1_000;
      if (cloud.now - lostAt > 600_000) throw new Error("it is never healed");
    }
    expect(cloud.now - lostAt).toBeGreaterThanOrEqual(cloud.settings.healAfterMs ?? 0);
    settled(cloud);
    expect(cloud.rowOf("n2")).toMatchObject({ attempt: 2, state: "enrolled" });
    expect(cloud.nodes().find(({ name }) => name === "n2")).toMatchObject({ duty: "on-duty", contact: "reachable" });
    expect(cloud.faults).toEqual([]);
  });

  it("whose machine still runs is stopped, seen stopped and removed before another is wanted", () => {
    const cloud = new ModelledCloud(3);
    cloud.cutOff.add("n2");
    const done = run(
      cloud,
      (act) => {
        if (act.do === "say" && act.command.type === "WantInstance") cloud.cutOff.delete("n2");
        return "none";
      },
      200,
    );
    expect(done).toEqual([
      "StopInstance n2",
      "stop n2",
      "RemoveInstance n2",
      "delete n2",
      "WantInstance n2",
      "ensure n2",
      "RecordInstance n2",
      "enrol n2",
    ]);
    expect(cloud.faults).toEqual([]);
  });

  it("is left alone where healing is off, where a quorum would not hold without it, and when it comes back", () => {
    for (const change of [
      (cloud: ModelledCloud) => Object.assign(cloud.settings, { healAfterMs: null }),
      (cloud: ModelledCloud) => cloud.cutOff.add("n1"),
      (cloud: ModelledCloud) => cloud.say({ type: "DrainNode", id: "n2" }),
    ]) {
      const cloud = new ModelledCloud(3);
      change(cloud);
      cloud.cutOff.add("n2");
      expect(run(cloud, undefined, 200).filter((word) => /Stop|Want|Remove/.test(word))).toEqual([]);
    }
    const cloud = new ModelledCloud(3);
    cloud.cutOff.add("n2");
    run(cloud, undefined, 20);
    cloud.cutOff.clear();
    expect(run(cloud, undefined, 200)).toEqual([]);
  });

  it("that a new leader finds lost in the rows has heal_after to be heard: all may just have been switched on again", () => {
    const cloud = new ModelledCloud(3);
    cloud.cutOff.add("n2");
    cloud.live();
    cloud.now += 3_600_000;
    cloud.leadingSince = cloud.now;
    expect(run(cloud, undefined, 20)).toEqual([]);
    expect(run(cloud, undefined, 10)).toContain("StopInstance n2");
  });

  it("has heal_after to come back once its new machine is enrolled", () => {
    const cloud = new ModelledCloud(3);
    loseMachine(cloud, "n2");
    cloud.live();
    const act = (): void => {
      for (const one of plan(cloud)) cloud.carryOut(one, "none");
      cloud.now += 5_000;
    };
    while (cloud.rowOf("n2")?.attempt === 1 || cloud.rowOf("n2")?.state !== "enrolled") act();
    const enrolledAt = cloud.now;
    while (cloud.now < enrolledAt + 100_000) act();
    expect(cloud.rowOf("n2")).toMatchObject({ attempt: 2, state: "enrolled" });
    while (cloud.now < enrolledAt + 400_000) act();
    expect(cloud.rowOf("n2")?.attempt).toBeGreaterThan(2);
  });

  it("waits for the one that is being healed", () => {
    const cloud = new ModelledCloud(7);
    loseMachine(cloud, "n2");
    loseMachine(cloud, "n3");
    const order: string[] = [];
    run(
      cloud,
      (act) => {
        if (act.do === "say" && act.command.type === "WantInstance") {
          order.push(act.command.id);
          const isOtherBack = order.length === 1 || cloud.nodes().find(({ name }) => name === order[0])?.duty === "on-duty";
          if (!isOtherBack) cloud.faults.push("two are healed at once");
        }
        return "none";
      },
      400,
    );
    expect(order).toEqual(["n2", "n3"]);
    expect(cloud.faults).toEqual([]);
  });
});

describe("a machine that never becomes a node", () => {
  it("is removed and made anew, thrice at most", () => {
    const cloud = new ModelledCloud(3);
    cloud.say({ type: "ScaleCluster", id: "home", size: 4 });
    const isEnrolling = (act: Act): boolean => act.do === "call" && act.call === "enrol";
    const done = run(cloud, (act) => (isEnrolling(act) ? "before" : "none"), 500, 31_000);
    expect(done.filter((word) => word === "RemoveInstance n4")).toHaveLength(3);
    expect(cloud.rowOf("n4")).toMatchObject({ state: "gone", held: true, fruitless: 3, attempt: 3 });
    expect(cloud.livingOf("n4")).toEqual([]);
    cloud.say({ type: "RetryInstance", id: "n4" });
    settled(cloud);
    expect(cloud.rowOf("n4")).toMatchObject({ state: "enrolled", attempt: 4 });
  });
});

type Step =
  | { readonly k: "looks"; readonly mishaps: readonly Mishap[]; readonly ms: number }
  | { readonly k: "lose" | "cut" | "mend" | "leave" | "retry"; readonly node: string }
  | { readonly k: "scale"; readonly size: number }
  | { readonly k: "leader" };
const node = fc.constantFrom("n1", "n2", "n3", "n4", "n5");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      k: fc.constant("looks" as const),
      mishaps: fc.array(fc.constantFrom<Mishap>("none", "none", "before", "after", "Capacity", "Quota"), { maxLength: 6 }),
      ms: fc.constantFrom(1_000, 5_000, windowMs, 130_000, roomAgainMs),
    }),
  },
  { weight: 3, arbitrary: fc.record({ k: fc.constantFrom("lose", "cut", "mend", "leave", "retry"), node }) },
  { weight: 1, arbitrary: fc.record({ k: fc.constant("scale" as const), size: fc.integer({ min: 3, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ k: fc.constant("leader" as const) }) },
);

function take(cloud: ModelledCloud, one: Step): void {
  switch (one.k) {
    case "looks": {
      const left = [...one.mishaps];
      for (const act of plan(cloud)) cloud.carryOut(act, act.do === "call" ? (left.shift() ?? "none") : "none");
      cloud.live();
      cloud.now += one.ms;
      return;
    }
    case "lose":
      return loseMachine(cloud, one.node);
    case "cut":
      return void cloud.cutOff.add(one.node);
    case "mend":
      return void cloud.cutOff.delete(one.node);
    case "retry":
      return void cloud.say({ type: "RetryInstance", id: one.node });
    case "leave":
      cloud.say({ type: "ShutDownNode", id: one.node, force: true, reason: "test" });
      for (const { name, member, duty } of cloud.nodes())
        if (duty === "shutting-down") cloud.say({ type: "RecordNodeLeft", id: name, member });
      return;
    case "scale":
      return void cloud.say({ type: "ScaleCluster", id: "home", size: one.size });
    case "leader":
      [cloud.seen, cloud.leadingSince] = [new Map(), cloud.now];
  }
}

describe("whatever happens, in whatever order", () => {
  it("no node has two machines, every effect has its intent, no member loses a machine that may run; in the end all is as wanted", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cloud = new ModelledCloud(3);
        cloud.lagMs = 20_000;
        for (const one of steps) take(cloud, one);
        expect(cloud.faults).toEqual([]);
        cloud.cutOff.clear();
        for (const { name } of cloud.nodes()) cloud.say({ type: "RetryInstance", id: name });
        run(cloud, undefined, 150, 31_000);
        expect(cloud.faults).toEqual([]);
        for (const { name, address, contact } of cloud.nodes()) {
          const isHelpless = address !== null && contact === "lost";
          if (!isHelpless) expect([name, cloud.livingOf(name).length]).toEqual([name, 1]);
        }
        const named = new Set(cloud.nodes().map(({ name }) => name));
        expect(cloud.machines.filter(({ node: of, state }) => state !== "gone" && !named.has(of))).toEqual([]);
      }),
      { numRuns: 150, seed: 20_261_122 },
    );
  });
});
