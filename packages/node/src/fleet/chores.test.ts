import { make as redact } from "effect/Redacted";
import { clusterLabels } from "@aether/cloud/labels";
import { hetznerSpec, makeHetznerWorld } from "@aether/cloud/testing/hetzner/world";
import { run } from "@aether/cloud/testing/fault-matrix";
import type { Labels } from "@aether/cloud/provider";
import { fleetOf } from "@aether/core/fleet/state";
import { describe, expect, it } from "vitest";
import { makeBirths } from "../enrolment/birth.ts";
import { lookEveryMs, makeBalancer } from "./balancer.ts";
import type { FleetHand } from "./hand.ts";
import { makeSurvey, surveyEveryMs } from "./survey.ts";
import { birthsGiven, cluster, FleetWorld, type Vendor } from "./testing/fleet-world.ts";

async function place() {
  const vendorWorld = makeHetznerWorld();
  const { fake, clock } = vendorWorld;
  const machine = { size: "cx22", image: "debian-12", publicIp: true, networks: [], firewalls: [], sshKeys: [] };
  const vendor: Vendor = {
    provider: "hetzner",
    clock,
    client: (plan) => vendorWorld.client(plan),
    machine,
    living: () => [...fake.servers.values()].map(({ labels }): Labels => labels),
    made: () => fake.made.length,
    isRunning: (id) => fake.isRunning(Number(id)),
    destroy: () => undefined,
    violations: () => fake.violations,
  };
  const births = await makeBirths(birthsGiven(machine, (zone) => zone));
  const world = new FleetWorld(vendor, births, { zones: ["fsn1"], sizes: ["cx22"], healAfterMs: null });
  await world.begin();
  return { world, fake, vendorWorld };
}

async function looks(world: FleetWorld, hand: FleetHand, count: number, everyMs = 5_000): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    await hand.look();
    await hand.idle();
    world.live();
    world.vendor.clock.advance(everyMs);
  }
}

