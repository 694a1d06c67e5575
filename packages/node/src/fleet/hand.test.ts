import * as fc from "fast-check";
import type { CloudProvider, Labels, MachineSpec } from "@aether/cloud/provider";
import { makeAwsWorld } from "@aether/cloud/testing/aws/world";
import { killFaults, networkFaults, type Fault } from "@aether/cloud/testing/faults";
import { makeHetznerWorld } from "@aether/cloud/testing/hetzner/world";
import type { FaultPlan } from "@aether/cloud/testing/http-fake";
import { fleetOf } from "@aether/core/fleet/state";
import { make as redact, value as reveal } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { makeBirths, type Births } from "../enrolment/birth.ts";
import type { FleetHand } from "./hand.ts";
import { birthsGiven, FleetWorld, type Vendor } from "./testing/fleet-world.ts";

const bare = { publicIp: true, networks: [], firewalls: [], sshKeys: [] };
const node = "aether-node";

/** `stranger`: whose credentials the vendor does not know. */
function hetzner(seed: number, options: object = {}): Vendor & { readonly stranger: () => CloudProvider } {
  const world = makeHetznerWorld(options, seed);
  const { fake, clock } = world;
  const client: typeof world.client = (...given) => world.client(...given);
  const staying = () => [...fake.servers.values()].filter(({ status }) => status !== "deleting");
  return {
    provider: "hetzner",
    clock,
    client,
    stranger: () => client(undefined, { token: redact("not-the-token-0123456789abcdef0123456789abcdef") }),
    machine: { size: "cx22", image: "debian-12", ...bare },
    living: () => staying().map(({ labels }): Labels => labels),
    made: () => fake.made.length,
    isRunning: (id) => fake.isRunning(Number(id)),
    destroy: (name) => {
      for (const server of staying()) if (server.labels[node] === name) fake.servers.delete(server.id);
    },
    violations: () => fake.violations,
  };
}

function aws(seed: number, options: object = {}): Vendor {
  const world = makeAwsWorld(options, seed);
  const { fake, clock } = world;
  const client: typeof world.client = (...given) => world.client(...given);
  const staying = () => fake.living().filter(({ state }) => state !== "shutting-down");
  return {
    provider: "aws",
    clock,
    client,
    machine: { size: "t4g.small", image: "ami-0123456789abcdef0", ...bare, networks: ["subnet-0a1b2c3d"] },
    living: () => staying().map(({ tags }): Labels => tags),
    made: () => fake.instances.size,
    isRunning: (id) => fake.isRunning(id),
    destroy: (name) => {
      for (const instance of staying()) if (instance.tags[node] === name) [instance.state, instance.next] = ["terminated", []];
    },
    violations: () => fake.violations,
  };
}

const vendors = [
  ["Hetzner", hetzner, ["fsn1", "nbg1"]],
  ["EC2", aws, ["eu-central-1"]],
] as const;
const made = new Map<string, Promise<Births>>();
const birthsOf = (machine: MachineSpec): Promise<Births> => {
  const known = made.get(machine.size) ?? makeBirths(birthsGiven(machine, (zone) => (zone.startsWith("eu-") ? undefined : zone)));
  made.set(machine.size, known);
  return known;
};

