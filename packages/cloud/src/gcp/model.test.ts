/** Every request that the provider makes, against the vendor's published models; and proof that the models would say no. */
import { seconds } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { beforeAll, describe, expect, it } from "vitest";
import { clusterLabels } from "../labels.ts";
import { edgePem } from "../testing/edge-pem.ts";
import { checkGcpRequest, checkGcpResponse, gcpModel, gcpSlice, seenRequest, type SeenRequest } from "../testing/gcp/model.ts";
import { gcpOperations } from "../testing/gcp/operations.ts";
import { cluster, gcpSpec, machine, makeGcpWorld, placeOf } from "../testing/gcp/world.ts";

/** One of each request that the provider can make. */
async function allRequests(): Promise<readonly SeenRequest[]> {
  const world = makeGcpWorld();
  const seen: SeenRequest[] = [];
  const { compute, secrets, loadBalancers, certificates, preflight } = world.client((request) => {
    if (request.headers["content-type"] !== "application/x-www-form-urlencoded") seen.push(seenRequest(request));
    return undefined;
  });
  if (secrets === undefined || loadBalancers === undefined || certificates === undefined) throw new Error("GCP has all three");
  await runPromise(preflight);
  const images = world.client(
    (request) => {
      if (request.url.pathname.includes("/images/")) seen.push(seenRequest(request));
      return undefined;
    },
    { machine: { ...machine, image: "own-image" } },
  );
  await runPromise(images.preflight);
  const more = { networks: ["nodes"], firewalls: ["aether"], sshKeys: ["ops:ssh-ed25519 AAAA"], placementGroup: "spread" };
  const whole = { ...machine, ...more, spot: true, identity: "node@fleet-production.iam.gserviceaccount.com" };
  const { instance } = await runPromise(compute.ensure(gcpSpec("n1", { machine: whole })));
  await runPromise(compute.awaitState(instance.id, ["running"], seconds(60)));
  for (const action of ["reboot", "stop-graceful", "start", "stop-hard"] as const)
    await runPromise(compute.power(instance.id, action));
  world.fake.machines.get(...placeOf(instance)).status = "SUSPENDED";
  await runPromise(compute.power(instance.id, "start"));
  await runPromise(compute.label(instance.id, { set: { "aether-ring": "blue" } }));
  await runPromise(compute.list(clusterLabels(cluster.name)));
  await world.edge.addBalancer("edge");
  await runPromise(loadBalancers.register("edge", [instance.id]));
  await runPromise(loadBalancers.deregister("edge", [instance.id], seconds(1)));
  const mine = clusterLabels(cluster.name);
  for (const { ref } of [
    await runPromise(certificates.importPem("edge", edgePem, mine)),
    await runPromise(certificates.ensure("issued", ["a.example", "*.a.example"], mine)),
  ]) {
    await runPromise(certificates.get(ref));
    if (certificates.list !== undefined) await runPromise(certificates.list(mine));
    await runPromise(certificates.delete(ref));
  }
  await world.edge.putSecret("conform/one", "x");
  await runPromise(secrets.resolve({ path: "conform/one" }));
  await runPromise(compute.delete(instance.id));
  await world.close();
  return seen;
}

