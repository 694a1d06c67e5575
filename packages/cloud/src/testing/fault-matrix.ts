/**
 * The fault matrix for any provider: whatever the network does to whichever call, and wherever the process is killed, there is one
 * instance for each node asked for, labelled from its first moment; doing it again makes none; and a sweep leaves none.
 */
import { seconds } from "effect/Duration";
import { runPromise, type Effect } from "effect/Effect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HttpRequest } from "../http/transport.ts";
import { clusterLabels, labelKeys } from "../labels.ts";
import type { CloudError, CloudProvider, InstanceSpec, Labels } from "../provider.ts";
import { sweepInstances } from "../sweep.ts";
import { killFaults, networkFaults, type Fault } from "./faults.ts";
import { Killed, type FaultPlan } from "./http-fake.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** A fresh vendor for one run. */
export interface FaultWorld {
  readonly clock: VirtualClock;
  /** A client as a process of its own would be: nothing shared but the vendor. */
  readonly client: (plan?: FaultPlan) => CloudProvider;
  /** Labels of all instances that exist, straight from the vendor's books. */
  readonly living: () => readonly Labels[];
  /** How many were ever made. */
  readonly made: () => number;
  /** Requests and answers that do not fit the vendor's model. */
  readonly violations: () => readonly string[];
}

export interface FaultSubject {
  readonly cluster: string;
  readonly makeWorld: (seed: number) => FaultWorld;
  readonly spec: (name: string) => InstanceSpec;
  /** What kind of call a request is. */
  readonly callOf: (request: HttpRequest) => string;
  /** The kinds of which a whole life makes at least one, and those of a sweep. */
  readonly lifeCalls: readonly string[];
  readonly sweepCalls: readonly string[];
  /** What may stand in no error: the token, what is in user data. */
  readonly secrets: readonly string[];
}

export const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const names = ["n1", "n2", "n3"];
/** Some hundred lives in one test: seconds of work, which a busy machine may stretch. */
const timeout = 240_000;

/** What may go wrong because of the network, and nothing else. */
function isOfTheNetwork(error: unknown): boolean {
  if (error instanceof Killed) return true;
  const { _tag: tag, kind } = error as { readonly _tag?: string; readonly kind?: string };
  return tag === "Transient" || tag === "Throttled" || tag === "Deadline" || (tag === "Conflict" && kind === "busy");
}

/** Makes the nodes at once, switches on what is off, and waits until they run. The number that it made. */
export async function bringUp({ compute }: CloudProvider, specs: readonly InstanceSpec[]): Promise<number> {
  const made = await Promise.all(specs.map((spec) => run(compute.ensure(spec))));
  const off = made.filter(({ instance: { state } }) => state !== "running" && state !== "pending");
  await Promise.all(off.map(({ instance }) => run(compute.power(instance.id, "start"))));
  await Promise.all(made.map(({ instance }) => run(compute.awaitState(instance.id, ["running"], seconds(120)))));
  return made.filter(({ created }) => created).length;
}

/** Does it as a person or a supervisor would: again, in a new process, until it is done. */
export async function untilDone<A>(
  secrets: readonly string[],
  client: () => CloudProvider,
  work: (client: CloudProvider) => Promise<A>,
): Promise<A> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work(client());
    } catch (error) {
      if (!isOfTheNetwork(error) || tries > 60) throw error;
      const shown = `${JSON.stringify(error)} ${String(error)}`;
      expect(secrets.filter((secret) => shown.includes(secret))).toEqual([]);
    }
  }
}

/** This fault, at the first `times` requests of that kind. */
export function faultsAt(
  isHit: (request: HttpRequest) => boolean,
  fault: Fault,
  times: number,
): FaultPlan & { hits: () => number } {
  let hits = 0;
  const plan: FaultPlan = (request) => {
    if (hits >= times || !isHit(request)) return undefined;
    hits += 1;
    return fault;
  };
  return Object.assign(plan, { hits: () => hits });
}

/** Each schedule goes on where the killed process before left off, and ends; then all is well. */
function scheduled(faults: readonly (Fault | null)[]): FaultPlan {
  let at = 0;
  return () => faults[at++] ?? undefined;
}