async function worldOf(vendor: Vendor, zones: readonly string[], sizes = [vendor.machine.size]): Promise<FleetWorld> {
  const births = await birthsOf(vendor.machine);
  const world = new FleetWorld(vendor, births, { zones, sizes, healAfterMs: 120_000 });
  await world.begin();
  return world;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One leader that nothing happens to, for so many looks. */
async function settle(world: FleetWorld, hand: FleetHand, looks = 80): Promise<void> {
  for (let at = 0; at < looks; at += 1) {
    await hand.look();
    await hand.idle();
    world.live();
    expect(world.wrongs()).toEqual([]);
    world.vendor.clock.advance(16_000);
  }
}

const onDuty = (world: FleetWorld): readonly string[] =>
  world.nodes().map(({ name, duty, contact }) => `${name} ${duty} ${contact}`);
const nodesAt = (vendor: Vendor): readonly (string | undefined)[] =>
  vendor
    .living()
    .map((labels) => labels[node])
    .toSorted((a = "", b = "") => (a < b ? -1 : 1));

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

const faults = [...networkFaults, ...killFaults].map(([, fault]) => fault);
const schedule = fc.array(fc.option(fc.constantFrom<Fault>(...faults), { freq: 4 }), { maxLength: 12 });
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ k: fc.constant("look" as const), ms: fc.constantFrom(0, 1_000, 31_000, 125_000) }) },
  { weight: 2, arbitrary: fc.record({ k: fc.constant("leader" as const), knows: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      k: fc.constantFrom("lose" as const, "cut" as const, "mend" as const),
      node: fc.constantFrom("n2", "n3", "n4"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ k: fc.constant("scale" as const), size: fc.integer({ min: 3, max: 5 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Two members' hands; a request may kill the process that makes it, and another one takes its place. */
class Schedule {
  readonly world: FleetWorld;
  readonly #faults: (Fault | null)[];
  readonly #hands: FleetHand[];
  #knows = true;
  #dead = new Set<number>();

  constructor(world: FleetWorld, planned: readonly (Fault | null)[]) {
    this.world = world;
    this.#faults = [...planned];
    this.#hands = [1, 2].map((id) => this.#start(id));
  }

  #start(id: number): FleetHand {
    const plan: FaultPlan = () => {
      const fault = this.#faults.shift() ?? undefined;
      if (fault?.kind === "kill-before" || fault?.kind === "kill-after") this.#dead.add(id);
      return fault;
    };
    return this.world.hand(id, plan, () => this.#knows);
  }

  async take(one: Step): Promise<void> {
    const { world } = this;
    switch (one.k) {
      case "look":
        for (const id of [1, 2]) {
          if (this.#dead.delete(id)) this.#hands[id - 1] = this.#start(id);
          await this.#hands[id - 1]?.look();
        }
        for (let turns = 0; turns < 12; turns += 1) await turn();
        world.live();
        world.vendor.clock.advance(one.ms);
        return;
      case "leader":
        [world.leader, world.term, this.#knows] = [3 - world.leader, world.term + 1, one.knows];
        return;
      case "lose":
        return world.vendor.destroy(one.node);
      case "cut":
        return void world.cutOff.add(one.node);
      case "mend":
        return void world.cutOff.delete(one.node);
      case "scale":
        return void world.say({ type: "ScaleCluster", id: "conform", size: one.size });
    }
  }

  /** All hands but the leader's have ended, and nothing bad happens any more. */
  async end(): Promise<FleetHand> {
    this.#faults.length = 0;
    this.#knows = true;
    await Promise.all(this.#hands.map((hand) => hand.stop()));
    return this.world.hand(this.world.leader);
  }
}

describe.each(vendors)(
  "on %s, whoever is killed between two calls, and however leaders follow each other",
  (_, vendorOf, zones) => {
    it(
      "each node has one machine at most, labelled, and in the end exactly one; a later leader makes none",
      { timeout: 240_000 },
      async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(step, { maxLength: 25 }), schedule, fc.nat(), async (steps, planned, seed) => {
            const vendor = vendorOf(seed);
            const world = await worldOf(vendor, zones);
            const run = new Schedule(world, planned);
            for (const one of steps) {
              await run.take(one);
              expect(world.wrongs()).toEqual([]);
            }
            const last = await run.end();
            world.cutOff.clear();
            await settle(world, last);
            const [living, before] = [nodesAt(vendor), vendor.made()];
            // a node that was lost with another one, so that no quorum is left without it, is nobody's to replace
            const helpless = world.nodes().filter(({ contact }) => contact === "lost").length > 0;
            const wanted = world.nodes().map(({ name }) => name);
            if (!helpless) expect(living).toEqual(wanted);
            await last.stop();
            await settle(world, world.hand(world.leader), 6);
            expect([nodesAt(vendor), vendor.made()]).toEqual([living, before]);
          }),
          { numRuns: 25, seed: 20_261_122 },
        );
      },
    );
  },
);
