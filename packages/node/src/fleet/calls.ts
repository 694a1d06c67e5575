/** What each call to the vendor, or to a machine, comes to: a receipt for the log, something seen, or another try. No call decides anything. */
import type { Area } from "@aether/core/fleet/events";
import type { Call, Sight } from "@aether/core/fleet/plan";
import { hasOtherPlace, type Places } from "@aether/core/fleet/place";
import type { InstanceRow } from "@aether/core/instance/state";
import type { World } from "@aether/core/kernel/world";
import type { Command } from "@aether/core/kernel/command";
import type { CloudError, CloudProvider, Instance, InstanceId } from "@aether/cloud/provider";
import { result, runPromise, type Effect } from "effect/Effect";
import { isSuccess } from "effect/Result";
import type { Births } from "../enrolment/birth.ts";
import { EnrolmentFailed, type Enrol } from "../enrolment/enrol.ts";

export interface TroubleText {
  readonly area: Area;
  readonly tag: string;
  readonly code: string;
  readonly requestId: string;
  readonly message: string;
}

export interface Outcome {
  /** Issued in their order. */
  readonly receipts: readonly Command[];
  readonly sight: Pick<Sight, "instance" | "state" | "address"> | null;
  /** The call did not come to its end: it is made again after a while. */
  readonly again: boolean;
  /** What an operator has to know; null when that is nothing. */
  readonly trouble: TroubleText | null;
}

export interface CallParts {
  readonly compute: Pick<CloudProvider["compute"], "ensure" | "get" | "power" | "delete">;
  readonly births: Pick<Births, "birthOf" | "specOf" | "identityOf">;
  readonly enrol: (wish: Enrol) => Promise<"enrolled" | "already">;
  /** Whom the new node asks first, as the rows say now. */
  readonly seeds: (node: string) => Parameters<Births["identityOf"]>[0]["seeds"];
  /** Whether a machine could stand somewhere else, where none was refused since one had room. */
  readonly hasOtherPlace: (call: { readonly node: string; readonly zone: string; readonly size: string }) => boolean;
  /** Where to dial for an address that the provider shows. */
  readonly dialAt: (address: string) => string;
}

export const placesBeside =
  (world: World, places: Places): CallParts["hasOtherPlace"] =>
  (call) =>
    hasOtherPlace(places, world.get<InstanceRow>("instance", call.node)?.row, call);

type Known = Exclude<Call, { readonly call: "ensure" }>;

/** A try; between two of them there is a look whether the machine is still there. */
const enrolTryMs = 60_000;
const textMax = { code: 256, requestId: 256, message: 1_024, how: 512 };

/** Rejects with the signal's reason when that is aborted. */
export async function makeCall(p: CallParts, call: Call, signal: AbortSignal): Promise<Outcome> {
  switch (call.call) {
    case "ensure":
      return ensure(p, call, signal);
    case "look":
      return onFailure(await ask(p.compute.get(idOf(call)), signal), call, saw);
    case "enrol":
      return enrolNode(p, call, signal);
    case "stop":
      return stop(p, call, signal);
    case "delete":
      return onFailure(await ask(p.compute.delete(idOf(call)), signal), call, (end) =>
        end === "deleted" ? said({ type: "RecordGone", ...about(call), how: "deleted" }) : sawNothing(call),
      );
  }
}

const idOf = ({ instance }: Known): InstanceId => instance as InstanceId;
const about = ({ node: id, attempt }: Call) => ({ id, attempt });
export const nothing: Outcome = { receipts: [], sight: null, again: false, trouble: null };
export const said = (...receipts: readonly Command[]): Outcome => ({ ...nothing, receipts });
export const later = (trouble: TroubleText | null): Outcome => ({ ...nothing, again: true, trouble });
const saw = ({ id, state, address }: Instance): Outcome => ({ ...nothing, sight: { instance: id, state, address } });
const sawNothing = ({ instance }: Known): Outcome => ({ ...nothing, sight: { instance, state: "absent", address: "" } });

export type Asked<A> = { readonly ok: true; readonly value: A } | { readonly ok: false; readonly error: CloudError };

/** The effect's failure as a value. Rejects on what is no CloudError, and when aborted. */
export async function ask<A>(effect: Effect<A, CloudError>, signal: AbortSignal): Promise<Asked<A>> {
  const done = await runPromise(result(effect), { signal });
  return isSuccess(done) ? { ok: true, value: done.success } : { ok: false, error: done.failure };
}

