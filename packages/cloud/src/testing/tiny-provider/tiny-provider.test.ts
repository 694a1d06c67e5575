/** A sixth provider, as the guide says to write one: the suites that it is held against are the ones of the real four. */
import { flip, runPromise } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import { conformance } from "../conformance.ts";
import { faultMatrix } from "../fault-matrix.ts";
import { tinyToken } from "./fake.ts";
import { cluster, makeServedTinyWorld, makeTinyWorld, ticket, tinySpec } from "./world.ts";

conformance("tiny", () => Promise.resolve(makeTinyWorld()));
conformance("tiny over HTTP", makeServedTinyWorld);

faultMatrix("tiny", {
  cluster: cluster.name,
  makeWorld: (seed) => {
    const world = makeTinyWorld(seed);
    const { fake, clock } = world;
    const living = () => [...fake.machines.values()].map(({ row }) => row.labels);
    return { clock, client: (plan) => world.client(plan), living, made: () => fake.made, violations: () => [] };
  },
  spec: tinySpec,
  callOf: ({ method, url }) => `${method} ${url.pathname.replace(/\/m\d+/, "/{id}")}`,
  lifeCalls: [
    "POST /machines",
    "GET /machines",
    "GET /machines/{id}",
    "POST /machines/{id}/power",
    "PATCH /machines/{id}/labels",
  ],
  sweepCalls: ["GET /machines", "DELETE /machines/{id}"],
  secrets: [ticket, tinyToken],
});

describe("the tiny cloud", () => {
  it("shows no user data that it throws back", async () => {
    const { provider } = makeTinyWorld();
    const { machine, ...spec } = tinySpec("n1");
    if (machine === undefined) throw new Error("tinySpec has a machine");
    const nowhere = { ...spec, machine: { ...machine, size: "" }, userData: redact(`ticket ${ticket}`) };
    const error = await runPromise(flip(provider.compute.ensure(nowhere)));
    expect(error).toMatchObject({ _tag: "Invalid", code: "wrong", message: expect.stringContaining("<redacted>") as string });
    expect(JSON.stringify(error)).not.toContain(ticket);
  });
});
