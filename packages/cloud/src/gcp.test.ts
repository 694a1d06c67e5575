import { seconds } from "effect/Duration";
import { flip, runPromise, type Effect } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRequestId, uuidV5 } from "./gcp/request-id.ts";
import { imagePath } from "./gcp/wish.ts";
import { clusterLabels, nodeLabels } from "./labels.ts";
import type { CloudError, CloudProvider, Instance, InstanceId, MachineSpec } from "./provider.ts";
import { sweepInstances } from "./sweep.ts";
import { conformance } from "./testing/conformance.ts";
import { edgeConformance } from "./testing/edge-conformance.ts";
import type { Fault } from "./testing/faults.ts";
import {
  cluster,
  gcpSpec,
  machine,
  makeGcpWorld,
  makeServedWorld,
  noFaults,
  placeOf,
  ticket,
  zones,
} from "./testing/gcp/world.ts";
import type { GcpWorld } from "./testing/gcp/world.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));

conformance("gcp", () => Promise.resolve(makeGcpWorld()));
conformance("gcp over HTTP", () => makeServedWorld(noFaults));
edgeConformance("gcp", () => Promise.resolve(makeGcpWorld()));

const [first = "", second = ""] = zones;
const mine = clusterLabels(cluster.name);
const specOf = (name: string, change: Partial<MachineSpec>) => gcpSpec(name, { machine: { ...machine, ...change } });

