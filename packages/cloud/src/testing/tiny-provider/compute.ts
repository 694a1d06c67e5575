/** Instances in the tiny cloud. Nothing is remembered between calls: what is true is asked of the vendor each time. */
import { millis, toMillis } from "effect/Duration";
import { adoptionFault } from "../../adoption.ts";
import { bookedLabels, bookKeys, bookKeysIn, cloudSpecFault, instanceName, withoutBook } from "../../derivation.ts";
import { asEffect, CloudFailure } from "../../failure.ts";
import type { Clock } from "../../http/clock.ts";
import { carries, clusterLabels, labelFault, labelKeys, patchFault } from "../../labels.ts";
import { pollUntil } from "../../polling.ts";
import type { Compute, Instance, InstanceId, InstanceSpec, InstanceState, LabelPatch, PowerAction } from "../../provider.ts";
import type { CreateMachine, Machine, PowerWord, TinyApi } from "./api.ts";
import { failedAs, fault } from "./failure.ts";

export interface ComputeParts {
  readonly cluster: string;
  /** Where, when the spec names no zone. */
  readonly region: string;
  readonly api: TinyApi;
  readonly clock: Clock;
}

const userDataBytesMax = 16 * 1024;
const pollMs = 1_000;
const ensureMs = 180_000;
/** For a deletion, and for a power button to be obeyed. */
const patienceMs = 120_000;
const createsMax = 8;

export function makeCompute(parts: ComputeParts): Compute {
  const { api } = parts;
  const listed = async (selector: Readonly<Record<string, string>>, signal: AbortSignal): Promise<readonly Instance[]> => {
    const wrong = labelFault(selector);
    if (wrong !== null) throw fault({ _tag: "Invalid", op: "list", message: wrong });
    return (await api.machines(selector, signal)).map(describeMachine).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  };
  return {
    ensure: (spec) => asEffect((signal) => ensure(parts, spec, signal)),
    get: (id) => asEffect(async (signal) => describeMachine(await api.machine(id, signal))),
    list: (selector) => asEffect((signal) => listed(selector, signal)),
    delete: (id) => asEffect((signal) => remove(parts, id, signal)),
    power: (id, action) => asEffect((signal) => power(parts, id, action, signal)),
    label: (id, patch) => asEffect((signal) => label(parts, id, patch, signal)),
    awaitState: (id, want, within) =>
      asEffect(async (signal) =>
        describeMachine(await becomes(parts, id, (now) => want.includes(stateOf(now)), toMillis(within), `await ${id}`, signal)),
      ),
  };
}

/** Looks, creates, and when it cannot know whether that made one, looks again. The vendor refuses a second of the same name. */
async function ensure({ cluster, region, api, clock }: ComputeParts, spec: InstanceSpec, signal: AbortSignal) {
  const op = `ensure ${spec.name}`;
  const invalid = (message: string): CloudFailure => fault({ _tag: "Invalid", op, message });
  if (spec.key.cluster !== cluster) throw invalid(`this provider serves ${cluster}, not ${spec.key.cluster}`);
  const wrong = cloudSpecFault(spec, userDataBytesMax);
  if (wrong !== null || spec.machine === undefined) throw invalid(wrong ?? "no machine");
  const { size, image, zone = region } = spec.machine;
  const wish: CreateMachine = { name: instanceName(spec.key), size, image, place: zone, labels: bookedLabels(spec) };
  const until = clock.now() + ensureMs;
  let unsure: CloudFailure | null = null;
  let isLost = false;
  for (let tried = 0; ;) {
    const found = await api.named(wish.name, signal);
    if (found !== null && found.state !== "ending") {
      const conflict = adoptionFault(found.labels, spec, `machine ${found.id}`);
      if (conflict !== null) throw fault({ ...conflict, op });
      return { instance: describeMachine(found), created: isLost };
    }
    if (clock.now() >= until || tried >= createsMax) {
      const message = `${wish.name} is still being deleted after ${ensureMs} ms`;
      throw unsure ?? fault({ _tag: "Deadline", waitedFor: millis(ensureMs), op, message });
    }
    if (found === null) {
      tried += 1;
      try {
        return { instance: describeMachine(await api.create(wish, spec.userData, signal)), created: true };
      } catch (failure) {
        if (!isUnsure(failure)) throw failure;
        unsure = failure;
        isLost ||= failure.error._tag === "Transient";
      }
    }
    await clock.sleep(pollMs, signal);
  }
}

/** There may be one now: the answer was lost, or somebody else was faster. */
const isUnsure = (failure: unknown): failure is CloudFailure =>
  failure instanceof CloudFailure &&
  ((failure.error._tag === "Transient" && failure.error.maybeApplied) ||
    (failure.error._tag === "Conflict" && failure.error.kind === "exists"));

