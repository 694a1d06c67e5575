/**
 * Power of an instance. The vendor says TERMINATED of what was stopped and of what ended by itself, so a label says what Aether wants,
 * written before it is done: interrupted anywhere, doing it again finishes it.
 *
 * The vendor's stop presses the power button and, when the guest does not end within some 90 seconds, pulls the plug. That cannot be
 * forbidden, and there is no harder stop: both ways of stopping are the same call.
 */
import { millis } from "effect/Duration";
import { bookKeys } from "../derivation.ts";
import { pollUntil } from "../polling.ts";
import type { PowerAction } from "../provider.ts";
import type { PowerCall } from "./compute-api.ts";
import { fault } from "./failure.ts";
import { relabel, type ComputeParts } from "./owned.ts";
import { drawnRequestId } from "./request-id.ts";
import { lastPart, type GcpInstance } from "./shapes.ts";

export async function powerInstance(
  parts: ComputeParts,
  instance: GcpInstance,
  action: PowerAction,
  signal: AbortSignal,
): Promise<void> {
  const op = `${action} ${instance.name}`;
  if (instance.status === "DEPROVISIONING") {
    throw fault({ _tag: "Conflict", kind: "busy", op, message: `${instance.name} is being deleted` });
  }
  const isOff = offWords.has(instance.status);
  const switchOn: PowerCall = instance.status === "SUSPENDED" ? "resume" : "start";
  const isStop = action === "stop-graceful" || action === "stop-hard";
  await want(parts, instance, isStop ? "off" : "on", signal);
  if (isStop) return isOff ? undefined : bringAbout(parts, instance, "stop", op, signal);
  if (isOff) return bringAbout(parts, instance, switchOn, op, signal);
  return action === "reboot" ? bringAbout(parts, instance, "reset", op, signal) : undefined;
}

const offWords: ReadonlySet<string> = new Set(["TERMINATED", "STOPPED", "SUSPENDED"]);

/** Writes down what is wanted, where that is not written already. */
async function want(parts: ComputeParts, instance: GcpInstance, power: "on" | "off", signal: AbortSignal): Promise<void> {
  await relabel(
    parts,
    instance,
    ({ [bookKeys.power]: _is, ...others }) => (power === "off" ? { ...others, [bookKeys.power]: "off" } : others),
    signal,
  );
}

/** What counts is the state that is then seen. */
async function bringAbout(
  { api, operations, clock, random, times }: ComputeParts,
  instance: GcpInstance,
  call: PowerCall,
  op: string,
  signal: AbortSignal,
): Promise<void> {
  const at = { zone: lastPart(instance.zone), name: instance.name };
  await operations.done(op, at.zone, await api.power(at, call, drawnRequestId(random), signal), signal);
  const isThere = (status: string): boolean => (call === "stop" ? offWords.has(status) : status === "RUNNING");
  let last = "";
  const timing = { everyMs: times.pollMs, withinMs: times.operationMs };
  const seen = await pollUntil(clock, timing, signal, async () => {
    last = (await api.instance(at, signal)).status;
    return isThere(last) ? true : null;
  });
  if (seen !== null) return;
  const message = `${instance.name} is ${last} ${times.operationMs} ms after ${call}`;
  throw fault({ _tag: "Deadline", waitedFor: millis(times.operationMs), op, message });
}
