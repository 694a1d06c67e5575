/**
 * Membership in target groups, by instance. The vendor drains by itself: a target that leaves gets no new connections, and its old ones
 * end within the group's deregistration delay.
 */
import { millis, toMillis } from "effect/Duration";
import { asEffect } from "../failure.ts";
import type { Clock } from "../http/clock.ts";
import { labelFault } from "../labels.ts";
import { pollUntil } from "../polling.ts";
import type { InstanceId, Labels, LbTarget, LoadBalancers, TargetHealth } from "../provider.ts";
import type { Ec2 } from "./ec2.ts";
import type { Elb, Target, TargetGroup } from "./elb.ts";
import { failedAs, fault } from "./failure.ts";
import { livingStates } from "./instance.ts";

export interface BalancerParts {
  readonly elb: Elb;
  readonly ec2: Ec2;
  readonly clock: Clock;
  readonly pollMs: number;
}

/** The vendor's longest deregistration delay. */
const drainSecondsMax = 3600;
/** How much later than promised the vendor may be with ending a drain. */
const lateMs = 120_000;

export function makeLoadBalancers(parts: BalancerParts): LoadBalancers {
  const { elb } = parts;
  return {
    drain: "native",
    targets: (lb) =>
      asEffect(async (signal) => (await elb.targets((await groupOf(parts, lb, signal)).arn, signal)).map(describeTarget)),
    register: (lb, instances) =>
      asEffect(async (signal) => {
        const { arn } = await groupOf(parts, lb, signal);
        const members = new Set(staying(await elb.targets(arn, signal)));
        await elb.register(
          arn,
          [...new Set(instances)].filter((id) => !members.has(id)),
          signal,
        );
      }),
    deregister: (lb, instances, drain) =>
      asEffect((signal) => deregister(parts, lb, new Set(instances), toMillis(drain), signal)),
    reconcile: (lb, owner, desired) => asEffect((signal) => reconcile(parts, lb, owner, desired, signal)),
  };
}

async function groupOf({ elb }: BalancerParts, lb: string, signal: AbortSignal): Promise<TargetGroup> {
  const op = `target group ${lb}`;
  const group = await elb.group(lb, signal).catch((failure: unknown) => {
    if (failedAs(failure, "NotFound")) return null;
    throw failure;
  });
  if (group === null) throw fault({ _tag: "NotFound", eventual: false, op, message: `there is no target group ${lb}` });
  if (group.kind === "instance") return group;
  const message = `target group ${lb} has members of type ${group.kind}; only type instance can be kept`;
  throw fault({ _tag: "Unsupported", capability: "loadBalancers", op, message });
}

const isLeaving = ({ state }: Target): boolean => state === "draining" || state === "unhealthy.draining";

const staying = (targets: readonly Target[]): readonly string[] =>
  targets.filter((target) => !isLeaving(target)).map(({ id }) => id);

const describeTarget = (target: Target): LbTarget => ({ instance: target.id as InstanceId, health: healthOf(target) });

function healthOf(target: Target): TargetHealth {
  if (isLeaving(target)) return "draining";
  return target.state === "healthy" || target.state === "unhealthy" ? target.state : "unknown";
}

/** The delay belongs to the group and not to the call, so the group is given the one that is wanted, and keeps it. */
async function deregister(
  parts: BalancerParts,
  lb: string,
  instances: ReadonlySet<string>,
  drainMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { elb, clock, pollMs } = parts;
  const op = `deregister from ${lb}`;
  const seconds = Math.ceil(drainMs / 1000);
  if (seconds > drainSecondsMax) {
    throw fault({ _tag: "Invalid", op, message: `a drain of ${seconds} s is longer than the vendor's ${drainSecondsMax} s` });
  }
  const { arn } = await groupOf(parts, lb, signal);
  const members = (await elb.targets(arn, signal)).filter(({ id }) => instances.has(id));
  if (members.length === 0) return;
  const before = await elb.drainSeconds(arn, signal);
  if (before !== seconds) await elb.setDrainSeconds(arn, seconds, signal);
  await elb.deregister(arn, staying(members), signal);
  // Those that left already drain for as long as the group said then.
  const longest = members.some(isLeaving) ? Math.max(before, seconds) : seconds;
  const withinMs = longest * 1000 + lateMs;
  const isOut = await pollUntil(clock, { everyMs: pollMs, withinMs }, signal, async () =>
    (await elb.targets(arn, signal)).some(({ id }) => instances.has(id)) ? null : true,
  );
  if (isOut !== null) return;
  const message = `the targets still drain after ${withinMs} ms`;
  throw fault({ _tag: "Deadline", waitedFor: millis(withinMs), op, message });
}

/** Whose a target is, its instance's labels say, also for an hour after it has ended: the vendor keeps a dead target as a member. */
async function reconcile(parts: BalancerParts, lb: string, owner: Labels, desired: readonly InstanceId[], signal: AbortSignal) {
  const wrong = labelFault(owner);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `reconcile ${lb}`, message: wrong });
  const { elb, ec2 } = parts;
  const { arn } = await groupOf(parts, lb, signal);
  const members = staying(await elb.targets(arn, signal));
  const keep = new Set<string>(desired);
  const present = new Set(members);
  const missing = [...keep].filter((id) => !present.has(id));
  const others = members.filter((id) => !keep.has(id));
  const ours = others.length === 0 ? [] : await ec2.instances({ labels: owner, states: [...livingStates, "terminated"] }, signal);
  const ownIds = new Set(ours.map(({ id }) => id));
  const surplus = others.filter((id) => ownIds.has(id));
  // Added before removed: the group is never without a target in between.
  await elb.register(arn, missing, signal);
  await elb.deregister(arn, surplus, signal);
  return { added: missing.length, removed: surplus.length };
}
