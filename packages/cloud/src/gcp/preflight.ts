/** Could instances be made as whom we are, of this size, from this image, in these zones: asked without making one. */
import type { ApiClient } from "../http/api-client.ts";
import { jsonBody, jsonReader } from "../http/json.ts";
import type { MachineSpec, PreflightCheck } from "../provider.ts";
import type { ComputeApi } from "./compute-api.ts";
import { failedAs } from "./failure.ts";
import type { GcpSession } from "./session.ts";
import { PermissionsShape, type QuotaRow } from "./shapes.ts";
import { imagePath } from "./wish.ts";

export type WantedMachine = Pick<MachineSpec, "size" | "image" | "publicIp" | "identity">;

export interface PreflightParts {
  readonly api: ComputeApi;
  readonly session: Pick<GcpSession, "project" | "who" | "resourcemanager">;
  readonly region: string;
  readonly zones: readonly string[];
  readonly machine: WantedMachine;
  readonly now: () => number;
}

/** What making, finding, stopping, labelling and removing instances takes. */
const needed: readonly string[] = [
  "compute.disks.create",
  "compute.instances.create",
  "compute.instances.delete",
  "compute.instances.get",
  "compute.instances.list",
  "compute.instances.reset",
  "compute.instances.setLabels",
  "compute.instances.setMetadata",
  "compute.instances.start",
  "compute.instances.stop",
  "compute.subnetworks.use",
  "compute.zoneOperations.get",
];

/** Tokens and signatures are refused when the clocks are further apart. */
const skewMaxMs = 300_000;

export async function preflight(parts: PreflightParts, signal: AbortSignal): Promise<readonly PreflightCheck[]> {
  const { api, session, machine, zones } = parts;
  const project = await tried(() => session.project(signal));
  const skew = project.ok ? await tried(() => api.clockSkew(parts.now, signal)) : project;
  const who = skew.ok ? await tried(() => session.who(signal)) : skew;
  const accepted = {
    check: "the credentials are accepted",
    ok: who.ok,
    detail: who.ok ? `${who.value}, project ${project.ok ? project.value : ""}` : who.message,
  };
  if (!project.ok || !skew.ok || !who.ok) return [accepted];
  const [permissions, region, image, ...types] = await Promise.all([
    tried(() => granted(session.resourcemanager, project.value, wantedOf(machine), signal)),
    tried(() => api.region(parts.region, signal)),
    tried(() => api.image(imagePath(machine.image, project.value), signal)),
    ...zones.map((zone) => tried(() => api.machineType({ zone, name: machine.size }, signal))),
  ]);
  const lacking = types.flatMap((type, at) => (type.ok && type.value.deprecated?.state !== "DELETED" ? [] : [zones[at] ?? ""]));
  const known = types.flatMap((type) => (type.ok ? [type.value] : []))[0];
  return [
    accepted,
    clockCheck(skew.value),
    {
      check: "the credentials may create",
      ok: permissions.ok && permissions.value.length === 0,
      detail: !permissions.ok
        ? permissions.message
        : permissions.value.length === 0
          ? "all permissions that are needed"
          : `lacking: ${permissions.value.join(", ")}`,
    },
    {
      check: "the machine type",
      ok: lacking.length === 0 && zones.length > 0,
      detail:
        lacking.length === 0
          ? `${machine.size} in ${zones.join(", ")}`
          : `${machine.size} is not offered in ${lacking.join(", ")}`,
    },
    {
      check: "the image",
      ok: image.ok && isUsable(image.value.status, image.value.deprecated?.state),
      detail: image.ok ? `${image.value.name} ${image.value.deprecated?.state ?? ""}`.trim() : image.message,
    },
    region.ok
      ? quotaCheck(region.value.quotas ?? [], machine, known?.guestCpus ?? 1)
      : { check: "the quotas", ok: false, detail: region.message },
  ];
}

const wantedOf = ({ publicIp, identity }: WantedMachine): readonly string[] => [
  ...needed,
  ...(publicIp ? ["compute.subnetworks.useExternalIp"] : []),
  ...(identity === undefined ? [] : ["compute.instances.setServiceAccount", "iam.serviceAccounts.actAs"]),
];

/** "DEPRECATED" still works; the others do not. */
const isUsable = (status = "READY", deprecation = "ACTIVE"): boolean =>
  status === "READY" && (deprecation === "ACTIVE" || deprecation === "DEPRECATED");

function clockCheck(skewMs: number | null): PreflightCheck {
  const check = "the clock";
  if (skewMs === null) return { check, ok: true, detail: "the vendor does not say what time it is" };
  const seconds = Math.round(skewMs / 1000);
  const ok = Math.abs(skewMs) <= skewMaxMs;
  return { check, ok, detail: `the vendor's is ${Math.abs(seconds)} s ${seconds < 0 ? "behind" : "ahead of"} ours` };
}

/** For one more machine. Sizes of some families have a quota of their own, which only an attempt would show. */
function quotaCheck(quotas: readonly QuotaRow[], { publicIp }: WantedMachine, cpus: number): PreflightCheck {
  const wanted = new Map([["CPUS", cpus], ["INSTANCES", 1], ...(publicIp ? [["IN_USE_ADDRESSES", 1] as const] : [])]);
  const rows = quotas.filter(({ metric }) => wanted.has(metric));
  const short = rows.filter(({ metric, limit, usage }) => limit - usage < (wanted.get(metric) ?? 0));
  const detail = rows.map(({ metric, limit, usage }) => `${metric} ${usage} of ${limit}`).join(", ");
  return { check: "the quotas", ok: short.length === 0, detail: detail === "" ? "none are stated for the region" : detail };
}

const readPermissions = jsonReader(PermissionsShape);

/** Those of `wanted` that are not granted. */
async function granted(
  client: ApiClient,
  project: string,
  wanted: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { permissions = [] } = await client.call(
    {
      op: "ask for permissions",
      method: "POST",
      path: `/v3/projects/${project}:testIamPermissions`,
      body: jsonBody({ permissions: wanted }),
      idempotent: true,
      read: readPermissions,
    },
    signal,
  );
  const has = new Set(permissions);
  return wanted.filter((permission) => !has.has(permission));
}

type Tried<A> = { readonly ok: true; readonly value: A } | { readonly ok: false; readonly message: string };

/** What is refused or not there is an answer; what could not be asked is a failure. */
async function tried<A>(ask: () => Promise<A>): Promise<Tried<A>> {
  try {
    return { ok: true, value: await ask() };
  } catch (failure) {
    if (failedAs(failure, "Auth") || failedAs(failure, "Invalid") || failedAs(failure, "NotFound")) {
      return { ok: false, message: failure.error.message };
    }
    throw failure;
  }
}
