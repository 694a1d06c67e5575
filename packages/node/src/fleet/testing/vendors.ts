/** Fakes of vendors as the fleet's tests see them, and what these tests do again and again. */
import type { CloudProvider, Labels, MachineSpec } from "@aether/cloud/provider";
import { makeAwsWorld } from "@aether/cloud/testing/aws/world";
import { azureMachine, makeAzureWorld } from "@aether/cloud/testing/azure/world";
import { machine as gcpMachine, makeGcpWorld, zones as gcpZones } from "@aether/cloud/testing/gcp/world";
import { makeHetznerWorld } from "@aether/cloud/testing/hetzner/world";
import { make as redact } from "effect/Redacted";
import { expect } from "vitest";
import { makeBirths, type Births } from "../../enrolment/birth.ts";
import type { FleetHand } from "../hand.ts";
import { birthsGiven, FleetWorld, type Vendor } from "./fleet-world.ts";

const bare = { publicIp: true, networks: [], firewalls: [], sshKeys: [] };
const node = "aether-node";

/** `stranger`: whose credentials the vendor does not know. */
export function hetzner(seed: number, options: object = {}): Vendor & { readonly stranger: () => CloudProvider } {
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

export function aws(seed: number, options: object = {}): Vendor {
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

function gcp(seed: number, options: object = {}): Vendor {
  const world = makeGcpWorld(options, seed % 1_000_000);
  const { fake, clock } = world;
  const staying = () => [...fake.machines.all].filter(([, { isBeingDeleted }]) => !isBeingDeleted);
  return {
    provider: "gcp",
    clock,
    client: (plan) => world.client(plan),
    machine: gcpMachine,
    living: () => staying().map(([, { labels }]): Labels => labels),
    made: () => fake.machines.made.length,
    isRunning: (id) => fake.isRunning(id),
    destroy: (name) => {
      for (const [key, { labels }] of staying()) if (labels[node] === name) fake.machines.all.delete(key);
    },
    violations: () => fake.violations,
  };
}

function azure(seed: number, options: object = {}): Vendor {
  const world = makeAzureWorld(options, seed);
  const { fake, clock } = world;
  const { machines } = fake.compute;
  const staying = () => [...machines].filter(([, { provisioning }]) => provisioning !== "Deleting");
  return {
    provider: "azure",
    clock,
    client: (plan) => world.client(plan),
    machine: azureMachine,
    living: () => staying().map(([, { tags }]): Labels => tags),
    made: () => fake.compute.made.length,
    isRunning: (id) => fake.compute.isRunning(id.split(".")[0] ?? ""),
    destroy: (name) => {
      for (const [key, { tags }] of staying()) if (tags[node] === name) machines.delete(key);
    },
    violations: () => fake.violations,
  };
}

export const vendors = [
  ["Hetzner", hetzner, ["fsn1", "nbg1"]],
  ["EC2", aws, ["eu-central-1"]],
  ["GCP", gcp, gcpZones],
  ["Azure", azure, ["1", "2"]],
] as const;
const made = new Map<string, Promise<Births>>();
const birthsOf = (machine: MachineSpec): Promise<Births> => {
  const known =
    made.get(machine.size) ?? makeBirths(birthsGiven(machine, (zone) => (zone === "eu-central-1" ? undefined : zone)));
  made.set(machine.size, known);
  return known;
};

export async function worldOf(vendor: Vendor, zones: readonly string[], sizes = [vendor.machine.size]): Promise<FleetWorld> {
  const births = await birthsOf(vendor.machine);
  const world = new FleetWorld(vendor, births, { zones, sizes, healAfterMs: 120_000 });
  await world.begin();
  return world;
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One leader that nothing happens to, for so many looks. */
export async function settle(world: FleetWorld, hand: FleetHand, looks = 80): Promise<void> {
  for (let at = 0; at < looks; at += 1) {
    await hand.look();
    await hand.idle();
    world.live();
    expect(world.wrongs()).toEqual([]);
    world.vendor.clock.advance(16_000);
  }
}

export const onDuty = (world: FleetWorld): readonly string[] =>
  world.nodes().map(({ name, duty, contact }) => `${name} ${duty} ${contact}`);
export const nodesAt = (vendor: Vendor): readonly (string | undefined)[] =>
  vendor
    .living()
    .map((labels) => labels[node])
    .toSorted((a = "", b = "") => (a < b ? -1 : 1));
