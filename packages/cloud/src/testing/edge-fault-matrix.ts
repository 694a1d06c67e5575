/**
 * The fault matrix of what stands beside the machines: whatever the network does to whichever call, load balancers have the members that
 * are wanted, there is one certificate for each name, secrets are whole or not there, and doing it again changes nothing.
 */
import { seconds } from "effect/Duration";
import { describe, expect, it } from "vitest";
import type { HttpRequest } from "../http/transport.ts";
import { clusterLabels } from "../labels.ts";
import type { CloudProvider, InstanceSpec } from "../provider.ts";
import type { EdgePlace } from "./edge-conformance.ts";
import { edgeKeyWords, edgePem } from "./edge-pem.ts";
import { bringUp, faultsAt, run, untilDone } from "./fault-matrix.ts";
import { networkFaults } from "./faults.ts";
import type { FaultPlan } from "./http-fake.ts";

export interface EdgeFaultWorld {
  readonly edge: EdgePlace;
  readonly client: (plan?: FaultPlan) => CloudProvider;
  /** How many certificates there are, straight from the vendor's books. */
  readonly certificates: () => number;
  /** Refuses what does not fit the vendor's model. */
  readonly close: () => Promise<void>;
}

export interface EdgeFaultSubject {
  readonly cluster: string;
  readonly makeWorld: () => EdgeFaultWorld;
  readonly spec: (name: string) => InstanceSpec;
  readonly callOf: (request: HttpRequest) => string;
  /** Kinds of calls that change something, and of those that read; the whole story makes at least one of each. */
  readonly changes: readonly string[];
  readonly reads: readonly string[];
  /** What may stand in no error. */
  readonly secrets: readonly string[];
}

/** To a read it is all the same whether it was done. */
const readFaults = networkFaults.filter(([, { kind }]) => kind === "unsent" || kind === "cut" || kind === "refuse-before");
const readRow = (call: string) => [call, readFaults] as const;

const secretText = "edge-secret-text-5d41402abc4b2a76";

export function edgeFaultMatrix(name: string, subject: EdgeFaultSubject): void {
  const labels = clusterLabels(subject.cluster);
  const rows = [...subject.changes.map((call) => [call, networkFaults] as const), ...subject.reads.map(readRow)];
  describe.each(rows)(`${name}'s edge under faults, at %s`, (call, faults) => {
    it.each(faults)("%s", async (_, fault) => {
      const plan = faultsAt((request) => subject.callOf(request) === call, fault, 2);
      await story(plan);
      expect(plan.hits()).toBeGreaterThan(0);
    });
  });

  it(`${name}'s edge, with a process that is killed after each change in turn`, { timeout: 240_000 }, async () => {
    const isChange = (request: HttpRequest): boolean => subject.changes.includes(subject.callOf(request));
    for (let at = 1, wasKilled = true; wasKilled; at += 1) {
      if (at > 100) throw new Error("an edge's life does not take that many changes");
      let seen = 0;
      await story((request) => {
        if (!isChange(request)) return undefined;
        seen += 1;
        return seen === at ? { kind: "kill-after" } : undefined;
      });
      wasKilled = seen >= at;
    }
  });

  async function story(plan: FaultPlan): Promise<void> {
    const world = subject.makeWorld();
    const hidden = [...subject.secrets, secretText, ...edgeKeyWords];
    const again = <A>(work: (edge: Edge) => Promise<A>): Promise<A> =>
      untilDone(
        hidden,
        () => world.client(plan),
        (client) => work(edgeOf(client)),
      );
    await balancers(world, subject, again);
    await certificates(world, again);
    await world.edge.putSecret("conform/one", secretText);
    await world.edge.putSecret("conform/two", secretText);
    const refs = [{ path: "conform/one" }, { path: "conform/two" }];
    expect(await again(({ secrets }) => run(secrets.resolveAll(refs)))).toHaveLength(2);
    await again(({ secrets }) => run(secrets.resolve({ path: "conform/one" })));
    await world.close();
  }

  async function balancers(world: EdgeFaultWorld, { spec }: EdgeFaultSubject, again: Again): Promise<void> {
    await world.edge.addBalancer("edge");
    const calm = world.client();
    await bringUp(calm, [spec("n1"), spec("n2")]);
    const [one, two] = (await run(calm.compute.list(labels))).map(({ id }) => id);
    if (one === undefined || two === undefined) throw new Error("two were brought up");
    const staying = async () => {
      const targets = await again(({ loadBalancers }) => run(loadBalancers.targets("edge")));
      return targets.filter(({ health }) => health !== "draining").map(({ instance }) => instance);
    };
    await again(({ loadBalancers }) => run(loadBalancers.register("edge", [one])));
    await again(({ loadBalancers }) => run(loadBalancers.reconcile("edge", labels, [two])));
    expect(await staying()).toEqual([two]);
    await again(({ loadBalancers }) => run(loadBalancers.deregister("edge", [two], seconds(10))));
    expect(await staying()).toEqual([]);
  }

  async function certificates(world: EdgeFaultWorld, again: Again): Promise<void> {
    const { ref } = await again((edge) => run(edge.certificates.importPem("edge", edgePem, labels)));
    expect(await again((edge) => run(edge.certificates.importPem("edge", edgePem, labels)))).toMatchObject({ ref });
    const refs = [ref];
    if (world.edge.validate !== null) {
      const ensure = () => again((edge) => run(edge.certificates.ensure("issued", ["a.example"], labels)));
      const issued = await ensure();
      expect((await ensure()).ref).toBe(issued.ref);
      refs.push(issued.ref);
    }
    expect(world.certificates()).toBe(refs.length);
    for (const one of refs) await again((edge) => run(edge.certificates.delete(one)));
    expect(world.certificates()).toBe(0);
  }
}

type Edge = Required<Pick<CloudProvider, "secrets" | "loadBalancers" | "certificates">>;
type Again = <A>(work: (edge: Edge) => Promise<A>) => Promise<A>;

function edgeOf({ secrets, loadBalancers, certificates }: CloudProvider): Edge {
  if (secrets === undefined || loadBalancers === undefined || certificates === undefined) {
    throw new Error("the provider has no edge");
  }
  return { secrets, loadBalancers, certificates };
}
