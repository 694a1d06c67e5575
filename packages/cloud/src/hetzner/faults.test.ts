/**
 * The fault matrix: whatever the network does to whichever call, and wherever the process is killed, there is one server for
 * each node asked for, labelled from its first moment; doing it again makes none; and a sweep leaves none.
 */
import { seconds } from "effect/Duration";
import { runPromise, type Effect } from "effect/Effect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clusterLabels, labelKeys } from "../labels.ts";
import type { CloudError, CloudProvider } from "../provider.ts";
import { sweepInstances } from "../sweep.ts";
import { killFaults, networkFaults, type Fault } from "../testing/faults.ts";
import { fakeDefaults } from "../testing/hetzner/fake.ts";
import { hetznerOperations } from "../testing/hetzner/operations.ts";
import { cluster, hetznerSpec, makeHetznerWorld, makeServedWorld, ticket, type HetznerWorld } from "../testing/hetzner/world.ts";
import { Killed, type FaultPlan } from "../testing/http-fake.ts";
import type { HttpRequest } from "../http/transport.ts";

const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const names = ["n1", "n2", "n3"];

/** Makes all nodes at once, switches on what is off, and waits until they run. The number that it made. */
async function bringUp({ compute }: CloudProvider, nodes: readonly string[] = names): Promise<number> {
  const made = await Promise.all(nodes.map((name) => run(compute.ensure(hetznerSpec(name)))));
  const off = made.filter(({ instance: { state } }) => state !== "running" && state !== "pending");
  await Promise.all(off.map(({ instance }) => run(compute.power(instance.id, "start"))));
  await Promise.all(made.map(({ instance }) => run(compute.awaitState(instance.id, ["running"], seconds(120)))));
  return made.filter(({ created }) => created).length;
}

/** What may go wrong because of the network, and nothing else. */
function isOfTheNetwork(error: unknown): boolean {
  if (error instanceof Killed) return true;
  const { _tag: tag, kind } = error as { readonly _tag?: string; readonly kind?: string };
  return tag === "Transient" || tag === "Throttled" || tag === "Deadline" || (tag === "Conflict" && kind === "busy");
}

function refuseSecrets(error: unknown): void {
  expect(`${JSON.stringify(error)} ${String(error)}`).not.toMatch(new RegExp(`${ticket}|${fakeDefaults.token}`));
}

/** Does it as a person or a supervisor would: again, in a new process, until it is done. */
async function untilDone<A>(client: () => CloudProvider, work: (client: CloudProvider) => Promise<A>): Promise<A> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work(client());
    } catch (error) {
      if (!isOfTheNetwork(error) || tries > 60) throw error;
      refuseSecrets(error);
    }
  }
}

/** One server for each of the nodes, no other, none without labels, and none was ever made besides. */
function expectExactly({ fake }: HetznerWorld, nodes: readonly string[]): void {
  const nodesOf = [...fake.servers.values()]
    .map(({ labels }) => labels[labelKeys.node])
    .toSorted((a = "", b = "") => (a < b ? -1 : 1));
  expect(nodesOf).toEqual(nodes);
  for (const { labels } of fake.servers.values()) expect(labels).toMatchObject(clusterLabels(cluster.name));
  expect(fake.made).toHaveLength(nodes.length);
  expect(fake.violations).toEqual([]);
}

async function expectQuiet(world: HetznerWorld): Promise<void> {
  expectExactly(world, names);
  expect(await bringUp(world.client())).toBe(0);
  expectExactly(world, names);
}

async function expectSwept(world: HetznerWorld, client: () => CloudProvider): Promise<void> {
  const options = { cluster: cluster.name, expected: names.length, consistencyMs: 3000 };
  await untilDone(client, (one) => run(sweepInstances(one, options, world.clock)));
  expect(world.fake.servers.size).toBe(0);
  expect(world.fake.violations).toEqual([]);
}

const operationOf = ({ method, url }: HttpRequest): string =>
  `${method} ${url.pathname.replace(/^\/v1/, "").replaceAll(/\d+/g, "{id}")}`;

/** This fault, at the first `times` requests of that operation. */
function faultsAt(operation: string, fault: Fault, times: number): FaultPlan & { hits: () => number } {
  let hits = 0;
  const plan: FaultPlan = (request) => {
    if (operationOf(request) !== operation || hits >= times) return undefined;
    hits += 1;
    return fault;
  };
  return Object.assign(plan, { hits: () => hits });
}

