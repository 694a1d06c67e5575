import { flip, runPromise, type Effect } from "effect/Effect";
import { seconds } from "effect/Duration";
import { make as redact } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { credentialsFrom } from "./aws/credentials.ts";
import { clusterLabels, nodeLabels } from "./labels.ts";
import type { CloudError, CloudProvider, Instance } from "./provider.ts";
import { fakeDefaults } from "./testing/aws/fake.ts";
import { awsSpec, cluster, makeAwsWorld, makeServedAwsWorld, ticket, type AwsWorld } from "./testing/aws/world.ts";
import { conformance } from "./testing/conformance.ts";
import { edgeConformance } from "./testing/edge-conformance.ts";

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
