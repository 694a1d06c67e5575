/** Conformance again, with Prism between the provider and its fake: two programs of ours cannot agree on the same mistake. */
import { zero } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HttpRequest, HttpResponse } from "../http/transport.ts";
import { clusterLabels } from "../labels.ts";
import { conformance } from "../testing/conformance.ts";
import { FakeHetzner, fakeDefaults, hetznerModel } from "../testing/hetzner/fake.ts";
import { hetznerOperations } from "../testing/hetzner/operations.ts";
import { cluster, hetznerSpec, makeServedWorld, noFaults, type HetznerWorld } from "../testing/hetzner/world.ts";
import { serveFake, type ServedFake } from "../testing/http-fake.ts";
import { documentOf, PrismWatch } from "../testing/prism.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";

const error = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message"],
      properties: { code: { type: "string" }, message: { type: "string" } },
    },
  },
} as const;

const watch = new PrismWatch(documentOf(hetznerModel, { error, isClosed: true }));
const calls = new Set<string>();

async function makeWorld(): Promise<HetznerWorld> {
  const world = await makeServedWorld(noFaults, undefined, async (url) => (await watch.before(url)).url);
  return {
    ...world,
    close: async () => {
      await world.close();
      for (const call of world.fake.calls) calls.add(call);
      expect(await watch.close()).toEqual([]);
    },
  };
}

conformance("hetzner behind Prism", makeWorld);

describe("Prism", () => {
  const { token } = fakeDefaults;
  const clock = new VirtualClock();
  const fake = new FakeHetzner({ now: clock.now });
  /** What the next answer says instead. */
  let bend: (response: HttpResponse) => HttpResponse = (response) => response;
  let served: ServedFake;
  beforeAll(async () => {
    const handle = (request: HttpRequest): HttpResponse => bend(fake.handle(request));
    served = await serveFake({ handle, refusal: fake.refusal }, "/v1", noFaults);
  });
  afterAll(() => served.close());

  const said = async (method: string, path: string, body: unknown, authorization = `Bearer ${token}`) => {
    const proxy = await watch.before(served.url);
    const headers = { authorization, "content-type": "application/json" };
    await fetch(`${proxy.url}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    bend = (response) => response;
    return (await watch.close()).join("; ");
  };
  const server = { name: "a", server_type: "cx22", image: "debian-12" };
  const answered = (change: (body: Record<string, unknown>) => unknown) => {
    bend = (response) => {
      const body = JSON.parse(Buffer.from(response.body).toString()) as Record<string, unknown>;
      return { ...response, body: Buffer.from(JSON.stringify(change(body))) };
    };
  };

  it("has seen every call that the provider can make", async () => {
    const world = await makeWorld();
    const { compute, loadBalancers: lbs, certificates } = world.provider;
    world.fake.addBalancer("edge", [1]);
    const { instance } = await runPromise(compute.ensure(hetznerSpec("n1")));
    const pem = { chain: "-----BEGIN CERTIFICATE-----", key: redact("-----BEGIN PRIVATE KEY-----") };
    if (lbs === undefined || certificates === undefined) throw new Error("Hetzner has both");
    await runPromise(lbs.register("edge", [instance.id]));
    await runPromise(lbs.deregister("edge", [instance.id], zero));
    const { ref } = await runPromise(certificates.importPem("edge", pem, clusterLabels(cluster.name)));
    await runPromise(certificates.get(ref));
    await runPromise(certificates.delete(ref));
    await world.close();
    expect(calls).toEqual(new Set(hetznerOperations));
    expect(watch.exchanges).toBeGreaterThan(200);
  });

  it("has nothing against what is right", async () => {
    expect(await said("POST", "/servers", server)).toBe("");
    expect(await said("GET", "/servers?label_selector=a%3Db", undefined)).toBe("");
  });

  it.each([
    ["a number for a text", { ...server, name: 5 }, "request.body.name"],
    [
      "a field left out",
      { name: "a", image: "debian-12" },
      "request.body Request body must have required property 'server_type'",
    ],
    ["ids as texts", { ...server, networks: ["11"] }, "request.body.networks"],
    ["a field of another vendor's", { ...server, UserData: "x" }, "UserData"],
  ])("refuses a request with %s", async (_, body, violation) => {
    expect(await said("POST", "/servers", body)).toContain(violation);
  });

  it("refuses a request without a token, and one that the document does not have", async () => {
    expect(await said("GET", "/servers", undefined, "")).toContain("Invalid security scheme used");
    expect(await said("GET", "/machines", undefined)).toContain("Selected route not found");
  });

  it("refuses a wrong type, a missing field and an unknown status of the fake's", async () => {
    answered((body) => ({ ...body, servers: "none" }));
    expect(await said("GET", "/servers", undefined)).toContain("response.body.servers");
    answered(({ meta }) => ({ meta }));
    expect(await said("GET", "/servers", undefined)).toContain("response.body");
    bend = (response) => ({ ...response, status: 206 });
    expect(await said("GET", "/servers", undefined)).toContain("Unable to match the returned status code");
  });
});
