/** Instances on Azure. Nothing is remembered between calls: what is true is asked of the vendor each time. */
import { millis, toMillis } from "effect/Duration";
import { adoptionFault } from "../adoption.ts";
import { awaitInstance } from "../await-state.ts";
import { bookKeysIn } from "../derivation.ts";
import { asEffect, CloudFailure } from "../failure.ts";
import type { Clock } from "../http/clock.ts";
import { applyLabels, carries, labelFault, patchFault } from "../labels.ts";
import { pollUntil } from "../polling.ts";
import type { Compute, Instance, InstanceId, InstanceSpec, InstanceState, LabelPatch, Labels } from "../provider.ts";
import type { Rest } from "./rest.ts";
import type { ComputeApi } from "./compute-api.ts";
import { createBody, type CreateMachine, type Place } from "./create-body.ts";
import { failedAs, fault } from "./failure.ts";
import { configurationsOf, describeMachine, idParts, isDeleting, isFailed, isOf } from "./machine.ts";
import type { AzureTimes } from "./options.ts";
import { powerMachine } from "./power.ts";
import type { Card, Machine } from "./shapes.ts";

export interface ComputeParts {
  readonly place: Place;
  readonly rest: Rest;
  readonly api: ComputeApi;
  readonly clock: Clock;
  readonly times: AzureTimes;
}

/** Creates of one `ensure` whose outcome was not known. */
const createsMax = 8;

export function makeCompute(parts: ComputeParts): Compute {
  return {
    ensure: (spec) => asEffect((signal) => ensure(parts, spec, signal)),
    get: (id) => asEffect(async (signal) => shown(parts, await machineOf(parts, "get", id, signal), signal)),
    list: (selector) => asEffect((signal) => list(parts, selector, signal)),
    delete: (id) => asEffect((signal) => remove(parts, id, signal)),
    power: (id, action) =>
      asEffect(async (signal) => powerMachine(parts, await ownMachine(parts, action, id, signal), action, signal)),
    label: (id, patch) => asEffect((signal) => label(parts, id, patch, signal)),
    awaitState: (id, want, within) => asEffect((signal) => awaitState(parts, id, want, toMillis(within), signal)),
  };
}

/**
 * Looks first, creates, and when it cannot know whether that made one, waits and looks again. The name is the resource itself, so
 * looking by it misses none, and the vendor refuses a second. Waits until the vendor has found a host, because that it has none
 * is told only then; what is left of such a create is removed, so that another zone or size can be tried.
 */
async function ensure(parts: ComputeParts, spec: InstanceSpec, signal: AbortSignal) {
  const { api, clock, times } = parts;
  const op = `ensure ${spec.name}`;
  const { name, body } = createBody(parts.place, spec, op);
  const until = clock.now() + times.ensureMs;
  let unsure: CloudFailure | null = null;
  let isLost = false;
  for (let tried = 0; ;) {
    const found = await api.machine(name, signal).catch(absentAsNull);
    if (found !== null && !isDeleting(found)) {
      const wrong = adoptionFault(found.tags ?? {}, spec, `virtual machine ${name}`);
      if (wrong !== null) throw fault({ ...wrong, op });
      return { instance: await shown(parts, found, signal), created: isLost };
    }
    if (clock.now() >= until || tried >= createsMax) {
      const message = `${name} is still being deleted after ${times.ensureMs} ms`;
      throw unsure ?? fault({ _tag: "Deadline", waitedFor: millis(times.ensureMs), op, message });
    }
    if (found !== null) {
      await clock.sleep(times.pollMs, signal);
      continue;
    }
    tried += 1;
    try {
      await createOnce(parts, name, body, spec, op, signal);
      return { instance: await shown(parts, await api.machine(name, signal), signal), created: true };
    } catch (failure) {
      if (!isUnsure(failure)) throw failure;
      unsure = failure;
      isLost ||= failure.error._tag === "Transient";
      // Each time longer, and each time at least as long as the vendor may lag.
      await clock.sleep(times.consistencyMs * tried, signal);
    }
  }
}

/** There may be one now: the answer was lost, or the name is taken by another who was faster. */
const isUnsure = (failure: unknown): failure is CloudFailure =>
  failure instanceof CloudFailure &&
  ((failure.error._tag === "Transient" && failure.error.maybeApplied) ||
    (failure.error._tag === "Conflict" && failure.error.kind === "exists"));

