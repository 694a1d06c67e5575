/** Load balancers, secrets and certificates of Azure: what is special to them, and what happens to them when the network fails. */
import { millis, seconds } from "effect/Duration";
import { flip, runPromise, type Effect } from "effect/Effect";
import { value as reveal } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clusterLabels } from "../labels.ts";
import type { Certificates, CloudError, CloudProvider, Instance, InstanceId, LoadBalancers, Secrets } from "../provider.ts";
import { callName } from "../testing/azure/call-name.ts";
import { operator, type FakeAzureOptions } from "../testing/azure/fake.ts";
import { azureSpec, cluster, makeAzureWorld, ticket, type AzureWorld } from "../testing/azure/world.ts";
import { edgeFaultMatrix } from "../testing/edge-fault-matrix.ts";
import { edgePem } from "../testing/edge-pem.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));
const mine = clusterLabels(cluster.name);

interface Edge {
  readonly lbs: LoadBalancers;
  readonly secrets: Secrets;
  readonly certificates: Certificates;
}
function edgeOf({ loadBalancers: lbs, secrets, certificates }: CloudProvider): Edge {
  if (lbs === undefined || secrets === undefined || certificates === undefined) throw new Error("Azure has all of them");
  return { lbs, secrets, certificates };
}

describe("Azure's edge", () => {
  let world: AzureWorld;
  let edge: Edge;
  const open = (options: Partial<FakeAzureOptions> = {}): void => {
    world = makeAzureWorld(options);
    edge = edgeOf(world.provider);
  };
  beforeEach(() => open());
  afterEach(() => world.close());
  const made = async (name: string): Promise<Instance> => (await run(world.provider.compute.ensure(azureSpec(name)))).instance;

  it("leaves in a pool what others have put there, and what the pool says of itself", async () => {
    const theirs = { name: "web-1", properties: { ipAddress: "10.9.0.1", virtualNetwork: { id: "/x" }, adminState: "Up" } };
    const pool = world.fake.pools.add("edge", "nodes", [theirs], { drainPeriodInSeconds: 60 });
    const [one, two] = [await made("n1"), await made("n2")];
    await run(edge.lbs.register("edge", [one.id]));
    expect(await run(edge.lbs.reconcile("edge", mine, [two.id]))).toEqual({ added: 1, removed: 1 });
    expect(pool.addresses[0]).toEqual(theirs);
    expect(pool.addresses).toHaveLength(2);
    expect(await run(edge.lbs.targets("edge"))).toEqual([{ instance: two.id, health: "unknown" }]);
    expect(pool.addresses[1]).toMatchObject({ properties: { ipAddress: two.privateIps?.[0] } });
    expect(pool.addresses[1]?.name).toMatch(/^aether\.conform\.[0-9a-f]{32}$/);
  });

  it("sends no new connections to what leaves, waits, and only then lets it go", async () => {
    const pool = world.fake.pools.add("edge");
    const one = await made("n1");
    await run(edge.lbs.register("edge", [one.id]));
    const states: (string | undefined)[] = [];
    const watching = edgeOf(
      world.client(() => {
        states.push(pool.addresses[0]?.properties.adminState);
        return undefined;
      }),
    );
    const before = world.clock.now();
    await run(watching.lbs.deregister("edge", [one.id], seconds(30)));
    expect([...new Set(states)]).toEqual(["None", "Down", undefined]);
    expect(world.clock.now() - before).toBeGreaterThanOrEqual(30_000);
    expect(pool.addresses).toEqual([]);
  });

  it("loses no write of another who changes the pool at the same time", async () => {
    const pool = world.fake.pools.add("edge");
    const all = await Promise.all(["n1", "n2", "n3", "n4"].map(made));
    await Promise.all(all.map(({ id }) => run(edgeOf(world.client()).lbs.register("edge", [id]))));
    expect(pool.addresses).toHaveLength(4);
  });

  it("wants to be told which, where a load balancer has several pools", async () => {
    world.fake.pools.add("edge", "blue");
    world.fake.pools.add("edge", "green");
    const one = await made("n1");
    const error = await failure(edge.lbs.register("edge", [one.id]));
    expect(error).toMatchObject({
      _tag: "Invalid",
      message: "load balancer edge has several: name one of edge/blue, edge/green",
    });
    await run(edge.lbs.register("edge/green", [one.id]));
    expect(await run(edge.lbs.targets("edge/blue"))).toEqual([]);
    expect((await run(edge.lbs.targets("edge/green"))).map(({ instance }) => instance)).toEqual([one.id]);
    for (const name of ["../edge", "edge/..", "edge/a/b", ""]) {
      expect(await failure(edge.lbs.targets(name))).toMatchObject({ _tag: "Invalid" });
    }
    expect(await failure(edge.lbs.register("edge/green", ["n1.00" as InstanceId]))).toMatchObject({ _tag: "Invalid" });
    await run(edge.lbs.deregister("edge/green", ["conform-n9.00000000-0000-0000-0000-000000000000" as InstanceId], millis(1)));
  });

  it("calls secrets as the vault does, and refuses two paths that become one name", async () => {
    world.fake.vault.putSecret("cluster-db-password", "s3cret");
    const { value } = await run(edge.secrets.resolve({ path: "cluster/db-password" }));
    expect(reveal(value)).toBe("s3cret");
    const both = [{ path: "cluster/db-password" }, { path: "cluster-db/password" }];
    expect(await failure(edge.secrets.resolveAll(both))).toMatchObject({
      _tag: "Invalid",
      message: "cluster/db-password and cluster-db/password would both be cluster-db-password in the vault; rename one",
    });
    expect(await failure(edge.secrets.resolve({ path: "cluster/db-password", version: ".." }))).toMatchObject({
      _tag: "Invalid",
    });
    const strange = await failure(edge.secrets.resolve({ path: "cluster/db_password" }));
    expect(strange).toMatchObject({ _tag: "Invalid", message: expect.stringContaining('"cluster/db_password"') as string });
  });

  it("has neither secrets nor certificates where no vault is named", () => {
    const { secrets, certificates } = world.client(undefined, { vault: null });
    expect([secrets, certificates]).toEqual([undefined, undefined]);
  });

  it("says that the vault keeps a deleted certificate, and its name with it", async () => {
    await run(edge.certificates.importPem("edge", edgePem, mine));
    await run(edge.certificates.delete("edge"));
    const message =
      "a certificate edge was deleted and the vault still keeps it: recover or purge that one, or choose another name";
    const kept = { _tag: "Conflict", kind: "exists", code: "ObjectIsDeletedButRecoverable", message };
    expect(await failure(edge.certificates.importPem("edge", edgePem, mine))).toMatchObject(kept);
    expect(await failure(edge.certificates.ensure("edge", ["a.example"], mine))).toMatchObject(kept);
  });

  it("says that a certificate could not be made, and takes no stranger's for its own", async () => {
    world.fake.vault.failNext = { code: "IssuerError", message: "the issuer said no" };
    const one = await run(edge.certificates.ensure("edge", ["a.example"], mine));
    expect(one.state).toBe("pending");
    world.clock.advance(60_000);
    expect(await run(edge.certificates.get("edge"))).toMatchObject({ state: "failed", notAfter: null });
    const other = clusterLabels("another");
    expect(await failure(edge.certificates.ensure("edge", ["a.example"], other))).toMatchObject({
      _tag: "Conflict",
      kind: "exists",
    });
    world.fake.vault.certificates.set("web", { ...stored(world, "edge"), name: "web", tags: { team: "web" } });
    expect(await failure(edge.certificates.delete("web"))).toMatchObject({ _tag: "Invalid" });
    expect(await failure(edge.certificates.ensure("b_c", ["a.example"], mine))).toMatchObject({ _tag: "Invalid" });
    expect(await failure(edge.certificates.ensure("edge2", ["no domain"], mine))).toMatchObject({ _tag: "Invalid" });
  });

  it("knows a certificate also while the vault shows only its making", async () => {
    open({ showsMaking: false });
    const one = await run(edge.certificates.ensure("edge", ["a.example"], mine));
    expect(one).toMatchObject({ state: "pending", domains: ["a.example"] });
    expect(await run(edge.certificates.ensure("edge", ["a.example"], mine))).toEqual(one);
    expect(world.fake.vault.made).toBe(1);
    world.clock.advance(60_000);
    expect(await run(edge.certificates.get("edge"))).toMatchObject({ state: "ready", domains: ["a.example"] });
  });
});

function stored(world: AzureWorld, name: string) {
  const found = world.fake.vault.certificates.get(name);
  if (found === undefined) throw new Error(`no certificate ${name}`);
  return found;
}

edgeFaultMatrix("Azure", {
  cluster: cluster.name,
  makeWorld: () => {
    const world = makeAzureWorld();
    return {
      edge: world.edge,
      client: (plan) => world.client(plan),
      certificates: () => world.fake.vault.certificates.size,
      close: () => world.close(),
    };
  },
  spec: azureSpec,
  callOf: ({ method, url }) => callName(method, url.pathname),
  changes: [
    "PUT loadBalancers/{name}/backendAddressPools/{name}",
    "POST certificates/{name}/import",
    "DELETE certificates/{name}",
  ],
  reads: ["GET loadBalancers/{name}/backendAddressPools", "GET secret", "GET certificates/{name}/"],
  secrets: [ticket, operator.secret ?? ""],
});
