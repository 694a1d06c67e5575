/**
 * Power of a machine. The vendor's own "stopped" keeps the host and bills for it, so a stop of ours goes on to give the host back.
 * Interrupted in between it shows as failed, and doing it again finishes it.
 */
import type { PowerAction } from "../provider.ts";
import type { PowerVerb } from "./compute-api.ts";
import type { ComputeParts } from "./compute.ts";
import { fault } from "./failure.ts";
import { isDeallocated, isDeleting, isOff, isRunning } from "./machine.ts";
import type { Machine } from "./shapes.ts";

export async function powerMachine(
  parts: ComputeParts,
  machine: Machine,
  action: PowerAction,
  signal: AbortSignal,
): Promise<void> {
  const { name } = machine;
  const op = `${action} ${name}`;
  if (isDeleting(machine)) throw fault({ _tag: "Conflict", kind: "busy", op, message: `${name} is being deleted` });
  const press = async (verb: PowerVerb, isHard = false): Promise<void> => {
    const pending = await parts.api.power(name, verb, isHard, signal);
    const end = await parts.rest.finish(op, pending, parts.times.powerMs, signal);
    if (end !== null) throw fault({ ...end, op });
  };
  switch (action) {
    case "start":
      return isRunning(machine) ? undefined : press("start");
    case "stop-graceful":
    case "stop-hard":
      if (isDeallocated(machine)) return;
      // Giving the host back would end the guest too, but the vendor does not say how; switching off says it.
      if (!isOff(machine)) await press("powerOff", action === "stop-hard");
      return press("deallocate");
    case "reboot":
      return isOff(machine) ? press("start") : press("restart");
  }
}
