import { describe, expect, it } from "vitest";
import { operator } from "../testing/azure/fake.ts";
import { callName } from "../testing/azure/call-name.ts";
import { azureSpec, cluster, makeAzureWorld, makeServedWorld, ticket } from "../testing/azure/world.ts";
import { bringUp, faultMatrix, faultsAt, untilDone } from "../testing/fault-matrix.ts";
import { networkFaults } from "../testing/faults.ts";

/** Each look at an operation is a call in which something may fail: a few are enough. */
const brisk = { bootMs: 2_000, powerMs: 1_000, deleteMs: 1_000, lagMs: 1_000 };
const secrets = [ticket, operator.secret ?? "", Buffer.from(ticket).toString("base64").slice(0, 30)];

faultMatrix("Azure", {
  cluster: cluster.name,
  makeWorld: (seed) => {
    const world = makeAzureWorld(brisk, seed);
    const { fake, clock } = world;
    return {
      clock,
      client: (plan) => world.client(plan),
      living: () => [...fake.compute.machines.values()].map(({ tags }) => tags),
      made: () => fake.compute.made.length,
      violations: () => fake.violations,
    };
  },
  spec: azureSpec,
  callOf: ({ method, url }) => callName(method, url.pathname),
  lifeCalls: [
    "POST token",
    "GET virtualMachines/{name}",
    "PUT virtualMachines/{name}",
    "GET operation",
    "GET networkInterfaces/{name}",
    "GET virtualMachines",
    "GET all virtualMachines",
    "POST virtualMachines/{name}/powerOff",
    "POST virtualMachines/{name}/deallocate",
    "POST virtualMachines/{name}/restart",
    "PATCH tags",
  ],
  sweepCalls: [
    "GET virtualMachines",
    "DELETE virtualMachines/{name}",
    "GET operation",
    "GET virtualMachines/{name}",
    "GET disks/{name}",
  ],
  secrets,
});

describe("Azure under faults, over real HTTP, at the create", () => {
  it.each(networkFaults)("%s", async (name, fault) => {
    const plan = faultsAt((request) => request.method === "PUT", fault, 2);
    // Real time: enough for a busy machine, except where the answer is meant not to come.
    const world = await makeServedWorld(plan, name.includes("does not end") ? 1_000 : 30_000);
    try {
      await untilDone(
        secrets,
        () => world.provider,
        (client) => bringUp(client, [azureSpec("n1")]),
      );
      expect(plan.hits()).toBeGreaterThan(0);
      expect(world.fake.compute.made).toHaveLength(1);
      expect(await bringUp(world.another, [azureSpec("n1")])).toBe(0);
      expect(world.fake.compute.made).toHaveLength(1);
    } finally {
      await world.close();
    }
  });
});