/** Resolves when the machine has a host, or the vendor still looks for one after `acceptMs`. */
async function createOnce(
  parts: ComputeParts,
  name: string,
  body: CreateMachine,
  spec: InstanceSpec,
  op: string,
  signal: AbortSignal,
): Promise<void> {
  const { api, rest, times } = parts;
  const pending = await api.create(name, body, spec.userData, signal).catch(async (failure: unknown) => {
    if (isRefusal(failure)) await clear(parts, name, spec, signal);
    throw failure;
  });
  const end = await rest.finish(op, pending, times.acceptMs, signal).catch((failure: unknown) => {
    if (failedAs(failure, "Deadline")) return null;
    throw failure;
  });
  if (end === null) return;
  // A word that is not known may mean that it runs all the same: then it is looked at.
  if (end._tag !== "Transient") await clear(parts, name, spec, signal);
  throw fault({ ...end, op });
}

/** Of the wish itself, so that what is left of it is of no use to anybody. */
const isRefusal = (failure: unknown): boolean =>
  failedAs(failure, "Quota") || failedAs(failure, "Capacity") || failedAs(failure, "Invalid");

/** There was none when we looked, so what has failed now was made by this call and never ran: nothing of anybody's is lost with it. */
async function clear(parts: ComputeParts, name: string, spec: InstanceSpec, signal: AbortSignal): Promise<void> {
  const wreck = await parts.api.machine(name, signal).catch(absentAsNull);
  if (wreck !== null && isFailed(wreck) && adoptionFault(wreck.tags ?? {}, spec, name) === null)
    await dismantle(parts, wreck, signal);
}

/** What carries all labels. The list of the group has no states and that of states has no labels: they are put together. */
async function list(parts: ComputeParts, selector: Labels, signal: AbortSignal): Promise<readonly Instance[]> {
  const { api } = parts;
  const wrong = labelFault(selector);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: "list", message: wrong });
  const [machines, statuses, cards] = await Promise.all([
    api.machines(signal),
    // Who may not see the whole subscription asks for each.
    api.statuses(signal).catch((failure: unknown) => {
      if (failedAs(failure, "Auth") && failure.error.kind === "forbidden") return [];
      throw failure;
    }),
    api.cards(signal),
  ]);
  const views = new Map(statuses.map(({ id, properties }) => [id.toLowerCase(), properties]));
  const known = new Map(cards.map((card) => [card.id.toLowerCase(), card]));
  const mine = machines.filter(({ tags = {} }) => carries(tags, selector));
  const hasPublic = mine.some((machine) =>
    cardIds(machine).some((id) => {
      const card = known.get(id.toLowerCase());
      return card !== undefined && configurationsOf(card).some(({ publicIPAddress }) => publicIPAddress !== undefined);
    }),
  );
  const publicAddresses = hasPublic ? await api.publicAddresses(signal) : [];
  const addresses = new Map(publicAddresses.map(({ id, properties }) => [id.toLowerCase(), properties.ipAddress ?? ""]));
  const found: Instance[] = [];
  for (const machine of mine) {
    const view = views.get(machine.id.toLowerCase())?.instanceView;
    const seen = view === undefined ? await api.machine(machine.name, signal).catch(absentAsNull) : withView(machine, view);
    if (seen === null) continue;
    const own = cardIds(seen).map((id) => known.get(id.toLowerCase()));
    // One that was made just now is in one list and not yet in the other.
    if (own.includes(undefined)) found.push(await shown(parts, seen, signal));
    else
      found.push(
        describeMachine(
          seen,
          own.flatMap((card) => card ?? []),
          addresses,
        ),
      );
  }
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

const withView = (machine: Machine, instanceView: NonNullable<Machine["properties"]["instanceView"]>): Machine => ({
  ...machine,
  properties: { ...machine.properties, instanceView },
});

const cardIds = ({ properties }: Machine): readonly string[] =>
  (properties.networkProfile?.networkInterfaces ?? []).map(({ id }) => id);

/** Its cards, without those that are gone already. */
async function cardsOf({ api }: ComputeParts, machine: Machine, signal: AbortSignal): Promise<readonly Card[]> {
  const cards = await Promise.all(cardIds(machine).map((id) => api.card(id, signal).catch(absentAsNull)));
  return cards.flatMap((card) => card ?? []);
}

const shown = async (parts: ComputeParts, machine: Machine, signal: AbortSignal): Promise<Instance> =>
  describeMachine(machine, await cardsOf(parts, machine, signal), new Map());

