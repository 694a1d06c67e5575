/** Instances on Hetzner. Nothing is remembered between calls: what is true is asked of the vendor each time. */
import { millis, toMillis } from "effect/Duration";
import { adoptionFault } from "../adoption.ts";
import { awaitInstance } from "../await-state.ts";
import { bookedLabels, bookKeysIn, cloudSpecFault, instanceName } from "../derivation.ts";
import { asEffect, CloudFailure } from "../failure.ts";
import type { Clock } from "../http/clock.ts";
import { applyLabels, clusterLabels, labelFault, labelKeys, patchFault } from "../labels.ts";
import { pollUntil } from "../polling.ts";
import type { Compute, Instance, InstanceId, InstanceSpec, InstanceState, LabelPatch, Labels, MachineSpec } from "../provider.ts";
import type { ActionWaiter } from "./actions.ts";
import type { CreateServer, HetznerApi } from "./api.ts";
import { classifyAction } from "./errors.ts";
import { failedAs, fault } from "./failure.ts";
import { powerServer } from "./power.ts";
import { describeServer, isOf, serverId } from "./server.ts";
import type { Server } from "./shapes.ts";

export interface HetznerTimes {
  /** How long something just made may be missing from lists. */
  readonly consistencyMs: number;
  /** Between two looks at something that is changing. */
  readonly pollMs: number;
  /** How long `ensure` may look for what it does not know to have made, and wait for a predecessor's deletion. */
  readonly ensureMs: number;
  readonly deleteMs: number;
  /** How long a server may take to switch off after it was asked to. */
  readonly graceMs: number;
  readonly actionMs: number;
}

export const defaultTimes: HetznerTimes = {
  consistencyMs: 3_000,
  pollMs: 2_000,
  ensureMs: 180_000,
  deleteMs: 180_000,
  graceMs: 120_000,
  actionMs: 180_000,
};

export interface ComputeParts {
  readonly cluster: string;
  /** A location, where the spec names none. */
  readonly region: string;
  readonly api: HetznerApi;
  readonly actions: ActionWaiter;
  readonly clock: Clock;
  readonly times: HetznerTimes;
}

/** The vendor's limit. */
const userDataBytesMax = 32 * 1024;
/** Creates of one `ensure` whose outcome was not known. */
const createsMax = 8;

export function makeCompute(parts: ComputeParts): Compute {
  return {
    ensure: (spec) => asEffect((signal) => ensure(parts, spec, signal)),
    get: (id) => asEffect(async (signal) => describeServer(await serverOf(parts, "get", id, signal), parts.clock.now())),
    list: (selector) => asEffect((signal) => list(parts, selector, signal)),
    delete: (id) => asEffect((signal) => remove(parts, id, signal)),
    power: (id, action) =>
      asEffect(async (signal) => powerServer(parts, await ownServer(parts, action, id, signal), action, signal)),
    label: (id, patch) => asEffect((signal) => label(parts, id, patch, signal)),
    awaitState: (id, want, within) => asEffect((signal) => awaitState(parts, id, want, toMillis(within), signal)),
  };
}

/**
 * Looks first, creates, and when it cannot know whether that made one, waits and looks again. The name is unique at the vendor, so
 * however many ask, and however often an answer is lost, there is one at most. `created` is true also when the answer was
 * lost and the instance was there afterwards.
 */
async function ensure(parts: ComputeParts, spec: InstanceSpec, signal: AbortSignal) {
  const { api, clock, times } = parts;
  const op = `ensure ${spec.name}`;
  const body = createBody(parts, spec, op);
  const until = clock.now() + times.ensureMs;
  let unsure: CloudFailure | null = null;
  let isLost = false;
  for (let tried = 0; ;) {
    const found = await findServer(parts, spec, op, signal);
    if (found !== null && found.status !== "deleting") {
      const wrong = adoptionFault(found.labels, spec, `server ${found.id}`);
      if (wrong !== null) throw fault({ ...wrong, op });
      return { instance: describeServer(found, clock.now()), created: isLost };
    }
    if (clock.now() >= until || tried >= createsMax) {
      const message = `${body.name} is still being deleted after ${times.ensureMs} ms`;
      throw unsure ?? fault({ _tag: "Deadline", waitedFor: millis(times.ensureMs), op, message });
    }
    if (found !== null) {
      await clock.sleep(times.pollMs, signal);
      continue;
    }
    tried += 1;
    try {
      const { server, action } = await api.createServer(body, spec.userData, signal);
      if (action.status === "error") throw fault({ ...classifyAction(action.error), op });
      return { instance: describeServer(server, clock.now()), created: true };
    } catch (failure) {
      if (!isUnsure(failure)) throw failure;
      unsure = failure;
      isLost ||= failure.error._tag === "Transient";
      // Each time longer, and each time at least as long as the lists may lag.
      await clock.sleep(times.consistencyMs * tried, signal);
    }
  }
}

/** There may be one now: the answer was lost, or the name is taken by what the lists do not show yet. */
const isUnsure = (failure: unknown): failure is CloudFailure =>
  failure instanceof CloudFailure &&
  ((failure.error._tag === "Transient" && failure.error.maybeApplied) ||
    (failure.error._tag === "Conflict" && failure.error.kind === "exists"));

