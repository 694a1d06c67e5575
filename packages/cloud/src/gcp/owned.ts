/** What all that Aether does with an instance on Compute Engine shares: to find it by its id, to know whose it is, to change its labels. */
import { CloudFailure } from "../failure.ts";
import type { Clock, Random } from "../http/clock.ts";
import type { InstanceId, Labels } from "../provider.ts";
import type { ComputeApi } from "./compute-api.ts";
import { absentAsNull, fault } from "./failure.ts";
import { idOf, isOf, labelsOf, partsOf } from "./instance.ts";
import type { OperationWaiter } from "./operations.ts";
import { drawnRequestId } from "./request-id.ts";
import { lastPart, type GcpInstance } from "./shapes.ts";
import type { WishPlace } from "./wish.ts";

export interface GcpTimes {
  /** How long something just made may be missing from lists. */
  readonly consistencyMs: number;
  /** Between two looks at something that is changing. */
  readonly pollMs: number;
  /** How long `ensure` may look for what it does not know to have made, and wait for a predecessor's deletion. */
  readonly ensureMs: number;
  readonly deleteMs: number;
  /** How long an operation may take, and after it the state that it brings about. */
  readonly operationMs: number;
}

export const defaultTimes: GcpTimes = {
  consistencyMs: 3_000,
  pollMs: 2_000,
  ensureMs: 300_000,
  deleteMs: 300_000,
  operationMs: 300_000,
};

export interface ComputeParts extends WishPlace {
  readonly project: (signal: AbortSignal) => Promise<string>;
  readonly api: ComputeApi;
  readonly operations: OperationWaiter;
  readonly clock: Clock;
  readonly random: Random;
  readonly times: GcpTimes;
}

/** How often another writer of the labels is given way to. */
const labelTriesMax = 6;

/** NotFound also when another has its name by now. */
export async function known({ api }: ComputeParts, op: string, id: InstanceId, signal: AbortSignal): Promise<GcpInstance> {
  const at = partsOf(id);
  const found = at === null ? null : await api.instance(at, signal).catch(absentAsNull);
  if (found !== null && idOf(found) === id) return found;
  throw fault({ _tag: "NotFound", eventual: false, op: `${op} ${id}`, message: `there is no instance ${id}` });
}

/** For what changes it: somebody else's instance is not ours to touch. */
export async function own(parts: ComputeParts, op: string, id: InstanceId, signal: AbortSignal): Promise<GcpInstance> {
  const instance = await known(parts, op, id, signal);
  if (isOf(instance, parts.cluster)) return instance;
  const message = `instance ${instance.name} does not carry the labels of cluster ${parts.cluster}: it is not ours`;
  throw fault({ _tag: "Invalid", op: `${op} ${id}`, message });
}

/**
 * Writes changed labels over the version that was read. When somebody else was faster, theirs are read and changed instead, so that
 * nobody's are lost.
 */
export async function relabel(
  parts: ComputeParts,
  read: GcpInstance,
  change: (labels: Labels) => Labels,
  signal: AbortSignal,
): Promise<GcpInstance> {
  const { api, operations, random } = parts;
  const op = `label ${read.name}`;
  const at = { zone: lastPart(read.zone), name: read.name };
  for (let instance = read, tried = 1; ; tried += 1) {
    const labels = change(labelsOf(instance));
    if (isSame(labels, labelsOf(instance))) return instance;
    try {
      const begun = await api.setLabels(at, labels, instance.labelFingerprint ?? "", drawnRequestId(random), signal);
      await operations.done(op, at.zone, begun, signal);
    } catch (failure) {
      const error = failure instanceof CloudFailure ? failure.error : null;
      const isOvertaken = error?._tag === "Conflict" && error.kind === "stale";
      if (!isOvertaken || tried >= labelTriesMax) throw failure;
    }
    instance = await known(parts, "label", idOf(read), signal);
  }
}

const isSame = (one: Labels, other: Labels): boolean => {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
};
