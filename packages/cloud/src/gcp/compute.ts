/** Instances on Compute Engine. Nothing is remembered between calls: what is true is asked of the vendor each time. */
import { millis, toMillis } from "effect/Duration";
import { adoptionFault } from "../adoption.ts";
import { awaitInstance } from "../await-state.ts";
import { bookKeysIn } from "../derivation.ts";
import { asEffect, CloudFailure } from "../failure.ts";
import { applyLabels, clusterLabels, labelFault, labelKeys, patchFault } from "../labels.ts";
import { pollUntil } from "../polling.ts";
import type { Compute, Instance, InstanceId, InstanceSpec, InstanceState, LabelPatch, Labels } from "../provider.ts";
import { absentAsNull, fault } from "./failure.ts";
import { describeInstance, isMeantOff, labelsOf } from "./instance.ts";
import { known, own, relabel, type ComputeParts } from "./owned.ts";
import { powerInstance } from "./power.ts";
import { createRequestId, drawnRequestId } from "./request-id.ts";
import { lastPart, type GcpInstance, type Operation } from "./shapes.ts";
import { wishOf, type Wish } from "./wish.ts";

/** Creates of one `ensure` whose outcome was not known. */
const createsMax = 8;
/** Requests under which an attempt may fail before it is really refused: an older failure of the same attempt is repeated to us. */
const replaysMax = 5;

export function makeCompute(parts: ComputeParts): Compute {
  return {
    ensure: (spec) => asEffect((signal) => ensure(parts, spec, signal)),
    get: (id) => asEffect(async (signal) => describeInstance(await known(parts, "get", id, signal))),
    list: (selector) => asEffect((signal) => list(parts, selector, signal)),
    delete: (id) => asEffect((signal) => remove(parts, id, signal)),
    power: (id, action) => asEffect(async (signal) => powerInstance(parts, await own(parts, action, id, signal), action, signal)),
    label: (id, patch) => asEffect((signal) => label(parts, id, patch, signal)),
    awaitState: (id, want, within) => asEffect((signal) => awaitState(parts, id, want, toMillis(within), signal)),
  };
}

/**
 * Looks first, creates, waits for the operation, for only that says whether there was room. The request's id is derived, so however
 * often an answer is lost, and whoever asks again, there is one create; and the name is unique in its zone. `created` is true also
 * when an answer was lost and the instance was there afterwards.
 */
async function ensure(parts: ComputeParts, spec: InstanceSpec, signal: AbortSignal) {
  const { clock, times } = parts;
  const op = `ensure ${spec.name}`;
  const wish = wishOf(parts, await parts.project(signal), spec, op);
  const until = clock.now() + times.ensureMs;
  let unsure: CloudFailure | null = null;
  let isLost = false;
  for (let tried = 0; ;) {
    const found = await findInstance(parts, wish, spec, op, signal);
    if (found !== null && !isEnding(found)) {
      const wrong = adoptionFault(labelsOf(found), spec, `instance ${found.name} in ${lastPart(found.zone)}`);
      if (wrong !== null) throw fault({ ...wrong, op });
      // Until it has found its place it may still vanish again, for lack of room.
      if (found.status !== "PROVISIONING") return { instance: describeInstance(found), created: isLost };
    }
    if (clock.now() >= until || tried >= createsMax) {
      const message = `${wish.body.name} is still ${found?.status ?? "unknown"} after ${times.ensureMs} ms`;
      throw unsure ?? fault({ _tag: "Deadline", waitedFor: millis(times.ensureMs), op, message });
    }
    if (found !== null) {
      await clock.sleep(times.pollMs, signal);
      continue;
    }
    tried += 1;
    try {
      const operation = await create(parts, wish, spec, op, signal);
      return { instance: describeInstance(await justMade(parts, wish, operation, spec, op, signal)), created: true };
    } catch (failure) {
      if (!isUnsure(failure)) throw failure;
      unsure = failure;
      isLost ||= failure.error._tag === "Transient";
      // Each time longer, and each time at least as long as the lists may lag.
      await clock.sleep(times.consistencyMs * tried, signal);
    }
  }
}

/** Being deleted, or ending by itself: the vendor says the same of both, and what comes of it is waited for. */
const isEnding = (instance: GcpInstance): boolean =>
  instance.status === "DEPROVISIONING" || (instance.status === "STOPPING" && !isMeantOff(instance));

/**
 * The same request's id gets the same operation, also when that has failed long ago: a failure that is there with the first answer may
 * be from before, and the next id in line is tried. That makes no second instance, for the name is taken if there is one.
 */
