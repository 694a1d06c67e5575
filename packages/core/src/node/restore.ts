/** A node as a backup brings it back: whether it should carry work. Whether it exists, and as which member, is not restored. */
import type { Rejection } from "../kernel/command.ts";
import type { DomainEvent } from "../kernel/event.ts";
import type { World } from "../kernel/world.ts";
import { atRisk } from "./decide.ts";
import { NodeDrainCancelled, NodeDrainStarted, reasonCharsMax } from "./events.ts";
import type { NodeRow } from "./state.ts";
import type { Duty } from "./transitions.ts";

/** What an operator wants of a node that stays. */
type Wish = "on-duty" | "drained";

const wishOf: Readonly<Record<Duty, Wish | "gone">> = {
  joining: "on-duty",
  "on-duty": "on-duty",
  draining: "drained",
  decommissioned: "drained",
  "shutting-down": "gone",
};

export const wantedOfNode = ({ duty, reason }: NodeRow): unknown =>
  wishOf[duty] === "on-duty" ? { duty: "on-duty" } : { duty: wishOf[duty], reason };

export const observedOfNode = ({ name, member, address, duty, contact, left, retired }: NodeRow): unknown => ({
  name,
  member,
  address,
  duty,
  contact,
  left,
  retired,
});

/** A node that carries work has no reason, and a row that has one is of a node that does not. */
export const nodeRowOf = (wanted: unknown, observed: unknown): NodeRow => {
  const { reason = "" } = wanted as { readonly reason?: string };
  return { ...(observed as Omit<NodeRow, "reason">), reason };
};

/** For each node whose drain begins a quorum must hold without it, and without the others; those that come back on duty count. */
export function checkNodes(before: World, after: World, changed: ReadonlySet<string>): Rejection | null {
  for (const id of [...changed].toSorted()) {
    const [was, is] = [before.get<NodeRow>("node", id)?.row, after.get<NodeRow>("node", id)?.row];
    if (was?.duty !== "on-duty" || is?.duty !== "draining") continue;
    const refused = atRisk(after, is, "restore its drain");
    if (refused !== null) return refused;
  }
  return null;
}

export function restoreNode(id: string, now: NodeRow | undefined, wanted: unknown): readonly DomainEvent[] | string {
  if (wanted === undefined) return "nodes are not removed by a restore: aether node shutdown does it";
  const { duty, reason = "" } = (wanted ?? {}) as { readonly duty?: unknown; readonly reason?: unknown };
  if (duty === "gone") return [];
  if (duty !== "on-duty" && duty !== "drained") return "the backup does not say whether it should be on duty";
  if (now === undefined) return "there is no such node now: aether cluster scale brings up new ones";
  if (wishOf[now.duty] === "gone") return "it is shutting down, and does not come back";
  if (wishOf[now.duty] === duty) return [];
  if (duty === "on-duty") return [NodeDrainCancelled.of(id, {})];
  if (now.duty === "joining") return "it is still joining: drain it when it is on duty";
  if (typeof reason !== "string" || reason.length > reasonCharsMax) return "the backup's reason for its drain is none";
  return [NodeDrainStarted.of(id, { reason })];
}
