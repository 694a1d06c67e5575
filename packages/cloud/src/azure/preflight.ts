/** Could machines be made with these credentials, of this size, from this image, in this place: asked without making one. */
import { jsonReader } from "../http/json.ts";
import * as Schema from "effect/Schema";
import type { HttpResponse } from "../http/transport.ts";
import type { Reading } from "../http/api-client.ts";
import type { Clock } from "../http/clock.ts";
import type { PreflightCheck } from "../provider.ts";
import { versions } from "./compute-api.ts";
import { imageReference, zoneNumber } from "./create-body.ts";
import { failedAs } from "./failure.ts";
import type { TokenClaims } from "./login.ts";
import type { AzureOptions, WantedMachine } from "./options.ts";
import type { Rest } from "./rest.ts";
import { GroupShape, NamedShape, PermissionShape, SkuShape, SubscriptionShape, UsageShape } from "./shapes.ts";

export interface PreflightParts {
  readonly rest: Rest;
  readonly clock: Clock;
  /** Of a token that was just used. */
  readonly claims: () => TokenClaims;
  readonly options: AzureOptions;
}

/** A token's times are judged with five minutes of tolerance. */
const skewMaxMs = 240_000;

/** What the provider does, as the vendor names it. */
export const neededActions: readonly string[] = [
  ...["read", "write", "delete", "start/action", "powerOff/action", "deallocate/action", "restart/action"].map(
    (verb) => `Microsoft.Compute/virtualMachines/${verb}`,
  ),
  ...["read", "write", "delete"].map((verb) => `Microsoft.Compute/disks/${verb}`),
  ...["read", "write", "delete", "join/action"].map((verb) => `Microsoft.Network/networkInterfaces/${verb}`),
  ...["read", "write", "delete", "join/action"].map((verb) => `Microsoft.Network/publicIPAddresses/${verb}`),
  "Microsoft.Network/virtualNetworks/subnets/join/action",
  "Microsoft.Resources/tags/write",
];

export async function preflight(parts: PreflightParts, signal: AbortSignal): Promise<readonly PreflightCheck[]> {
  const { options } = parts;
  const { region, resourceGroup, machine } = options;
  const who = await whoAmI(parts, signal);
  if (!who.isAccepted) return who.checks;
  const group = await groupOf(parts, signal);
  const place: PreflightCheck = {
    check: "the resource group",
    ok: group !== null,
    detail:
      group === null ? `there is no resource group ${resourceGroup}, or it may not be seen` : `${resourceGroup} in ${group}`,
  };
  const [permissions, size, image] = await Promise.all([
    group === null ? [] : permissionsCheck(parts, signal),
    sizeChecks(parts, machine, signal),
    imageCheck(parts, signal),
  ]);
  const wished = machine.zone === undefined ? null : zoneNumber(machine.zone, region);
  const zone: readonly PreflightCheck[] =
    wished === "none" ? [{ check: "the zone", ok: false, detail: `${machine.zone ?? ""} is no zone of ${region}` }] : [];
  return [...who.checks, place, ...permissions, ...zone, ...size, image];
}

async function whoAmI({ rest, clock, claims, options }: PreflightParts, signal: AbortSignal) {
  const readSubscription = jsonReader(SubscriptionShape);
  const read = (response: HttpResponse, reading: Reading) => ({
    subscription: readSubscription(response, reading),
    skewMs: Date.parse(response.headers["date"] ?? "") - clock.now(),
  });
  try {
    const path = `/subscriptions/${options.subscription}`;
    const { subscription, skewMs } = await rest.read("read the subscription", path, versions.subscriptions, read, signal);
    const { application = "an identity of this machine", tenant = "?" } = claims();
    const isOn = (subscription.state ?? "Enabled") === "Enabled";
    const checks: readonly PreflightCheck[] = [
      { check: "the credentials are accepted", ok: true, detail: `application ${application} of directory ${tenant}` },
      {
        check: "the subscription",
        ok: isOn,
        detail: `${subscription.displayName ?? subscription.subscriptionId} is ${subscription.state ?? "not said to be on"}`,
      },
      {
        check: "the clocks agree",
        ok: Number.isNaN(skewMs) || Math.abs(skewMs) <= skewMaxMs,
        detail: Number.isNaN(skewMs)
          ? "the vendor does not tell its time"
          : `they differ by ${Math.round(Math.abs(skewMs) / 1000)} s`,
      },
    ];
    return { isAccepted: true, checks };
  } catch (failure) {
    const isRefused = failedAs(failure, "Auth") || failedAs(failure, "NotFound") || failedAs(failure, "Invalid");
    if (!isRefused) throw failure;
    return { isAccepted: false, checks: [{ check: "the credentials are accepted", ok: false, detail: failure.error.message }] };
  }
}

async function groupOf({ rest, options }: PreflightParts, signal: AbortSignal): Promise<string | null> {
  const path = `/subscriptions/${options.subscription}/resourcegroups/${encodeURIComponent(options.resourceGroup)}`;
  const { location } = await rest
    .read("read the resource group", path, versions.groups, jsonReader(GroupShape), signal)
    .catch(refusedAs({ location: null }));
  return location;
}

/** Not found and not permitted are answers here; anything else is a failure to ask. */
const refusedAs =
  <A>(instead: A) =>
  (failure: unknown): A => {
    if (failedAs(failure, "NotFound") || failedAs(failure, "Auth") || failedAs(failure, "Invalid")) return instead;
    throw failure;
  };

