/** Conformance again, with Prism between the provider and its fake of Compute Engine. Its other services' paths Prism cannot tell apart. */
import { zero } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { describe, expect, it } from "vitest";
import { conformance } from "../testing/conformance.ts";
import type { HttpResponse } from "../http/transport.ts";
import { serveFake } from "../testing/http-fake.ts";
import { gcpModel } from "../testing/gcp/model.ts";
import { gcpSpec, makeServedWorld, noFaults, type GcpWorld } from "../testing/gcp/world.ts";
import { documentOf, PrismWatch } from "../testing/prism.ts";

const error = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message"],
      properties: { code: { type: "integer" }, message: { type: "string" } },
    },
  },
} as const;

const whole = gcpModel();
const operations = Object.entries(whole.operations).filter(([name]) => name.includes(" /compute/"));
const watch = new PrismWatch(documentOf({ ...whole, operations: Object.fromEntries(operations) }, { error }));

async function makeWorld(): Promise<GcpWorld> {
  const world = await makeServedWorld(noFaults, undefined, async (url) => (await watch.before(url)).url);
  return {
    ...world,
    close: async () => {
      await world.close();
      expect(await watch.close()).toEqual([]);
    },
  };
}

conformance("gcp behind Prism", makeWorld);

describe("Prism before Compute Engine", () => {
  it("has seen load balancers too, and all of it", async () => {
    const world = await makeWorld();
    const { compute, loadBalancers: lbs } = world.provider;
    await world.edge.addBalancer("edge");
    const { instance } = await runPromise(compute.ensure(gcpSpec("n1")));
    if (lbs === undefined) throw new Error("GCP has load balancers");
    await runPromise(lbs.register("edge", [instance.id]));
    await runPromise(lbs.targets("edge"));
    await runPromise(lbs.deregister("edge", [instance.id], zero));
    await world.close();
    expect(watch.exchanges).toBeGreaterThan(200);
  });

  it("refuses what Compute Engine would not take, and what its fake must not say", async () => {
    let answer: object = { name: "operation-1", status: "DONE" };
    const handle = (): HttpResponse => ({
      status: 200,
      headers: { "content-type": "application/json" },
      body: Buffer.from(JSON.stringify(answer)),
    });
    const served = await serveFake({ handle, refusal: handle }, "", noFaults);
    const said = async (body: unknown): Promise<string> => {
      const { url } = await watch.before(served.url);
      const headers = { authorization: "Bearer x", "content-type": "application/json" };
      await fetch(`${url}/compute/v1/projects/p/zones/z/instances`, { method: "POST", headers, body: JSON.stringify(body) });
      return (await watch.close()).join("; ");
    };
    expect(await said({ name: "a", labels: { a: "b" } })).toBe("");
    expect(await said({ name: "a", labels: { a: 1 } })).toContain("request.body.labels.a");
    expect(await said({ disks: { boot: true } })).toContain("request.body.disks");
    answer = { name: "operation-1", status: "FINISHED" };
    expect(await said({ name: "a" })).toContain("response.body.status");
    answer = { name: 1 };
    expect(await said({ name: "a" })).toContain("response.body.name");
    await served.close();
  });
});
