/**
 * Membership in Hetzner's load balancers, by server and never by address: the vendor refuses addresses of its own servers. It has
 * no drain; a target that is removed gets no new connections, and the drain is the time that we wait then.
 */
import { toMillis } from "effect/Duration";
import { asEffect } from "../failure.ts";
import type { Clock } from "../http/clock.ts";
import { labelFault } from "../labels.ts";
import type { InstanceId, Labels, LbTarget, LoadBalancers, TargetHealth } from "../provider.ts";
import type { ActionWaiter } from "./actions.ts";
import type { HetznerApi } from "./api.ts";
import { failedAs, fault } from "./failure.ts";
import { serverId } from "./server.ts";
import type { Action, Balancer } from "./shapes.ts";

export interface BalancerParts {
  readonly api: HetznerApi;
  readonly actions: ActionWaiter;
  readonly clock: Clock;
}

export function makeLoadBalancers(parts: BalancerParts): LoadBalancers {
  return {
    drain: "emulated",
    targets: (lb) => asEffect(async (signal) => serverTargets(await balancerOf(parts, lb, signal))),
    register: (lb, instances) =>
      asEffect(async (signal) => {
        const balancer = await balancerOf(parts, lb, signal);
        await add(parts, balancer, absent(balancer, instances), signal);
      }),
    deregister: (lb, instances, drain) =>
      asEffect(async (signal) => {
        const balancer = await balancerOf(parts, lb, signal);
        const members = new Set(serverTargets(balancer).map((target) => target.instance));
        const leaving = instances.filter((instance) => members.has(instance));
        await drop(parts, balancer, leaving, signal);
        if (leaving.length > 0) await parts.clock.sleep(toMillis(drain), signal);
      }),
    reconcile: (lb, owner, desired) => asEffect((signal) => reconcile(parts, lb, owner, desired, signal)),
  };
}

async function reconcile(parts: BalancerParts, lb: string, owner: Labels, desired: readonly InstanceId[], signal: AbortSignal) {
  const wrong = labelFault(owner);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `reconcile ${lb}`, message: wrong });
  const balancer = await balancerOf(parts, lb, signal);
  const ours = new Set((await parts.api.servers({ selector: owner }, signal)).map((server) => String(server.id)));
  const keep = new Set<string>(desired);
  const missing = absent(balancer, desired);
  const surplus = serverTargets(balancer).flatMap(({ instance }) =>
    ours.has(instance) && !keep.has(instance) ? [instance] : [],
  );
  // Added before removed: the balancer is never without a target in between.
  await add(parts, balancer, missing, signal);
  await drop(parts, balancer, surplus, signal);
  return { added: missing.length, removed: surplus.length };
}

async function balancerOf({ api }: BalancerParts, lb: string, signal: AbortSignal): Promise<Balancer> {
  const found = await api.balancer(lb, signal);
  if (found !== null) return found;
  throw fault({ _tag: "NotFound", eventual: false, op: `load balancer ${lb}`, message: `there is no load balancer ${lb}` });
}

const serverTargets = (balancer: Balancer): readonly LbTarget[] =>
  balancer.targets.flatMap(({ server, health_status }) => {
    if (server === undefined) return [];
    return [{ instance: String(server.id) as InstanceId, health: healthOf((health_status ?? []).map((port) => port.status)) }];
  });

/** Healthy on every port that it serves; one bad port is bad. */
function healthOf(ports: readonly (string | undefined)[]): TargetHealth {
  if (ports.includes("unhealthy")) return "unhealthy";
  return ports.length > 0 && ports.every((status) => status === "healthy") ? "healthy" : "unknown";
}

function absent(balancer: Balancer, instances: readonly InstanceId[]): readonly InstanceId[] {
  const members = new Set(serverTargets(balancer).map((target) => target.instance));
  return [...new Set(instances)].filter((instance) => !members.has(instance));
}

async function add(
  parts: BalancerParts,
  balancer: Balancer,
  instances: readonly InstanceId[],
  signal: AbortSignal,
): Promise<void> {
  const isPrivate = balancer.private_net.length > 0;
  for (const instance of instances) {
    await change(parts, `add ${instance} to ${balancer.name}`, "target_already_defined", signal, () =>
      parts.api.addTarget(balancer.id, numberOf(instance), isPrivate, signal),
    );
  }
}

async function drop(
  parts: BalancerParts,
  balancer: Balancer,
  instances: readonly InstanceId[],
  signal: AbortSignal,
): Promise<void> {
  for (const instance of instances) {
    await change(parts, `remove ${instance} from ${balancer.name}`, "load_balancer_target_not_found", signal, () =>
      parts.api.removeTarget(balancer.id, numberOf(instance), signal),
    );
  }
}

/** One at a time: the vendor locks a balancer while it changes. `settled` is its word for "so already". */
async function change(
  { actions }: BalancerParts,
  op: string,
  settled: string,
  signal: AbortSignal,
  call: () => Promise<Action>,
): Promise<void> {
  try {
    await actions.done(op, await call(), signal);
  } catch (failure) {
    const isSettled = (failedAs(failure, "Invalid") || failedAs(failure, "NotFound")) && failure.error.code === settled;
    if (!isSettled) throw failure;
  }
}

function numberOf(instance: InstanceId): number {
  const number = serverId(instance);
  if (number !== null) return number;
  throw fault({ _tag: "Invalid", op: "load balancer target", message: `${instance} is no id of this provider's` });
}