/** NotFound also when the name is another's by now. */
async function machineOf({ api }: ComputeParts, op: string, id: InstanceId, signal: AbortSignal): Promise<Machine> {
  const missing = fault({ _tag: "NotFound", eventual: false, op: `${op} ${id}`, message: `there is no instance ${id}` });
  const parts = idParts(id);
  if (parts === null) throw missing;
  const machine = await api.machine(parts.name, signal);
  if (machine.properties.vmId.toLowerCase() !== parts.vmId) throw missing;
  return machine;
}

/** For what changes it: somebody else's machine is not ours to touch. */
async function ownMachine(parts: ComputeParts, op: string, id: InstanceId, signal: AbortSignal): Promise<Machine> {
  const machine = await machineOf(parts, op, id, signal);
  if (isOf(machine, parts.place.cluster)) return machine;
  const message = `virtual machine ${machine.name} does not carry the labels of cluster ${parts.place.cluster}: it is not ours`;
  throw fault({ _tag: "Invalid", op: `${op} ${id}`, message });
}

async function remove(parts: ComputeParts, id: InstanceId, signal: AbortSignal): Promise<"deleted" | "absent"> {
  const machine = await ownMachine(parts, "delete", id, signal).catch(absentAsNull);
  if (machine === null) return "absent";
  await dismantle(parts, machine, signal);
  return "deleted";
}

/** Resolves when the machine is gone, and with it what costs money too: disk and public addresses, and the cards. */
async function dismantle(parts: ComputeParts, machine: Machine, signal: AbortSignal): Promise<void> {
  const { api, rest, clock, times } = parts;
  const op = `delete ${machine.name}`;
  const disk = machine.properties.storageProfile?.osDisk?.managedDisk?.id;
  const publicIds = (await cardsOf(parts, machine, signal))
    .flatMap(configurationsOf)
    .flatMap(({ publicIPAddress: address }) => address?.id ?? []);
  const pending = await api.delete(machine.name, signal).catch(absentAsNull);
  const end = await rest.finish(op, pending, times.deleteMs, signal);
  if (end !== null) throw fault({ ...end, op });
  let left: readonly string[] = [machine.id, ...cardIds(machine), ...publicIds, ...(disk === undefined ? [] : [disk])];
  const timing = { everyMs: times.pollMs, withinMs: times.deleteMs };
  const isGone = await pollUntil(clock, timing, signal, async () => {
    const there = await Promise.all(
      left.map((id) => (id === machine.id ? isStill(parts, machine, signal) : api.isThere(id, signal))),
    );
    left = left.filter((_, at) => there[at]);
    return left.length === 0 ? true : null;
  });
  if (isGone !== null) return;
  const message = `${left.map((id) => id.split("/").slice(-2).join(" ")).join(", ")} still there ${times.deleteMs} ms after the deletion`;
  throw fault({ _tag: "Deadline", waitedFor: millis(times.deleteMs), op, message });
}

async function isStill({ api }: ComputeParts, machine: Machine, signal: AbortSignal): Promise<boolean> {
  const now = await api.machine(machine.name, signal).catch(absentAsNull);
  return now?.properties.vmId === machine.properties.vmId;
}

const absentAsNull = (failure: unknown): null => {
  if (failedAs(failure, "NotFound")) return null;
  throw failure;
};

/** The vendor merges by itself, so that two who set different labels do not undo each other. */
async function label(parts: ComputeParts, id: InstanceId, patch: LabelPatch, signal: AbortSignal): Promise<Instance> {
  const { set = {}, unset = [] } = patch;
  const hidden = bookKeysIn([...Object.keys(set), ...unset]);
  const wrong = patchFault(patch) ?? (hidden.length > 0 ? `label ${hidden.join(", ")} belongs to the provider` : null);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `label ${id}`, message: wrong });
  const machine = await ownMachine(parts, "label", id, signal);
  const { tags = {} } = machine;
  const gone = Object.fromEntries(unset.flatMap((key) => (tags[key] === undefined ? [] : [[key, tags[key]]])));
  if (Object.keys(set).length > 0) await parts.api.changeTags(machine.id, "Merge", set, signal);
  if (Object.keys(gone).length > 0) await parts.api.changeTags(machine.id, "Delete", gone, signal);
  return shown(parts, { ...machine, tags: applyLabels(tags, patch) }, signal);
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
  return awaitInstance(wait, id, want, signal, async () => shown(parts, await machineOf(parts, "await", id, signal), signal));
}
