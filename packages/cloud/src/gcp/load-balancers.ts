/**
 * Membership in network endpoint groups, the lists of targets of Google's load balancers. They are zonal: one name stands for one group
 * in each zone that has one. A member is an instance at the group's own port.
 *
 * The vendor drains by itself, for as long as the backend service says; that service is a person's and is left as it is. So the drain
 * that is asked for here is emulated: an endpoint is taken out, gets nothing new, and we wait.
 */
import { toMillis } from "effect/Duration";
import { asEffect } from "../failure.ts";
import type { Clock, Random } from "../http/clock.ts";
import { carries, labelFault, labelKeys } from "../labels.ts";
import type { InstanceId, Labels, LbTarget, LoadBalancers, TargetHealth } from "../provider.ts";
import type { ComputeApi } from "./compute-api.ts";
import { absentAsNull, failedAs, fault } from "./failure.ts";
import { idOf, labelsOf, partsOf, type GcpId } from "./instance.ts";
import type { OperationWaiter } from "./operations.ts";
import { drawnRequestId } from "./request-id.ts";
import { lastPart, type Endpoint, type EndpointRow, type GcpInstance } from "./shapes.ts";

export interface BalancerParts {
  readonly cluster: string;
  readonly api: ComputeApi;
  readonly operations: OperationWaiter;
  readonly clock: Clock;
  readonly random: Random;
}

/** An endpoint, and the instance that it is, if that is still there. */
interface Member {
  readonly zone: string;
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly health: TargetHealth;
  readonly instance: GcpInstance | null;
}

interface Groups {
  readonly zones: ReadonlySet<string>;
  readonly members: readonly Member[];
}

/** The vendor's maximum in one call. */
const perCall = 500;

export function makeLoadBalancers(parts: BalancerParts): LoadBalancers {
  return {
    drain: "emulated",
    targets: (lb) =>
      asEffect(async (signal) => {
        const { members } = await groupsOf(parts, lb, signal);
        return members.flatMap(({ instance, health }): LbTarget[] =>
          instance === null ? [] : [{ instance: idOf(instance), health }],
        );
      }),
    register: (lb, instances) =>
      asEffect(async (signal) => {
        const groups = await groupsOf(parts, lb, signal);
        await add(parts, lb, groups, absent(groups, instances), signal);
      }),
    deregister: (lb, instances, drain) =>
      asEffect(async (signal) => {
        const leaving = new Set<string>(instances);
        const { members } = await groupsOf(parts, lb, signal);
        const going = members.filter(({ instance }) => instance !== null && leaving.has(idOf(instance)));
        await drop(parts, lb, going, signal);
        if (going.length > 0) await parts.clock.sleep(toMillis(drain), signal);
      }),
    reconcile: (lb, owner, desired) => asEffect((signal) => reconcile(parts, lb, owner, desired, signal)),
  };
}

async function reconcile(parts: BalancerParts, lb: string, owner: Labels, desired: readonly InstanceId[], signal: AbortSignal) {
  const wrong = labelFault(owner);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `reconcile ${lb}`, message: wrong });
  const groups = await groupsOf(parts, lb, signal);
  const missing = absent(groups, desired);
  const keep = new Set<string>(desired);
  const surplus = groups.members.filter(({ instance, name }) =>
    // One whose instance is gone can only be told by its name, which begins with the cluster's.
    instance === null ? name.startsWith(`${parts.cluster}-`) : carries(labelsOf(instance), owner) && !keep.has(idOf(instance)),
  );
  // Added before removed: the balancer is never without a target in between.
  await add(parts, lb, groups, missing, signal);
  await drop(parts, lb, surplus, signal);
  return { added: missing.length, removed: surplus.length };
}

/** The groups of that name with all their members. NotFound when no zone has one. */
async function groupsOf(parts: BalancerParts, lb: string, signal: AbortSignal): Promise<Groups> {
  const op = `load balancer ${lb}`;
  const nowhere = fault({
    _tag: "NotFound",
    eventual: false,
    op,
    message: `there is no network endpoint group ${lb} in any zone`,
  });
  if (!/^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(lb)) throw nowhere;
  const all = (await parts.api.groups(lb, signal)).filter(({ name }) => name === lb);
  const zones = all.flatMap(({ zone }) => (zone === undefined ? [] : [lastPart(zone)]));
  if (zones.length === 0) throw nowhere;
  const rows = await Promise.all(
    zones.map(async (zone) => (await parts.api.endpoints({ zone, name: lb }, signal)).map((row) => ({ zone, row }))),
  );
  return { zones: new Set(zones), members: await membersOf(parts, rows.flat(), signal) };
}

