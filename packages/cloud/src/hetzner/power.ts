/**
 * Power of a server. The vendor does not say whether a server that is off was switched off or ended by itself, so a label says
 * what Aether wants, written before it is done: interrupted anywhere, doing it again finishes it.
 */
import { millis } from "effect/Duration";
import { bookKeys } from "../derivation.ts";
import { pollUntil } from "../polling.ts";
import type { Labels, PowerAction } from "../provider.ts";
import type { PowerCall } from "./api.ts";
import type { ComputeParts } from "./compute.ts";
import { fault } from "./failure.ts";
import type { Server } from "./shapes.ts";

export async function powerServer(parts: ComputeParts, server: Server, action: PowerAction, signal: AbortSignal): Promise<void> {
  const op = `${action} ${server.name}`;
  if (server.status === "deleting") {
    throw fault({ _tag: "Conflict", kind: "busy", op, message: `${server.name} is being deleted` });
  }
  const isOff = server.status === "off";
  switch (action) {
    case "start":
      await want(parts, server, "on", signal);
      return isOff ? bringAbout(parts, server, "poweron", "running", op, signal) : undefined;
    case "stop-graceful":
    case "stop-hard":
      await want(parts, server, "off", signal);
      return isOff ? undefined : bringAbout(parts, server, action === "stop-hard" ? "poweroff" : "shutdown", "off", op, signal);
    case "reboot":
      await want(parts, server, "on", signal);
      return bringAbout(parts, server, isOff ? "poweron" : "reboot", "running", op, signal);
  }
}

/** Writes down what is wanted, where that is not written already. */
async function want({ api }: ComputeParts, { id, labels }: Server, power: "on" | "off", signal: AbortSignal): Promise<void> {
  const { [bookKeys.power]: is, ...others } = labels;
  if ((is ?? "on") === power) return;
  const next: Labels = power === "off" ? { ...others, [bookKeys.power]: "off" } : others;
  await api.setLabels(id, next, signal);
}

/** A successful `shutdown` only means that the button was pressed: what counts is the state that is then seen. */
async function bringAbout(
  { api, actions, clock, times }: ComputeParts,
  server: Server,
  call: PowerCall,
  status: "off" | "running",
  op: string,
  signal: AbortSignal,
): Promise<void> {
  await actions.done(op, await api.power(server.id, call, signal), signal);
  let last = "";
  const timing = { everyMs: times.pollMs, withinMs: times.graceMs };
  const seen = await pollUntil(clock, timing, signal, async () => {
    last = (await api.server(server.id, signal)).status;
    return last === status ? true : null;
  });
  if (seen !== null) return;
  const message = `${server.name} is ${last} ${times.graceMs} ms after ${call}, wanted ${status}`;
  throw fault({ _tag: "Deadline", waitedFor: millis(times.graceMs), op, message });
}
