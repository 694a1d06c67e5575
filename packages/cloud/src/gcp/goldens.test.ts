/** Our requests equal those of Google's own clients for the same wishes (fixtures/cloud-goldens). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runPromise } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { withoutBook } from "../derivation.ts";
import type { ApiCall, ApiClient } from "../http/api-client.ts";
import type { InstanceSpec, Labels, MachineSpec } from "../provider.ts";
import { cluster, makeGcpWorld } from "../testing/gcp/world.ts";
import { makeCertificateApi } from "./certificate-api.ts";
import { makeComputeApi, type ComputeApi, type InsertInstance } from "./compute-api.ts";
import { makeSecrets } from "./secrets.ts";
import { imagePath, wishOf } from "./wish.ts";

interface Golden {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body?: unknown;
}
const goldens = (name: string): Readonly<Record<string, Golden>> =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../../../fixtures/cloud-goldens/gcp-${name}.json`), "utf8")) as Readonly<
    Record<string, Golden>
  >;

/** The request that some work makes first; what comes of it does not matter. */
async function firstOf(work: (client: ApiClient) => Promise<unknown>): Promise<Golden> {
  const seen: ApiCall<unknown>[] = [];
  const client: ApiClient = {
    call: (call) => {
      seen.push(call);
      return Promise.reject(new Error("caught"));
    },
  };
  await work(client).catch(() => undefined);
  const [call] = seen;
  if (call === undefined) throw new Error("nothing was asked");
  const { method, path, query = [], body } = call;
  const text = body === undefined ? {} : { body: JSON.parse(Buffer.from(body.bytes).toString()) as unknown };
  return { method, path, query: Object.fromEntries(query), ...text };
}

const project = "fleet-production";
const zone = "europe-west1-b";
const requestId = "00000000-0000-4000-8000-000000000001";
const at = { zone, name: "conform-n1" };
const group = { zone, name: "edge" };
const labels = { "aether-managed": "true", "aether-cluster": "conform" };
const never = new AbortController().signal;
const userData = redact("#cloud-config\n{}\n");

const plain: MachineSpec = {
  size: "e2-medium",
  image: "ubuntu-os-cloud/ubuntu-2404-lts-amd64",
  publicIp: true,
  networks: [],
  firewalls: [],
  sshKeys: [],
};
const whole: MachineSpec = {
  ...plain,
  publicIp: false,
  networks: ["nodes"],
  firewalls: ["aether"],
  sshKeys: ["ops:ssh-ed25519 AAAA ops"],
  placementGroup: "spread",
  spot: true,
  identity: "node@fleet-production.iam.gserviceaccount.com",
};
const specOf = (machine: MachineSpec): InstanceSpec => ({
  key: { cluster: cluster.name, node: "n1", attempt: 1 },
  name: "n1",
  address: "*:7600",
  machine,
  labels: { ...labels, "aether-node": "n1" },
  userData,
});

/** The provider's own book in the labels is ours alone. */
function insertOf(machine: MachineSpec): InsertInstance {
  const { body } = wishOf({ cluster: cluster.name, region: "europe-west1", zones: [zone] }, project, specOf(machine), "golden");
  return { ...body, labels: withoutBook(body.labels) };
}

