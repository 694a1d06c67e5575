/** Instances on EC2. Nothing is remembered between calls: what is true is asked of the vendor each time. */
import { createHash } from "node:crypto";
import { millis, toMillis } from "effect/Duration";
import { adoptionFault } from "../adoption.ts";
import { bookedLabels, bookKeysIn, cloudSpecFault, instanceName } from "../derivation.ts";
import { asEffect, CloudFailure } from "../failure.ts";
import type { Clock } from "../http/clock.ts";
import { applyLabels, clusterLabels, labelFault, labelKeys, patchFault } from "../labels.ts";
import { pollUntil } from "../polling.ts";
import type { Compute, Instance, InstanceId, InstanceSpec, InstanceState, LabelPatch, Labels, PowerAction } from "../provider.ts";
import type { Ec2, Ec2Instance, RunInstance } from "./ec2.ts";
import { failedAs, fault } from "./failure.ts";
import type { Images } from "./images.ts";
import { describeInstance, isOf, livingStates } from "./instance.ts";

export interface AwsTimes {
  /** How long something just made may be unknown to a read, and how far filters lag. */
  readonly consistencyMs: number;
  readonly pollMs: number;
  /** How long a predecessor's deletion is waited for. */
  readonly ensureMs: number;
  readonly deleteMs: number;
  readonly powerMs: number;
}

export const defaultTimes: AwsTimes = {
  consistencyMs: 10_000,
  pollMs: 3_000,
  ensureMs: 300_000,
  deleteMs: 300_000,
  powerMs: 300_000,
};

export interface ComputeParts {
  readonly cluster: string;
  readonly ec2: Ec2;
  readonly images: Images;
  readonly clock: Clock;
  readonly times: AwsTimes;
}

/** The vendor does not know the id: not yet, or not any more. */
const unknownCode = "InvalidInstanceID.NotFound";

/** The vendor's limit, before base64. */
const userDataBytesMax = 16 * 1024;

export function makeCompute(parts: ComputeParts): Compute {
  return {
    ensure: (spec) => asEffect((signal) => ensure(parts, spec, signal)),
    get: (id) => asEffect(async (signal) => describeInstance(await known(parts, "get", id, signal))),
    list: (selector) => asEffect((signal) => list(parts, selector, signal)),
    delete: (id) => asEffect((signal) => remove(parts, id, signal)),
    power: (id, action) => asEffect((signal) => power(parts, id, action, signal)),
    label: (id, patch) => asEffect((signal) => label(parts, id, patch, signal)),
    awaitState: (id, want, within) => asEffect((signal) => awaitState(parts, id, want, toMillis(within), signal)),
  };
}

/**
 * Looks first, then creates under a token made of cluster, node and attempt: however often that is repeated, by whomever, the vendor
 * answers with the same instance. So a lost answer is simply asked for again. An attempt whose instance has ended is used up.
 */
async function ensure(parts: ComputeParts, spec: InstanceSpec, signal: AbortSignal) {
  const { ec2, clock, times } = parts;
  const op = `ensure ${spec.name}`;
  const wish = wishOf(parts, spec, op);
  const timing = { everyMs: times.pollMs, withinMs: times.ensureMs };
  const settled = await pollUntil(clock, timing, signal, async () => {
    const found = await findInstance(parts, spec, op, signal);
    return found?.state === "shutting-down" ? null : { found };
  });
  if (settled === null) {
    const message = `${wish.name} is still being deleted after ${times.ensureMs} ms`;
    throw fault({ _tag: "Deadline", waitedFor: millis(times.ensureMs), op, message });
  }
  if (settled.found !== null) {
    const wrong = adoptionFault(settled.found.labels, spec, settled.found.id);
    if (wrong !== null) throw fault({ ...wrong, op });
    return { instance: describeInstance(settled.found), created: false };
  }
  const image = await parts.images.resolve(wish.image, wish.size, signal);
  const made = await ec2.run({ ...wish, image }, spec.userData, signal);
  if (made.state === "terminated" || made.state === "shutting-down") {
    const message = `attempt ${spec.key.attempt} of ${spec.name} was ${made.id}, which has ended; a new one needs a new attempt`;
    throw fault({ _tag: "Conflict", kind: "stale", op, message });
  }
  return { instance: describeInstance(made), created: true };
}