/** Ours are found in one list; what others have put there is read one by one. */
async function membersOf(
  { api }: BalancerParts,
  rows: readonly { readonly zone: string; readonly row: EndpointRow }[],
  signal: AbortSignal,
): Promise<readonly Member[]> {
  if (rows.length === 0) return [];
  const ours = await api.instances({ [labelKeys.managed]: "true" }, signal);
  const known = new Map(ours.map((instance) => [`${lastPart(instance.zone)}/${instance.name}`, instance]));
  const members: Member[] = [];
  for (const { zone, row } of rows) {
    const name = lastPart(row.networkEndpoint.instance ?? "");
    if (name === "") continue;
    const instance = known.get(`${zone}/${name}`) ?? (await api.instance({ zone, name }, signal).catch(absentAsNull));
    members.push({ zone, name, endpoint: row.networkEndpoint, health: healthOf(row), instance });
  }
  return members;
}

/** One backend service that finds it unhealthy is enough; one that is done with it drains. */
function healthOf({ healths = [] }: EndpointRow): TargetHealth {
  const states = new Set(healths.map(({ healthState }) => healthState));
  if (states.has("UNHEALTHY")) return "unhealthy";
  if (states.has("DRAINING")) return "draining";
  return states.size === 1 && states.has("HEALTHY") ? "healthy" : "unknown";
}

function absent({ members }: Groups, instances: readonly InstanceId[]): readonly GcpId[] {
  const present = new Set<string>(members.flatMap(({ instance }) => (instance === null ? [] : [idOf(instance)])));
  return [...new Set(instances)]
    .filter((id) => !present.has(id))
    .map((id) => {
      const at = partsOf(id);
      if (at !== null) return at;
      throw fault({ _tag: "Invalid", op: "load balancer target", message: `${id} is no id of this provider's` });
    });
}

async function add(
  parts: BalancerParts,
  lb: string,
  { zones }: Groups,
  ids: readonly GcpId[],
  signal: AbortSignal,
): Promise<void> {
  const outside = ids.find(({ zone }) => !zones.has(zone));
  if (outside !== undefined) {
    const message = `${lb} has no network endpoint group in ${outside.zone}, where ${outside.name} is`;
    throw fault({ _tag: "NotFound", eventual: false, op: `add to ${lb}`, message });
  }
  const endpoints = ids.map(({ zone, name }) => ({ zone, endpoint: { instance: name } }));
  await change(parts, lb, "attach", endpoints, signal);
}

const drop = (parts: BalancerParts, lb: string, members: readonly Member[], signal: AbortSignal): Promise<void> =>
  change(parts, lb, "detach", members, signal);

interface Change {
  readonly zone: string;
  readonly endpoint: Endpoint;
}

/** One call for each zone. What is already so is no failure: another writer was faster. */
async function change(
  { api, operations, random }: BalancerParts,
  lb: string,
  verb: "attach" | "detach",
  changes: readonly Change[],
  signal: AbortSignal,
): Promise<void> {
  for (const [zone, ofZone] of Map.groupBy(changes, (one) => one.zone)) {
    for (let from = 0; from < ofZone.length; from += perCall) {
      const endpoints = ofZone.slice(from, from + perCall).map(({ endpoint }) => endpoint);
      const op = `${verb} ${lb} in ${zone}`;
      try {
        const begun = await api.changeEndpoints({ zone, name: lb }, verb, endpoints, drawnRequestId(random), signal);
        await operations.done(op, zone, begun, signal);
      } catch (failure) {
        const isSettled =
          verb === "attach" ? failedAs(failure, "Conflict") && failure.error.code !== undefined : failedAs(failure, "NotFound");
        if (!isSettled) throw failure;
        await expectSettled(api, { zone, lb, verb, endpoints, failure }, signal);
      }
    }
  }
}

interface Unsettled {
  readonly zone: string;
  readonly lb: string;
  readonly verb: "attach" | "detach";
  readonly endpoints: readonly Endpoint[];
  readonly failure: unknown;
}

/** Throws the failure unless every endpoint is as it was to be. */
async function expectSettled(
  api: ComputeApi,
  { zone, lb, verb, endpoints, failure }: Unsettled,
  signal: AbortSignal,
): Promise<void> {
  const rows = await api.endpoints({ zone, name: lb }, signal);
  const present = new Set(rows.map(({ networkEndpoint }) => lastPart(networkEndpoint.instance ?? "")));
  const isSo = endpoints.every(({ instance = "" }) => present.has(lastPart(instance)) === (verb === "attach"));
  if (!isSo) throw failure;
}