/** For what changes it: somebody else's machine is not ours to touch. */
async function ownMachine({ api, cluster }: ComputeParts, op: string, id: InstanceId, signal: AbortSignal): Promise<Machine> {
  const machine = await api.machine(id, signal);
  if (carries(machine.labels, clusterLabels(cluster))) return machine;
  const message = `machine ${machine.name} does not carry the labels of cluster ${cluster}: it is not ours`;
  throw fault({ _tag: "Invalid", op: `${op} ${id}`, message });
}

/** Billing stops when the machine is gone, so that is waited for. */
async function remove(parts: ComputeParts, id: InstanceId, signal: AbortSignal): Promise<"deleted" | "absent"> {
  const { api, clock } = parts;
  if ((await ownMachine(parts, "delete", id, signal).catch(absentAsNull)) === null) return "absent";
  await api.remove(id, signal).catch(absentAsNull);
  const isGone = await pollUntil(clock, { everyMs: pollMs, withinMs: patienceMs }, signal, async () =>
    (await api.machine(id, signal).catch(absentAsNull)) === null ? true : null,
  );
  if (isGone !== null) return "deleted";
  const message = `${id} is still there ${patienceMs} ms after its deletion was accepted`;
  throw fault({ _tag: "Deadline", waitedFor: millis(patienceMs), op: `delete ${id}`, message });
}

const absentAsNull = (failure: unknown): null => {
  if (failedAs(failure, "NotFound")) return null;
  throw failure;
};

const words: Readonly<Record<PowerAction, PowerWord>> = {
  start: "on",
  "stop-graceful": "halt",
  "stop-hard": "off",
  reboot: "again",
};

/** Resolves when it is so. The vendor knows by itself whether a machine that is off was switched off: no label has to say it. */
async function power(parts: ComputeParts, id: InstanceId, action: PowerAction, signal: AbortSignal): Promise<void> {
  const { state, off_by: offBy } = await ownMachine(parts, action, id, signal);
  const op = `${action} ${id}`;
  if (state === "ending") throw fault({ _tag: "Conflict", kind: "busy", op, message: `${id} is being deleted` });
  const wanted = action === "start" || action === "reboot" ? "on" : "off";
  const isAlready = action !== "reboot" && state === wanted && offBy !== "itself";
  if (isAlready) return;
  await parts.api.power(id, action === "reboot" && state === "off" ? "on" : words[action], signal);
  await becomes(parts, id, (machine) => machine.state === wanted, patienceMs, op, signal);
}

/** The vendor merges labels by itself, so nobody's change is lost. */
async function label(parts: ComputeParts, id: InstanceId, patch: LabelPatch, signal: AbortSignal): Promise<Instance> {
  const hidden = bookKeysIn([...Object.keys(patch.set ?? {}), ...(patch.unset ?? [])]);
  const wrong = patchFault(patch) ?? (hidden.length > 0 ? `label ${hidden.join(", ")} belongs to the provider` : null);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `label ${id}`, message: wrong });
  await ownMachine(parts, "label", id, signal);
  return describeMachine(await parts.api.label(id, patch, signal));
}

async function becomes(
  { api, clock }: ComputeParts,
  id: InstanceId,
  isSo: (machine: Machine) => boolean,
  withinMs: number,
  op: string,
  signal: AbortSignal,
): Promise<Machine> {
  let last = "";
  const seen = await pollUntil(clock, { everyMs: pollMs, withinMs }, signal, async () => {
    const machine = await api.machine(id, signal);
    last = machine.state;
    return isSo(machine) ? machine : null;
  });
  if (seen !== null) return seen;
  throw fault({ _tag: "Deadline", waitedFor: millis(withinMs), op, message: `${id} is still ${last} after ${withinMs} ms` });
}

export function describeMachine(machine: Machine): Instance {
  const { id, name, state, address, labels, place, made } = machine;
  const port = labels[bookKeys.port];
  return {
    id: id as InstanceId,
    name: labels[labelKeys.node] ?? name,
    state: stateOf(machine),
    rawState: state,
    address: address === null || port === undefined ? "" : `${address}:${port}`,
    labels: withoutBook(labels),
    createdAt: made * 1000,
    zone: place,
    publicIps: address === null ? [] : [address],
    privateIps: [],
    facts: { machine: id },
  };
}

function stateOf({ state, off_by: offBy }: Machine): InstanceState {
  switch (state) {
    case "on":
      return "running";
    case "off":
      return offBy === "itself" ? "failed" : "stopped";
    case "halting":
      return "stopping";
    case "ending":
      return "deleting";
    default:
      // "booting", and any new word: no evidence that it is gone.
      return "pending";
  }
}