function onFailure<A>(asked: Asked<A>, call: Known, onSuccess: (value: A) => Outcome): Outcome {
  if (asked.ok) return onSuccess(asked.value);
  const { error } = asked;
  if (error._tag === "NotFound") return error.eventual ? later(null) : sawNothing(call);
  return later(troubleOf(error));
}

async function ensure(p: CallParts, call: Extract<Call, { call: "ensure" }>, signal: AbortSignal): Promise<Outcome> {
  const asked = await ask(p.compute.ensure(p.births.specOf(call)), signal);
  if (asked.ok) {
    const { id: instance } = asked.value.instance;
    return {
      ...saw(asked.value.instance),
      receipts: [{ type: "RecordInstance", ...about(call), step: "accepted", instance }],
    };
  }
  const { error } = asked;
  switch (judgeRefusal(error)) {
    case "refused":
      // Limits are often of one region's zone or of a family of sizes; which, no vendor tells in the same way.
      return said({
        type: "RefuseInstance",
        ...about(call),
        ...words(error),
        ...(error._tag === "Quota" && p.hasOtherPlace(call) ? { elsewhere: true } : {}),
      });
    case "used up":
      return said({ type: "RecordGone", ...about(call), how: error.message.slice(0, textMax.how) });
    case "open":
      return later(troubleOf(error));
  }
}

/**
 * Whether the vendor has surely made none. Auth may come from the look before the create, and so says nothing about an earlier try: the
 * intent stays open. stale: the attempt's machine has ended, or a later attempt's is there.
 */
function judgeRefusal(error: CloudError): "refused" | "used up" | "open" {
  switch (error._tag) {
    case "Capacity":
    case "Quota":
    case "Invalid":
    case "Unsupported":
    case "NotFound":
      return "refused";
    case "Conflict":
      if (error.kind === "busy") return "open";
      return error.kind === "stale" ? "used up" : "refused";
    default:
      return "open";
  }
}

async function stop(p: CallParts, call: Known, signal: AbortSignal): Promise<Outcome> {
  const asked = await ask(p.compute.power(idOf(call), "stop-hard"), signal);
  if (!asked.ok) return onFailure(asked, call, () => nothing);
  // what the vendor did is believed when it shows it; one that had ended by itself before is off too, and shown as failed for ever
  return onFailure(await ask(p.compute.get(idOf(call)), signal), call, (instance) =>
    instance.state === "stopped" || instance.state === "failed" ? { ...saw(instance), ...receiptOfStop(call) } : later(null),
  );
}

const receiptOfStop = (call: Call) => ({ receipts: [{ type: "RecordStopped", ...about(call) }] });

async function enrolNode(p: CallParts, call: Extract<Call, { call: "enrol" }>, signal: AbortSignal): Promise<Outcome> {
  const { node, member, address, instance } = call;
  const identity = p.births.identityOf({ node, member, advertise: address, seeds: p.seeds(node) });
  try {
    await p.enrol({ address: p.dialAt(address), birth: p.births.birthOf(call), identity, withinMs: enrolTryMs, signal });
    return said({ type: "RecordInstance", ...about(call), step: "enrolled", instance });
  } catch (error) {
    if (!(error instanceof EnrolmentFailed)) throw error;
    if (error.fault === "unreachable") return later(null);
    const message = `node ${node}: ${error.message}`.slice(0, textMax.message);
    return later({ area: "instances", tag: "Enrolment", code: error.fault, requestId: "", message });
  }
}

/** Null for what passes by itself. */
export function troubleOf(error: CloudError, area: Area = "instances"): TroubleText | null {
  if (error._tag === "Throttled" || error._tag === "Transient" || error._tag === "Deadline") return null;
  if (error._tag === "Conflict" && error.kind === "busy") return null;
  return { area: error._tag === "Auth" ? "credentials" : area, ...words(error) };
}

/** The provider has masked what is confidential. */
const words = ({ _tag: tag, code, requestId, op, message }: CloudError) => ({
  tag,
  code: (code ?? "").slice(0, textMax.code),
  requestId: (requestId ?? "").slice(0, textMax.requestId),
  message: `${op}: ${message}`.slice(0, textMax.message),
});
