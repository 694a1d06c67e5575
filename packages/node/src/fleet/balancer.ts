/** Keeps the nodes on duty behind the load balancer that `[cloud] load_balancer` names, and leaves its other members alone. */
import { clusterLabels } from "@aether/cloud/labels";
import type { InstanceId, LoadBalancers, ProviderName } from "@aether/cloud/provider";
import { fleetOf, type Target, type Targets } from "@aether/core/fleet/state";
import type { InstanceRow } from "@aether/core/instance/state";
import type { Command } from "@aether/core/kernel/command";
import type { World } from "@aether/core/kernel/world";
import type { NodeRow } from "@aether/core/node/state";
import type { Answer } from "@aether/store/types";
import { ask, later, nothing, said, troubleOf, type Outcome } from "./calls.ts";
import type { Chore } from "./hand.ts";

export interface BalancerParts {
  readonly cluster: string;
  readonly provider: ProviderName;
  /** Its name. */
  readonly balancer: string;
  /** Undefined where the provider has none. */
  readonly loadBalancers: LoadBalancers | undefined;
  readonly world: World;
  readonly submit: (command: Command) => Promise<Answer>;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Between two looks whether somebody has changed the balancer. */
export const lookEveryMs = 60_000;

export function makeBalancer(p: BalancerParts): Chore {
  let nextLook = 0;
  return {
    name: "load balancer",
    due: () => {
      const desired = desiredTargets(p.world);
      const known = fleetOf(p.world).targets;
      // none on duty: nobody has told that none is wanted
      if (desired.length === 0) return null;
      if (isOpen(known, p.balancer, desired)) return (signal) => reconcile(p, desired, signal);
      if (p.now() < nextLook) return null;
      return async (signal) => {
        const outcome = await look(p, desired, signal);
        nextLook = p.now() + lookEveryMs;
        return outcome;
      };
    },
  };
}

/** By node. */
function desiredTargets(world: World): readonly Target[] {
  const targets = [...world.all<NodeRow>("node")].flatMap(({ id: node, row }) => {
    const machine = world.get<InstanceRow>("instance", node)?.row;
    const isServing = row.duty === "on-duty" && machine?.state === "enrolled" && machine.id !== null;
    return isServing ? [{ node, instance: machine.id }] : [];
  });
  return targets.toSorted((a, b) => (a.node < b.node ? -1 : 1));
}

const isOpen = (known: Targets | null, balancer: string, desired: readonly Target[]): boolean =>
  known === null ||
  known.done === null ||
  known.balancer !== balancer ||
  JSON.stringify(known.targets) !== JSON.stringify(desired);

/** Intent, the vendor's work, receipt. */
async function reconcile(p: BalancerParts, targets: readonly Target[], signal: AbortSignal): Promise<Outcome> {
  const { cluster, provider, balancer, loadBalancers } = p;
  if (loadBalancers === undefined) {
    const message = `${provider} has no load balancers that could hold nodes: take load_balancer out of [cloud]`;
    return later({ area: "load_balancer", tag: "Unsupported", code: "", requestId: "", message });
  }
  if (!(await p.submit({ type: "WantTargets", id: cluster, balancer, targets })).ok) return later(null);
  const request = fleetOf(p.world).targets?.index ?? 0;
  const instances = targets.map(({ instance }) => instance as InstanceId);
  const asked = await ask(loadBalancers.reconcile(balancer, clusterLabels(cluster), instances), signal);
  if (!asked.ok) return later(troubleOf(asked.error, "load_balancer"));
  const { added, removed } = asked.value;
  return said({ type: "RecordTargets", id: cluster, request, added, removed });
}

/** Reads only, unless one of ours is missing or one that was ours is still in. */
async function look(p: BalancerParts, desired: readonly Target[], signal: AbortSignal): Promise<Outcome> {
  if (p.loadBalancers === undefined) return nothing;
  const asked = await ask(p.loadBalancers.targets(p.balancer), signal);
  if (!asked.ok) return later(troubleOf(asked.error, "load_balancer"));
  const there = new Set<string>(asked.value.filter(({ health }) => health !== "draining").map(({ instance }) => instance));
  const wanted = new Set(desired.map(({ instance }) => instance));
  const ours = [...p.world.all<InstanceRow>("instance")].flatMap(({ row }) => (row.id === null ? [] : [row.id]));
  const isAsWanted = [...wanted].every((id) => there.has(id)) && ours.every((id) => wanted.has(id) || !there.has(id));
  return isAsWanted ? nothing : reconcile(p, desired, signal);
}
