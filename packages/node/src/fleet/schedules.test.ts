import * as fc from "fast-check";
import { killFaults, networkFaults, type Fault } from "@aether/cloud/testing/faults";
import type { FaultPlan } from "@aether/cloud/testing/http-fake";
import { describe, expect, it } from "vitest";
import type { FleetHand } from "./hand.ts";
import type { FleetWorld } from "./testing/fleet-world.ts";
import { nodesAt, settle, turn, vendors, worldOf } from "./testing/vendors.ts";

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
