import { describe, expect, it } from "vitest";
import type { HttpRequest } from "../http/transport.ts";
import { bringUp, faultMatrix, faultsAt, untilDone } from "../testing/fault-matrix.ts";
import { edgeFaultMatrix } from "../testing/edge-fault-matrix.ts";
import { networkFaults } from "../testing/faults.ts";
import { fakeDefaults } from "../testing/hetzner/fake.ts";
import { hetznerOperations } from "../testing/hetzner/operations.ts";
import { cluster, hetznerSpec, makeHetznerWorld, makeServedWorld, ticket } from "../testing/hetzner/world.ts";

const callOf = ({ method, url }: HttpRequest): string =>
  `${method} ${url.pathname.replace(/^\/v1/, "").replaceAll(/\d+/g, "{id}")}`;
const asked = hetznerOperations.filter((name) => name === "GET /actions" || name.includes("/servers"));
const secrets = [ticket, fakeDefaults.token];

faultMatrix("Hetzner", {
  cluster: cluster.name,
  makeWorld: (seed) => {
    const world = makeHetznerWorld({}, seed);
    const { fake, clock } = world;
    return {
      clock,
      client: (plan) => world.client(plan),
      living: () => [...fake.servers.values()].map(({ labels }) => labels),
      made: () => fake.made.length,
      violations: () => fake.violations,
    };
  },
  spec: hetznerSpec,
  callOf,
  lifeCalls: asked.filter((name) => !name.startsWith("DELETE")),
  sweepCalls: ["GET /servers", "DELETE /servers/{id}", "GET /servers/{id}"],
  secrets,
});

describe("Hetzner under faults, over real HTTP, at the create", () => {
  it.each(networkFaults)("%s", async (name, fault) => {
    const plan = faultsAt((request) => request.method === "POST", fault, 2);
    // Real time: enough for a busy machine, except where the answer is meant not to come.
    const world = await makeServedWorld(plan, name.includes("does not end") ? 1_000 : 30_000);
    try {
      await untilDone(
        secrets,
        () => world.provider,
        (client) => bringUp(client, [hetznerSpec("n1")]),
      );
      expect(plan.hits()).toBeGreaterThan(0);
      expect(world.fake.made).toHaveLength(1);
      expect(await bringUp(world.another, [hetznerSpec("n1")])).toBe(0);
      expect(world.fake.made).toHaveLength(1);
    } finally {
      await world.close();
    }
  });
});

edgeFaultMatrix("Hetzner", {
  cluster: cluster.name,
  makeWorld: () => {
    const world = makeHetznerWorld();
    return { ...world, certificates: () => world.fake.certificates.size };
  },
  spec: hetznerSpec,
  callOf,
  changes: [
    "POST /load_balancers/{id}/actions/add_target",
    "POST /load_balancers/{id}/actions/remove_target",
    "POST /certificates",
    "DELETE /certificates/{id}",
  ],
  reads: ["GET /load_balancers", "GET /certificates", "GET /certificates/{id}"],
  secrets,
});
