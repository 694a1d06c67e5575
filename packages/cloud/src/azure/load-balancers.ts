/**
 * Membership in the backend pools of Azure's load balancers, by address. A pool is written whole, so what was read stands in the
 * condition of the write, and what others have put into it is written back. Ours are known by their names: an address outlives
 * its machine there.
 */
import { toMillis } from "effect/Duration";
import { asEffect, CloudFailure } from "../failure.ts";
import type { Clock } from "../http/clock.ts";
import { jsonReader } from "../http/json.ts";
import { carries, labelFault, labelKeys } from "../labels.ts";
import type { InstanceId, Labels, LbTarget, LoadBalancers } from "../provider.ts";
import { versions, type ComputeApi } from "./compute-api.ts";
import { failedAs, fault } from "./failure.ts";
import { configurationsOf, idParts, instanceId } from "./machine.ts";
import { nothing, type Rest } from "./rest.ts";
import { PoolShape, type Machine, type Pool, type PoolAddress } from "./shapes.ts";

export interface BalancerParts {
  readonly cluster: string;
  readonly rest: Rest;
  readonly api: ComputeApi;
  readonly clock: Clock;
  /** `/subscriptions/…/resourceGroups/…`, where the balancers are. */
  readonly group: string;
  readonly withinMs: number;
}

/** Writes of one change that another writer was faster than. */
const writesMax = 6;

export function makeLoadBalancers(parts: BalancerParts): LoadBalancers {
  return {
    drain: "native",
    targets: (lb) => asEffect((signal) => targets(parts, lb, signal)),
    register: (lb, instances) =>
      asEffect(async (signal) => {
        await poolOf(parts, lb, signal);
        await add(parts, lb, instances, signal);
      }),
    deregister: (lb, instances, drain) =>
      asEffect(async (signal) => {
        const leaving = new Set(instances.map(addressNameOf(parts.cluster)));
        await dropAfter(parts, lb, (name) => leaving.has(name), toMillis(drain), signal);
      }),
    reconcile: (lb, owner, desired) => asEffect((signal) => reconcile(parts, lb, owner, desired, signal)),
  };
}

/** At most 80 characters: the vendor's limit for a name is the sum of ours. */
const addressNameOf =
  (cluster: string) =>
  (instance: InstanceId): string => {
    const parts = idParts(instance);
    if (parts === null) {
      throw fault({ _tag: "Invalid", op: "load balancer target", message: `${instance} is no id of this provider's` });
    }
    return `aether.${cluster}.${parts.vmId.replaceAll("-", "")}`;
  };

async function targets(parts: BalancerParts, lb: string, signal: AbortSignal): Promise<readonly LbTarget[]> {
  const [pool, machines] = await Promise.all([poolOf(parts, lb, signal), parts.api.machines(signal)]);
  const byName = new Map(machines.map((machine) => [addressNameOf(parts.cluster)(instanceId(machine)), instanceId(machine)]));
  return addressesOf(pool).flatMap(({ name, properties }) => {
    const instance = byName.get(name);
    // The vendor tells health to its metrics only.
    return instance === undefined
      ? []
      : [{ instance, health: properties?.adminState === "Down" ? "draining" : "unknown" } as const];
  });
}

async function reconcile(parts: BalancerParts, lb: string, owner: Labels, desired: readonly InstanceId[], signal: AbortSignal) {
  const op = `reconcile ${lb}`;
  const wrong =
    labelFault(owner) ?? (owner[labelKeys.cluster] === parts.cluster ? null : `the owner must be cluster ${parts.cluster}`);
  if (wrong !== null) throw fault({ _tag: "Invalid", op, message: wrong });
  const [pool, machines] = await Promise.all([poolOf(parts, lb, signal), parts.api.machines(signal)]);
  const foreign = new Set(
    machines.filter(({ tags = {} }) => !carries(tags, owner)).map((machine) => addressNameOf(parts.cluster)(instanceId(machine))),
  );
  const keep = new Set(desired.map(addressNameOf(parts.cluster)));
  // Whoever is gone can carry no labels any more; the name tells whose it was.
  const isSurplus = (name: string): boolean =>
    name.startsWith(`aether.${parts.cluster}.`) && !keep.has(name) && !foreign.has(name);
  const members = new Set(addressesOf(pool).flatMap(({ name, properties }) => (properties?.adminState === "Down" ? [] : [name])));
  const missing = [...new Set(desired)].filter((instance) => !members.has(addressNameOf(parts.cluster)(instance)));
  const surplus = addressesOf(pool).filter(({ name }) => isSurplus(name));
  // Added before removed: the balancer is never without a target in between.
  if (missing.length > 0) await add(parts, lb, missing, signal);
  if (surplus.length > 0) await dropAfter(parts, lb, isSurplus, 0, signal);
  return { added: missing.length, removed: surplus.length };
}

/** "lb/pool", or the name of a load balancer that has one pool only. */
async function poolOf({ rest, group }: BalancerParts, lb: string, signal: AbortSignal): Promise<Pool> {
  const { balancer, pool } = namesOf(lb);
  const path = `${group}/providers/Microsoft.Network/loadBalancers/${balancer}/backendAddressPools`;
  const op = `read load balancer ${lb}`;
  if (pool !== null) return rest.read(op, `${path}/${pool}`, versions.network, jsonReader(PoolShape), signal);
  const pools = await rest.list(op, path, versions.network, PoolShape, signal);
  const [only] = pools;
  if (only !== undefined && pools.length === 1) return only;
  const names = pools.map(({ name }) => `${balancer}/${name}`).join(", ");
  const message =
    pools.length === 0 ? `load balancer ${lb} has no backend pool` : `load balancer ${lb} has several: name one of ${names}`;
  throw fault({ _tag: "Invalid", op, message });
}