async function permissionsCheck({ rest, options }: PreflightParts, signal: AbortSignal): Promise<readonly PreflightCheck[]> {
  const { subscription, resourceGroup } = options;
  const group = `/subscriptions/${subscription}/resourcegroups/${encodeURIComponent(resourceGroup)}`;
  const path = `${group}/providers/Microsoft.Authorization/permissions`;
  const held = await rest.list("read permissions", path, versions.permissions, PermissionShape, signal).catch(refusedAs(null));
  const check = "what may be done in the resource group";
  if (held === null) return [{ check, ok: false, detail: "the permissions may not be read" }];
  // In another group they are held there, and this list does not tell.
  const isForeign = options.machine.networks[0]?.startsWith("/") === true;
  const wanted = isForeign ? neededActions.filter((action) => !action.includes("/subnets/")) : neededActions;
  const missing = wanted.filter((action) => !isPermitted(held, action));
  return [{ check, ok: missing.length === 0, detail: missing.length === 0 ? "all that is needed" : `not ${missing.join(", ")}` }];
}

/** One role that gives it and does not take it back is enough; `*` stands for anything. */
export function isPermitted(held: readonly (typeof PermissionShape.Type)[], action: string): boolean {
  const covers = (pattern: string): boolean => {
    const escaped = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll("*", ".*");
    return new RegExp(`^${escaped}$`, "i").test(action);
  };
  return held.some(({ actions: given = [], notActions = [] }) => given.some(covers) && !notActions.some(covers));
}

type Sku = typeof SkuShape.Type;

async function sizeChecks(
  { rest, options }: PreflightParts,
  machine: WantedMachine,
  signal: AbortSignal,
): Promise<readonly PreflightCheck[]> {
  const { subscription, region } = options;
  const compute = `/subscriptions/${subscription}/providers/Microsoft.Compute`;
  const query = [["$filter", `location eq '${region}'`]] as const;
  const skus = await rest.list("look for the size", `${compute}/skus`, versions.skus, SkuShape, signal, query);
  const sku = skus.find(({ name, resourceType }) => resourceType === "virtualMachines" && name === machine.size);
  const refusal = sku === undefined ? `${machine.size} is not offered in ${region}` : sizeFault(sku, machine, region);
  const check = { check: "the size", ok: refusal === null, detail: refusal ?? machine.size };
  if (sku === undefined) return [check];
  const usages = await rest.list("read quotas", `${compute}/locations/${region}/usages`, versions.compute, UsageShape, signal);
  const cores = Number(sku.capabilities?.find(({ name }) => name === "vCPUs")?.value ?? "1");
  const quotas = [sku.family, "cores"].flatMap((wanted) => {
    const usage = usages.find(({ name }) => name.value?.toLowerCase() === wanted?.toLowerCase());
    if (usage === undefined) return [];
    const left = usage.limit - usage.currentValue;
    const of = usage.name.localizedValue ?? usage.name.value ?? "";
    return [{ check: `quota: ${of}`, ok: left >= cores, detail: `${left} of ${usage.limit} left, a node takes ${cores}` }];
  });
  return [check, ...quotas];
}

function sizeFault({ restrictions = [], locationInfo = [] }: Sku, { size, zone }: WantedMachine, region: string): string | null {
  const barred = restrictions.find(({ type }) => type === "Location");
  if (barred !== undefined)
    return `${size} is not for this subscription in ${region} (${barred.reasonCode ?? "no reason given"})`;
  const wished = zone === undefined ? null : zoneNumber(zone, region);
  if (wished === null) return null;
  const isBarred = restrictions.some(
    ({ type, restrictionInfo }) => type === "Zone" && restrictionInfo?.zones?.includes(wished) === true,
  );
  const isThere = locationInfo.some(({ zones = [] }) => zones.includes(wished));
  return isThere && !isBarred ? null : `${size} is not offered in zone ${wished} of ${region}`;
}

async function imageCheck({ rest, options }: PreflightParts, signal: AbortSignal): Promise<PreflightCheck> {
  const { subscription, region } = options;
  const { image } = options.machine;
  const reference = imageReference(image);
  const check = "the image";
  if (reference === null) return { check, ok: false, detail: `${image} is neither publisher:offer:sku:version nor an id` };
  const gone = { check, ok: false, detail: `there is no image ${image} for ${region}, or it may not be seen` };
  const op = "look for the image";
  if ("id" in reference) {
    const version = image.toLowerCase().includes("/galleries/") ? versions.galleries : versions.compute;
    const found = await rest.read(op, image, version, jsonReader(NamedShape), signal).catch(refusedAs(null));
    return found === null ? gone : { check, ok: true, detail: found.name };
  }
  const { publisher, offer, sku, version } = reference;
  const compute = `/subscriptions/${subscription}/providers/Microsoft.Compute/locations/${region}`;
  const path = `${compute}/publishers/${publisher}/artifacttypes/vmimage/offers/${offer}/skus/${sku}/versions`;
  if (version !== "latest") {
    const found = await rest
      .read(op, `${path}/${version}`, versions.compute, jsonReader(NamedShape), signal)
      .catch(refusedAs(null));
    return found === null ? gone : { check, ok: true, detail: image };
  }
  const newest = [
    ["$top", "1"],
    ["$orderby", "name desc"],
  ] as const;
  const names = jsonReader(Schema.Array(NamedShape));
  const [first] = await rest.read(op, path, versions.compute, names, signal, newest).catch(refusedAs([]));
  return first === undefined ? gone : { check, ok: true, detail: `${image} is ${first.name} now` };
}
