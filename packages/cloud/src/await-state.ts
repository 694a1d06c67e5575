/** Waiting for a machine's state, as every provider does whose reads know a machine from its create on. */
import { millis } from "effect/Duration";
import type { CloudFailure, Without } from "./failure.ts";
import type { Clock } from "./http/clock.ts";
import { pollUntil } from "./polling.ts";
import type { Instance, InstanceId, InstanceState } from "./provider.ts";

export interface StateWait {
  readonly clock: Clock;
  readonly everyMs: number;
  readonly withinMs: number;
  /** The provider's own. */
  readonly fault: (error: Without<"provider">) => CloudFailure;
}

/** What `look` shows once it is in one of these states; a Deadline that tells the state last seen when it is not in time. */
export async function awaitInstance(
  { clock, everyMs, withinMs, fault }: StateWait,
  id: InstanceId,
  want: readonly InstanceState[],
  signal: AbortSignal,
  look: () => Promise<Instance>,
): Promise<Instance> {
  let last = "";
  const seen = await pollUntil(clock, { everyMs, withinMs }, signal, async () => {
    const instance = await look();
    last = `${instance.name} is ${instance.state} (${instance.rawState})`;
    return want.includes(instance.state) ? instance : null;
  });
  if (seen !== null) return seen;
  const message = `${last} after ${withinMs} ms, wanted ${want.join(" or ")}`;
  throw fault({ _tag: "Deadline", waitedFor: millis(withinMs), op: `await ${id}`, message });
}
