import { describe, expect, it } from "vitest";
import { bringUp, faultMatrix, faultsAt, untilDone } from "../testing/fault-matrix.ts";
import { edgeFaultMatrix } from "../testing/edge-fault-matrix.ts";
import { networkFaults } from "../testing/faults.ts";
import { callOf } from "../testing/gcp/fake.ts";
import { cluster, gcpSpec, makeGcpWorld, makeServedWorld, ticket } from "../testing/gcp/world.ts";

const secrets = [ticket, "ya29.token", "refresh-token-0123456789", "client-secret-0123456789"];
/** Every wait is over after one look or two: what happens is the same, in fewer requests. */
const brisk = { operationMs: 1_500, bootMs: 2_500, deleteMs: 1_500, stopMs: 1_500, pageMax: 500 };
/** Start and reset are asked for as stop is; a killed process meets them all. */
const change = ["setLabels", "stop"].map((verb) => `POST /instances/{x}/${verb}`);

faultMatrix("GCP", {
  cluster: cluster.name,
  makeWorld: (seed) => {
    const world = makeGcpWorld(brisk, seed % 1_000_000);
    const { fake, clock } = world;
    return {
      clock,
      client: (plan) => world.client(plan),
      living: () => [...fake.machines.all.values()].map(({ labels }) => labels),
      made: () => fake.machines.made.length,
      violations: () => fake.violations,
    };
  },
  spec: gcpSpec,
  callOf,
  lifeCalls: [
    "POST /token",
    "GET /aggregated/instances",
    "GET /operations/{x}",
    "GET /instances/{x}",
    "POST /instances",
    ...change,
  ],
  sweepCalls: ["GET /aggregated/instances", "GET /instances/{x}", "DELETE /instances/{x}", "GET /operations/{x}"],
  secrets,
});

edgeFaultMatrix("GCP", {
  cluster: cluster.name,
  makeWorld: () => {
    const world = makeGcpWorld(brisk);
    return { ...world, certificates: () => world.fake.edge.certificates.size };
  },
  spec: gcpSpec,
  callOf,
  changes: [
    "POST /networkEndpointGroups/{x}/attachNetworkEndpoints",
    "POST /networkEndpointGroups/{x}/detachNetworkEndpoints",
    "POST /certificates",
    "POST /dnsAuthorizations",
    "DELETE /certificates/{x}",
    "DELETE /dnsAuthorizations/{x}",
  ],
  reads: [
    "GET /aggregated/networkEndpointGroups",
    "POST /networkEndpointGroups/{x}/listNetworkEndpoints",
    "GET /certificates/{x}",
    "GET /dnsAuthorizations/{x}",
    "GET /operations/{x}",
    "GET /secrets/{x}/versions/latest:access",
  ],
  secrets,
});

describe("GCP under faults, over real HTTP, at the create", () => {
  it.each(networkFaults)("%s", async (name, fault) => {
    const plan = faultsAt((request) => callOf(request) === "POST /instances", fault, 2);
    // Real time: enough for a busy machine, except where the answer is meant not to come.
    const world = await makeServedWorld(plan, name.includes("does not end") ? 1_000 : 30_000);
    try {
      await untilDone(
        secrets,
        () => world.provider,
        (client) => bringUp(client, [gcpSpec("n1")]),
      );
      expect(plan.hits()).toBeGreaterThan(0);
      expect(world.fake.machines.made).toHaveLength(1);
      expect(await bringUp(world.another, [gcpSpec("n1")])).toBe(0);
      expect(world.fake.machines.made).toHaveLength(1);
    } finally {
      await world.close();
    }
  });
});