function wishOf(parts: ComputeParts, spec: InstanceSpec, op: string): RunInstance {
  const invalid = (message: string): CloudFailure => fault({ _tag: "Invalid", op, message });
  if (spec.key.cluster !== parts.cluster) throw invalid(`this provider serves ${parts.cluster}, not ${spec.key.cluster}`);
  const wrong = cloudSpecFault(spec, userDataBytesMax);
  if (wrong !== null || spec.machine === undefined) throw invalid(wrong ?? "no machine");
  const { size, image, zone, networks, firewalls, sshKeys, placementGroup, publicIp, spot, identity } = spec.machine;
  if (networks.length > 1) throw invalid(`one subnet at most: ${networks.join(", ")}`);
  if (sshKeys.length > 1) throw invalid(`one SSH key at most: ${sshKeys.join(", ")}`);
  return {
    token: tokenOf(spec),
    size,
    image,
    subnet: networks[0] ?? null,
    zone: zone ?? null,
    publicIp,
    securityGroups: firewalls,
    sshKey: sshKeys[0] ?? null,
    placementGroup: placementGroup ?? null,
    spot: spot ?? false,
    identity: identity ?? null,
    name: instanceName(spec.key),
    labels: bookedLabels(spec),
  };
}

/** At most 64 ASCII characters. The cluster's id is in it, so that a later cluster of the same name is another. */
const tokenOf = ({ key, labels }: InstanceSpec): string =>
  createHash("sha256")
    .update(JSON.stringify([key.cluster, labels[labelKeys.clusterId] ?? "", key.node, key.attempt]))
    .digest("hex");

async function findInstance(
  { ec2 }: ComputeParts,
  spec: InstanceSpec,
  op: string,
  signal: AbortSignal,
): Promise<Ec2Instance | null> {
  const labels = { ...clusterLabels(spec.key.cluster), [labelKeys.node]: spec.key.node };
  const all = await ec2.instances({ labels, states: livingStates }, signal);
  const staying = all.filter(({ state }) => state !== "shutting-down");
  if (staying.length > 1) {
    const message = `instances ${staying.map(({ id }) => id).join(" and ")} both are node ${spec.key.node}; remove the wrong one`;
    throw fault({ _tag: "Conflict", kind: "exists", op, message });
  }
  return staying[0] ?? all[0] ?? null;
}

async function list({ ec2 }: ComputeParts, selector: Labels, signal: AbortSignal): Promise<readonly Instance[]> {
  const wrong = labelFault(selector);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: "list", message: wrong });
  const found = await ec2.instances({ labels: selector, states: livingStates }, signal);
  return found.map(describeInstance).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** NotFound also when it is terminated; then the code is the vendor's reason, "Server.InsufficientInstanceCapacity". */
async function known({ ec2 }: ComputeParts, op: string, id: InstanceId, signal: AbortSignal): Promise<Ec2Instance> {
  const missing = (message: string, code?: string): CloudFailure =>
    fault({ _tag: "NotFound", eventual: false, op: `${op} ${id}`, message, ...(code === undefined ? {} : { code }) });
  if (!/^i-[0-9a-f]{8,32}$/.test(id)) throw missing(`there is no instance ${id}`);
  const [found] = await ec2.instances({ ids: [id] }, signal);
  if (found === undefined) throw missing(`there is no instance ${id}`);
  if (found.state !== "terminated") return found;
  const reason = found.reason === "" ? "the vendor gives no reason" : found.reason;
  throw missing(`${id} has ended: ${reason}`, found.reason === "" ? "terminated" : found.reason);
}

/** For what changes it: somebody else's instance is not ours to touch. */
async function own(parts: ComputeParts, op: string, id: InstanceId, signal: AbortSignal): Promise<Ec2Instance> {
  const instance = await known(parts, op, id, signal);
  if (isOf(instance, parts.cluster)) return instance;
  const message = `${id} does not carry the labels of cluster ${parts.cluster}: it is not ours`;
  throw fault({ _tag: "Invalid", op: `${op} ${id}`, message });
}

