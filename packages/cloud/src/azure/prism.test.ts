/** Conformance again, with Prism between the provider and its fake of Azure's Resource Manager. */
import { zero } from "effect/Duration";
import { runPromise } from "effect/Effect";
import { describe, expect, it } from "vitest";
import type { HttpResponse } from "../http/transport.ts";
import { azureModel } from "../testing/azure/fake.ts";
import { azureSpec, makeServedWorld, noFaults, type AzureWorld } from "../testing/azure/world.ts";
import { conformance } from "../testing/conformance.ts";
import { serveFake } from "../testing/http-fake.ts";
import type { ModelSlice, OperationModel } from "../testing/openapi-check.ts";
import { documentOf, PrismWatch } from "../testing/prism.ts";

const text = { type: "string" } as const;
const error = {
  type: "object",
  required: ["error"],
  properties: { error: { type: "object", required: ["code", "message"], properties: { code: text, message: text } } },
} as const;

/** What goes on after an answer, as the vendor's guide to its Resource Manager says; no document of its services has it. */
const progress: OperationModel = {
  parameters: ["subscription", "location", "id"].map((name) => ({ name, in: "path", required: true, schema: text })),
  body: null,
  responses: {
    "200": { type: "object", required: ["status"], properties: { name: text, status: text, error: { type: "object" } } },
  },
};
const progressOf = (space: string): readonly [string, OperationModel] => [
  `GET /subscriptions/{subscription}/providers/${space}/locations/{location}/operations/{id}`,
  progress,
];
const managed = Object.entries(azureModel.operations).filter(([name]) => name.includes(" /subscriptions/"));
const model: ModelSlice = {
  ...azureModel,
  operations: Object.fromEntries([...managed, progressOf("Microsoft.Compute"), progressOf("Microsoft.Network")]),
};
const watch = new PrismWatch(documentOf(model, { error }));

async function makeWorld(): Promise<AzureWorld> {
  const world = await makeServedWorld(noFaults, undefined, async (url) => (await watch.before(url)).url);
  return {
    ...world,
    close: async () => {
      await world.close();
      expect(await watch.close()).toEqual([]);
    },
  };
}

conformance("azure behind Prism", makeWorld);

describe("Prism before the Resource Manager", () => {
  it("has seen load balancers too, and all of it", async () => {
    const world = await makeWorld();
    const { compute, loadBalancers: lbs } = world.provider;
    await world.edge.addBalancer("edge");
    const { instance } = await runPromise(compute.ensure(azureSpec("n1")));
    if (lbs === undefined) throw new Error("Azure has load balancers");
    await runPromise(lbs.register("edge", [instance.id]));
    await runPromise(lbs.targets("edge"));
    await runPromise(lbs.deregister("edge", [instance.id], zero));
    await world.close();
    expect(watch.exchanges).toBeGreaterThan(200);
  });

  it("refuses what it would not take, and what its fake must not say", async () => {
    let answer: object = {};
    const handle = (): HttpResponse => ({
      status: 200,
      headers: { "content-type": "application/json" },
      body: Buffer.from(JSON.stringify(answer)),
    });
    const served = await serveFake({ handle, refusal: handle }, "", noFaults);
    const said = async (body: unknown): Promise<string> => {
      const { url } = await watch.before(served.url);
      const path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/a?api-version=2024-11-01";
      const headers = { authorization: "Bearer x", "content-type": "application/json" };
      await fetch(`${url}${path}`, { method: "PUT", headers, body: JSON.stringify(body) });
      return (await watch.close()).join("; ");
    };
    answer = { location: "westeurope", tags: { a: "b" } };
    expect(await said({ location: "westeurope" })).toBe("");
    expect(await said({ location: 5 })).toContain("request.body.location");
    expect(await said({ location: "westeurope", zones: "1" })).toContain("request.body.zones");
    answer = { location: "westeurope", tags: "none" };
    expect(await said({ location: "westeurope" })).toContain("response.body.tags");
    await served.close();
  });
});