describe("the load balancer", () => {
  async function balanced() {
    const made = await place();
    const { world, fake } = made;
    const { id } = fake.addBalancer("front");
    world.chores = ({ loadBalancers, name: provider }, member) => [
      makeBalancer({
        cluster: cluster.name,
        provider,
        balancer: "front",
        loadBalancers,
        world: world.world,
        submit: (command) => Promise.resolve(world.submit(command, member)),
        now: world.vendor.clock.now,
      }),
    ];
    const behind = (): readonly string[] =>
      (fake.balancers.get(id)?.targets ?? []).map(({ server }) => String(server.id)).toSorted();
    const ids = (...nodes: string[]): readonly string[] => nodes.map((node) => world.rowOf(node)?.id ?? "").toSorted();
    const intents = (): number => world.lines.filter((line) => line.includes("command=RecordTargets")).length;
    return { ...made, behind, ids, intents, balancer: id };
  }

  it("holds the nodes on duty, with an intent and a receipt; nothing is written while nothing changes", async () => {
    const { world, behind, ids, intents } = await balanced();
    const hand = world.hand(1);
    await looks(world, hand, 30);
    expect(behind()).toEqual(ids("n1", "n2", "n3"));
    expect(intents()).toBe(1);
    expect(fleetOf(world.world).targets).toMatchObject({ balancer: "front", done: { added: 3, removed: 0 } });
    world.say({ type: "DrainNode", id: "n3" });
    await looks(world, hand, 3);
    expect(behind()).toEqual(ids("n1", "n2"));
    world.say({ type: "UndrainNode", id: "n3" });
    await looks(world, hand, 3);
    expect([behind(), intents()]).toEqual([ids("n1", "n2", "n3"), 3]);
  });

  it("gets back who was taken out behind its back, and keeps who is not ours", async () => {
    const { world, fake, behind, ids, intents, balancer, vendorWorld } = await balanced();
    const hand = world.hand(1);
    await looks(world, hand, 3);
    const { instance } = await run(vendorWorld.client().compute.ensure(hetznerSpec("guest")));
    const server = fake.servers.get(Number(instance.id));
    const front = fake.balancers.get(balancer);
    if (server === undefined || front === undefined) throw new Error("both were made");
    server.labels = { team: "web" };
    front.targets = [...front.targets.slice(1), { type: "server", server: { id: server.id }, use_private_ip: false }];
    await looks(world, hand, 3, lookEveryMs);
    expect(behind()).toEqual([...ids("n1", "n2", "n3"), instance.id].toSorted());
    expect(intents()).toBe(2);
  });

  it("loses one of ours that was put in though it is off duty; and while no machine of a node on duty is known, stays as it is", async () => {
    const { world, fake, behind, ids, balancer } = await balanced();
    const hand = world.hand(1);
    world.say({ type: "DrainNode", id: "n3" });
    await looks(world, hand, 3);
    const front = fake.balancers.get(balancer);
    if (front === undefined) throw new Error("it was made");
    const [drained = ""] = ids("n3");
    front.targets = [...front.targets, { type: "server", server: { id: Number(drained) }, use_private_ip: false }];
    expect(behind()).toHaveLength(3);
    await looks(world, hand, 2, lookEveryMs);
    expect(behind()).toEqual(ids("n1", "n2"));
    for (const node of ["n1", "n2", "n3"]) world.say({ type: "RecordGone", id: node, attempt: 1, how: "test" });
    await looks(world, hand, 2, lookEveryMs);
    expect(behind()).toHaveLength(2);
  });

  it("goes on with an intent that an earlier leader left without a receipt", async () => {
    const { world, behind, ids } = await balanced();
    const targets = ["n1", "n2", "n3"].map((node) => ({ node, instance: world.rowOf(node)?.id ?? "" }));
    world.say({ type: "WantTargets", id: cluster.name, balancer: "front", targets });
    [world.leader, world.term] = [2, 2];
    await looks(world, world.hand(2), 3);
    expect(behind()).toEqual(ids("n1", "n2", "n3"));
    expect(fleetOf(world.world).targets?.done).toMatchObject({ added: 3 });
  });

  it("that is not there is a trouble, once, until it is", async () => {
    const { world, fake, balancer, behind, ids } = await balanced();
    const front = fake.balancers.get(balancer);
    fake.balancers.clear();
    const hand = world.hand(1);
    await looks(world, hand, 60);
    expect(fleetOf(world.world).troubles).toMatchObject([{ area: "load_balancer" }]);
    expect(world.lines.filter((line) => line.includes("command=RecordTrouble"))).toHaveLength(1);
    if (front !== undefined) fake.balancers.set(balancer, front);
    await looks(world, hand, 5, 700_000);
    expect([behind(), fleetOf(world.world).troubles]).toEqual([ids("n1", "n2", "n3"), []]);
  });
});

describe("the survey", () => {
  it("tells of a machine with the cluster's labels that no row knows, when two lists show it, and never touches it", async () => {
    const { world, fake, vendorWorld } = await place();
    world.chores = ({ compute }) => [makeSurvey({ cluster, world: world.world, compute, now: world.vendor.clock.now })];
    const hand = world.hand(1);
    await looks(world, hand, 3, surveyEveryMs);
    expect(fleetOf(world.world).troubles).toEqual([]);
    const client = vendorWorld.client();
    const spec = hetznerSpec("n9", { userData: redact("#cloud-config\n") });
    const { instance } = await run(client.compute.ensure(spec));
    await looks(world, hand, 1, surveyEveryMs);
    expect(fleetOf(world.world).troubles).toEqual([]);
    await looks(world, hand, 3, surveyEveryMs);
    expect(fleetOf(world.world).troubles).toMatchObject([{ area: "instances", tag: "Stray", code: instance.id }]);
    expect(await run(client.compute.list(clusterLabels(cluster.name)))).toHaveLength(4);
    fake.servers.delete(Number(instance.id));
    await looks(world, hand, 4, surveyEveryMs * 3);
    expect(fleetOf(world.world).troubles).toEqual([]);
  });
});