export function faultMatrix(name: string, subject: FaultSubject): void {
  const { cluster, secrets } = subject;
  const all = names.map(subject.spec);
  const mine = clusterLabels(cluster);

  /** All that a node's life asks of the vendor. */
  const wholeLife = async (client: CloudProvider): Promise<void> => {
    const { compute } = client;
    await bringUp(client, all);
    const first = (await run(compute.list(mine))).find((instance) => instance.name === "n1");
    if (first === undefined) throw new Error("n1 was brought up");
    for (const action of ["stop-graceful", "start", "stop-hard", "start", "reboot"] as const)
      await run(compute.power(first.id, action));
    await run(compute.label(first.id, { set: { "aether-ring": "blue", "aether-rack": "r1" } }));
    await run(compute.label(first.id, { unset: ["aether-rack"] }));
  };
  const expectExactly = (world: FaultWorld): void => {
    const living = world.living();
    expect(living.map((labels) => labels[labelKeys.node]).toSorted((a = "", b = "") => (a < b ? -1 : 1))).toEqual(names);
    for (const labels of living) expect(labels).toMatchObject(mine);
    expect(world.made()).toBe(names.length);
    expect(world.violations()).toEqual([]);
  };
  const expectQuiet = async (world: FaultWorld): Promise<void> => {
    expectExactly(world);
    expect(await bringUp(world.client(), all)).toBe(0);
    expectExactly(world);
  };
  const expectSwept = async (world: FaultWorld, client: () => CloudProvider): Promise<void> => {
    const options = { cluster, expected: names.length, consistencyMs: 3000 };
    await untilDone(secrets, client, (one) => run(sweepInstances(one, options, world.clock)));
    expect(world.living()).toEqual([]);
    expect(world.violations()).toEqual([]);
  };

  describe(`${name} under faults`, () => {
    describe.each(subject.lifeCalls)("at %s", (call) => {
      it.each(networkFaults)("%s", async (_, fault) => {
        const world = subject.makeWorld(1);
        const plan = faultsAt((request) => subject.callOf(request) === call, fault, 2);
        await untilDone(secrets, () => world.client(plan), wholeLife);
        expect(plan.hits()).toBeGreaterThan(0);
        await expectQuiet(world);
        const [first] = await run(world.client().compute.list({ ...mine, [labelKeys.node]: "n1" }));
        expect(first?.state).toBe("running");
        expect(first?.labels).toMatchObject({ "aether-ring": "blue" });
        expect(first?.labels).not.toHaveProperty("aether-rack");
        await expectSwept(world, () => world.client());
      });
    });

    describe.each(subject.sweepCalls)("at %s of a sweep", (call) => {
      it.each(networkFaults)("%s", async (_, fault) => {
        const world = subject.makeWorld(1);
        await bringUp(world.client(), all);
        const plan = faultsAt((request) => subject.callOf(request) === call, fault, 2);
        await expectSwept(world, () => world.client(plan));
        expect(plan.hits()).toBe(2);
      });
    });

    it.each(killFaults)("%s, at every request of a whole life and its sweep in turn", { timeout }, async (_, fault) => {
      for (let at = 0, wasKilled = true; wasKilled; at += 1) {
        if (at > 500) throw new Error("a life does not take that many requests");
        const world = subject.makeWorld(1);
        let seen = 0;
        const plan: FaultPlan = () => {
          seen += 1;
          return seen === at + 1 ? fault : undefined;
        };
        await untilDone(secrets, () => world.client(plan), wholeLife);
        await expectQuiet(world);
        await expectSwept(world, () => world.client(plan));
        wasKilled = seen > at;
      }
    });

    it("any schedule of faults, with two processes at it at once", { timeout }, async () => {
      const faults = [...networkFaults, ...killFaults].map(([, fault]) => fault);
      const schedule = fc.array(fc.option(fc.constantFrom(...faults), { freq: 2 }), { maxLength: 80 });
      await fc.assert(
        fc.asyncProperty(schedule, schedule, fc.nat(), async (one, other, seed) => {
          const world = subject.makeWorld(seed);
          const plans = [scheduled(one), scheduled(other)];
          await Promise.all(
            plans.map((plan) =>
              untilDone(
                secrets,
                () => world.client(plan),
                (client) => bringUp(client, all),
              ),
            ),
          );
          await expectQuiet(world);
          const last = scheduled([...other, ...one]);
          await expectSwept(world, () => world.client(last));
        }),
        { numRuns: 60, seed: 20_261_122 },
      );
    });
  });
}
