/** Every request that the provider makes, against the vendor's model; and proof that the model would say no. */
import { seconds } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { beforeAll, describe, expect, it } from "vitest";
import type { HttpRequest } from "../http/transport.ts";
import { clusterLabels } from "../labels.ts";
import type { CloudProvider } from "../provider.ts";
import { azureModel, group, pagingNames } from "../testing/azure/fake.ts";
import { converter, operationModel, type Mapper } from "../testing/azure/model.ts";
import { azureOperations } from "../testing/azure/operations.ts";
import { azureSpec, cluster, makeAzureWorld } from "../testing/azure/world.ts";
import { edgePem } from "../testing/edge-pem.ts";
import { checkRequest, checkResponse, type JsonSchema, type ModelRequest } from "../testing/openapi-check.ts";

const asModelRequest = ({ method, url, body }: HttpRequest): ModelRequest => ({
  method,
  path: url.pathname,
  query: [...url.searchParams],
  body: body === null ? undefined : (JSON.parse(Buffer.from(body).toString()) as unknown),
});
const isModelled = ({ url }: HttpRequest): boolean => !/\/token$|\/operations\//.test(url.pathname);

const machine = {
  size: "Standard_B2s",
  image: "Debian:debian-12:12-gen2:latest",
  zone: "2",
  publicIp: true,
  networks: ["aether/nodes"],
  firewalls: ["nodes"],
  sshKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBHK9Zq6Yvo8pmhjHTBKvQ4QzRSrWNDzm0Yp8Zs1x1qN ops"],
  placementGroup: "near",
  spot: true,
  identity: "aether-node",
};

/** One of each request that the provider can make. */
async function allRequests(): Promise<readonly ModelRequest[]> {
  const world = makeAzureWorld({ showsMaking: false });
  const seen: ModelRequest[] = [];
  const plan = (request: HttpRequest) => {
    if (isModelled(request)) seen.push(asModelRequest(request));
    return undefined;
  };
  const client = world.client(plan);
  const { compute } = client;
  for (const image of [
    `${group}/providers/Microsoft.Compute/images/golden`,
    galleryImage,
    "Debian:debian-12:12-gen2:0.20260101.1",
  ]) {
    await runPromise(world.client(plan, { machine: { ...machine, image } }).preflight);
  }
  await runPromise(client.preflight);
  const { instance } = await runPromise(compute.ensure(azureSpec("n1", { machine })));
  await runPromise(compute.awaitState(instance.id, ["running"], seconds(60)));
  for (const action of ["reboot", "stop-graceful", "start", "stop-hard"] as const)
    await runPromise(compute.power(instance.id, action));
  await runPromise(compute.label(instance.id, { set: { "aether-ring": "blue" } }));
  await runPromise(compute.label(instance.id, { unset: ["aether-ring"] }));
  await runPromise(compute.list(clusterLabels(cluster.name)));
  await edgeRequests(world.fake, client, instance.id);
  await runPromise(compute.delete(instance.id));
  await world.close();
  return seen;
}

const galleryImage = `${group}/providers/Microsoft.Compute/galleries/ours/images/aether/versions/1.0.0`;

async function edgeRequests(
  fake: ReturnType<typeof makeAzureWorld>["fake"],
  { loadBalancers: lbs, certificates, secrets }: CloudProvider,
  instance: Parameters<CloudProvider["compute"]["get"]>[0],
): Promise<void> {
  if (lbs === undefined || certificates === undefined || secrets === undefined) throw new Error("Azure has all of them");
  fake.pools.add("edge");
  await runPromise(lbs.register("edge", [instance]));
  await runPromise(lbs.deregister("edge/nodes", [instance], seconds(1)));
  const version = fake.vault.putSecret("conform-one", "1");
  await runPromise(secrets.resolveAll([{ path: "conform/one" }, { path: "conform/one", version }]));
  const labels = clusterLabels(cluster.name);
  await runPromise(certificates.ensure("made", ["a.example"], labels));
  const { ref } = await runPromise(certificates.importPem("edge", edgePem, labels));
  if (certificates.list !== undefined) await runPromise(certificates.list(labels));
  await runPromise(certificates.delete(ref));
}