function createBody(parts: ComputeParts, spec: InstanceSpec, op: string): CreateServer {
  const invalid = (message: string): CloudFailure => fault({ _tag: "Invalid", op, message });
  if (spec.key.cluster !== parts.cluster) throw invalid(`this provider serves ${parts.cluster}, not ${spec.key.cluster}`);
  const wrong = cloudSpecFault(spec, userDataBytesMax);
  if (wrong !== null || spec.machine === undefined) throw invalid(wrong ?? "no machine");
  const { size, image, zone, networks, firewalls, sshKeys, placementGroup, publicIp } = spec.machine;
  if (spec.machine.spot === true) throw invalid("Hetzner has no spot machines");
  if (spec.machine.identity !== undefined) throw invalid("Hetzner gives machines no identity of their own");
  const ids = numbersOf(spec.machine);
  if (ids === null)
    throw invalid(`networks, firewalls and placement group are numbers: ${[...networks, ...firewalls].join(", ")}`);
  if (!publicIp && networks.length === 0) throw invalid("a server needs a public address or a network");
  return {
    name: instanceName(spec.key),
    server_type: size,
    image,
    location: zone ?? parts.region,
    labels: bookedLabels(spec),
    ssh_keys: sshKeys,
    networks: ids.networks,
    firewalls: ids.firewalls.map((firewall) => ({ firewall })),
    ...(placementGroup === undefined ? {} : { placement_group: Number(placementGroup) }),
    public_net: { enable_ipv4: publicIp, enable_ipv6: publicIp },
    start_after_create: true,
  };
}

function numbersOf({ networks, firewalls, placementGroup }: MachineSpec) {
  const isId = (text: string): boolean => /^[1-9]\d{0,14}$/.test(text);
  const all = [...networks, ...firewalls, ...(placementGroup === undefined ? [] : [placementGroup])];
  return all.every(isId) ? { networks: networks.map(Number), firewalls: firewalls.map(Number) } : null;
}

/** The node's server: by its labels, and by its name, which somebody else's may have. */
async function findServer(parts: ComputeParts, spec: InstanceSpec, op: string, signal: AbortSignal): Promise<Server | null> {
  const selector = { ...clusterLabels(spec.key.cluster), [labelKeys.node]: spec.key.node };
  const [labelled, named] = await Promise.all([
    parts.api.servers({ selector }, signal),
    parts.api.servers({ name: instanceName(spec.key) }, signal),
  ]);
  const found = new Map([...labelled, ...named].map((server) => [server.id, server]));
  if (found.size < 2) return [...found.values()][0] ?? null;
  const message = `servers ${[...found.keys()].join(" and ")} both are, or are called like, node ${spec.key.node}; remove the wrong one`;
  throw fault({ _tag: "Conflict", kind: "exists", op, message });
}

async function list({ api, clock }: ComputeParts, selector: Labels, signal: AbortSignal): Promise<readonly Instance[]> {
  const wrong = labelFault(selector);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: "list", message: wrong });
  const servers = await api.servers({ selector }, signal);
  const now = clock.now();
  return servers.map((server) => describeServer(server, now)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function serverOf({ api }: ComputeParts, op: string, id: InstanceId, signal: AbortSignal): Promise<Server> {
  const number = serverId(id);
  if (number !== null) return api.server(number, signal);
  throw fault({ _tag: "NotFound", eventual: false, op: `${op} ${id}`, message: `there is no instance ${id}` });
}

/** For what changes it: somebody else's server is not ours to touch. */
async function ownServer(parts: ComputeParts, op: string, id: InstanceId, signal: AbortSignal): Promise<Server> {
  const server = await serverOf(parts, op, id, signal);
  if (isOf(server, parts.cluster)) return server;
  const message = `server ${server.name} does not carry the labels of cluster ${parts.cluster}: it is not ours`;
  throw fault({ _tag: "Invalid", op: `${op} ${id}`, message });
}

/** Billing stops when the server is gone, so that is waited for. Its own public addresses go with it. */
async function remove(parts: ComputeParts, id: InstanceId, signal: AbortSignal): Promise<"deleted" | "absent"> {
  const { api, clock, times } = parts;
  const server = await ownServer(parts, "delete", id, signal).catch(absentAsNull);
  if (server === null) return "absent";
  await api.deleteServer(server.id, signal).catch(absentAsNull);
  const timing = { everyMs: times.pollMs, withinMs: times.deleteMs };
  const isGone = await pollUntil(clock, timing, signal, async () =>
    (await api.server(server.id, signal).catch(absentAsNull)) === null ? true : null,
  );
  if (isGone !== null) return "deleted";
  const message = `${server.name} is still there ${times.deleteMs} ms after its deletion was accepted`;
  throw fault({ _tag: "Deadline", waitedFor: millis(times.deleteMs), op: `delete ${server.name}`, message });
}

const absentAsNull = (failure: unknown): null => {
  if (failedAs(failure, "NotFound")) return null;
  throw failure;
};

/** The vendor replaces all labels at once and has no way to notice another writer: one writer at a time is the caller's promise. */
async function label(parts: ComputeParts, id: InstanceId, patch: LabelPatch, signal: AbortSignal): Promise<Instance> {
  const hidden = bookKeysIn([...Object.keys(patch.set ?? {}), ...(patch.unset ?? [])]);
  const wrong = patchFault(patch) ?? (hidden.length > 0 ? `label ${hidden.join(", ")} belongs to the provider` : null);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `label ${id}`, message: wrong });
  const server = await ownServer(parts, "label", id, signal);
  const labels = applyLabels(server.labels, patch);
  return describeServer(await parts.api.setLabels(server.id, labels, signal), parts.clock.now());
}

function awaitState(
  parts: ComputeParts,
  id: InstanceId,
  want: readonly InstanceState[],
  withinMs: number,
  signal: AbortSignal,
): Promise<Instance> {
  const { clock, times } = parts;
  const wait = { clock, everyMs: times.pollMs, withinMs, fault };
  return awaitInstance(wait, id, want, signal, async () =>
    describeServer(await serverOf(parts, "await", id, signal), clock.now()),
  );
}