describe("Google's published models", () => {
  let requests: readonly SeenRequest[] = [];
  beforeAll(async () => {
    requests = await allRequests();
  });

  it("know every request that the provider makes, and the provider makes every one that is kept", () => {
    const checks = requests.map(checkGcpRequest);
    expect(checks.flatMap(({ violations }) => violations)).toEqual([]);
    const names = new Set(gcpOperations.map(([name]) => name));
    expect(new Set(checks.map(({ operation }) => operation))).toEqual(names);
    expect(new Set(Object.keys(gcpModel().operations))).toEqual(names);
  });

  const like = (method: string, path: RegExp): SeenRequest => {
    const found = requests.find((request) => request.method === method && path.test(request.path));
    if (found === undefined) throw new Error(`no ${method} ${path.source} was made`);
    return found;
  };
  const body = (request: SeenRequest, change: Readonly<Record<string, unknown>>): SeenRequest => ({
    ...request,
    body: { ...(request.body as object), ...change },
  });
  const create = (): SeenRequest => like("POST", /\/instances$/);
  const disk = (change: object) => {
    const [one] = (create().body as { readonly disks: readonly object[] }).disks;
    return body(create(), { disks: [{ ...one, ...change }] });
  };

  it.each<[string, () => SeenRequest, string]>([
    ["a field called otherwise", () => body(create(), { machine_type: "x" }), "body.machine_type is not known"],
    ["a name that is none", () => body(create(), { name: "N1_" }), "body.name does not match its pattern"],
    ["a number for a text", () => disk({ diskSizeGb: 20 }), "body.disks[0].diskSizeGb is no string"],
    ["a text for a truth", () => disk({ autoDelete: "true" }), "body.disks[0].autoDelete is no boolean"],
    ["one thing for a list", () => body(create(), { networkInterfaces: {} }), "body.networkInterfaces is no array"],
    ["labels that are no texts", () => body(create(), { labels: { a: 1 } }), "body.labels.a is no string"],
    ["labels as a list", () => body(create(), { labels: [{ key: "a", value: "b" }] }), "body.labels is no object"],
    ["metadata without items", () => body(create(), { metadata: { "user-data": "x" } }), "body.metadata.user-data is not known"],
    [
      "a kind of address that is none",
      () => body(create(), { networkInterfaces: [{ accessConfigs: [{ type: "NAT" }] }] }),
      "body.networkInterfaces[0].accessConfigs[0].type is none of",
    ],
    ["a model of spot that is none", () => body(create(), { scheduling: { provisioningModel: "CHEAP" } }), "is none of"],
    ["what only the vendor says", () => body(create(), { status: "RUNNING" }), "body.status is for the vendor to say"],
    ["no body", () => ({ ...create(), body: undefined }), "body is missing"],
    ["a query called otherwise", () => ({ ...create(), query: [["request_id", "x"]] }), "query.request_id is not known"],
    ["another place", () => ({ ...create(), path: create().path.replace("/zones/", "/regions/") }), "no operation POST"],
    ["the path before v1", () => ({ ...create(), path: create().path.replace("/compute/v1", "/compute") }), "no operation POST"],
    ["another method", () => ({ ...like("POST", /\/stop$/), method: "PUT" }), "no operation PUT"],
    ["a body for a button", () => ({ ...like("POST", /\/stop$/), body: {} }), "a body where none is taken"],
    [
      "the labels' version by another name",
      () => body(like("POST", /\/setLabels$/), { fingerprint: "x" }),
      "body.fingerprint is not known",
    ],
    [
      "pages as another vendor has them",
      () => ({ ...like("GET", /aggregated\/instances$/), query: [["pageSize", "5"]] }),
      "query.pageSize is not known",
    ],
    [
      "endpoints by another name",
      () => body(like("POST", /attachNetworkEndpoints$/), { endpoints: [] }),
      "body.endpoints is not known",
    ],
    [
      "a port as a text",
      () => body(like("POST", /attachNetworkEndpoints$/), { networkEndpoints: [{ port: "80" }] }),
      "body.networkEndpoints[0].port is no integer",
    ],
    ["a certificate without a name", () => ({ ...like("POST", /\/certificates$/), query: [] }), "query.certificateId is missing"],
    [
      "a certificate's chain where only the vendor shows one",
      () => body(like("POST", /\/certificates$/), { pemCertificate: "x" }),
      "body.pemCertificate is for the vendor to say",
    ],
    [
      "another verb for a secret",
      () => ({ ...like("GET", /:access$/), path: like("GET", /:access$/).path.replace(":access", ":read") }),
      "no operation GET",
    ],
  ])("refuse %s", (_, request, violation) => {
    expect(checkGcpRequest(request()).violations.join("; ")).toContain(violation);
  });

  it("refuse answers of a fake that the vendor would not give", () => {
    const name = "GET /compute/v1/projects/{project}/zones/{zone}/instances/{instance}";
    const answer = (change: object) => checkGcpResponse(name, 200, { name: "a", status: "RUNNING", ...change });
    expect(answer({})).toEqual([]);
    expect(answer({ status: "STARTED" })[0]).toContain(".status is none of");
    expect(answer({ id: 7 })).toEqual([`${name} 200.id is no string`]);
    expect(answer({ state: "RUNNING" })).toEqual([`${name} 200.state is not known`]);
    expect(checkGcpResponse(name, 201, {})).toEqual([`${name} never answers 201`]);
  });

  it("are cut out of the vendor's documents with shapes that hold themselves, and without prose", () => {
    const status = { type: "string", description: "[Output Only] How it goes.", pattern: "[a-z]+" } as const;
    const schemas = {
      Any: { type: "object", description: "Anything.", properties: { self: { $ref: "#/components/schemas/Any" }, status } },
    } as const;
    const content = { "application/json": { schema: { $ref: "#/components/schemas/Any" } } };
    const operation = { requestBody: { content }, responses: { "200": { content } } };
    const paths = Object.fromEntries(
      [...new Set(gcpOperations.map(([, , there]) => there))].map((there) => {
        const [method = "", path = ""] = there.split(" ");
        return [path, { get: operation, post: operation, delete: operation, [method.toLowerCase()]: operation }];
      }),
    );
    const kinds = ["Certificate", "DnsAuthorization", "Operation"].map((kind) => [kind, schemas.Any] as const);
    const document = { info: { version: "7" }, paths, components: { schemas: { ...schemas, ...Object.fromEntries(kinds) } } };
    const slice = gcpSlice(() => document);
    expect(slice.definitions?.["compute.Any"]).toEqual({
      type: "object",
      properties: { self: { $ref: "compute.Any" }, status: { type: "string", pattern: "^(?:[a-z]+)$", readOnly: true } },
    });
    expect(slice.operations["GET /compute/v1/projects/{project}"]?.responses).toEqual({ "200": { $ref: "compute.Any" } });
    expect(() => gcpSlice(() => ({ ...document, paths: {} }))).toThrow("compute has no GET /projects/{project}");
  });
});
