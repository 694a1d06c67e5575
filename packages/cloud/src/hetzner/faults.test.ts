import { seconds } from "effect/Duration";
import { make as redact } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import type { HttpRequest } from "../http/transport.ts";
import { clusterLabels } from "../labels.ts";
import type { Certificates, LoadBalancers } from "../provider.ts";
import { bringUp, faultMatrix, faultsAt, run, untilDone } from "../testing/fault-matrix.ts";
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

describe.each([
  "GET /load_balancers",
  "POST /load_balancers/{id}/actions/add_target",
  "POST /load_balancers/{id}/actions/remove_target",
  "GET /certificates",
  "POST /certificates",
  "GET /certificates/{id}",
  "DELETE /certificates/{id}",
])("Hetzner's edge under faults, at %s", (call) => {
  const key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHY0dGhlLWtleS1vZi10aGUtZWRnZQ==\n-----END PRIVATE KEY-----\n";
  const pem = { chain: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", key: redact(key) };
  const labels = clusterLabels(cluster.name);

  it.each(networkFaults)("%s", async (_, fault) => {
    const world = makeHetznerWorld();
    world.fake.addBalancer("edge");
    await bringUp(world.provider, [hetznerSpec("n1"), hetznerSpec("n2")]);
    const [one, two] = (await run(world.provider.compute.list(labels))).map(({ id }) => id);
    if (one === undefined || two === undefined) throw new Error("two were brought up");
    const plan = faultsAt((request) => callOf(request) === call, fault, 2);
    const again = <A>(work: (lbs: LoadBalancers, certificates: Certificates) => Promise<A>): Promise<A> =>
      untilDone(
        [...secrets, "dGhlLWtleS1vZi10aGUtZWRnZQ"],
        () => world.client(plan),
        ({ loadBalancers, certificates }) => {
          if (loadBalancers === undefined || certificates === undefined) throw new Error("Hetzner has both");
          return work(loadBalancers, certificates);
        },
      );
    await again((lbs) => run(lbs.register("edge", [one])));
    await again((lbs) => run(lbs.reconcile("edge", labels, [two])));
    const { ref } = await again((_lbs, certificates) => run(certificates.importPem("edge", pem, labels)));
    expect(await again((_lbs, certificates) => run(certificates.importPem("edge", pem, labels)))).toMatchObject({ ref });
    expect((await again((lbs) => run(lbs.targets("edge")))).map(({ instance }) => instance)).toEqual([two]);
    expect(world.fake.certificates.size).toBe(1);
    await again((lbs) => run(lbs.deregister("edge", [two], seconds(10))));
    await again((_lbs, certificates) => run(certificates.delete(ref)));
    expect(await again((lbs) => run(lbs.targets("edge")))).toEqual([]);
    expect(world.fake.certificates.size).toBe(0);
    expect(plan.hits()).toBeGreaterThan(0);
    await world.close();
  });
});
