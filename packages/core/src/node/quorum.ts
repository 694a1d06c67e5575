/** Whether the cluster could go on deciding without a node. Missing evidence counts against it. */
import type { World } from "../kernel/world.ts";
import { hasJoined, type NodeRow } from "./state.ts";

export interface QuorumWithout {
  /** Nodes besides it that are, or may still be, voters. */
  readonly others: number;
  /** How many of them must be on duty and reachable. */
  readonly needed: number;
  /** Names of those that are, in order. */
  readonly available: readonly string[];
  readonly holds: boolean;
}

/**
 * Counts the voters that would be left if `name` were gone. A node whose member was just replaced or is on its way out
 * may still be named by the membership, so it counts among those that a quorum is taken of, and not among those that make one.
 */
export function quorumWithout(world: World, name: string): QuorumWithout {
  const rows = [...world.all<NodeRow>("node")].map(({ row }) => row);
  const others = rows.filter((row) => row.name !== name && !row.left && hasJoined(row) && mayVote(row));
  const available = others.filter((row) => row.duty === "on-duty" && row.contact === "reachable").map((row) => row.name);
  const needed = Math.floor(others.length / 2) + 1;
  return { others: others.length, needed, available: available.toSorted(), holds: available.length >= needed };
}

/** A joining node without a past cannot be in a quorum yet; one that was replaced has an old number in there. */
const mayVote = (row: NodeRow): boolean => row.duty !== "joining" || row.retired.length > 0;
