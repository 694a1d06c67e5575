import { millis, seconds } from "effect/Duration";
import { flip, runPromise, type Effect } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HttpResponse, Transport } from "../http/transport.ts";
import { clusterLabels, nodeLabels } from "../labels.ts";
import type { CloudError, CloudProvider, Instance, MachineSpec } from "../provider.ts";
import { sweepInstances } from "../sweep.ts";
import { reader, type FakeAzureOptions } from "../testing/azure/fake.ts";
import {
  azureSpec,
  cluster,
  makeAzureWorld,
  nameOf,
  noFaults,
  secretOf,
  ticket,
  type AzureWorld,
} from "../testing/azure/world.ts";
import { directTransport } from "../testing/http-fake.ts";
import { nobodysKey, nobodysPhrase, zoneNumber } from "./create-body.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));
const { machine } = azureSpec("n1");
if (machine === undefined) throw new Error("specs of clouds name a machine");
const specWith = (change: Partial<MachineSpec>, attempt = 1) => ({
  ...azureSpec("n1", { machine: { ...machine, ...change } }),
  key: { cluster: cluster.name, node: "n1", attempt },
});

describe("Azure", () => {
  let world: AzureWorld;
  let provider: CloudProvider;
  const open = (options: Partial<FakeAzureOptions> = {}): void => {
    world = makeAzureWorld(options);
    provider = world.provider;
  };
  beforeEach(() => open());
  afterEach(() => world.close());
  const made = async (name: string): Promise<Instance> => {
    const { instance } = await run(provider.compute.ensure(azureSpec(name)));
    return run(provider.compute.awaitState(instance.id, ["running"], seconds(60)));
  };
  const inFake = (instance: Instance) => {
    const found = world.fake.compute.machines.get(nameOf(instance));
    if (found === undefined) throw new Error(`no machine ${instance.id}`);
    return found;
  };
  const things = () => {
    const { machines, cards, disks, addresses } = world.fake.compute;
    return [machines, cards, disks, addresses].map((all) => all.size);
  };
  /** Answers that a transport changes on their way. */
  const changing = (change: (response: HttpResponse) => HttpResponse): CloudProvider => {
    const under = directTransport(world.fake, "", noFaults);
    const transport: Transport = {
      send: async (request, signal) => {
        const outcome = await under.send(request, signal);
        return outcome.kind === "answered" ? { ...outcome, response: change(outcome.response) } : outcome;
      },
    };
    return world.over(transport, {});
  };

  it("makes machine, disk, card and address in one call, and all are gone when it is", async () => {
    const instance = await made("n1");
    expect(world.fake.calls.filter((call) => call.startsWith("PUT"))).toEqual(["PUT virtualMachines/{name}"]);
    expect(inFake(instance).userData).toContain(ticket);
    expect(instance).toMatchObject({ zone: "westeurope", rawState: "Succeeded running" });
    expect(instance.address).toBe(`${instance.privateIps?.[0] ?? ""}:7600`);
    expect(instance.publicIps).toHaveLength(1);
    expect(things()).toEqual([1, 1, 1, 1]);
    expect(await run(provider.compute.delete(instance.id))).toBe("deleted");
    expect(things()).toEqual([0, 0, 0, 0]);
  });

  it("says so when the disk stays that still costs", async () => {
    const instance = await made("n1");
    const disk = [...world.fake.compute.disks.entries()];
    const kept = world.client(() => {
      // Whatever the machine's deletion would take with it, this one is kept.
      for (const [key, part] of disk) world.fake.compute.disks.set(key, Object.assign(part, { goneAt: Infinity }));
      return undefined;
    });
    const error = await failure(kept.compute.delete(instance.id));
    expect(error).toMatchObject({ _tag: "Deadline", op: "delete conform-n1" });
    expect(error.message).toContain("disks conform-n1_OsDisk_1 still there");
  });

  it.each<[string, string | undefined, string]>([
    ["the region", undefined, "AllocationFailed"],
    ["a zone", "2", "ZonalAllocationFailed"],
  ])("tells that %s has no room, leaves nothing of the try, and makes it elsewhere", async (_, zone, code) => {
    open({ room: { [zone ?? ""]: 0, "1": 5 } });
    const { zone: __, ...rest } = machine;
    const full = { ...azureSpec("n1"), machine: { ...rest, ...(zone === undefined ? {} : { zone }) } };
    const error = await failure(provider.compute.ensure(full));
    expect(error).toMatchObject({ _tag: "Capacity", code, op: "ensure n1" });
    expect(things()).toEqual([0, 0, 0, 0]);
    const { instance } = await run(provider.compute.ensure(specWith({ zone: "westeurope-1" }, 2)));
    expect(instance.zone).toBe("1");
  });

  it("removes no machine that failed but was not made by this very call: its disk may hold somebody's data", async () => {
    const instance = await made("n1");
    Object.assign(inFake(instance), { provisioning: "Failed", power: "deallocated" });
    const again = await run(provider.compute.ensure(azureSpec("n1")));
    expect([again.created, again.instance.id, again.instance.state]).toEqual([false, instance.id, "failed"]);
    expect(things()).toEqual([1, 1, 1, 1]);
  });

  it.each<[string, Partial<FakeAzureOptions>, Partial<MachineSpec>, object]>([
    ["a quota", { machinesMax: 0 }, {}, { _tag: "Quota", code: "OperationNotAllowed", status: 409 }],
    ["a size that is not for us", {}, { size: "Standard_M416ms_v2" }, { _tag: "Capacity", code: "SkuNotAvailable", status: 409 }],
    [
      "an image that is none",
      {},
      { image: "Nobody:none:none:latest" },
      { _tag: "Invalid", code: "InvalidParameter", status: 400 },
    ],
  ])(
    "stops at %s and says so, with the vendor's word and request id, and without the user data",
    async (_, options, change, expected) => {
      open(options);
      const error = await failure(provider.compute.ensure(specWith(change)));
      expect(error).toMatchObject(expected);
      expect(error.requestId).toMatch(/^fake-\d+$/);
      expect(JSON.stringify(error)).not.toContain(ticket);
      expect(JSON.stringify(error)).not.toContain(Buffer.from(ticket).toString("base64").slice(2, 30));
      expect(things()).toEqual([0, 0, 0, 0]);
    },
  );

  it("says whose permission is missing", async () => {
    const reads = world.client(noFaults, { credentials: secretOf(reader) });
    expect(await run(reads.compute.list(clusterLabels(cluster.name)))).toEqual([]);
    expect(await failure(reads.compute.ensure(azureSpec("n1")))).toMatchObject({ _tag: "Auth", kind: "forbidden", status: 403 });
  });

  it("adopts nothing that only has the right name, and touches it not", async () => {
    const instance = await made("n1");
    inFake(instance).tags = { team: "somebody" };
    expect(await failure(provider.compute.ensure(azureSpec("n1")))).toMatchObject({ _tag: "Conflict", kind: "exists" });
    expect(await failure(provider.compute.delete(instance.id))).toMatchObject({ _tag: "Invalid" });
    expect(await failure(provider.compute.power(instance.id, "stop-hard"))).toMatchObject({ _tag: "Invalid" });
    expect(await failure(provider.compute.label(instance.id, { set: { "aether-ring": "x" } }))).toMatchObject({
      _tag: "Invalid",
    });
    expect(world.fake.compute.isRunning("conform-n1")).toBe(true);
  });

  it("stops by giving the host back, because one that is only off is paid for", async () => {
    const instance = await made("n1");
    const from = world.fake.calls.length;
    await run(provider.compute.power(instance.id, "stop-graceful"));
    const posts = () => world.fake.calls.slice(from).filter((call) => call.startsWith("POST v"));
    expect(posts()).toEqual(["POST virtualMachines/{name}/powerOff", "POST virtualMachines/{name}/deallocate"]);
    expect((await run(provider.compute.get(instance.id))).rawState).toBe("Succeeded deallocated");
    await run(provider.compute.power(instance.id, "start"));
    await world.crash(instance);
    expect((await run(provider.compute.get(instance.id))).state).toBe("failed");
    await run(provider.compute.power(instance.id, "stop-hard"));
    expect(posts().slice(2)).toEqual(["POST virtualMachines/{name}/start", "POST virtualMachines/{name}/deallocate"]);
    expect((await run(provider.compute.get(instance.id))).state).toBe("stopped");
  });

  it("says why an operation failed that was accepted", async () => {
    const instance = await made("n1");
    await run(provider.compute.power(instance.id, "stop-hard"));
    world.fake.compute.failNext = { code: "AllocationFailed", message: "no host has room" };
    const error = await failure(provider.compute.power(instance.id, "start"));
    expect(error).toMatchObject({
      _tag: "Capacity",
      code: "AllocationFailed",
      op: "start conform-n1",
      message: "no host has room",
    });
  });

  it("waits for an operation as long as the vendor says", async () => {
    await made("n1");
    // Half of the boot at first, then what each look is answered.
    expect(world.clock.slept.slice(0, 3)).toEqual([3_000, 2_000, 2_000]);
  });

  it("waits for an operation that only has a place to look at", async () => {
    const bare = changing((response) => {
      const { "azure-asyncoperation": operation, ...rest } = response.headers;
      if (operation !== undefined) return { ...response, headers: { ...rest, location: operation } };
      // Such a place answers 202 until it is over.
      return Buffer.from(response.body).includes("InProgress") ? { ...response, status: 202 } : response;
    });
    const instance = await made("n1");
    await run(bare.compute.power(instance.id, "stop-hard"));
    expect((await run(bare.compute.get(instance.id))).state).toBe("stopped");
  });

  it.each<[string, (response: HttpResponse) => HttpResponse]>([
    [
      "an operation",
      (response) =>
        response.headers["azure-asyncoperation"] === undefined
          ? response
          : {
              ...response,
              headers: { ...response.headers, "azure-asyncoperation": "https://management.azure.com.evil.example/x" },
            },
    ],
    [
      "the next page",
      (response) => ({
        ...response,
        body: Buffer.from(
          Buffer.from(response.body)
            .toString()
            .replaceAll(/"nextLink":"https:\/\/[^/]+/g, '"nextLink":"https://evil.example'),
        ),
      }),
    ],
  ])("takes its token nowhere else when %s is said to be there", async (_, change) => {
    for (const name of ["n1", "n2", "n3"]) await made(name);
    const one = changing(change);
    const act = async (): Promise<void> => {
      await run(one.compute.list(clusterLabels(cluster.name)));
      await run(one.compute.ensure(azureSpec("n4")));
    };
    await expect(act()).rejects.toMatchObject({ _tag: "Protocol", message: expect.stringContaining("do not belong") as string });
  });

  it("guesses nothing from an answer of another shape, and takes half of one for none", async () => {
    const { id } = await made("n1");
    const other = changing((response) => ({
      ...response,
      body: Buffer.from(Buffer.from(response.body).toString().replace("vmId", "vmid")),
    }));
    expect(await failure(other.compute.get(id))).toMatchObject({ _tag: "Protocol" });
    const page = world.client(({ url }) =>
      url.pathname.endsWith("/token") ? undefined : { kind: "refuse-before", status: 404, headers: {} },
    );
    expect(await failure(page.compute.get(id))).toMatchObject({ _tag: "Transient", status: 404 });
    expect(await failure(page.compute.delete(id))).toMatchObject({ _tag: "Transient" });
    expect(await failure(page.compute.list(clusterLabels(cluster.name)))).toMatchObject({ _tag: "Transient" });
  });

  it("lists the same where the states of the whole subscription may not be seen, only with more calls", async () => {
    const all = [await made("n1"), await made("n2"), await made("n3")];
    expect(await run(provider.compute.list(clusterLabels(cluster.name)))).toEqual(all);
    open({ isWholeSeen: false });
    const others = [await made("n1"), await made("n2"), await made("n3")];
    const from = world.fake.calls.length;
    expect(await run(provider.compute.list(clusterLabels(cluster.name)))).toEqual(others);
    expect(world.fake.calls.slice(from).filter((call) => call === "GET virtualMachines/{name}")).toHaveLength(3);
  });

  it("leaves tags alone that people have set", async () => {
    const instance = await made("n1");
    inFake(instance).tags["Team"] = "ops";
    await run(provider.compute.label(instance.id, { set: { "aether-ring": "blue" } }));
    await run(provider.compute.label(instance.id, { set: { "aether-rack": "r1" }, unset: ["aether-ring"] }));
    expect(inFake(instance).tags).toMatchObject({ Team: "ops", "aether-rack": "r1", "aether-port": "7600" });
    expect(inFake(instance).tags).not.toHaveProperty("aether-ring");
    expect(await failure(provider.compute.label(instance.id, { unset: ["aether-spec"] }))).toMatchObject({ _tag: "Invalid" });
  });

  it("waits for a predecessor that is being deleted", async () => {
    const old = await made("n1");
    Object.assign(inFake(old), { provisioning: "Deleting", next: [{ at: world.clock.now() + 30_000, provisioning: "gone" }] });
    const { instance, created } = await run(provider.compute.ensure(azureSpec("n1")));
    expect([created, instance.id === old.id]).toEqual([true, false]);
  });

  it("gives up on a machine that still starts, and lets the caller wait", async () => {
    open({ bootMs: 400_000 });
    const { instance, created } = await run(provider.compute.ensure(azureSpec("n1")));
    expect([created, instance.state]).toEqual([true, "pending"]);
    expect(await failure(provider.compute.awaitState(instance.id, ["running"], millis(10)))).toMatchObject({ _tag: "Deadline" });
    await run(provider.compute.awaitState(instance.id, ["running"], seconds(600)));
  });

  it.each<[string, object]>([
    ["no subnet", { machine: { ...machine, networks: [] } }],
    ["a network without its subnet", { machine: { ...machine, networks: ["aether"] } }],
    ["two security groups", { machine: { ...machine, firewalls: ["a", "b"] } }],
    ["the name of a key for the key", { machine: { ...machine, sshKeys: ["ops"] } }],
    ["a zone of another region", { machine: { ...machine, zone: "northeurope-1" } }],
    ["half of an image's name", { machine: { ...machine, image: "debian-12" } }],
    ["another address", { address: "10.0.0.1:7600" }],
    ["no machine", { machine: undefined }],
    ["a cluster that it does not serve", { key: { cluster: "other", node: "n1", attempt: 1 } }],
    ["a label of the provider's own", { labels: { ...nodeLabels(cluster, "n1"), "aether-port": "1" } }],
    ["too much user data", { userData: redact("x".repeat(65_536)) }],
  ])("refuses %s before anything is asked of the vendor", async (_, extra) => {
    const error = await failure(provider.compute.ensure({ ...azureSpec("n1"), ...extra }));
    expect(error).toMatchObject({ _tag: "Invalid", op: "ensure n1" });
    expect(world.fake.calls).toEqual([]);
  });

  it("sweeps all that carries the cluster's labels, and stops before more than can be right", async () => {
    for (const at of [1, 2, 3]) await made(`n${at}`);
    const options = { cluster: cluster.name, expected: 0, consistencyMs: 3000 };
    expect(await failure(sweepInstances(provider, options, world.clock))).toMatchObject({ _tag: "Invalid", op: "sweep conform" });
    expect(await run(sweepInstances(provider, { ...options, expected: 1 }, world.clock))).toBe(3);
    expect(things()).toEqual([0, 0, 0, 0]);
  });

  it("finds out beforehand what would go wrong", async () => {
    const failed = async (other: Parameters<AzureWorld["client"]>[1]) =>
      (await run(world.client(noFaults, other).preflight)).filter(({ ok }) => !ok).map(({ check }) => check);
    expect(await failed({})).toEqual([]);
    expect(await failed({ resourceGroup: "none" })).toEqual(["the resource group"]);
    expect(await failed({ subscription: "00000000-0000-0000-0000-000000000000" })).toEqual(["the credentials are accepted"]);
    expect(await failed({ credentials: secretOf(reader) })).toEqual(["what may be done in the resource group"]);
    expect(await failed({ machine: { ...machine, size: "Standard_X1", image: "Debian:debian-12:12-gen2:9.9" } })).toEqual([
      "the size",
      "the image",
    ]);
    expect(await failed({ machine: { ...machine, zone: "3" } })).toEqual(["the size"]);
    expect(await failed({ machine: { ...machine, zone: "mars" } })).toContain("the zone");
    open({ machinesMax: 0 });
    expect(await failed({})).toEqual(["quota: Standard BS Family vCPUs", "quota: Total Regional vCPUs"]);
    expect(world.fake.compute.made).toEqual([]);
  });

  it.each([
    [{ subscription: "mine" }, '"mine" is no subscription'],
    [{ resourceGroup: "a/b" }, '"a/b" is no resource group'],
    [{ region: "West Europe" }, '"West Europe" is no location'],
    [{ vault: "evil.example" }, '"evil.example" is no vault: its name, or its host below .vault.azure.net'],
    [{ vault: "fleet-vault.vault.azure.net.evil.example" }, "is no vault"],
  ])("is not made with %j", (other, message) => {
    expect(() => world.client(noFaults, other)).toThrowError(message);
  });
});

describe("what nobody can log in with", () => {
  const prime = 2n ** 255n - 19n;
  const power = (base: bigint, exponent: bigint): bigint => {
    let [result, square] = [1n, base % prime];
    for (let left = exponent; left > 0n; left >>= 1n) {
      if (left & 1n) result = (result * square) % prime;
      square = (square * square) % prime;
    }
    return result;
  };

  it("is a key of which everybody sees that its maker knows no more than its public half", () => {
    const [kind = "", text = ""] = nobodysKey().split(" ");
    const blob = Buffer.from(text, "base64");
    expect([kind, blob.subarray(4, 15).toString(), blob.length]).toEqual(["ssh-ed25519", "ssh-ed25519", 51]);
    const point = blob.subarray(19);
    expect(nobodysPhrase).toContain("nobody has the private half");
    // Of the curve -x² + y² = 1 + dx²y²: there is an x to this y.
    const y = BigInt(`0x${Buffer.from(point.toReversed()).toString("hex")}`) & (2n ** 255n - 1n);
    const d = (prime - ((121_665n * power(121_666n, prime - 2n)) % prime)) % prime;
    const x2 = (((y * y - 1n) % prime) * power(d * y * y + 1n, prime - 2n)) % prime;
    expect(power(x2, (prime - 1n) / 2n)).toBe(1n);
  });

  it("is taken only where no key is given", async () => {
    const world = makeAzureWorld();
    const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBHK9Zq6Yvo8pmhjHTBKvQ4QzRSrWNDzm0Yp8Zs1x1qN ops";
    const keysOf = (name: string): string => JSON.stringify(world.fake.compute.machines.get(name)?.wish);
    await run(world.provider.compute.ensure(azureSpec("n1")));
    await run(world.provider.compute.ensure(azureSpec("n2", { machine: { ...machine, sshKeys: [key] } })));
    expect(keysOf("conform-n1")).toContain(nobodysKey());
    expect(keysOf("conform-n2")).toContain(key);
    expect(keysOf("conform-n2")).not.toContain(nobodysKey());
  });
});

it("knows zones as numbers of a region", () => {
  expect(["1", "westeurope-3", "westeurope", "4x", "northeurope-1"].map((zone) => zoneNumber(zone, "westeurope"))).toEqual([
    "1",
    "3",
    null,
    "none",
    "none",
  ]);
});
