/** The rules of the fleet's row: what is known is not said again, and a receipt is for the newest intent. */
import { reject, type Command, type Decision, type Rejection } from "../kernel/command.ts";
import type { World } from "../kernel/world.ts";
import * as events from "./events.ts";
import type { Area } from "./events.ts";
import { fleetOf, type Target, type Trouble } from "./state.ts";

const nothing: Decision = { events: [] };

function elsewhere(world: World, id: string): Rejection | null {
  if (world.get("cluster", id) !== undefined) return null;
  return reject("not_found", `there is no cluster ${id} here`, "the id of its fleet is the cluster's name");
}

/** The vendor's name of a request is another each time: it alone makes no new trouble. */
export function decideTrouble(world: World, command: Command & Omit<Trouble, "index" | "at">): Decision {
  const wrong = elsewhere(world, command.id);
  if (wrong !== null) return wrong;
  const { id, area, tag, code, requestId, message } = command;
  const known = fleetOf(world).troubles.find((one) => one.area === area);
  if (known !== undefined && known.tag === tag && known.code === code) return nothing;
  return { events: [events.FleetTroubled.of(id, { area, tag, code, requestId, message })] };
}

export function decideMend(world: World, { id, area }: Command & { readonly area: Area }): Decision {
  const wrong = elsewhere(world, id);
  if (wrong !== null) return wrong;
  if (!fleetOf(world).troubles.some((one) => one.area === area)) return nothing;
  return { events: [events.FleetMended.of(id, { area })] };
}

type WantTargets = Command & { readonly balancer: string; readonly targets: readonly Target[] };

export function decideTargets(world: World, { id, balancer, targets }: WantTargets): Decision {
  const wrong = elsewhere(world, id);
  if (wrong !== null) return wrong;
  const sorted = targets.toSorted((a, b) => (a.node < b.node ? -1 : 1)).map(({ node, instance }) => ({ node, instance }));
  const now = fleetOf(world).targets;
  const isSame = now !== null && now.balancer === balancer && JSON.stringify(now.targets) === JSON.stringify(sorted);
  if (isSame && now.done === null) return nothing;
  return { events: [events.TargetsWanted.of(id, { balancer, targets: sorted })] };
}

type RecordTargets = Command & { readonly request: number; readonly added: number; readonly removed: number };

export function decideRecordTargets(world: World, { id, request, added, removed }: RecordTargets): Decision {
  const wrong = elsewhere(world, id);
  if (wrong !== null) return wrong;
  const now = fleetOf(world).targets;
  if (now === null || now.index !== request)
    return reject(
      "stale",
      `the targets were wanted at ${now?.index ?? "no entry"}, not at ${request}`,
      "read the fleet's row again",
    );
  return now.done === null ? { events: [events.TargetsReconciled.of(id, { request, added, removed })] } : nothing;
}