async function remove(parts: ComputeParts, id: InstanceId, signal: AbortSignal): Promise<"deleted" | "absent"> {
  const { ec2, clock, times } = parts;
  const instance = await own(parts, "delete", id, signal).catch(absentAsNull);
  if (instance === null) return "absent";
  await ec2.terminate(id, signal).catch(absentAsNull);
  const timing = { everyMs: times.pollMs, withinMs: times.deleteMs };
  const isGone = await pollUntil(clock, timing, signal, async () =>
    (await known(parts, "delete", id, signal).catch(absentAsNull)) === null ? true : null,
  );
  if (isGone !== null) return "deleted";
  const message = `${id} is still there ${times.deleteMs} ms after its deletion was accepted`;
  throw fault({ _tag: "Deadline", waitedFor: millis(times.deleteMs), op: `delete ${id}`, message });
}

const absentAsNull = (failure: unknown): null => {
  if (failedAs(failure, "NotFound")) return null;
  throw failure;
};

/** The vendor itself turns a graceful stop hard when the guest does not end within minutes; that cannot be forbidden. */
async function power(parts: ComputeParts, id: InstanceId, action: PowerAction, signal: AbortSignal): Promise<void> {
  const { ec2, clock, times } = parts;
  const op = `${action} ${id}`;
  const { state } = await own(parts, action, id, signal);
  if (state === "shutting-down") throw fault({ _tag: "Conflict", kind: "busy", op, message: `${id} is being deleted` });
  const isOff = state === "stopped" || state === "stopping";
  const isStop = action === "stop-graceful" || action === "stop-hard";
  if (isStop && state !== "stopped") await ec2.stop(id, action === "stop-hard", signal);
  if (action === "reboot" && !isOff) return ec2.reboot(id, signal);
  const timing = { everyMs: times.pollMs, withinMs: times.powerMs };
  const wanted = isStop ? "stopped" : "running";
  const seen = await pollUntil(clock, timing, signal, async () => {
    const now = (await known(parts, action, id, signal)).state;
    // What is still stopping cannot be started yet.
    if (!isStop && now === "stopped") await ec2.start(id, signal);
    return now === wanted ? true : null;
  });
  if (seen !== null) return;
  const message = `${id} is not ${wanted} ${times.powerMs} ms after ${action}`;
  throw fault({ _tag: "Deadline", waitedFor: millis(times.powerMs), op, message });
}

/** The vendor merges, tag by tag. What comes back is as it will be: reads of tags lag behind. */
async function label(parts: ComputeParts, id: InstanceId, patch: LabelPatch, signal: AbortSignal): Promise<Instance> {
  const { set = {}, unset = [] } = patch;
  const hidden = bookKeysIn([...Object.keys(set), ...unset]);
  const wrong = patchFault(patch) ?? (hidden.length > 0 ? `label ${hidden.join(", ")} belongs to the provider` : null);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `label ${id}`, message: wrong });
  const instance = await own(parts, "label", id, signal);
  if (Object.keys(set).length > 0) await parts.ec2.createTags(id, set, signal);
  if (unset.length > 0) await parts.ec2.deleteTags(id, unset, signal);
  return describeInstance({ ...instance, labels: applyLabels(instance.labels, patch) });
}

/** What was made moments ago may not be known to a read yet: within the consistency window that is no end. What has ended is one. */
async function awaitState(
  parts: ComputeParts,
  id: InstanceId,
  want: readonly InstanceState[],
  withinMs: number,
  signal: AbortSignal,
): Promise<Instance> {
  const { clock, times } = parts;
  const lenientUntil = clock.now() + times.consistencyMs;
  let last = "not known yet";
  const seen = await pollUntil(clock, { everyMs: times.pollMs, withinMs }, signal, async () => {
    const instance = await known(parts, "await", id, signal).catch((failure: unknown) => {
      const isUnknown = failedAs(failure, "NotFound") && failure.error.code === unknownCode;
      if (isUnknown && clock.now() < lenientUntil) return null;
      throw failure;
    });
    if (instance === null) return null;
    const described = describeInstance(instance);
    last = `${described.state} (${described.rawState})`;
    return want.includes(described.state) ? described : null;
  });
  if (seen !== null) return seen;
  const message = `${id} is ${last} after ${withinMs} ms, wanted ${want.join(" or ")}`;
  throw fault({ _tag: "Deadline", waitedFor: millis(withinMs), op: `await ${id}`, message });
}
