import { millis, seconds } from "effect/Duration";
import { flip, runPromise, type Effect } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import { beforeEach, afterEach, describe, expect, it } from "vitest";
import { describeServer } from "./hetzner/server.ts";
import type { Server } from "./hetzner/shapes.ts";
import { clusterLabels, nodeLabels } from "./labels.ts";
import type { CloudError, CloudProvider, Instance, InstanceId } from "./provider.ts";
import { sweepInstances } from "./sweep.ts";
import { conformance } from "./testing/conformance.ts";
import { edgeConformance } from "./testing/edge-conformance.ts";
import type { Fault } from "./testing/faults.ts";
import { fakeDefaults } from "./testing/hetzner/fake.ts";
import {
  cluster,
  hetznerSpec,
  makeHetznerWorld,
  makeServedWorld,
  noFaults,
  ticket,
  type HetznerWorld,
} from "./testing/hetzner/world.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));

conformance("hetzner", () => Promise.resolve(makeHetznerWorld()));
conformance("hetzner over HTTP", () => makeServedWorld(noFaults));
edgeConformance("hetzner", () => Promise.resolve(makeHetznerWorld()));

describe("Hetzner", () => {
  let world: HetznerWorld;
  let provider: CloudProvider;
  const open = (options: Parameters<typeof makeHetznerWorld>[0] = {}): void => {
    world = makeHetznerWorld(options);
    provider = world.provider;
  };
  beforeEach(() => open());
  afterEach(() => world.close());
  const made = async (name: string): Promise<Instance> => {
    const { instance } = await run(provider.compute.ensure(hetznerSpec(name)));
    return run(provider.compute.awaitState(instance.id, ["running"], seconds(60)));
  };
  const serverOf = ({ id }: Instance) => {
    const server = world.fake.servers.get(Number(id));
    if (server === undefined) throw new Error(`no server ${id}`);
    return server;
  };

  it("sends labels, user data and the wish's digest in the create call itself, under the node's own name", async () => {
    const server = serverOf(await made("n1"));
    expect(server.name).toBe("conform-n1");
    expect(server.userData).toContain(ticket);
    expect(server.labels).toMatchObject({ ...nodeLabels(cluster, "n1"), "aether-attempt": "1", "aether-port": "7600" });
    expect(server.labels["aether-spec"]).toMatch(/^[0-9a-f]{40}$/);
    expect(world.fake.calls.filter((call) => call.startsWith("PUT"))).toEqual([]);
  });

  it("shows an instance with its address, place and the vendor's own facts", async () => {
    const instance = await made("n1");
    expect(instance.address).toMatch(/^10\.[\d.]+:7600$/);
    expect(instance).toMatchObject({ zone: "fsn1", rawState: "running", facts: { hostname: "conform-n1", size: "cx22" } });
  });

  it("prefers the private network, and knows an IPv6 network's first address and the newer location field", () => {
    const server: Server = {
      id: 7,
      name: "x",
      status: "unknown",
      created: "2026-01-01T00:00:00Z",
      public_net: { ipv4: null, ipv6: { ip: "2001:db8::/64" } },
      private_net: [],
      server_type: { name: "cx22" },
      location: { name: "hel1" },
      labels: { "aether-port": "7600" },
    };
    expect(describeServer(server, 0)).toMatchObject({ address: "[2001:db8::1]:7600", zone: "hel1", state: "pending" });
    expect(describeServer({ ...server, private_net: [{ ip: "10.0.0.2" }] }, 0).address).toBe("10.0.0.2:7600");
    expect(describeServer({ ...server, public_net: { ipv4: null, ipv6: null } }, 0).address).toBe("");
  });

  it("does not take a server that has not started yet for one that ended", async () => {
    const instance = await made("n1");
    serverOf(instance).status = "off";
    expect((await run(provider.compute.get(instance.id))).state).toBe("pending");
    world.clock.advance(60_000);
    expect((await run(provider.compute.get(instance.id))).state).toBe("failed");
  });

  it("reads all pages of a list", async () => {
    for (const at of [1, 2, 3, 4, 5]) await made(`n${at}`);
    expect((await run(provider.compute.list(clusterLabels(cluster.name)))).map(({ name }) => name)).toEqual([
      "n1",
      "n2",
      "n3",
      "n4",
      "n5",
    ]);
  });

  it("adopts nothing that only has the right name", async () => {
    const instance = await made("n1");
    serverOf(instance).labels = { team: "somebody" };
    const refused = await failure(provider.compute.ensure(hetznerSpec("n1")));
    expect(refused).toMatchObject({ _tag: "Conflict", kind: "exists" });
    expect(await failure(provider.compute.delete(instance.id))).toMatchObject({ _tag: "Invalid" });
    expect(await failure(provider.compute.power(instance.id, "stop-hard"))).toMatchObject({ _tag: "Invalid" });
    expect(world.fake.isRunning(Number(instance.id))).toBe(true);
  });

  it("adopts nothing from an earlier cluster of the same name", async () => {
    await made("n1");
    const labels = nodeLabels({ id: "ffffffffffffffffffffffffffffffff", name: cluster.name }, "n1");
    expect(await failure(provider.compute.ensure(hetznerSpec("n1", { labels })))).toMatchObject({
      _tag: "Conflict",
      kind: "exists",
    });
  });

  it("adopts nothing that was asked for with other user data", async () => {
    await made("n1");
    const other = hetznerSpec("n1", { userData: redact("#cloud-config\n") });
    expect(await failure(provider.compute.ensure(other))).toMatchObject({ _tag: "Conflict", kind: "exists" });
  });

  it("leaves labels alone that people have set", async () => {
    const instance = await made("n1");
    serverOf(instance).labels["team"] = "ops";
    await run(provider.compute.label(instance.id, { set: { "aether-ring": "blue" } }));
    await run(provider.compute.power(instance.id, "stop-hard"));
    await run(provider.compute.power(instance.id, "start"));
    expect(serverOf(instance).labels).toMatchObject({ team: "ops", "aether-ring": "blue", "aether-port": "7600" });
    expect(await failure(provider.compute.label(instance.id, { unset: ["aether-spec"] }))).toMatchObject({ _tag: "Invalid" });
  });

  it("does not take a gateway's page that says 404 for a server that is gone", async () => {
    const { id } = await made("n1");
    const page: Fault = { kind: "refuse-before", status: 404, headers: {} };
    const astray = world.client(() => page);
    expect(await failure(astray.compute.get(id))).toMatchObject({ _tag: "Transient", status: 404 });
    expect(await failure(astray.compute.delete(id))).toMatchObject({ _tag: "Transient" });
    expect(await failure(astray.compute.list(clusterLabels(cluster.name)))).toMatchObject({ _tag: "Transient" });
  });

  it("waits for a predecessor that is being deleted", async () => {
    const old = await made("n1");
    const server = serverOf(old);
    server.status = "deleting";
    server.next = [{ at: world.clock.now() + 30_000, status: "gone" }];
    const { instance, created } = await run(provider.compute.ensure(hetznerSpec("n1")));
    expect([created, instance.id === old.id]).toEqual([true, false]);
    expect([...world.fake.servers.keys()]).toEqual([Number(instance.id)]);
    expect(world.fake.calls.filter((call) => call === "POST /servers")).toHaveLength(2);
  });

  it("never turns a graceful stop hard by itself", async () => {
    const instance = await made("n1");
    world.fake.deaf.add(Number(instance.id));
    expect(await failure(provider.compute.power(instance.id, "stop-graceful"))).toMatchObject({ _tag: "Deadline" });
    expect((await run(provider.compute.get(instance.id))).state).toBe("stopping");
    await run(provider.compute.power(instance.id, "stop-hard"));
    expect((await run(provider.compute.get(instance.id))).state).toBe("stopped");
  });

  it("says why an action failed that was accepted", async () => {
    const instance = await made("n1");
    world.fake.failNextAction = { code: "resource_unavailable", message: "no host has room" };
    expect(await failure(provider.compute.power(instance.id, "reboot"))).toMatchObject({
      _tag: "Capacity",
      code: "resource_unavailable",
      op: "reboot conform-n1",
    });
  });

  it("asks for many actions in one call", async () => {
    const all = await Promise.all(["n1", "n2", "n3", "n4", "n5"].map(made));
    const before = world.fake.calls.length;
    await Promise.all(all.map(({ id }) => run(provider.compute.power(id, "stop-hard"))));
    const polls = world.fake.calls.slice(before).filter((call) => call === "GET /actions");
    expect(polls.length).toBeLessThanOrEqual(5);
  });

  it.each([
    ["a quota", { serversMax: 0 }, { _tag: "Quota", limit: "server_limit", status: 403 }],
    ["no room", { room: { fsn1: 0, nbg1: 1 } }, { _tag: "Capacity", code: "resource_unavailable" }],
    ["a token that is none", { token: "another" }, { _tag: "Auth", kind: "unauthenticated", status: 401 }],
    ["a token that may only read", { token: "another", readOnlyToken: fakeDefaults.token }, { _tag: "Auth", kind: "forbidden" }],
  ])("stops at %s and says so, with the vendor's word and request id", async (_, options, expected) => {
    open(options);
    const error = await failure(provider.compute.ensure(hetznerSpec("n1")));
    expect(error).toMatchObject(expected);
    expect(error.requestId).toMatch(/^fake-\d+$/);
    expect(JSON.stringify(error)).not.toContain(fakeDefaults.token);
  });

  it("shows no user data that the vendor throws back", async () => {
    const { machine } = hetznerSpec("n1");
    const bad = hetznerSpec("n1", machine === undefined ? {} : { machine: { ...machine, size: "cx99" } });
    const error = await failure(provider.compute.ensure(bad));
    expect(error).toMatchObject({
      _tag: "Invalid",
      code: "invalid_input",
      message: expect.stringContaining("<redacted>") as string,
    });
    expect(JSON.stringify(error)).not.toContain(ticket);
  });

  it("finds room in another zone when asked for it", async () => {
    open({ room: { fsn1: 0, nbg1: 1 } });
    const { machine } = hetznerSpec("n1");
    const there = hetznerSpec("n1", machine === undefined ? {} : { machine: { ...machine, zone: "nbg1" } });
    expect((await run(provider.compute.ensure(there))).instance.zone).toBe("nbg1");
  });

  it("does not fail when calls are counted, only takes longer", async () => {
    open({ callsPerHour: 3600 });
    const started = world.clock.now();
    for (let read = 0; read < 700; read += 1) await run(provider.compute.list(clusterLabels(cluster.name)));
    expect(world.clock.now() - started).toBeGreaterThanOrEqual(99_000);
    expect(world.fake.violations).toEqual([]);
  });

  it.each([
    ["another address", { address: "10.0.0.1:7600" }],
    ["no machine", { machine: undefined }],
    ["a cluster that it does not serve", { key: { cluster: "other", node: "n1", attempt: 1 } }],
    ["a label of the provider's own", { labels: { ...nodeLabels(cluster, "n1"), "aether-port": "1" } }],
    ["too much user data", { userData: redact("x".repeat(32 * 1024 + 1)) }],
  ])("refuses %s before anything is asked of the vendor", async (_, extra) => {
    const { machine, ...spec } = { ...hetznerSpec("n1"), ...extra };
    const error = await failure(provider.compute.ensure(machine === undefined ? spec : { ...spec, machine }));
    expect(error).toMatchObject({ _tag: "Invalid", op: "ensure n1" });
    expect(world.fake.calls).toEqual([]);
  });

  it("finds out beforehand what would go wrong", async () => {
    const failed = async (client: CloudProvider) =>
      (await run(client.preflight)).filter(({ ok }) => !ok).map(({ check }) => check);
    expect(await failed(world.client(noFaults, { region: "mars1" }))).toEqual(["the location", "the server type"]);
    expect(await failed(world.client(noFaults, { machine: { size: "cx99", image: "beos" } }))).toEqual([
      "the server type",
      "the image",
    ]);
    expect(await failed(world.client(noFaults, { token: redact(fakeDefaults.readOnlyToken) }))).toEqual(["the token may create"]);
    expect(await failed(world.client(noFaults, { token: redact("nonsense") }))).toEqual(["the token is accepted"]);
    expect(world.fake.made).toEqual([]);
  });

  it("sweeps all that carries the cluster's labels, and stops before more than can be right", async () => {
    for (const at of [1, 2, 3]) await made(`n${at}`);
    const options = { cluster: cluster.name, expected: 0, consistencyMs: 3000 };
    expect(await failure(sweepInstances(provider, options, world.clock))).toMatchObject({ _tag: "Invalid", op: "sweep conform" });
    expect(world.fake.servers.size).toBe(3);
    expect(await run(sweepInstances(provider, { ...options, expected: 1 }, world.clock))).toBe(3);
    expect(world.fake.servers.size).toBe(0);
  });

  it("sweeps also what was made a moment ago and no list shows yet", async () => {
    await run(provider.compute.ensure(hetznerSpec("n1")));
    expect(await run(sweepInstances(provider, { cluster: cluster.name, expected: 1, consistencyMs: 3000 }, world.clock))).toBe(1);
    expect(world.fake.servers.size).toBe(0);
  });

  describe("load balancers", () => {
    const lbs = () => {
      if (provider.loadBalancers === undefined) throw new Error("Hetzner has load balancers");
      return provider.loadBalancers;
    };
    const members = async () => (await run(lbs().targets("edge"))).map(({ instance }) => instance);

    it("take instances in and let them go, as often as one says it", async () => {
      world.fake.addBalancer("edge");
      const [one, two] = [await made("n1"), await made("n2")];
      await run(lbs().register("edge", [one.id, two.id]));
      await run(lbs().register("edge", [two.id, one.id, one.id]));
      expect(await members()).toEqual([one.id, two.id]);
      const before = world.clock.now();
      await run(lbs().deregister("edge", [one.id], seconds(30)));
      expect(world.clock.now() - before).toBeGreaterThanOrEqual(30_000);
      expect(await members()).toEqual([two.id]);
      await run(lbs().deregister("edge", [one.id], seconds(30)));
    });

    it("show health: one bad port is bad", async () => {
      world.fake.addBalancer("edge");
      const [one, two] = [await made("n1"), await made("n2")];
      world.fake.sick.add(Number(two.id));
      await run(lbs().register("edge", [one.id, two.id]));
      expect(await run(lbs().targets("edge"))).toEqual([
        { instance: one.id, health: "healthy" },
        { instance: two.id, health: "unhealthy" },
      ]);
    });

    it("are made equal to what is wanted, over our own members only", async () => {
      const balancer = world.fake.addBalancer("edge", [4711]);
      const [one, two, foreign] = [await made("n1"), await made("n2"), await made("n3")];
      serverOf(foreign).labels = { team: "web" };
      await run(lbs().register("edge", [one.id, foreign.id]));
      const owner = clusterLabels(cluster.name);
      expect(await run(lbs().reconcile("edge", owner, [two.id]))).toEqual({ added: 1, removed: 1 });
      expect(await members()).toEqual([foreign.id, two.id]);
      expect(balancer.targets.every((target) => target.use_private_ip)).toBe(true);
      const calls = world.fake.calls.length;
      expect(await run(lbs().reconcile("edge", owner, [two.id]))).toEqual({ added: 0, removed: 0 });
      expect(world.fake.calls.slice(calls).filter((call) => !call.startsWith("GET"))).toEqual([]);
      expect(await failure(lbs().reconcile("edge", {}, []))).toMatchObject({ _tag: "Invalid" });
    });

    it("say so when there is none of that name, or no such instance", async () => {
      expect(await failure(lbs().targets("nope"))).toMatchObject({ _tag: "NotFound" });
      world.fake.addBalancer("edge");
      expect(await failure(lbs().register("edge", ["999" as InstanceId]))).toMatchObject({ _tag: "NotFound" });
      expect(await failure(lbs().register("edge", ["n1.00" as InstanceId]))).toMatchObject({ _tag: "Invalid" });
      await run(lbs().deregister("edge", ["999" as InstanceId], millis(1)));
    });
  });

  describe("certificates", () => {
    const certificates = () => {
      if (provider.certificates === undefined) throw new Error("Hetzner has certificates");
      return provider.certificates;
    };
    const chain = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    const key = redact(
      "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHY0dGhlLWtleS1vZi10aGUtZWRnZQ==\n-----END PRIVATE KEY-----\n",
    );
    const labels = clusterLabels(cluster.name);

    it("are uploaded once, read and deleted", async () => {
      const one = await run(certificates().importPem("edge", { chain, key }, labels));
      expect(one).toMatchObject({ name: "edge", state: "ready", domains: ["api.example.com"] });
      expect(await run(certificates().importPem("edge", { chain, key }, labels))).toEqual(one);
      expect(world.fake.certificates.size).toBe(1);
      expect(await run(certificates().get(one.ref))).toEqual(one);
      const other = { chain: chain.replace("MIIB", "MIIC"), key };
      expect(await failure(certificates().importPem("edge", other, labels))).toMatchObject({ _tag: "Conflict", kind: "exists" });
      expect(await run(certificates().delete(one.ref))).toBe("deleted");
      expect(await run(certificates().delete(one.ref))).toBe("absent");
      expect(await failure(certificates().get(one.ref))).toMatchObject({ _tag: "NotFound" });
    });

    it("never show a private key that the vendor throws back", async () => {
      const bad = redact("not-a-key-but-very-secret-indeed");
      const error = await failure(certificates().importPem("edge", { chain, key: bad }, labels));
      expect(error).toMatchObject({ _tag: "Invalid", message: expect.stringContaining("<redacted>") as string });
      expect(JSON.stringify(error)).not.toContain("very-secret");
    });

    it("are not issued by the vendor, and say so", async () => {
      const refused = await failure(certificates().ensure("edge", ["a.example"], labels));
      expect(refused).toMatchObject({ _tag: "Unsupported", capability: "certificates" });
    });
  });
});