describe("Azure's published model", () => {
  let requests: readonly ModelRequest[] = [];
  beforeAll(async () => {
    requests = await allRequests();
  });
  const check = (request: ModelRequest) => checkRequest(azureModel, request, pagingNames);

  it("knows every request that the provider makes, and the provider makes every one that is kept", () => {
    const checks = requests.map(check);
    expect(checks.flatMap(({ violations }) => violations)).toEqual([]);
    const kept = Object.keys(azureModel.operations);
    expect(kept).toHaveLength(azureOperations.length);
    expect(kept.filter((name) => !checks.some(({ operation }) => operation === name))).toEqual([]);
  });

  const like = (method: string, path: RegExp): ModelRequest => {
    const found = requests.find((request) => request.method === method && path.test(request.path));
    if (found === undefined) throw new Error(`no ${method} ${path.source} was made`);
    return found;
  };
  type Node = Record<string, unknown>;
  const put = (path: RegExp, change: (body: Node) => void) => (): ModelRequest => {
    const request = structuredClone(like("PUT", path));
    change(request.body as Node);
    return request;
  };
  const at = (node: unknown, ...path: readonly (string | number)[]): Node =>
    path.reduce<unknown>((found, key) => (found as Record<string | number, unknown>)[key], node) as Node;
  const vm = /virtualMachines\/[^/]+$/;
  const pool = /backendAddressPools/;
  const card = ["properties", "networkProfile", "networkInterfaceConfigurations", 0] as const;

  it.each<[string, () => ModelRequest, string]>([
    [
      "a field called otherwise",
      put(vm, (body) => (at(body, "properties")["customData"] = "x")),
      "body.properties.customData is not known",
    ],
    ["a field left out", put(vm, (body) => delete body["location"]), "body.location is missing"],
    [
      "a card without a name",
      put(vm, (body) => delete at(body, ...card)["name"]),
      "networkInterfaceConfigurations[0].name is missing",
    ],
    [
      "a subnet where a card is wanted",
      put(vm, (body) => (at(body, ...card, "properties")["subnet"] = { id: "x" })),
      "networkInterfaceConfigurations[0].properties.subnet is not known",
    ],
    ["one zone for a list of them", put(vm, (body) => (body["zones"] = "2")), "body.zones is no array"],
    ["a number among tags", put(vm, (body) => (at(body, "tags")["aether-attempt"] = 1)), "body.tags.aether-attempt is no string"],
    [
      "what only the vendor says",
      put(vm, (body) => (at(body, "properties")["vmId"] = "x")),
      "body.properties.vmId is for the vendor",
    ],
    ["a null", put(vm, (body) => (at(body, "properties")["osProfile"] = null)), "body.properties.osProfile is null"],
    ["a text for a truth", put(vm, (body) => (at(body, ...card, "properties")["primary"] = "true")), "primary is no boolean"],
    ["a pool's etag in its body", put(pool, (body) => (body["etag"] = "x")), "body.etag is for the vendor"],
    ["an address without its properties", put(pool, (body) => (body["loadBalancerBackendAddresses"] = [])), "is not known"],
    [
      "another version of the API",
      () => ({ ...like("GET", vm), query: [["api-version", "2019-03-01"]] }),
      "query.api-version is none of",
    ],
    ["no version", () => ({ ...like("GET", vm), query: [] }), "query.api-version is missing"],
    [
      "a query that is none",
      () => ({ ...like("DELETE", vm), query: [...like("DELETE", vm).query, ["force", "true"]] }),
      "query.force is not",
    ],
    ["another method", () => ({ ...like("POST", /powerOff$/), method: "PUT" }), "no operation PUT"],
    ["a path that is none", () => ({ ...like("GET", vm), path: "/subscriptions/a/virtualMachines" }), "no operation GET"],
    ["a body for a button", () => ({ ...like("POST", /start$/), body: {} }), "a body where none is taken"],
    [
      "a tag operation without tags",
      () => ({ ...like("PATCH", /tags/), body: { operation: "Merge", tags: {} } }),
      "body.tags is not known",
    ],
    ["a certificate without its text", () => ({ ...like("POST", /import$/), body: { tags: {} } }), "body.value is missing"],
  ])("refuses %s", (_, request, violation) => {
    expect(check(request()).violations.join("; ")).toContain(violation);
  });

  it("refuses answers of a fake that the vendor would not give", () => {
    const name = "GET /subscriptions/{subscriptionId}/resourcegroups/{resourceGroupName}";
    const answer = (status: number, body: unknown) => checkResponse(azureModel, name, status, body, "nextLink");
    expect(answer(200, { name: "g", location: "westeurope" })).toEqual([]);
    expect(answer(200, { name: "g" })).toEqual([`${name} 200.location is missing`]);
    expect(answer(200, { name: "g", location: "westeurope", zone: "1" })).toEqual([`${name} 200.zone is not known`]);
    expect(answer(202, {})).toEqual([`${name} never answers 202`]);
  });

  it("is cut out of the vendor's clients: flat fields become nested, shapes are shared, and may hold themselves", () => {
    const composite = (className: string) => ({ type: { name: "Composite", className } });
    const mappers: Record<string, Mapper> = {
      Thing: {
        type: {
          name: "Composite",
          modelProperties: {
            size: { serializedName: "properties.size", required: true, type: { name: "Enum", allowedValues: ["s", "l"] } },
            at: { serializedName: "properties.made\\.at", readOnly: true, type: { name: "DateTime" } },
            parts: { serializedName: "parts", type: { name: "Sequence", element: composite("Thing") } },
          },
        },
      },
    };
    const definitions: Record<string, JsonSchema> = {};
    const schemaOf = converter(mappers, "x", definitions);
    const version = { mapper: { serializedName: "api-version", isConstant: true, defaultValue: "1", type: { name: "String" } } };
    const spec = { path: "/things", httpMethod: "GET", responses: { 200: { bodyMapper: composite("Thing") }, default: {} } };
    expect(operationModel({ ...spec, queryParameters: [version] }, schemaOf)).toEqual({
      parameters: [{ name: "api-version", in: "query", required: true, schema: { type: "string", enum: ["1"] } }],
      body: null,
      responses: { "200": { $ref: "x.Thing" } },
    });
    const properties = {
      type: "object",
      properties: { size: { type: "string", enum: ["s", "l"] }, "made.at": { type: "string", readOnly: true } },
      required: ["size"],
    };
    const parts = { type: "array", items: { $ref: "x.Thing" } };
    expect(definitions).toEqual({ "x.Thing": { type: "object", properties: { properties, parts } } });
  });
});