describe("GCP", () => {
  let world: GcpWorld;
  let provider: CloudProvider;
  const open = (options: Parameters<typeof makeGcpWorld>[0] = {}): void => {
    world = makeGcpWorld(options);
    provider = world.provider;
  };
  beforeEach(() => open());
  afterEach(() => world.close());
  const made = async (name: string, change: Partial<MachineSpec> = {}): Promise<Instance> => {
    const { instance } = await run(provider.compute.ensure(specOf(name, change)));
    return run(provider.compute.awaitState(instance.id, ["running"], seconds(60)));
  };
  const vmOf = (instance: Instance) => world.fake.machines.get(...placeOf(instance));
  const calls = (name: string): number => world.fake.calls.filter((call) => call === name).length;

  it("sends labels, user data and the wish's digest in the create call itself, under the node's own name", async () => {
    const vm = vmOf(await made("n1"));
    expect(vm).toMatchObject({ name: "conform-n1", zone: first });
    expect(vm.userData).toContain(ticket);
    expect(vm.labels).toMatchObject({ ...nodeLabels(cluster, "n1"), "aether-attempt": "1", "aether-port": "7600" });
    expect(vm.labels["aether-spec"]).toMatch(/^[0-9a-f]{40}$/);
    expect(calls("POST /instances/{x}/setLabels")).toBe(0);
    expect(vm.body["disks"]).toMatchObject([
      { boot: true, autoDelete: true, initializeParams: { labels: nodeLabels(cluster, "n1") } },
    ]);
  });

  it("shows an instance with its address, place and the vendor's own facts", async () => {
    const instance = await made("n1");
    expect(instance.address).toMatch(/^10\.132\.0\.\d+:7600$/);
    expect(instance.publicIps).toHaveLength(1);
    expect(instance.id).toBe(`${first}/conform-n1/${vmOf(instance).id}`);
    expect(instance).toMatchObject({ zone: first, rawState: "RUNNING", facts: { hostname: "conform-n1", size: "e2-medium" } });
    expect(instance.createdAt).toBeGreaterThan(0);
  });

  it("asks for everything that a machine may be, and for nothing that it is not", async () => {
    const plain = vmOf(await made("n1", { publicIp: false })).body;
    expect(Object.keys(plain).toSorted()).toEqual(["disks", "labels", "machineType", "metadata", "name", "networkInterfaces"]);
    expect(plain["networkInterfaces"]).toEqual([{ network: "global/networks/default" }]);
    const whole = {
      zone: second,
      networks: ["nodes"],
      firewalls: ["aether"],
      sshKeys: ["ops:ssh-ed25519 AAAA ops"],
      placementGroup: "spread",
      spot: true,
      identity: "node@fleet-production.iam.gserviceaccount.com",
    };
    expect(vmOf(await made("n2", whole)).body).toMatchObject({
      machineType: `zones/${second}/machineTypes/e2-medium`,
      networkInterfaces: [
        {
          subnetwork: "regions/europe-west1/subnetworks/nodes",
          accessConfigs: [{ name: "External NAT", type: "ONE_TO_ONE_NAT" }],
        },
      ],
      tags: { items: ["aether"] },
      metadata: { items: [{ key: "user-data" }, { key: "ssh-keys", value: "ops:ssh-ed25519 AAAA ops" }] },
      resourcePolicies: ["regions/europe-west1/resourcePolicies/spread"],
      scheduling: { provisioningModel: "SPOT", instanceTerminationAction: "STOP" },
      serviceAccounts: [{ email: whole.identity, scopes: ["https://www.googleapis.com/auth/cloud-platform"] }],
    });
  });

  it.each([
    ["ubuntu-os-cloud/ubuntu-2404-lts-amd64", "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64"],
    ["projects/p/global/images/i", "projects/p/global/images/i"],
    ["own", "projects/fleet-production/global/images/own"],
    ["global/images/own", "projects/fleet-production/global/images/own"],
  ])("takes %s for an image", (image, path) => {
    expect(imagePath(image, "fleet-production")).toBe(path);
  });

  it("derives its requests' ids as RFC 9562 says", () => {
    // The RFC's own example: the name space for DNS names, and www.example.com.
    const example = uuidV5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com");
    expect(example).toBe("2ed6657d-e927-568b-95e1-2665a8aea6a2");
    const ids = [gcpSpec("n1"), gcpSpec("n1"), gcpSpec("n2")].map((spec) => createRequestId(spec, 0));
    expect(ids[0]).toBe(ids[1]);
    expect(new Set(ids).size).toBe(2);
  });

  it("reads all pages and all zones of a list", async () => {
    await Promise.all([1, 2, 3, 4, 5].map((at) => made(`n${at}`, { zone: at % 2 === 0 ? first : second })));
    world.clock.advance(10_000);
    const listed = await run(provider.compute.list(mine));
    expect(listed.map(({ name }) => name)).toEqual(["n1", "n2", "n3", "n4", "n5"]);
    expect(new Set(listed.map(({ zone }) => zone))).toEqual(new Set(zones));
  });

  it("takes no list for whole in which a zone of the region is missing, and minds no other region's outage", async () => {
    const instance = await made("n1");
    world.fake.unreachable.add(second);
    const partial = await failure(provider.compute.list(mine));
    expect(partial).toMatchObject({
      _tag: "Transient",
      code: "PARTIAL_LIST",
      message: expect.stringContaining(second) as string,
    });
    expect(await failure(provider.compute.ensure(gcpSpec("n2")))).toMatchObject({ _tag: "Transient", code: "PARTIAL_LIST" });
    expect(await failure(provider.discovery.peers(cluster.name))).toMatchObject({ _tag: "Transient" });
    world.fake.unreachable.clear();
    world.fake.unreachable.add("us-east1-b");
    expect((await run(provider.compute.list(mine))).map(({ id }) => id)).toEqual([instance.id]);
    expect(world.fake.machines.made).toHaveLength(1);
  });

  it("finds a node in whichever zone it is, and makes no second one in another", async () => {
    const instance = await made("n1", { zone: second });
    const elsewhere = await failure(provider.compute.ensure(specOf("n1", { zone: first })));
    expect(elsewhere).toMatchObject({ _tag: "Conflict", kind: "exists" });
    expect((await run(provider.compute.ensure(specOf("n1", { zone: second })))).instance.id).toBe(instance.id);
    expect(world.fake.machines.made).toHaveLength(1);
  });

  it("adopts nothing that only has the right name", async () => {
    const instance = await made("n1");
    vmOf(instance).labels = { team: "somebody" };
    expect(await failure(provider.compute.ensure(gcpSpec("n1")))).toMatchObject({ _tag: "Conflict", kind: "exists" });
    expect(await failure(provider.compute.delete(instance.id))).toMatchObject({ _tag: "Invalid" });
    expect(await failure(provider.compute.power(instance.id, "stop-hard"))).toMatchObject({ _tag: "Invalid" });
    expect(world.fake.isRunning(instance.id)).toBe(true);
  });

  it("adopts nothing of an earlier cluster of the same name, nor with other user data", async () => {
    await made("n1");
    const labels = nodeLabels({ id: "ffffffffffffffffffffffffffffffff", name: cluster.name }, "n1");
    const exists = { _tag: "Conflict", kind: "exists" };
    expect(await failure(provider.compute.ensure(gcpSpec("n1", { labels })))).toMatchObject(exists);
    expect(await failure(provider.compute.ensure(gcpSpec("n1", { userData: redact("#cloud-config\n") })))).toMatchObject(exists);
  });

  it("gives way to another writer of the labels and loses neither's", async () => {
    const instance = await made("n1");
    let once = true;
    const slow = world.client((request) => {
      if (once && request.url.pathname.endsWith("/setLabels")) {
        once = false;
        const vm = vmOf(instance);
        [vm.labels, vm.version] = [{ ...vm.labels, team: "ops" }, vm.version + 1];
      }
      return undefined;
    });
    await run(slow.compute.label(instance.id, { set: { "aether-ring": "blue" } }));
    expect(vmOf(instance).labels).toMatchObject({ team: "ops", "aether-ring": "blue", "aether-port": "7600" });
    expect(calls("POST /instances/{x}/setLabels")).toBe(2);
    expect(await failure(provider.compute.label(instance.id, { unset: ["aether-spec"] }))).toMatchObject({ _tag: "Invalid" });
  });

  it("writes no labels that are there already", async () => {
    const instance = await made("n1");
    const set = { "aether-ring": "blue" };
    await run(provider.compute.label(instance.id, { set }));
    await run(provider.compute.label(instance.id, { set }));
    expect(calls("POST /instances/{x}/setLabels")).toBe(1);
  });

  it("does not take a gateway's page that says 404 for an instance that is gone", async () => {
    const { id } = await made("n1");
    const page: Fault = { kind: "refuse-before", status: 404, headers: {} };
    const astray = world.client((request) => (request.url.pathname === "/token" ? undefined : page));
    expect(await failure(astray.compute.get(id))).toMatchObject({ _tag: "Transient", status: 404 });
    expect(await failure(astray.compute.delete(id))).toMatchObject({ _tag: "Transient" });
    expect(await failure(astray.compute.list(mine))).toMatchObject({ _tag: "Transient" });
  });

  it("waits for a predecessor that is being deleted", async () => {
    const old = await made("n1");
    world.fake.machines.remove(...placeOf(old));
    const next = gcpSpec("n1", { key: { cluster: cluster.name, node: "n1", attempt: 2 } });
    const { instance, created } = await run(provider.compute.ensure(next));
    expect([created, instance.id === old.id]).toEqual([true, false]);
    expect(calls("POST /instances")).toBe(2);
  });

  it("says that an attempt is used up whose instance has ended", async () => {
    const old = await made("n1");
    await run(provider.compute.delete(old.id));
    expect(await failure(provider.compute.ensure(gcpSpec("n1")))).toMatchObject({ _tag: "Conflict", kind: "stale" });
    expect(world.fake.machines.made).toHaveLength(1);
  });

  it.each([
    ["a quota", { vmsMax: 0 }, { _tag: "Quota", code: "QUOTA_EXCEEDED" }],
    ["no room", { room: { [first]: 0, [second]: 1 } }, { _tag: "Capacity", code: "ZONE_RESOURCE_POOL_EXHAUSTED", zone: first }],
  ])("finds %s in the operation, though the create was answered with 200", async (_, options, expected) => {
    open(options);
    const error = await failure(provider.compute.ensure(gcpSpec("n1")));
    expect(error).toMatchObject({ ...expected, op: "ensure n1" });
    expect(error.requestId).toMatch(/^operation-\d+$/);
    expect(world.fake.machines.made).toEqual([]);
    // The refused attempt left nothing behind that a sweep would find.
    world.clock.advance(60_000);
    expect(await run(provider.compute.list(mine))).toEqual([]);
  });

  it("finds room in another zone when asked for it", async () => {
    open({ room: { [first]: 0, [second]: 1 } });
    await failure(provider.compute.ensure(specOf("n1", { zone: first })));
    const there = { ...specOf("n1", { zone: second }), key: { cluster: cluster.name, node: "n1", attempt: 2 } };
    expect((await run(provider.compute.ensure(there))).instance.zone).toBe(second);
  });

  it("tries anew after an older failure of the same attempt, which the vendor would only repeat", async () => {
    world.fake.failNextOperation = { code: "QUOTA_EXCEEDED", message: "Quota 'CPUS' exceeded" };
    expect(await failure(provider.compute.ensure(gcpSpec("n1")))).toMatchObject({ _tag: "Quota" });
    world.clock.advance(600_000);
    expect((await run(provider.compute.ensure(gcpSpec("n1")))).created).toBe(true);
    expect(world.fake.machines.made).toHaveLength(1);
  });

  it("waits for what another has begun before it calls it made: it may vanish for lack of room", async () => {
    open({ room: { [first]: 0, [second]: 1 } });
    const [one, two] = await Promise.all(
      [provider, world.another].map((client) => failure(client.compute.ensure(gcpSpec("n1")))),
    );
    expect([one?._tag, two?._tag]).toEqual(["Capacity", "Capacity"]);
  });

  it("says why an operation failed that was accepted", async () => {
    const instance = await made("n1");
    world.fake.failNextOperation = { code: "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", message: "no host has room" };
    const error = await failure(provider.compute.power(instance.id, "reboot"));
    expect(error).toMatchObject({ _tag: "Capacity", op: "reboot conform-n1", message: "no host has room" });
  });

  it("starts what was suspended, and tells a spot machine that was taken away from one that was stopped", async () => {
    const instance = await made("n1", { spot: true });
    vmOf(instance).status = "SUSPENDED";
    expect((await run(provider.compute.get(instance.id))).state).toBe("failed");
    await run(provider.compute.power(instance.id, "start"));
    expect(world.fake.isRunning(instance.id)).toBe(true);
    await world.crash(instance);
    expect((await run(provider.compute.get(instance.id))).state).toBe("failed");
    await run(provider.compute.power(instance.id, "stop-hard"));
    expect((await run(provider.compute.get(instance.id))).state).toBe("stopped");
  });

  it.each([
    ["PROVISIONING", "pending"],
    ["STAGING", "pending"],
    ["REPAIRING", "pending"],
    ["STOPPING", "stopping"],
    ["SUSPENDING", "stopping"],
    ["PENDING_STOP", "stopping"],
    ["DEPROVISIONING", "deleting"],
    ["SOMETHING_NEW", "pending"],
  ])("takes %s for %s", async (status, state) => {
    const instance = await made("n1");
    vmOf(instance).status = status;
    expect((await run(provider.compute.get(instance.id))).state).toBe(state);
    // Words that the published model does not have yet are no violation of ours.
    world.fake.violations.length = 0;
  });

  it("shows no user data that the vendor throws back", async () => {
    const error = await failure(provider.compute.ensure(specOf("n1", { size: "e2-huge" })));
    expect(error).toMatchObject({ _tag: "Invalid", code: "invalid", message: expect.stringContaining("<redacted>") as string });
    expect(JSON.stringify(error)).not.toContain(ticket);
  });

  it.each<[string, Parameters<typeof gcpSpec>[1]]>([
    ["another address", { address: "10.0.0.1:7600" }],
    ["a cluster that it does not serve", { key: { cluster: "other", node: "n1", attempt: 1 } }],
    ["a label of the provider's own", { labels: { ...nodeLabels(cluster, "n1"), "aether-port": "1" } }],
    ["too much user data", { userData: redact("x".repeat(256 * 1024 + 1)) }],
    ["a zone of another region", { machine: { ...machine, zone: "us-east1-b" } }],
    ["two subnets", { machine: { ...machine, networks: ["a", "b"] } }],
    ["a path that climbs", { machine: { ...machine, networks: ["../x"] } }],
    ["a size that is a path", { machine: { ...machine, size: "e2/../x" } }],
    ["a key without a user", { machine: { ...machine, sshKeys: ["ssh-ed25519 AAAA"] } }],
    ["a tag that is none", { machine: { ...machine, firewalls: ["Fire Wall"] } }],
  ])("refuses %s before anything is asked of the vendor", async (_, extra) => {
    expect(await failure(provider.compute.ensure(gcpSpec("n1", extra)))).toMatchObject({ _tag: "Invalid", op: "ensure n1" });
    expect(world.fake.calls).toEqual([]);
  });

  it("knows an id of another shape for none of its own, and asks nobody", async () => {
    for (const id of ["", "conform-n1", `${first}/conform-n1`, `${first}/../1`, `${first}/conform-n1/0`] as InstanceId[]) {
      expect(await failure(provider.compute.get(id))).toMatchObject({ _tag: "NotFound" });
    }
    expect(world.fake.calls).toEqual([]);
  });

  it("sweeps also what was made a moment ago and no list shows yet", async () => {
    await run(provider.compute.ensure(gcpSpec("n1")));
    expect(await run(sweepInstances(provider, { cluster: cluster.name, expected: 1, consistencyMs: 3000 }, world.clock))).toBe(1);
    expect(world.fake.machines.all.size).toBe(0);
  });

  it("brings five nodes up with few calls, and costs one to look at them", async () => {
    open({ pageMax: 500 });
    await Promise.all([1, 2, 3, 4, 5].map((at) => made(`n${at}`)));
    expect(world.fake.calls.length).toBeLessThanOrEqual(46);
    const before = world.fake.calls.length;
    await run(provider.discovery.peers(cluster.name));
    expect(world.fake.calls.length - before).toBe(1);
  });

  describe("preflight", () => {
    const failed = async (client: CloudProvider) =>
      (await run(client.preflight)).filter(({ ok }) => !ok).map(({ check }) => check);

    it("finds out beforehand what would go wrong", async () => {
      expect(await failed(world.client(noFaults, { machine: { ...machine, size: "e9-none", image: "beos" } }))).toEqual([
        "the machine type",
        "the image",
      ]);
      expect(await failed(world.client(noFaults, { region: "mars1" }))).toEqual(["the quotas"]);
      expect(await failed(world.client(noFaults, { project: "somebody-elses" }))).toEqual(["the credentials are accepted"]);
      expect(world.fake.machines.made).toEqual([]);
      expect(calls("POST /instances")).toBe(0);
    });

    it("names the permissions that are lacking, and asks for more where the machine needs more", async () => {
      open({ lacking: ["compute.instances.delete", "iam.serviceAccounts.actAs"] });
      const checks = await run(
        world.client(noFaults, { machine: { ...machine, identity: "a@b.iam.gserviceaccount.com" } }).preflight,
      );
      const may = checks.find(({ check }) => check === "the credentials may create");
      expect(may).toMatchObject({ ok: false, detail: "lacking: compute.instances.delete, iam.serviceAccounts.actAs" });
      open({ lacking: ["iam.serviceAccounts.actAs"] });
      expect(await failed(provider)).toEqual([]);
    });

    it("notices clocks that are far apart", async () => {
      open({ aheadMs: 301_000 });
      expect(await failed(provider)).toEqual(["the clock"]);
    });
  });
});