function namesOf(lb: string): { readonly balancer: string; readonly pool: string | null } {
  const [, balancer, pool] = /^(\w[\w.-]{0,79})(?:\/(\w[\w.-]{0,79}))?$/.exec(lb) ?? [];
  if (balancer !== undefined) return { balancer, pool: pool ?? null };
  throw fault({
    _tag: "Invalid",
    op: `load balancer ${lb}`,
    message: `${JSON.stringify(lb)} is no load balancer: "name" or "name/pool"`,
  });
}

const addressesOf = ({ properties }: Pool): readonly PoolAddress[] => properties.loadBalancerBackendAddresses ?? [];

async function add(parts: BalancerParts, lb: string, instances: readonly InstanceId[], signal: AbortSignal): Promise<void> {
  const wanted: PoolAddress[] = [];
  for (const instance of new Set(instances)) wanted.push(await addressOf(parts, instance, signal));
  const names = new Set(wanted.map(({ name }) => name));
  await change(parts, lb, signal, (addresses) => {
    const known = new Map(addresses.map((address) => [address.name, address]));
    const isSettled = wanted.every(({ name }) => known.has(name) && known.get(name)?.properties?.adminState !== "Down");
    return isSettled ? null : [...addresses.filter(({ name }) => !names.has(name)), ...wanted];
  });
}

/** Its private address, and the network in which that is one. */
async function addressOf(parts: BalancerParts, instance: InstanceId, signal: AbortSignal): Promise<PoolAddress> {
  const name = addressNameOf(parts.cluster)(instance);
  const missing = fault({
    _tag: "NotFound",
    eventual: false,
    op: "load balancer target",
    message: `there is no instance ${instance}`,
  });
  const machine: Machine = await parts.api.machine(idParts(instance)?.name ?? "", signal);
  if (instanceId(machine) !== instance) throw missing;
  const [card] = machine.properties.networkProfile?.networkInterfaces ?? [];
  if (card === undefined) throw missing;
  const [first] = configurationsOf(await parts.api.card(card.id, signal));
  const network = first?.subnet?.id.replace(/\/subnets\/[^/]+$/i, "");
  if (first?.privateIPAddress === undefined || network === undefined) throw missing;
  return { name, properties: { ipAddress: first.privateIPAddress, virtualNetwork: { id: network }, adminState: "None" } };
}

/** First no new connections come to them, then, when those that are have had their time, they are let go. */
async function dropAfter(
  parts: BalancerParts,
  lb: string,
  isLeaving: (name: string) => boolean,
  drainMs: number,
  signal: AbortSignal,
): Promise<void> {
  const down = (address: PoolAddress): PoolAddress =>
    isLeaving(address.name) ? { ...address, properties: { ...address.properties, adminState: "Down" } } : address;
  if (drainMs > 0) {
    let isAny = false;
    await change(parts, lb, signal, (addresses) => {
      const leaving = addresses.filter(({ name }) => isLeaving(name));
      isAny = leaving.length > 0;
      return leaving.every(({ properties }) => properties?.adminState === "Down") ? null : addresses.map(down);
    });
    if (!isAny) return;
    await parts.clock.sleep(drainMs, signal);
  }
  await change(parts, lb, signal, (addresses) =>
    addresses.some(({ name }) => isLeaving(name)) ? addresses.filter(({ name }) => !isLeaving(name)) : null,
  );
}

/** Reads, changes, writes on the condition that nobody has written meanwhile, and does it again when somebody has. */
async function change(
  parts: BalancerParts,
  lb: string,
  signal: AbortSignal,
  next: (addresses: readonly PoolAddress[]) => readonly PoolAddress[] | null,
): Promise<void> {
  const { rest, group } = parts;
  const op = `change load balancer ${lb}`;
  for (let tried = 1; ; tried += 1) {
    const pool = await poolOf(parts, lb, signal);
    const addresses = next(addressesOf(pool));
    if (addresses === null) return;
    const path = `${group}/providers/Microsoft.Network/loadBalancers/${namesOf(lb).balancer}/backendAddressPools/${pool.name}`;
    const body = { properties: { ...pool.properties, loadBalancerBackendAddresses: addresses } };
    const call = { op, method: "PUT", path, version: versions.network, body, idempotent: true, read: nothing } as const;
    try {
      const { pending } = await rest.change({ ...call, headers: { "if-match": pool.etag } }, signal);
      const end = await rest.finish(op, pending, parts.withinMs, signal);
      if (end === null) return;
      throw fault({ ...end, op });
    } catch (failure) {
      // Also when it was our own write whose answer was lost: then there is nothing left to change.
      if (!isOvertaken(failure) || tried >= writesMax) throw failure;
    }
  }
}

const isOvertaken = (failure: unknown): failure is CloudFailure =>
  failedAs(failure, "Conflict") && failure.error.kind === "stale";
