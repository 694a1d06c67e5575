/** Our requests are those that the vendor's own clients make for the same wishes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { seconds } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import { beforeAll, describe, expect, it } from "vitest";
import { bookedLabels } from "../derivation.ts";
import type { HttpRequest } from "../http/transport.ts";
import { clusterLabels } from "../labels.ts";
import type { InstanceSpec, MachineSpec } from "../provider.ts";
import { group } from "../testing/azure/fake.ts";
import { azureSpec, cluster, makeAzureWorld } from "../testing/azure/world.ts";
import { edgePem } from "../testing/edge-pem.ts";

interface Golden {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}
const goldens = (name: string): readonly (readonly [string, Golden])[] => {
  const file = join(import.meta.dirname, `../../../../fixtures/cloud-goldens/azure-${name}.json`);
  return Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, Golden>);
};

const conditions: readonly string[] = ["if-match", "if-none-match"];
const normalised = ({ method, url, headers, body }: HttpRequest): Golden => ({
  method,
  path: decodeURIComponent(url.pathname),
  query: Object.fromEntries([...url.searchParams].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  headers: Object.fromEntries(Object.entries(headers).filter(([name]) => conditions.includes(name))),
  ...(body === null || url.pathname.endsWith("/token") ? {} : { body: JSON.parse(Buffer.from(body).toString()) as unknown }),
});

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBHK9Zq6Yvo8pmhjHTBKvQ4QzRSrWNDzm0Yp8Zs1x1qN ops";
const machine: MachineSpec = {
  size: "Standard_B2s",
  image: "Debian:debian-12:12-gen2:latest",
  publicIp: false,
  networks: ["aether/nodes"],
  firewalls: ["nodes"],
  sshKeys: [key],
};
const everything = { zone: "2", publicIp: true, spot: true, identity: "aether-node", placementGroup: "near" };
const userData = redact("#cloud-config\n{}\n");
const plain = azureSpec("n1", { machine, userData });
const whole = azureSpec("n1", { machine: { ...machine, ...everything }, userData });

/** All that our provider asks for such wishes. */
async function ourRequests(spec: InstanceSpec): Promise<readonly Golden[]> {
  const world = makeAzureWorld();
  const seen: Golden[] = [];
  const plan = (request: HttpRequest) => {
    seen.push(normalised(request));
    return undefined;
  };
  const galleryImage = `${group}/providers/Microsoft.Compute/galleries/ours/images/aether/versions/1.0.0`;
  for (const image of [
    `${group}/providers/Microsoft.Compute/images/golden`,
    galleryImage,
    "Debian:debian-12:12-gen2:0.20260101.1",
  ]) {
    await runPromise(world.client(plan, { machine: { ...machine, image } }).preflight);
  }
  const { compute, preflight, loadBalancers, certificates, secrets } = world.client(plan);
  await runPromise(preflight);
  const { instance } = await runPromise(compute.ensure(spec));
  for (const action of ["reboot", "stop-graceful", "start", "stop-hard"] as const)
    await runPromise(compute.power(instance.id, action));
  await runPromise(compute.label(instance.id, { set: { "aether-ring": "blue" } }));
  await runPromise(compute.label(instance.id, { unset: ["aether-ring"] }));
  await runPromise(compute.ensure(azureSpec("n2")));
  await runPromise(compute.list(clusterLabels(cluster.name)));
  if (loadBalancers === undefined || certificates === undefined || secrets === undefined)
    throw new Error("Azure has all of them");
  world.fake.pools.add("edge");
  await runPromise(loadBalancers.register("edge", [instance.id]));
  await runPromise(loadBalancers.deregister("edge/nodes", [instance.id], seconds(1)));
  world.fake.vault.secrets.set("conform-one", [{ version: "0123456789abcdef0123456789abcdef", value: "1" }]);
  await runPromise(
    secrets.resolveAll([{ path: "conform/one" }, { path: "conform/one", version: "0123456789abcdef0123456789abcdef" }]),
  );
  await runPromise(certificates.ensure("edge", ["a.example", "b.example"], clusterLabels(cluster.name)));
  await runPromise(certificates.delete("edge"));
  world.fake.vault.deleted.clear();
  await runPromise(certificates.importPem("edge", edgePem, clusterLabels(cluster.name)));
  if (certificates.list !== undefined) await runPromise(certificates.list(clusterLabels(cluster.name)));
  await runPromise(compute.delete(instance.id));
  await world.close();
  return seen;
}

/** The vendor's clients send empty objects where nothing is set. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name, field]) => name !== "attributes" || JSON.stringify(field) !== "{}");
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutEmpty(field)]));
}

describe("Azure's own clients ask the same", () => {
  let plainly: readonly Golden[] = [];
  let wholly: readonly Golden[] = [];
  beforeAll(async () => {
    [plainly, wholly] = [await ourRequests(plain), await ourRequests(whole)];
  });
  const like = (ours: readonly Golden[], { method, path, query }: Golden): readonly Golden[] =>
    ours.filter((one) => one.method === method && one.path === path && JSON.stringify(one.query) === JSON.stringify(query));

  it.each([...goldens("compute"), ...goldens("network"), ...goldens("vault")].filter(([, { body }]) => body === undefined))(
    "%s",
    (_, golden) => {
      const [ours] = like(plainly, golden);
      expect(ours).toEqual(golden);
    },
  );

  it.each([...goldens("compute")].filter(([name]) => name.startsWith("create")))("%s, but for the tags", (name, golden) => {
    const [spec, ours] = name === "create" ? [plain, plainly] : [whole, wholly];
    const [found] = like(ours, golden);
    expect(found?.body).toMatchObject({ tags: bookedLabels(spec) });
    const tags = (golden.body as { readonly tags: object }).tags;
    expect({ ...found, body: { ...(found?.body as object), tags } }).toEqual(golden);
  });

  it.each([...goldens("compute")].filter(([name]) => name.endsWith("tags")))("%s", (_, golden) => {
    expect(like(plainly, golden)).toContainEqual(golden);
  });

  it.each([...goldens("network")].filter(([name]) => name === "write pool"))(
    "%s, but for the condition, which they have not",
    (_, golden) => {
      const [found] = like(plainly, golden);
      expect(found?.headers).toEqual({ "if-match": 'W/"1"' });
      const text = JSON.stringify(found?.body).replace(/aether\.conform\.[0-9a-f]{32}/, "aether.conform.0");
      expect(JSON.parse(text.replace(/10\.1\.0\.\d+/, "10.1.0.1"))).toEqual(golden.body);
    },
  );

  it.each([...goldens("vault")].filter(([name]) => name === "create certificate"))("%s", (_, golden) => {
    const [found] = like(plainly, golden);
    expect(found?.body).toEqual(withoutEmpty(golden.body));
  });

  it.each([...goldens("vault")].filter(([name]) => name === "import certificate"))("%s, but say that it is PEM", (_, golden) => {
    const [found] = like(plainly, golden);
    const { policy, value, ...rest } = (found?.body ?? {}) as Record<string, unknown>;
    // The vendor's client takes a content type and does not send it.
    expect(policy).toEqual({ secret_props: { contentType: "application/x-pem-file" } });
    expect(value).toContain("-----BEGIN PRIVATE KEY-----");
    const { value: _value, ...theirs } = golden.body as Record<string, unknown>;
    expect(rest).toEqual(theirs);
  });
});
