/** Every request that the provider makes, against the vendor's published model; and proof that the model would say no. */
import { runPromise } from "effect/Effect";
import { seconds } from "effect/Duration";
import { make as redact } from "effect/Redacted";
import { beforeAll, describe, expect, it } from "vitest";
import type { HttpRequest } from "../http/transport.ts";
import { clusterLabels } from "../labels.ts";
import { hetznerModel, pagingNames } from "../testing/hetzner/fake.ts";
import { hetznerOperations } from "../testing/hetzner/operations.ts";
import { cluster, hetznerSpec, makeHetznerWorld } from "../testing/hetzner/world.ts";
import { sliceOf } from "../testing/openapi-slice.ts";
import { checkRequest, checkResponse, type ModelRequest } from "../testing/openapi-check.ts";

const asModelRequest = ({ method, url, body }: HttpRequest): ModelRequest => ({
  method,
  path: url.pathname.replace(/^\/v1/, ""),
  query: [...url.searchParams],
  body: body === null ? undefined : (JSON.parse(Buffer.from(body).toString()) as unknown),
});

/** One of each request that the provider can make. */
async function allRequests(): Promise<readonly ModelRequest[]> {
  const world = makeHetznerWorld();
  const seen: ModelRequest[] = [];
  const {
    compute,
    loadBalancers: lbs,
    certificates,
    preflight,
  } = world.client((request) => {
    seen.push(asModelRequest(request));
    return undefined;
  });
  world.fake.addBalancer("edge", [1]);
  const machine = { size: "cx22", image: "debian-12", publicIp: true, networks: ["11"], firewalls: ["12"], sshKeys: ["ops"] };
  await runPromise(preflight);
  const { instance } = await runPromise(compute.ensure(hetznerSpec("n1", { machine: { ...machine, placementGroup: "13" } })));
  await runPromise(compute.awaitState(instance.id, ["running"], seconds(60)));
  for (const action of ["reboot", "stop-graceful", "start", "stop-hard"] as const)
    await runPromise(compute.power(instance.id, action));
  await runPromise(compute.label(instance.id, { set: { "aether-ring": "blue" } }));
  await runPromise(compute.list(clusterLabels(cluster.name)));
  if (lbs !== undefined) {
    await runPromise(lbs.register("edge", [instance.id]));
    await runPromise(lbs.deregister("edge", [instance.id], seconds(1)));
  }
  if (certificates !== undefined) {
    const pem = { chain: "-----BEGIN CERTIFICATE-----", key: redact("-----BEGIN PRIVATE KEY-----") };
    const { ref } = await runPromise(certificates.importPem("edge", pem, clusterLabels(cluster.name)));
    await runPromise(certificates.get(ref));
    await runPromise(certificates.delete(ref));
  }
  await runPromise(compute.delete(instance.id));
  await world.close();
  return seen;
}

