/** The answer of a node that has no member taking part, whatever was asked of it. */
import { reject, type Rejection } from "@aether/core/kernel/command";
import type { Aetherd } from "../daemon/aetherd-process.ts";

export function notRunning({ phase }: Pick<Aetherd, "phase">): Rejection {
  const why = phase.p === "running" ? "it has just begun to" : `${phase.p}: ${phase.why}`;
  return reject("not_ready", `this node does not take part yet: ${why}`, "try again, or ask another node");
}