async function create(parts: ComputeParts, wish: Wish, spec: InstanceSpec, op: string, signal: AbortSignal): Promise<Operation> {
  const { api, operations } = parts;
  for (let replays = 0; ; replays += 1) {
    const begun = await api.insert(wish.zone, wish.body, createRequestId(spec, replays), spec.userData, signal);
    const wasOver = begun.status === "DONE" && begun.error !== undefined;
    if (wasOver && replays < replaysMax) continue;
    try {
      return await operations.done(op, wish.zone, begun, signal);
    } catch (failure) {
      const error = failure instanceof CloudFailure ? failure.error : null;
      if (error?._tag === "Capacity") throw fault({ ...error, zone: wish.zone });
      throw failure;
    }
  }
}

/** The operation says which it made; when that is not there any more, this attempt has been used up. */
async function justMade(
  { api }: ComputeParts,
  { zone, body }: Wish,
  { targetId }: Operation,
  spec: InstanceSpec,
  op: string,
  signal: AbortSignal,
): Promise<GcpInstance> {
  const made = await api.instance({ zone, name: body.name }, signal).catch(absentAsNull);
  if (made !== null && (targetId === undefined || targetId === made.id)) return made;
  const message = `attempt ${spec.key.attempt} of ${spec.name} has ended; a new one needs a new attempt`;
  throw fault({ _tag: "Conflict", kind: "stale", op, message });
}

/** There may be one now: the answer was lost, or the name is taken by what the lists do not show yet. */
const isUnsure = (failure: unknown): failure is CloudFailure =>
  failure instanceof CloudFailure &&
  ((failure.error._tag === "Transient" && failure.error.maybeApplied) ||
    (failure.error._tag === "Conflict" && failure.error.kind === "exists"));

/** The node's instance: by its labels in any zone, and by its name in this one, which somebody else's may have. */
async function findInstance(
  { api }: ComputeParts,
  { zone, body }: Wish,
  spec: InstanceSpec,
  op: string,
  signal: AbortSignal,
): Promise<GcpInstance | null> {
  const labels = { ...clusterLabels(spec.key.cluster), [labelKeys.node]: spec.key.node };
  const [labelled, named] = await Promise.all([
    api.instances(labels, signal),
    api.instance({ zone, name: body.name }, signal).catch(absentAsNull),
  ]);
  const found = new Map([...labelled, ...(named === null ? [] : [named])].map((one) => [one.id, one]));
  const staying = [...found.values()].filter((one) => !isEnding(one));
  if (staying.length > 1) {
    const all = staying.map((one) => `${lastPart(one.zone)}/${one.name}`).join(" and ");
    const message = `instances ${all} both are, or are called like, node ${spec.key.node}; remove the wrong one`;
    throw fault({ _tag: "Conflict", kind: "exists", op, message });
  }
  return staying[0] ?? [...found.values()][0] ?? null;
}

async function list({ api }: ComputeParts, selector: Labels, signal: AbortSignal): Promise<readonly Instance[]> {
  const wrong = labelFault(selector);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: "list", message: wrong });
  const found = await api.instances(selector, signal);
  return found.map(describeInstance).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Billing stops when the instance is gone, so that is waited for. Its disk and its own public address go with it. */
async function remove(parts: ComputeParts, id: InstanceId, signal: AbortSignal): Promise<"deleted" | "absent"> {
  const { api, operations, clock, random, times } = parts;
  const instance = await own(parts, "delete", id, signal).catch(absentAsNull);
  if (instance === null) return "absent";
  const op = `delete ${instance.name}`;
  const zone = lastPart(instance.zone);
  const begun = await api.remove({ zone, name: instance.name }, drawnRequestId(random), signal).catch(absentAsNull);
  if (begun !== null) await operations.done(op, zone, begun, signal).catch(absentAsNull);
  const timing = { everyMs: times.pollMs, withinMs: times.deleteMs };
  const isGone = await pollUntil(clock, timing, signal, async () =>
    (await known(parts, "delete", id, signal).catch(absentAsNull)) === null ? true : null,
  );
  if (isGone !== null) return "deleted";
  const message = `${instance.name} is still there ${times.deleteMs} ms after its deletion`;
  throw fault({ _tag: "Deadline", waitedFor: millis(times.deleteMs), op, message });
}

async function label(parts: ComputeParts, id: InstanceId, patch: LabelPatch, signal: AbortSignal): Promise<Instance> {
  const hidden = bookKeysIn([...Object.keys(patch.set ?? {}), ...(patch.unset ?? [])]);
  const wrong = patchFault(patch) ?? (hidden.length > 0 ? `label ${hidden.join(", ")} belongs to the provider` : null);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `label ${id}`, message: wrong });
  const instance = await own(parts, "label", id, signal);
  return describeInstance(await relabel(parts, instance, (labels) => applyLabels(labels, patch), signal));
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
  return awaitInstance(wait, id, want, signal, async () => describeInstance(await known(parts, "await", id, signal)));
}
