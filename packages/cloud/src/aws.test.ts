import { flip, runPromise, type Effect } from "effect/Effect";
import { seconds } from "effect/Duration";
import { make as redact, value as reveal } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { credentialsFrom } from "./aws/credentials.ts";
import { clusterLabels, nodeLabels } from "./labels.ts";
import type { CloudError, CloudProvider, Instance } from "./provider.ts";
import { fakeDefaults, newestDebian } from "./testing/aws/fake.ts";
import { actionOf } from "./testing/aws/front.ts";
import { awsSpec, cluster, makeAwsWorld, makeServedAwsWorld, ticket, type AwsWorld } from "./testing/aws/world.ts";
import { conformance } from "./testing/conformance.ts";
import { edgeConformance } from "./testing/edge-conformance.ts";
import { edgePem } from "./testing/edge-pem.ts";
import type { FaultPlan } from "./testing/http-fake.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));

conformance("aws", () => Promise.resolve(makeAwsWorld()));
conformance("aws over HTTP", makeServedAwsWorld);
edgeConformance("aws", () => Promise.resolve(makeAwsWorld()));
edgeConformance("aws over HTTP", makeServedAwsWorld);

describe("AWS", () => {
  let world: AwsWorld;
  let provider: CloudProvider;
  const open = (options: Parameters<typeof makeAwsWorld>[0] = {}): void => {
    world = makeAwsWorld(options);
    provider = world.provider;
  };
  beforeEach(() => open());
  afterEach(() => world.close());
  const made = async (name: string): Promise<Instance> => {
    const { instance } = await run(provider.compute.ensure(awsSpec(name)));
    return run(provider.compute.awaitState(instance.id, ["running"], seconds(60)));
  };
  const inside = ({ id }: Instance) => {
    const instance = world.fake.instances.get(id);
    if (instance === undefined) throw new Error(`no instance ${id}`);
    return instance;
  };

  it("sends tags, a token and the user data, whole, in the create itself", async () => {
    const { token, tags, userData } = inside(await made("n1"));
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(tags).toMatchObject({ ...nodeLabels(cluster, "n1"), Name: "conform-n1", "aether-attempt": "1" });
    expect(userData).toBe(`#cloud-config\nruncmd:\n  - aetherd join --ticket ${ticket} # ü&<>+\n`);
    expect(world.fake.calls).not.toContain("CreateTags");
  });

  it("shows an instance with its addresses, zone and the vendor's own facts, and a birthday that a restart does not move", async () => {
    const instance = await made("n1");
    expect(instance).toMatchObject({
      address: "10.1.0.0:7600",
      zone: "eu-central-1a",
      facts: { hostname: "conform-n1", size: "t4g.small" },
    });
    expect(instance.publicIps).toEqual(["192.0.2.0"]);
    expect(instance.labels).toEqual(nodeLabels(cluster, "n1"));
  });

  it("knows that an instance just made is not gone because a read does not know it yet", async () => {
    const { instance } = await run(provider.compute.ensure(awsSpec("n1")));
    expect(await failure(provider.compute.get(instance.id))).toMatchObject({ _tag: "NotFound" });
    expect((await run(provider.compute.awaitState(instance.id, ["running"], seconds(60)))).id).toBe(instance.id);
  });

  it("gives one instance to all who ask, even where lists show none of them yet", async () => {
    const asked = await Promise.all([0, 1, 2, 3].map((at) => run(world.client().compute.ensure(awsSpec(at < 2 ? "n1" : "n2")))));
    expect(new Set(asked.map(({ instance }) => instance.id)).size).toBe(2);
    expect(world.fake.instances.size).toBe(2);
  });

  it("takes no ended instance for a new one: an attempt is used up with it", async () => {
    const { id } = await made("n1");
    await run(provider.compute.delete(id));
    expect(await failure(provider.compute.ensure(awsSpec("n1")))).toMatchObject({ _tag: "Conflict", kind: "stale" });
    const next = await run(provider.compute.ensure(awsSpec("n1", { key: { cluster: cluster.name, node: "n1", attempt: 2 } })));
    expect(next.instance.id).not.toBe(id);
    expect(world.fake.living()).toHaveLength(1);
  });

  it("refuses another wish under a token that is taken, where lists do not show the first yet", async () => {
    await run(provider.compute.ensure(awsSpec("n1")));
    const other = awsSpec("n1", { userData: redact("#cloud-config\n") });
    expect(await failure(provider.compute.ensure(other))).toMatchObject({
      _tag: "Conflict",
      kind: "exists",
      code: "IdempotentParameterMismatch",
    });
  });

  it("does not take a gateway's page that says 404 for an instance that is gone", async () => {
    const { id } = await made("n1");
    const astray = world.client(() => ({ kind: "refuse-before", status: 404, headers: {} }));
    expect(await failure(astray.compute.get(id))).toMatchObject({ _tag: "Transient", status: 404 });
    expect(await failure(astray.compute.delete(id))).toMatchObject({ _tag: "Transient" });
  });

  it("waits for a predecessor that is shutting down", async () => {
    const old = await made("n1");
    const instance = inside(old);
    [instance.state, instance.next] = ["shutting-down", [{ at: world.clock.now() + 30_000, state: "terminated", reason: "" }]];
    const next = await run(provider.compute.ensure(awsSpec("n1", { key: { cluster: cluster.name, node: "n1", attempt: 2 } })));
    expect(next.created).toBe(true);
    expect(world.fake.living().map(({ id }) => id)).toEqual([next.instance.id]);
  });

  it("touches nothing that does not carry its labels", async () => {
    const instance = await made("n1");
    inside(instance).tags = { Name: "conform-n1" };
    expect(await failure(provider.compute.delete(instance.id))).toMatchObject({ _tag: "Invalid" });
    expect(await failure(provider.compute.power(instance.id, "stop-hard"))).toMatchObject({ _tag: "Invalid" });
    expect(world.fake.isRunning(instance.id)).toBe(true);
  });

  it("leaves tags alone that people have set", async () => {
    const instance = await made("n1");
    inside(instance).tags["team"] = "ops";
    await run(provider.compute.label(instance.id, { set: { "aether-ring": "blue" }, unset: [] }));
    expect(inside(instance).tags).toMatchObject({ team: "ops", "aether-ring": "blue", Name: "conform-n1" });
  });

  it("reads all pages of a list and shows none that has ended", async () => {
    const all: Instance[] = [];
    for (const at of [1, 2, 3, 4, 5]) all.push(await made(`n${at}`));
    const third = all[2];
    if (third === undefined) throw new Error("five were made");
    await run(provider.compute.delete(third.id));
    const listed = await run(provider.compute.list(clusterLabels(cluster.name)));
    expect(listed.map(({ name }) => name)).toEqual(["n1", "n2", "n4", "n5"]);
  });

  it("signs by the vendor's clock when ours is wrong", async () => {
    open({ aheadMs: 3_600_000 });
    await made("n1");
    expect(world.fake.calls.filter((call) => call === "RunInstances")).toHaveLength(1);
  });

  it.each([
    ["a quota", { instancesMax: 0 }, { _tag: "Quota", code: "VcpuLimitExceeded" }],
    ["no room", { room: 0 }, { _tag: "Capacity", code: "InsufficientInstanceCapacity" }],
    [
      "keys that are none",
      { keys: { accessKeyId: "AKIDOTHER", secretAccessKey: "x" } },
      { _tag: "Auth", kind: "unauthenticated" },
    ],
    ["keys that may not", { mayCreate: false }, { _tag: "Auth", kind: "forbidden", code: "UnauthorizedOperation" }],
  ])("stops at %s and says so, with the vendor's word and request id", async (_, options, expected) => {
    open(options);
    const error = await failure(provider.compute.ensure(awsSpec("n1")));
    expect(error).toMatchObject(expected);
    expect(error.requestId).toMatch(/^fake-\d+$/);
    expect(JSON.stringify(error)).not.toMatch(new RegExp(`${ticket}|secret/0123`));
  });

  it("has the zone of its subnet, is told of a contradiction, and of a zone without room that another one may have", async () => {
    const { machine, ...spec } = awsSpec("n1");
    if (machine === undefined) throw new Error("a cloud's spec has a machine");
    open({ roomIn: { "eu-central-1b": 0 } });
    const ask = (networks: readonly string[], zone: string) =>
      provider.compute.ensure({ ...spec, machine: { ...machine, networks, zone } });
    expect(await failure(ask(["subnet-0a1b2c3d"], "eu-central-1b"))).toMatchObject({
      _tag: "Invalid",
      code: "InvalidParameterValue",
    });
    expect(await failure(ask([], "eu-central-1b"))).toMatchObject({ _tag: "Capacity", code: "InsufficientInstanceCapacity" });
    expect(world.fake.instances.size).toBe(0);
    const { instance } = await run(provider.compute.ensure(awsSpec("n1")));
    expect(instance.zone).toBe("eu-central-1a");
  });

  it("tells why a machine that was accepted never came up, and does not wait for it any longer", async () => {
    open({ bootFault: "Server.InsufficientInstanceCapacity" });
    const { instance } = await run(provider.compute.ensure(awsSpec("n1")));
    const began = world.clock.now();
    const error = await failure(provider.compute.awaitState(instance.id, ["running"], seconds(300)));
    expect(error).toMatchObject({ _tag: "NotFound", code: "Server.InsufficientInstanceCapacity" });
    expect(error.message).toBe(`${instance.id} has ended: Server.InsufficientInstanceCapacity`);
    expect(world.clock.now() - began).toBeLessThan(30_000);
  });

  it("shows no user data that the vendor throws back, plain or in base64", async () => {
    const { machine } = awsSpec("n1");
    const bad = awsSpec("n1", machine === undefined ? {} : { machine: { ...machine, size: "m99.mega" } });
    const error = await failure(provider.compute.ensure(bad));
    expect(error).toMatchObject({
      _tag: "Invalid",
      code: "InvalidParameterValue",
      message: expect.stringContaining("<redacted>") as string,
    });
    expect(error.message).not.toContain(ticket);
    expect(Buffer.from(error.message.replaceAll(/<redacted>|[^A-Za-z0-9+/]/g, ""), "base64").toString()).not.toContain("ticket");
    expect(error.message).not.toContain(Buffer.from(`--ticket ${ticket}`).toString("base64").slice(4, 24));
  });

  it("finds out beforehand what would go wrong", async () => {
    const failed = async (client: CloudProvider) =>
      (await run(client.preflight)).filter(({ ok }) => !ok).map(({ check }) => check);
    const size = "t4g.small";
    expect(await failed(world.client(undefined, { machine: { size: "m99.mega", image: "ami-0123456789abcdef0" } }))).toContain(
      "the instance type",
    );
    expect(await failed(world.client(undefined, { machine: { size, image: "ami-9" } }))).toContain("the image");
    expect(await failed(world.client(undefined, { machine: { size, image: "ami-0123456789abcdef0", zone: "mars-1a" } }))).toEqual(
      ["the instance type"],
    );
    open({ mayCreate: false });
    expect(await failed(provider)).toEqual(["the credentials may create"]);
    open({ keys: { ...fakeDefaults.keys, secretAccessKey: "another" } });
    expect(await failed(provider)).toEqual(["the credentials are accepted"]);
    expect(world.fake.instances.size).toBe(0);
  });

  it("says beforehand who calls, whether the clocks agree, and whether the network has room", async () => {
    const { machine } = awsSpec("n1");
    if (machine === undefined) throw new Error("a cloud's spec has a machine");
    const checks = await run(world.client(undefined, { machine }).preflight);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    const detailOf = (name: string) => checks.find(({ check }) => check === name)?.detail;
    expect(detailOf("the credentials are accepted")).toBe("arn:aws:iam::123456789012:user/ops of account 123456789012");
    expect(detailOf("the clocks agree")).toBe("ours is 0 s ahead");
    expect(detailOf("the network")).toBe("subnet-0a1b2c3d with 250 free addresses");
    const networkOf = async (networks: readonly string[], zone?: string) => {
      const wanted = { ...machine, networks, ...(zone === undefined ? {} : { zone }) };
      return (await run(world.client(undefined, { machine: wanted }).preflight)).find(({ check }) => check === "the network");
    };
    expect(await networkOf(["subnet-0a1b2c3d"], "eu-central-1b")).toMatchObject({ ok: false });
    expect(await networkOf(["subnet-2c3d4e5f"])).toMatchObject({ ok: false, detail: "subnet-2c3d4e5f has no free address" });
    expect(await networkOf(["subnet-99999999"])).toMatchObject({ ok: false });
    expect(await networkOf([])).toMatchObject({ ok: true, detail: "the default VPC" });
    open({ hasDefaultVpc: false, aheadMs: 7_200_000 });
    const failed = (await run(provider.preflight)).filter(({ ok }) => !ok).map(({ check, detail }) => `${check}: ${detail}`);
    expect(failed).toEqual(["the clocks agree: ours is 7200 s behind", "the network: there is no default VPC; name a subnet"]);
  });

  it("starts the newest of Debian's own images for the size's processor, where no AMI is named", async () => {
    const { machine, ...spec } = awsSpec("n1");
    if (machine === undefined) throw new Error("a cloud's spec has a machine");
    const wish = { ...spec, machine: { ...machine, image: "debian-12" } };
    const { instance } = await run(provider.compute.ensure(wish));
    expect(inside(instance).image).toBe(newestDebian);
    world.clock.advance(60_000);
    const calls = world.fake.calls.length;
    expect((await run(provider.compute.ensure(wish))).instance.id).toBe(instance.id);
    expect(world.fake.calls.slice(calls)).toEqual(["DescribeInstances"]);
    const other = await failure(provider.compute.ensure(awsSpec("n2", { machine: { ...machine, image: "ubuntu" } })));
    expect(other).toMatchObject({ _tag: "Invalid", message: expect.stringContaining("debian-12") as string });
  });

  it("asks for spare capacity, a zone and an identity in the words of the vendor", async () => {
    const { machine, ...spec } = awsSpec("n1");
    if (machine === undefined) throw new Error("a cloud's spec has a machine");
    let form = "";
    const client = world.client(({ body }) => {
      const text = Buffer.from(body ?? "").toString();
      if (text.includes("Action=RunInstances")) form = text;
      return undefined;
    });
    const networks = ["subnet-1b2c3d4e"];
    const wish = {
      ...machine,
      networks,
      zone: "eu-central-1b",
      spot: true,
      identity: "arn:aws:iam::123456789012:instance-profile/aether",
    };
    expect((await run(client.compute.ensure({ ...spec, machine: wish }))).instance.zone).toBe("eu-central-1b");
    const params = Object.fromEntries(new URLSearchParams(form));
    expect(params).toMatchObject({
      "InstanceMarketOptions.MarketType": "spot",
      "Placement.AvailabilityZone": "eu-central-1b",
      "IamInstanceProfile.Arn": wish.identity,
    });
  });

  describe("target groups", () => {
    const lbs = () => {
      if (provider.loadBalancers === undefined) throw new Error("AWS has load balancers");
      return provider.loadBalancers;
    };

    it("drain by themselves, as long as was asked, and their members are found by name or by ARN", async () => {
      const group = world.fake.elb.addGroup("edge");
      const [one, two] = [await made("n1"), await made("n2")];
      await run(lbs().register(group.arn, [one.id, two.id]));
      const before = world.clock.now();
      await run(lbs().deregister("edge", [one.id], seconds(45)));
      expect(world.clock.now() - before).toBeGreaterThanOrEqual(45_000);
      expect(group.drainSeconds).toBe(45);
      expect(await run(lbs().targets(group.arn))).toEqual([{ instance: two.id, health: "healthy" }]);
      expect(await failure(lbs().deregister("edge", [two.id], seconds(3601)))).toMatchObject({ _tag: "Invalid" });
    });

    it("are waited for also by who comes when their members drain already, for as long as they then were to", async () => {
      world.fake.elb.addGroup("edge").drainSeconds = 600;
      const one = await made("n1");
      await run(lbs().register("edge", [one.id]));
      await run(lbs().reconcile("edge", clusterLabels(cluster.name), []));
      const before = world.clock.now();
      await run(lbs().deregister("edge", [one.id], seconds(30)));
      expect(world.clock.now() - before).toBeGreaterThanOrEqual(590_000);
      expect(await run(lbs().targets("edge"))).toEqual([]);
    });

    it("show who drains, who is sick, and whom they have not judged", async () => {
      world.fake.elb.addGroup("edge");
      const [one, two, three] = [await made("n1"), await made("n2"), await made("n3")];
      await run(lbs().register("edge", [one.id, two.id, three.id]));
      expect((await run(lbs().targets("edge"))).map(({ health }) => health)).toEqual(["unknown", "unknown", "unknown"]);
      world.clock.advance(3_000);
      world.fake.elb.sick.add(two.id);
      await run(lbs().reconcile("edge", clusterLabels(cluster.name), [one.id, two.id]));
      expect((await run(lbs().targets("edge"))).map(({ health }) => health)).toEqual(["healthy", "unhealthy", "draining"]);
      expect(await run(lbs().reconcile("edge", clusterLabels(cluster.name), [one.id, two.id]))).toEqual({ added: 0, removed: 0 });
    });

    it("of addresses are nothing that can be kept here", async () => {
      world.fake.elb.addGroup("edge", "ip");
      expect(await failure(lbs().targets("edge"))).toMatchObject({ _tag: "Unsupported", capability: "loadBalancers" });
    });

    it("take no machine that does not run, and one is told which", async () => {
      world.fake.elb.addGroup("edge");
      const one = await made("n1");
      await run(provider.compute.power(one.id, "stop-hard"));
      const error = await failure(lbs().register("edge", [one.id]));
      expect(error).toMatchObject({ _tag: "Invalid", code: "InvalidTarget", message: expect.stringContaining(one.id) as string });
    });
  });

  describe("secrets", () => {
    const secrets = () => {
      if (provider.secrets === undefined) throw new Error("AWS has secrets");
      return provider.secrets;
    };

    it("are read in batches of twenty, each once", async () => {
      const paths = Array.from({ length: 45 }, (_, at) => `app/key-${at}`);
      for (const path of paths) world.fake.secrets.put(path, `value of ${path}`);
      const refs = [...paths, ...paths].map((path) => ({ path }));
      const values = await run(secrets().resolveAll(refs));
      expect(values.map(({ value }) => reveal(value))).toEqual([...paths, ...paths].map((path) => `value of ${path}`));
      // The fake's pages have two.
      expect(new Set(world.fake.calls)).toEqual(new Set(["BatchGetSecretValue"]));
      expect(world.fake.calls).toHaveLength(10 + 10 + 3);
    });

    it("may be bytes that are a text, or of an earlier stage", async () => {
      world.fake.secrets.put("app/key", Buffer.from("ä text"));
      world.fake.secrets.put("app/key", Buffer.from([0xff, 0xfe, 0x00]));
      expect(reveal((await run(secrets().resolve({ path: "app/key", version: "AWSPREVIOUS" }))).value)).toBe("ä text");
      expect(await failure(secrets().resolve({ path: "app/key" }))).toMatchObject({ _tag: "Invalid" });
    });

    it("that may not be read are another thing than those that are not there", async () => {
      world.fake.secrets.put("app/a", "one");
      world.fake.secrets.put("app/b", "two");
      world.fake.secrets.denied.add("app/b");
      const forbidden = { _tag: "Auth", kind: "forbidden", code: "AccessDeniedException" };
      expect(await failure(secrets().resolve({ path: "app/b" }))).toMatchObject(forbidden);
      const error = await failure(secrets().resolveAll([{ path: "app/none" }, { path: "app/a" }, { path: "app/b" }]));
      expect(error).toMatchObject(forbidden);
      expect(error.message).toMatch(/app\/none.*app\/b/);
    });
  });

  describe("certificates", () => {
    const certificates = () => {
      if (provider.certificates === undefined) throw new Error("AWS has certificates");
      return provider.certificates;
    };
    const mine = clusterLabels(cluster.name);

    it("show each record of their challenge once, for a wildcard has its domain's", async () => {
      const { challenge = [], domains } = await run(certificates().ensure("edge", ["a.example", "*.a.example"], mine));
      expect(domains).toEqual(["a.example", "*.a.example"]);
      expect(challenge).toHaveLength(1);
      expect(challenge[0]).toMatchObject({ type: "CNAME", value: expect.stringMatching(/acm-validations\.aws$/) as string });
      expect(challenge[0]?.name).toMatch(/^_[0-9a-f]{32}\.a\.example$/);
    });

    it("that a load balancer still shows are not deleted", async () => {
      const { ref } = await run(certificates().importPem("edge", edgePem, mine));
      const certificate = world.fake.acm.certificates.get(ref);
      if (certificate === undefined) throw new Error("it was imported");
      certificate.usedBy = ["arn:aws:elasticloadbalancing:…"];
      expect(await failure(certificates().delete(ref))).toMatchObject({ _tag: "Conflict", kind: "busy" });
    });

    it("that somebody else has made are not ours to delete", async () => {
      const { ref } = await run(certificates().importPem("edge", edgePem, mine));
      const certificate = world.fake.acm.certificates.get(ref);
      if (certificate === undefined) throw new Error("it was imported");
      world.fake.acm.certificates.set(ref, { ...certificate, tags: [{ Key: "team", Value: "web" }] });
      expect(await failure(certificates().delete(ref))).toMatchObject({ _tag: "Invalid" });
      expect(world.fake.acm.certificates.size).toBe(1);
    });

    it("are imported once also where a proxy has sent the request twice", async () => {
      const plan: FaultPlan = (request) => (actionOf(request) === "ImportCertificate" ? { kind: "twice" } : undefined);
      provider = world.client(plan);
      const one = await run(certificates().importPem("edge", edgePem, mine));
      expect([...world.fake.acm.certificates.keys()]).toEqual([one.ref]);
    });

    it("that are twins and both shown by load balancers stay both", async () => {
      const first = await run(certificates().importPem("edge", edgePem, mine));
      const certificate = world.fake.acm.certificates.get(first.ref);
      if (certificate === undefined) throw new Error("it was imported");
      const arn = first.ref.replace(/.{4}$/, "zzzz");
      world.fake.acm.certificates.set(arn, { ...certificate, arn, usedBy: ["arn:aws:elasticloadbalancing:…"] });
      expect((await run(certificates().importPem("edge", edgePem, mine))).ref).toBe(first.ref);
      expect(world.fake.acm.certificates.size).toBe(2);
      world.fake.acm.certificates.set(arn, { ...certificate, arn });
      await run(certificates().importPem("edge", edgePem, mine));
      expect([...world.fake.acm.certificates.keys()]).toEqual([first.ref]);
    });
  });

  it("takes credentials from where the vendor's tools take them", () => {
    expect(credentialsFrom({})).toBeNull();
    expect(credentialsFrom({ AWS_ACCESS_KEY_ID: "a" })).toBeNull();
    const found = credentialsFrom({
      AWS_ACCESS_KEY_ID: "a",
      AWS_SECRET_ACCESS_KEY: "the-secret",
      AWS_SESSION_TOKEN: "the-token",
    });
    expect(found).toMatchObject({ accessKeyId: "a" });
    expect(found?.sessionToken).not.toBeNull();
    expect(JSON.stringify(found)).not.toMatch(/the-secret|the-token/);
  });
});
