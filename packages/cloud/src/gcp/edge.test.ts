/** What is special to load balancers, secrets and certificates on GCP; what all providers keep is in the suite for all. */
import { seconds } from "effect/Duration";
import { flip, runPromise, type Effect } from "effect/Effect";
import { value as reveal } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clusterLabels } from "../labels.ts";
import type { CloudError, CloudProvider, Instance } from "../provider.ts";
import { cluster, gcpSpec, machine, makeGcpWorld, zones, type GcpWorld } from "../testing/gcp/world.ts";
import { crc32c } from "./crc32c.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));
const [first = "", second = ""] = zones;
const mine = clusterLabels(cluster.name);

describe("GCP's edge", () => {
  let world: GcpWorld;
  let provider: CloudProvider;
  beforeEach(() => {
    world = makeGcpWorld();
    provider = world.provider;
  });
  afterEach(() => world.close());
  const made = async (name: string, zone = first): Promise<Instance> => {
    const { instance } = await run(provider.compute.ensure(gcpSpec(name, { machine: { ...machine, zone } })));
    return run(provider.compute.awaitState(instance.id, ["running"], seconds(60)));
  };
  const calls = (name: string): number => world.fake.calls.filter((call) => call === name).length;
  const lbs = () => {
    if (provider.loadBalancers === undefined) throw new Error("GCP has load balancers");
    return provider.loadBalancers;
  };
  const secrets = () => {
    if (provider.secrets === undefined) throw new Error("GCP has secrets");
    return provider.secrets;
  };

  it("has one group in each zone under one name, and shows health", async () => {
    await world.edge.addBalancer("edge");
    const all = await Promise.all(["n1", "n2", "n3", "n4"].map((name, at) => made(name, zones[at % 2])));
    await run(
      lbs().register(
        "edge",
        all.map(({ id }) => id),
      ),
    );
    expect(calls("POST /networkEndpointGroups/{x}/attachNetworkEndpoints")).toBe(2);
    world.fake.groups.sick.add("conform-n2");
    world.fake.groups.draining.add("conform-n3");
    const health = new Map((await run(lbs().targets("edge"))).map((target) => [target.instance, target.health]));
    expect(all.map(({ id }) => health.get(id))).toEqual(["healthy", "unhealthy", "draining", "healthy"]);
  });

  it("drains by waiting, and waits for nobody who was no member", async () => {
    await world.edge.addBalancer("edge");
    const one = await made("n1");
    await run(lbs().register("edge", [one.id]));
    const before = world.clock.now();
    await run(lbs().deregister("edge", [one.id], seconds(30)));
    expect(world.clock.now() - before).toBeGreaterThanOrEqual(30_000);
    const slept = world.clock.slept.length;
    await run(lbs().deregister("edge", [one.id], seconds(30)));
    expect(world.clock.slept).toHaveLength(slept);
  });

  it("says which zone has no group", async () => {
    world.fake.groups.all.set(`${first}/edge`, []);
    const one = await made("n1", second);
    const error = await failure(lbs().register("edge", [one.id]));
    expect(error).toMatchObject({ _tag: "NotFound", message: expect.stringContaining(second) as string });
  });

  it("takes it for done when another has attached the same instance in between", async () => {
    await world.edge.addBalancer("edge");
    const one = await made("n1");
    let once = true;
    const late = world.client((request) => {
      if (once && request.url.pathname.endsWith("/attachNetworkEndpoints")) {
        once = false;
        world.fake.groups.change(`${first}/edge`, "attach", { networkEndpoints: [{ instance: "conform-n1" }] });
      }
      return undefined;
    });
    if (late.loadBalancers === undefined) throw new Error("GCP has load balancers");
    await run(late.loadBalancers.register("edge", [one.id]));
    expect((await run(lbs().targets("edge"))).map(({ instance }) => instance)).toEqual([one.id]);
  });

  it("refuses two secrets that would be one by its rule, and reads again what was broken on its way", async () => {
    world.fake.edge.put("a/b.c", "one");
    const collision = await failure(secrets().resolveAll([{ path: "a/b.c" }, { path: "a-b/c" }]));
    expect(collision).toMatchObject({ _tag: "Invalid", message: expect.stringContaining("a-b-c") as string });
    world.fake.edge.breakNextSecret = true;
    const { value, version } = await run(secrets().resolve({ path: "a/b.c" }));
    expect([reveal(value), version, calls("GET /secrets/{x}/versions/latest:access")]).toEqual(["one", "1", 2]);
  });

  it("proves a wildcard by its domain, and takes the proofs away with the certificate", async () => {
    const { certificates } = provider;
    if (certificates === undefined) throw new Error("GCP has certificates");
    const one = await run(certificates.ensure("edge", ["*.a.example", "a.example"], mine));
    expect(one.challenge).toMatchObject([{ name: "_acme-challenge.a.example", type: "CNAME" }]);
    expect(world.fake.edge.authorizations.size).toBe(1);
    await run(certificates.delete(one.ref));
    expect(world.fake.edge.authorizations.size).toBe(0);
    expect(await failure(certificates.ensure("edge", ["no domain"], mine))).toMatchObject({ _tag: "Invalid" });
  });

  it("has the checksum of the published example", () => {
    // RFC 3720, B.4: 32 bytes of zeroes, and of ones.
    expect(crc32c(new Uint8Array(32)).toString(16)).toBe("8a9136aa");
    expect(crc32c(new Uint8Array(32).fill(255)).toString(16)).toBe("62a8ab43");
  });
});