describe("requests as Google's own clients make them", () => {
  const compute = goldens("compute");
  const rows: Readonly<Record<string, (api: ComputeApi) => Promise<unknown>>> = {
    create: (api) => api.insert(zone, insertOf(plain), requestId, userData, never),
    "create with everything": (api) => api.insert(zone, insertOf(whole), requestId, userData, never),
    read: (api) => api.instance(at, never),
    list: (api) => api.instances(labels, never),
    delete: (api) => api.remove(at, requestId, never),
    start: (api) => api.power(at, "start", requestId, never),
    stop: (api) => api.power(at, "stop", requestId, never),
    reset: (api) => api.power(at, "reset", requestId, never),
    resume: (api) => api.power(at, "resume", requestId, never),
    label: (api) => api.setLabels(at, labels, "bGFiZWxzIDE=", requestId, never),
    operation: (api) => api.operation(zone, "operation-1", never),
    groups: (api) => api.groups("edge", never),
    endpoints: (api) => api.endpoints(group, never),
    attach: (api) => api.changeEndpoints(group, "attach", [{ instance: "conform-n1" }], requestId, never),
    detach: (api) => api.changeEndpoints(group, "detach", [{ instance: "conform-n1" }], requestId, never),
    "machine type": (api) => api.machineType({ zone, name: "e2-medium" }, never),
    image: (api) => api.image(imagePath(plain.image, project), never),
    "own image": (api) => api.image(imagePath("own-image", project), never),
    region: (api) => api.region("europe-west1", never),
    project: (api) => api.clockSkew(() => 0, never),
  };

  it.each(Object.keys(compute))("Compute Engine: %s", async (wish) => {
    const ask = rows[wish];
    if (ask === undefined) throw new Error(`nobody asks for ${wish}`);
    const projectOf = () => Promise.resolve(project);
    const ours = await firstOf((client) => ask(makeComputeApi({ client, project: projectOf, region: "europe-west1" })));
    expect(ours).toEqual(compute[wish]);
  });

  it("Compute Engine: every request that the provider can make has one to be held against", () => {
    expect(new Set(Object.keys(compute))).toEqual(new Set(Object.keys(rows)));
  });

  const edge = goldens("edge");
  const ofCertificates = (work: (api: ReturnType<typeof makeCertificateApi>) => Promise<unknown>) => (client: ApiClient) =>
    work(makeCertificateApi({ client, project: () => Promise.resolve(project) }));
  const managed = {
    domains: ["a.example"],
    dnsAuthorizations: [`projects/${project}/locations/global/dnsAuthorizations/issued-a`],
  };
  const edgeRows: Readonly<Record<string, (client: ApiClient) => Promise<unknown>>> = {
    secret: (client) =>
      runPromise(makeSecrets({ client, project: () => Promise.resolve(project) }).resolve({ path: "conform/one" })),
    "import certificate": ofCertificates((api) =>
      api.create("edge", { labels, selfManaged: { pemCertificate: "CHAIN", pemPrivateKey: "KEY" } }, [], never),
    ),
    "issue certificate": ofCertificates((api) => api.create("issued", { labels, managed }, [], never)),
    certificates: ofCertificates((api) => api.certificates(labels, never)),
    certificate: ofCertificates((api) => api.certificate("edge", never)),
    "delete certificate": ofCertificates((api) => api.remove("edge", never)),
    authorize: ofCertificates((api) => api.authorize("issued-a", { domain: "a.example", labels }, never)),
    authorization: ofCertificates((api) => api.authorization("issued-a", never)),
    "delete authorization": ofCertificates((api) => api.removeAuthorization("issued-a", never)),
  };

  it.each(Object.keys(edgeRows))("Secret Manager and Certificate Manager: %s", async (wish) => {
    expect(await firstOf(edgeRows[wish] ?? (() => Promise.resolve()))).toEqual(edge[wish]);
  });

  it("Resource Manager: permissions", async () => {
    const world = makeGcpWorld();
    const seen: Golden[] = [];
    const client = world.client(({ method, url, body }) => {
      if (!url.pathname.endsWith(":testIamPermissions")) return undefined;
      const { permissions } = JSON.parse(Buffer.from(body ?? "").toString()) as { permissions: readonly string[] };
      const some = permissions.filter((one) => one === "compute.instances.create");
      seen.push({ method, path: url.pathname, query: Object.fromEntries(url.searchParams), body: { permissions: some } });
      return undefined;
    });
    await runPromise(client.preflight);
    expect(seen).toEqual([edge["permissions"]]);
  });

  it("are told apart from others: a golden with one field changed is not equal", async () => {
    const api = (client: ApiClient) =>
      makeComputeApi({ client, project: () => Promise.resolve(project), region: "europe-west1" });
    const other: Labels = { ...labels, "aether-cluster": "other" };
    expect(await firstOf((client) => api(client).setLabels(at, other, "bGFiZWxzIDE=", requestId, never))).not.toEqual(
      compute["label"],
    );
  });
});