describe("Hetzner's published model", () => {
  let requests: readonly ModelRequest[] = [];
  beforeAll(async () => {
    requests = await allRequests();
  });
  const check = (request: ModelRequest) => checkRequest(hetznerModel, request, pagingNames);

  it("knows every request that the provider makes, and the provider makes every one that is kept", () => {
    const checks = requests.map(check);
    expect(checks.flatMap(({ violations }) => violations)).toEqual([]);
    expect(new Set(checks.map(({ operation }) => operation))).toEqual(new Set(hetznerOperations));
    expect(new Set(Object.keys(hetznerModel.operations))).toEqual(new Set(hetznerOperations));
  });

  const like = (method: string, path: RegExp): ModelRequest => {
    const found = requests.find((request) => request.method === method && path.test(request.path));
    if (found === undefined) throw new Error(`no ${method} ${path.source} was made`);
    return found;
  };
  const create = (): ModelRequest & { body: Record<string, unknown> } => {
    const found = requests.findLast((request) => request.method === "POST" && request.path === "/servers");
    return { ...like("POST", /^\/servers$/), body: found?.body as Record<string, unknown> };
  };

  it.each<[string, () => ModelRequest, string]>([
    [
      "a field called otherwise",
      () => ({ ...create(), body: { ...create().body, userData: "x" } }),
      "body.userData is not known",
    ],
    [
      "a field left out",
      () => ({ ...create(), body: { ...create().body, server_type: undefined } }),
      "body.server_type is missing",
    ],
    [
      "a text for a truth",
      () => ({ ...create(), body: { ...create().body, start_after_create: "true" } }),
      "body.start_after_create is no boolean",
    ],
    ["ids as texts", () => ({ ...create(), body: { ...create().body, networks: ["11"] } }), "body.networks[0] is no integer"],
    [
      "bare ids of firewalls",
      () => ({ ...create(), body: { ...create().body, firewalls: [12] } }),
      "body.firewalls[0] is no object",
    ],
    ["a null", () => ({ ...create(), body: { ...create().body, location: null } }), "body.location is null"],
    ["no body", () => ({ ...create(), body: undefined }), "body is missing"],
    ["a path that is none", () => ({ ...create(), path: "/server" }), "no operation POST /server"],
    ["another method", () => ({ ...like("POST", /poweroff$/), method: "PUT" }), "no operation PUT"],
    ["a name for an id", () => ({ ...like("GET", /^\/servers\/\d+$/), path: "/servers/n1" }), "path.id is no integer"],
    ["a query that is none", () => ({ ...like("GET", /^\/servers$/), query: [["labels", "a=b"]] }), "query.labels is not known"],
    ["an order that is none", () => ({ ...like("GET", /^\/servers$/), query: [["sort", "age"]] }), "query.sort is none of"],
    ["pages of one thing", () => ({ ...like("GET", /^\/servers\/\d+$/), query: [["page", "2"]] }), "query.page is not known"],
    [
      "a target of another kind",
      () => ({ ...like("POST", /add_target$/), body: { type: "instance", server: { id: 1 } } }),
      "body.type is none of",
    ],
    ["a body for a button", () => ({ ...like("POST", /shutdown$/), body: {} }), "a body where none is taken"],
  ])("refuses %s", (_, request, violation) => {
    expect(check(request()).violations.join("; ")).toContain(violation);
  });

  it("keeps the shapes of a vendor's document and drops the prose, also around a field called description", () => {
    const field = { type: "string", description: "what it is", example: "x" } as const;
    const schema = { type: "object", title: "Thing", required: ["description"], properties: { description: field } } as const;
    const operation = {
      parameters: [{ name: "id", in: "path", required: true, schema: field }],
      requestBody: { content: { "application/json": { schema } } },
      responses: { "200": { content: { "application/json": { schema } } }, "204": {} },
    };
    const bare = { type: "object", required: ["description"], properties: { description: { type: "string" } } };
    expect(sliceOf({ info: { version: "7" }, paths: { "/things/{id}": { put: operation } } }, ["PUT /things/{id}"])).toEqual({
      version: "7",
      operations: {
        "PUT /things/{id}": {
          parameters: [{ name: "id", in: "path", required: true, schema: { type: "string" } }],
          body: bare,
          responses: { "200": bare, "204": null },
        },
      },
    });
    expect(() => sliceOf({ info: { version: "7" }, paths: {} }, ["GET /x"])).toThrow("the document has no GET /x");
  });

  it("refuses answers of a fake that the vendor would not give", () => {
    const answer = (status: number, body: unknown) => checkResponse(hetznerModel, "GET /locations", status, body, "meta");
    const location = { id: 1, name: "a", description: "", country: "", city: "", latitude: 1, longitude: 1, network_zone: "" };
    expect(answer(200, { locations: [location] })).toEqual([]);
    expect(answer(200, { locations: [{ ...location, name: 5 }] })).toEqual(["GET /locations 200.locations[0].name is no string"]);
    expect(answer(200, { locations: [{ ...location, zone: "a" }] })).toEqual([
      "GET /locations 200.locations[0].zone is not known",
    ]);
    expect(answer(200, {})).toEqual(["GET /locations 200.locations is missing"]);
    expect(answer(201, { locations: [] })).toEqual(["GET /locations never answers 201"]);
  });
});