/** All that a node's life asks of the vendor. */
async function wholeLife(client: CloudProvider): Promise<void> {
  const { compute } = client;
  await bringUp(client);
  const all = await run(compute.list(clusterLabels(cluster.name)));
  const first = all.find(({ name }) => name === "n1");
  if (first === undefined) throw new Error("n1 was brought up");
  await run(compute.power(first.id, "stop-graceful"));
  await run(compute.power(first.id, "start"));
  await run(compute.power(first.id, "stop-hard"));
  await run(compute.power(first.id, "start"));
  await run(compute.power(first.id, "reboot"));
  await run(compute.label(first.id, { set: { "aether-ring": "blue" } }));
}

const asked = hetznerOperations.filter((name) => name === "GET /actions" || name.includes("/servers"));
const [deletes, lives] = [asked.filter((name) => name.startsWith("DELETE")), asked.filter((name) => !name.startsWith("DELETE"))];

/** Some hundred lives in one test: seconds of work, which a busy machine may stretch. */
const timeout = 240_000;

describe("Hetzner under faults", () => {
  describe.each(lives)("at %s", (operation) => {
    it.each(networkFaults)("%s", async (_, fault) => {
      const world = makeHetznerWorld();
      const plan = faultsAt(operation, fault, 2);
      await untilDone(() => world.client(plan), wholeLife);
      expect(plan.hits()).toBeGreaterThan(0);
      await expectQuiet(world);
      const [first] = await run(world.client().compute.list({ ...clusterLabels(cluster.name), [labelKeys.node]: "n1" }));
      expect(first).toMatchObject({ state: "running", labels: { "aether-ring": "blue" } });
      await expectSwept(world, () => world.client());
    });
  });

  describe.each(deletes)("at %s", (operation) => {
    it.each(networkFaults)("%s", async (_, fault) => {
      const world = makeHetznerWorld();
      await bringUp(world.client());
      const plan = faultsAt(operation, fault, 2);
      await expectSwept(world, () => world.client(plan));
      expect(plan.hits()).toBe(2);
    });
  });

  it.each(killFaults)("%s, at every request of a whole life and its sweep in turn", { timeout }, async (_, fault) => {
    for (let at = 0, wasKilled = true; wasKilled; at += 1) {
      const world = makeHetznerWorld();
      let seen = 0;
      wasKilled = false;
      const plan: FaultPlan = () => {
        wasKilled ||= seen === at;
        seen += 1;
        return seen === at + 1 ? fault : undefined;
      };
      await untilDone(() => world.client(plan), wholeLife);
      await expectQuiet(world);
      await expectSwept(world, () => world.client(plan));
      if (at > 500) throw new Error("a life does not take that many requests");
    }
  });

  it("any schedule of faults, with two processes at it at once", { timeout }, async () => {
    const faults = [...networkFaults, ...killFaults].map(([, fault]) => fault);
    const schedule = fc.array(fc.option(fc.constantFrom(...faults), { freq: 2 }), { maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(schedule, schedule, fc.nat(), async (one, other, seed) => {
        const world = makeHetznerWorld({}, seed);
        // Each schedule goes on where the killed process before left off, and ends; then all is well.
        const planOf = (faultsToCome: readonly (Fault | null)[]): FaultPlan => {
          let at = 0;
          return () => faultsToCome[at++] ?? undefined;
        };
        const [first, second] = [planOf(one), planOf(other)];
        await Promise.all([untilDone(() => world.client(first), bringUp), untilDone(() => world.client(second), bringUp)]);
        await expectQuiet(world);
        const last = planOf([...other, ...one]);
        await expectSwept(world, () => world.client(last));
      }),
      { numRuns: 60, seed: 20_261_122 },
    );
  });

  it.each(networkFaults)("over real HTTP, at the create: %s", async (name, fault) => {
    const plan = faultsAt("POST /servers", fault, 2);
    const served: FaultPlan = (request, at) => plan({ ...request, url: new URL(`http://fake/v1${request.url.pathname}`) }, at);
    // Real time: enough for a busy machine, except where the answer is meant not to come.
    const world = await makeServedWorld(served, name.includes("does not end") ? 1_000 : 30_000);
    try {
      await untilDone(
        () => world.provider,
        (client) => bringUp(client, ["n1"]),
      );
      expect(plan.hits()).toBeGreaterThan(0);
      expectExactly(world, ["n1"]);
      expect(await bringUp(world.another, ["n1"])).toBe(0);
    } finally {
      await world.close();
    }
  });
});
